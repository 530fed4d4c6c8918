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

use std::time::Duration;

use crate::sync::{AtomicU32, Condvar, Mutex, Ordering, lock};

/// The thread runs, or has yet to look before it waits.
const AWAKE: u32 = 0;
/// It was woken, and has not taken notice yet.
const NOTIFIED: u32 = 1;
/// It sleeps on the condition.
const ASLEEP: u32 = 2;
/// It turns a reactor, and sleeps in there if nothing is ready.
const DRIVING: u32 = 3;

#[derive(Debug)]
pub(crate) struct Parker {
    word: AtomicU32,
    lock: Mutex<()>,
    changed: Condvar,
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

    /// The thread is about to drive. False if it was woken meanwhile and must not.
    #[must_use]
    pub(crate) fn begin_driving(&self) -> bool {
        self.step(AWAKE, DRIVING)
    }

    /// The thread is about to sleep. False if it was woken meanwhile and must not.
    #[must_use]
    pub(crate) fn begin_sleep(&self) -> bool {
        self.step(AWAKE, ASLEEP)
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

    /// Whether it was woken, and has not taken notice yet.
    pub(crate) fn is_notified(&self) -> bool {
        self.word.load(Ordering::Acquire) == NOTIFIED
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
        assert!(!parker.begin_driving());
        assert!(parker.end());
        assert!(parker.begin_sleep(), "and only for one");
    }

    #[test]
    fn who_drives_is_woken_by_the_reactor_once() {
        let parker = Parker::new();
        assert!(parker.begin_driving());
        assert_eq!(parker.wake(), Woken::Driving);
        assert_eq!(parker.wake(), Woken::Done);
        assert!(parker.end());
    }

    #[test]
    fn a_call_ends_a_sleep_and_nothing_else() {
        let parker = Parker::new();
        assert!(!parker.call());
        assert!(parker.begin_sleep());
        assert!(parker.call());
        parker.sleep();
        assert!(!parker.end(), "it was called, not woken");
        assert!(parker.begin_driving());
        assert!(!parker.call());
    }
}
