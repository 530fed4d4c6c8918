//! How a thread waits until it is woken: in a sleep of its own, or in the reactor.
//!
//! # The handshake
//!
//! The word says what the thread does. Both sides change it by read-modify-writes only, so one of
//! them comes first:
//!
//! - **The thread** says how it is going to wait. Finds it that it was woken, it does not.
//! - **Who wakes** says so, and learns from what the word was what it takes to end the wait: nothing,
//!   if the thread is awake; the condition, if it sleeps; and if it drives, the reactor's sleep must
//!   end.
//!
//! For the last there is a second word, the reactor's [`Sleep`](crate::sleep): the driver announces
//! its sleep *there*, then looks *here*; who wakes says so *here*, then looks *there*. Both change
//! that second word too, so again one comes first: either the wake-up sees the announced sleep and
//! writes the eventfd, or the announcement comes after it, and the look after that sees `NOTIFIED`.
//!
//! A thread that has driven is `DRIVING` until it has to sleep elsewhere, also while it runs its tasks:
//! to say so anew each time would be two read-modify-writes for each wait. Who wakes it then looks at
//! the reactor's sleep, and finds it awake; or another asleep that drives now, and ends that sleep once,
//! to no purpose and no harm.
//!
//! A driver mostly wakes itself: by the wakers that its own turn wakes. It is awake then, and looks before
//! it sleeps, so there is nobody to agree with. Such a wake-up is noted beside the word, where only this
//! thread looks.

use std::cell::Cell;
use std::time::Duration;

use crate::sync::{AtomicU32, Condvar, Mutex, Ordering, lock, per_thread};

/// The thread runs, or has yet to look before it waits.
const AWAKE: u32 = 0;
/// It was woken, and has not taken notice yet.
const NOTIFIED: u32 = 1;
/// It sleeps on the condition.
const ASLEEP: u32 = 2;
/// It turns a reactor now and then, and sleeps in there if nothing is ready.
const DRIVING: u32 = 3;

per_thread! {
    /// The address of the parker whose driver this thread is turning for, and whether it was woken
    /// meanwhile on this thread.
    static DRIVER: Cell<(usize, bool)> = Cell::new((0, false));
}

/// A number that no other thread has while this one lives. It is not 0.
pub(crate) fn this_thread() -> usize {
    DRIVER.with(|driver| std::ptr::from_ref(driver).addr())
}

#[derive(Debug)]
pub(crate) struct Parker {
    word: AtomicU32,
    lock: Mutex<()>,
    changed: Condvar,
}

/// That this thread drives, until it is dropped.
#[derive(Debug)]
pub(crate) struct Drive<'a> {
    parker: &'a Parker,
    /// A waker that is woken by a turn may drive another reactor.
    outer: (usize, bool),
}

/// What is left to do for who woke a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Woken {
    /// Nothing.
    Done,
    /// It drives: see that the reactor does not sleep.
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

    /// Ends the thread's sleep without a reason of its own: it is to look whether it can drive. False
    /// if it does not sleep.
    #[must_use]
    pub(crate) fn call(&self) -> bool {
        let called = self.step(ASLEEP, AWAKE);
        if called {
            self.signal();
        }
        called
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

    /// Sleeps until it is woken or called, if [`begin_sleep`](Self::begin_sleep) has said so.
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
            drop(self.changed.wait_timeout(guard, timeout));
        }
    }

    /// Sleeps until it is woken or called. True if it was woken, now or before.
    pub(crate) fn wait(&self) -> bool {
        if self.begin_sleep() {
            self.sleep();
        }
        self.end()
    }

    /// The wait is over. True if it was woken.
    pub(crate) fn end(&self) -> bool {
        self.word.swap(AWAKE, Ordering::AcqRel) == NOTIFIED
    }

    /// Whether it was woken, and has not taken notice yet. What a turn of its own has woken, only the
    /// [`Drive`] knows.
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

    /// The sleeper looks at the word under the lock: who changed it before taking that lock cannot
    /// signal between its look and its sleep.
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
    fn who_drives_is_woken_by_the_reactor_once() {
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
    fn who_drives_and_wakes_itself_has_nothing_to_end() {
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
    fn a_call_ends_a_sleep_and_nothing_else() {
        let parker = Parker::new();
        assert!(!parker.call());
        assert!(parker.begin_sleep());
        assert!(parker.call());
        parker.sleep();
        assert!(!parker.end(), "it was called, not woken");
        assert!(!parker.drive().end());
        assert!(!parker.call());
        assert!(parker.begin_sleep(), "who has driven may sleep elsewhere");
    }
}
