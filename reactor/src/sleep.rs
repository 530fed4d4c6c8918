//! When the reactor sleeps, and who must wake it: the handshake that saves the eventfd writes.
//!
//! The word says until when the reactor will sleep: not at all (it is awake), or until a time, or
//! until something happens. Who needs it earlier lowers the word; only who lowers it under a sleeper
//! writes the eventfd, once.
//!
//! # The handshake
//!
//! - **The sleeper** announces until when it will sleep, *then* looks for work once more (the arm
//!   queue, shutdown), and then waits.
//! - **The other side** queues its work, *then* lowers the word.
//!
//! Both changes are read-modify-writes of one word. If the sleeper's comes first, the other side
//! sees that it sleeps, and how long. If it comes second, the sleeper's look sees the work.
//!
//! Who wakes the very thread that turns (see [`parker`](crate::parker)) leaves the word as it is, but
//! by a read-modify-write too: for the sake of that order.

use crate::sync::{AtomicU64, Ordering};

/// Awake: will look for work before it sleeps.
const AWAKE: u64 = 0;
/// Somebody asked for the turn to end: the next sleep is not to happen.
const NOTIFIED: u64 = 1;
/// Asleep until an event.
const FOREVER: u64 = u64::MAX;

#[derive(Debug)]
pub(crate) struct Sleep {
    until: AtomicU64,
}

/// Whether an announced sleep may happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Announced {
    /// Look for work a last time, then sleep.
    Sleep,
    /// Do not: somebody asked for the turn to end.
    Notified,
}

impl Sleep {
    pub(crate) fn new() -> Self {
        Self { until: AtomicU64::new(AWAKE) }
    }

    /// The sleeper is about to sleep until `until_ns`, or for ever.
    pub(crate) fn announce(&self, until_ns: Option<u64>) -> Announced {
        let until = until_ns.map_or(FOREVER, |ns| ns.max(NOTIFIED + 1));
        match self.until.swap(until, Ordering::AcqRel) {
            NOTIFIED => Announced::Notified,
            _ => Announced::Sleep,
        }
    }

    /// The sleeper is awake again.
    pub(crate) fn awake(&self) {
        self.until.swap(AWAKE, Ordering::AcqRel);
    }

    /// Work is queued that must be looked at by `at_ns`. True: write the eventfd.
    #[must_use]
    pub(crate) fn needs_waking_by(&self, at_ns: u64) -> bool {
        let at = at_ns.clamp(NOTIFIED + 1, FOREVER - 1);
        self.until.fetch_min(at, Ordering::AcqRel) > at
    }

    /// Something was put where the sleeper looks before it sleeps. True: write the eventfd.
    #[must_use]
    pub(crate) fn is_overslept(&self) -> bool {
        self.until.fetch_or(0, Ordering::AcqRel) > NOTIFIED
    }

    /// The turn in progress is to end, or the next one not to sleep. True: write the eventfd.
    #[must_use]
    pub(crate) fn notify(&self) -> bool {
        self.until.swap(NOTIFIED, Ordering::AcqRel) > NOTIFIED
    }
}

#[cfg(test)]
#[cfg(not(netpoll_loom))]
mod tests {
    use super::*;

    #[test]
    fn only_who_would_be_overslept_writes() {
        let sleep = Sleep::new();
        assert!(!sleep.needs_waking_by(5), "awake: it looks before it sleeps");
        assert_eq!(sleep.announce(Some(100)), Announced::Sleep);
        assert!(!sleep.needs_waking_by(100));
        assert!(sleep.needs_waking_by(50));
        assert!(!sleep.needs_waking_by(50), "one write is enough");
        assert!(!sleep.needs_waking_by(70));
        assert!(sleep.needs_waking_by(20), "but an earlier one is another");
        sleep.awake();
        assert!(!sleep.needs_waking_by(1));
    }

    #[test]
    fn a_notification_is_kept_for_the_next_sleep() {
        let sleep = Sleep::new();
        assert!(!sleep.notify());
        assert_eq!(sleep.announce(None), Announced::Notified);
        sleep.awake();
        assert_eq!(sleep.announce(None), Announced::Sleep);
        assert!(sleep.notify());
        assert!(!sleep.notify());
    }
}
