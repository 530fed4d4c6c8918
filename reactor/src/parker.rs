//! A thread that waits until it is woken: on a condition of its own, or in the reactor's epoll.
//!
//! # The handshake
//!
//! One word holds the wait mode of the thread. Both sides change it by read-modify-writes only, so one of
//! them comes first:
//!
//! - **The thread** stores its wait mode, `ASLEEP` or `DRIVING`. If the word is `NOTIFIED`, it does not wait.
//! - **A waker** swaps in `NOTIFIED`. The old value decides how to end the wait. `AWAKE`: do nothing. `ASLEEP`: signal the
//!   condition. `DRIVING`: end the reactor's sleep.
//!
//! For `DRIVING` there is a second word, the reactor's [`Sleep`](crate::sleep). The driver announces
//! its sleep in the second word, *then* reads the first. A waker stores `NOTIFIED` in the first word, *then* reads the
//! second. Both change the second word, so one comes first. Either the waker sees the announced sleep and
//! writes the eventfd, or the driver announces later, and then reads `NOTIFIED`.
//!
//! A driver's thread stays `DRIVING` while it runs its tasks, until it has to sleep on the condition:
//! to change the word for each wait would cost two read-modify-writes. A waker that
//! finds `DRIVING` meanwhile looks at the second word. Mostly the reactor is awake, and the waker does nothing. If another
//! driver has taken over and sleeps in epoll, the waker ends that sleep once, without harm.
//!
//! Most wakers of a driver run in its own turn, on its own thread. The thread is awake then, and checks before
//! it sleeps, so no handshake is needed: such a wake-up is stored in a thread-local flag.

use std::cell::Cell;
use std::time::Duration;

use crate::sync::{AtomicU32, Condvar, Mutex, Ordering, lock, per_thread, wait_for};

/// The thread runs, or will check the word before it waits.
const AWAKE: u32 = 0;
/// It was woken, and has not read the word since.
const NOTIFIED: u32 = 1;
/// It sleeps on the condition.
const ASLEEP: u32 = 2;
/// It makes turns of a reactor, and sleeps in epoll if no event is ready.
const DRIVING: u32 = 3;

per_thread! {
    /// The address of the parker whose driver makes turns on this thread, and whether this thread has woken it
    /// meanwhile.
    static DRIVER: Cell<(usize, bool)> = const { Cell::new((0, false)) };
}

#[derive(Debug)]
pub(crate) struct Parker {
    word: AtomicU32,
    lock: Mutex<()>,
    changed: Condvar,
}

/// This thread drives until the guard is dropped.
#[derive(Debug)]
pub(crate) struct Drive<'a> {
    parker: &'a Parker,
    /// A waker that is woken by a turn may drive another reactor.
    outer: (usize, bool),
}

/// The next step of a waker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Woken {
    /// The wake-up is complete.
    Done,
    /// The thread drives: the waker must end the reactor's sleep.
    Driving,
}

impl Parker {
    pub(crate) fn new() -> Self {
        Self { word: AtomicU32::new(AWAKE), lock: Mutex::new(()), changed: Condvar::new() }
    }

    /// Wakes the thread, or makes its next wait return at once.
    pub(crate) fn wake(&self) -> Woken {
        if self.drives_here() {
            DRIVER.with(|driver| driver.set((self.address(), true)));
            return Woken::Done;
        }
        match self.word.swap(NOTIFIED, Ordering::AcqRel) {
            ASLEEP => self.signal(),
            DRIVING => return Woken::Driving,
            _ => {}
        }
        Woken::Done
    }

    /// Ends the thread's sleep without a notification: the thread checks whether it can drive. False if it does not
    /// sleep.
    #[must_use]
    pub(crate) fn nudge(&self) -> bool {
        let was_asleep = self.step(ASLEEP, AWAKE);
        if was_asleep {
            self.signal();
        }
        was_asleep
    }

    /// The thread is about to drive, until it is [woken](Drive::is_woken).
    pub(crate) fn drive(&self) -> Drive<'_> {
        // If it was woken meanwhile, the word stays `NOTIFIED`.
        let _ = self.word.load(Ordering::Relaxed) == DRIVING || self.step(AWAKE, DRIVING);
        let outer = DRIVER.with(|driver| driver.replace((self.address(), false)));
        Drive { parker: self, outer }
    }

    /// The thread is about to sleep. False if it was woken meanwhile and must not.
    #[must_use]
    pub(crate) fn begin_sleep(&self) -> bool {
        self.step(AWAKE, ASLEEP) || self.step(DRIVING, ASLEEP)
    }

    /// Sleeps until it is woken or nudged, if [`begin_sleep`](Self::begin_sleep) returned true.
    pub(crate) fn sleep(&self) {
        let mut guard = lock(&self.lock);
        while self.word.load(Ordering::Acquire) == ASLEEP {
            guard = self.changed.wait(guard).unwrap_or_else(std::sync::PoisonError::into_inner);
        }
    }

    /// The same, but no longer than this, and perhaps shorter.
    pub(crate) fn sleep_for(&self, timeout: Duration) {
        let guard = lock(&self.lock);
        if self.word.load(Ordering::Acquire) == ASLEEP {
            wait_for(&self.changed, guard, timeout);
        }
    }

    /// Waits by [`sleep`](Self::sleep) or [`sleep_for`](Self::sleep_for). True if it was woken, now or before.
    pub(crate) fn wait(&self, sleep: impl FnOnce(&Self)) -> bool {
        if self.begin_sleep() {
            sleep(self);
        }
        self.end()
    }

    /// The wait is over. True if it was woken.
    pub(crate) fn end(&self) -> bool {
        self.word.swap(AWAKE, Ordering::AcqRel) == NOTIFIED
    }

    /// Whether another thread has woken it. `Drive::is_woken` also reports a wake-up that a turn of this thread
    /// made.
    #[inline]
    pub(crate) fn is_notified(&self) -> bool {
        self.word.load(Ordering::Acquire) == NOTIFIED
    }

    /// Whether the calling thread is turning a reactor for this driver.
    fn drives_here(&self) -> bool {
        DRIVER.with(|driver| driver.get().0) == self.address()
    }

    fn address(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    fn step(&self, from: u32, to: u32) -> bool {
        self.word.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// The sleeper reads the word under the lock. A waker that has changed the word takes the lock before it
    /// signals, so the signal cannot come between the sleeper's read and its sleep.
    fn signal(&self) {
        drop(lock(&self.lock));
        self.changed.notify_one();
    }
}

impl Drive<'_> {
    /// Whether the thread was woken, by its own turn or by another thread.
    pub(crate) fn is_woken(&self) -> bool {
        self.woke_itself() || self.parker.is_notified()
    }

    /// It drives no more. True if it was woken.
    pub(crate) fn end(self) -> bool {
        let by_others = self.parker.is_notified() && self.parker.end();
        self.woke_itself() || by_others
    }

    fn woke_itself(&self) -> bool {
        DRIVER.with(|driver| driver.get() == (self.parker.address(), true))
    }
}

impl Drop for Drive<'_> {
    fn drop(&mut self) {
        DRIVER.with(|driver| driver.set(self.outer));
    }
}

#[cfg(test)]
#[cfg(not(netpoll_loom))]
mod tests {
    use super::*;

    #[test]
    fn a_wake_up_is_kept_for_the_next_wait() {
        let parker = Parker::new();
        assert_eq!(parker.wake(), Woken::Done);
        assert!(parker.is_notified());
        assert!(!parker.begin_sleep());
        assert!(parker.drive().is_woken());
        assert!(parker.end());
        assert!(parker.begin_sleep(), "and only for one");
    }

    #[test]
    fn a_driver_is_woken_by_the_reactor_once() {
        let parker = Parker::new();
        let drive = parker.drive();
        let wake = || std::thread::scope(|scope| scope.spawn(|| parker.wake()).join().unwrap());
        assert_eq!(wake(), Woken::Driving);
        assert_eq!(wake(), Woken::Done);
        assert!(drive.is_woken());
        assert!(drive.end());
        assert_eq!(wake(), Woken::Done, "and is awake until it sleeps");
    }

    #[test]
    fn a_driver_that_wakes_itself_has_no_sleep_to_end() {
        let (parker, inner) = (Parker::new(), Parker::new());
        let drive = parker.drive();
        assert!(!drive.is_woken());
        let nested = inner.drive();
        assert_eq!(parker.wake(), Woken::Driving, "another is driven for");
        assert!(!nested.end());
        assert_eq!(parker.wake(), Woken::Done);
        assert!(drive.is_woken());
        assert!(drive.end());
        assert!(!parker.drive().is_woken());
    }

    #[test]
    fn a_nudge_ends_a_sleep_and_nothing_else() {
        let parker = Parker::new();
        assert!(!parker.nudge());
        assert!(parker.begin_sleep());
        assert!(parker.nudge());
        parker.sleep();
        assert!(!parker.end(), "it was nudged, not woken");
        assert!(!parker.drive().end());
        assert!(!parker.nudge());
        assert!(parker.begin_sleep(), "a driver may sleep on the condition later");
    }
}
