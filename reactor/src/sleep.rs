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

//!
//! # How long a sleep is
//!
//! The kernel widens a sleep of `epoll_wait` by a thousandth of its length, or by a two-hundredth in a
//! process of positive niceness, and by 100 ms at most (`select_estimate_accuracy` in `fs/select.c`). So the
//! reactor sleeps [short of](short_of) a far deadline, and then for the rest, which is too short to be
//! widened noticeably.
//!
//! The word always says when the *whole* sleep ends. The kernel may end its first part as late as that,
//! so a setter that compared its deadline with the end of the first part would leave the reactor asleep
//! past the deadline.

use std::time::Duration;

use crate::sync::{AtomicU64, Ordering};

/// The most by which the kernel widens a sleep. A sleep of this length or less is slept in one part:
/// the kernel widens it by a tenth of a millisecond.
const MOST_WIDENING: Duration = Duration::from_millis(100);

/// The largest share of a sleep by which the kernel widens it, as its inverse.
const WIDENED_BY: u32 = 200;

/// How long to sleep at first where the whole sleep is this long. The kernel ends it before the whole
/// time has passed, and what is left is at most [`MOST_WIDENING`]: one wake-up more, whatever the length.
pub(crate) fn short_of(whole: Duration) -> Duration {
    if whole <= MOST_WIDENING { whole } else { whole - (whole / WIDENED_BY).min(MOST_WIDENING) }
}

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

    /// Whichever way the kernel widens it: the first part ends in time, and the second is short.
    #[test]
    fn a_long_sleep_has_two_parts_and_neither_ends_late() {
        let us = Duration::from_micros;
        let widened = |sleep: Duration, by: u32| sleep + (sleep / by).min(MOST_WIDENING);
        for whole_us in
            [0, 1, 99_999, 100_000, 100_001, 5_000_000, 20_000_000, 60_000_000, u64::MAX]
        {
            let whole = us(whole_us);
            let first = short_of(whole);
            assert!(first <= whole);
            for by in [WIDENED_BY, 1000] {
                let ends = widened(first, by);
                assert!(first == whole || ends <= whole, "{whole:?} ends at {ends:?}");
            }
            let rest = whole - first;
            assert_eq!(short_of(rest), rest, "{whole:?} would have a third part");
            assert!(widened(rest, 1000) - rest <= us(100));
            let only = if first == whole { whole } else { rest };
            assert!(widened(only, 1000) - only <= us(100), "{whole:?} is late");
        }
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
