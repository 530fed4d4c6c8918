//! The reactor's sleep in epoll, the queue of slots that it must check earlier than it had filed them, and the
//! handshake that saves writes of the eventfd.
//!
//! The word holds the end of the reactor's sleep: none (it is awake), a time, or
//! never (it sleeps until an event). A setter that needs the reactor earlier lowers the word. It writes the eventfd only if it
//! lowers the word under a sleeper. The other threads that write it: one that ends a turn ([`Sleep::notify`]); one that wakes
//! the driver that sleeps in epoll; the turn of an embedded reactor that has more to do.
//!
//! # The handshake
//!
//! - **The sleeper** stores the end of its sleep in the word, *then* checks for work once more (the arm
//!   queue, shutdown), and then waits.
//! - **The other thread** queues its work, *then* lowers the word. A setter ([`arm`](Sleep::arm)) stores its deadline,
//!   pushes the slot to the arm queue, and lowers the word to the deadline.
//!
//! Both changes are read-modify-writes of one word. If the sleeper's comes first, the other thread
//! sees that it sleeps, and for how long. If it comes second, the sleeper's check sees the work.
//!
//! Between two turns of an embedded reactor the sleeper is the event loop: the turn announces the sleep at its end, with
//! the alarm set, and the next turn ends it. The eventfd and the alarm make the loop's descriptor readable.
//!
//! The arm queue lies under a lock, and a slot in it has a mark, so that it is in it once. The turn takes slots out and
//! their marks off under the lock, *then* checks their deadlines. If a setter's push comes before the turn takes the slot out, the check
//! sees the deadline. If it comes after, the setter finds no mark and pushes the slot again.
//!
//! A thread that wakes the parker of the driver that makes the turn (see [`parker`](crate::parker)) only reads the
//! word, but by a read-modify-write, so that the same order holds.
//!
//! # How long a sleep is
//!
//! The kernel may end a sleep of `epoll_wait` late: by the timer slack of the thread, which is 50 us, or by a
//! thousandth of the sleep if that is more, or by a two-hundredth in a process of positive niceness; by 100 ms
//! at most (`select_estimate_accuracy` in `fs/select.c`). It waits that long for another timer that interrupts
//! the processor anyway. So the reactor asks for a sleep that is [shorter](short_of) by that much. Before a far
//! deadline it sleeps twice: first short of the deadline, then for the rest.
//!
//! To set the timer slack of the thread would be an exact way as well, but every thread and process that a
//! waker begins on it would inherit the slack.
//!
//! The word always holds the end of the *whole* sleep. The kernel may end its first part as late as that,
//! so a setter that compared its deadline with the end of the first part would leave the reactor asleep
//! past the deadline.

use std::time::Duration;

use crate::slot::Slot;
use crate::sync::{AtomicBool, AtomicU64, Mutex, Ordering, lock};

/// The timer slack of a thread, if the program has set no other (`prctl(2)`).
const SLACK: Duration = Duration::from_micros(50);

/// The most by which the kernel widens a sleep. A sleep of this length or less is slept in one part.
const MOST_WIDENING: Duration = Duration::from_millis(100);

/// The usual share of a sleep by which the kernel widens it, as its inverse.
const USUALLY_WIDENED_BY: u32 = 1000;

/// The largest share of a sleep by which the kernel widens it, as its inverse.
const WIDENED_BY: u32 = 200;

/// How long to ask the kernel to sleep where the sleep is to last this long.
///
/// A sleep of up to [`MOST_WIDENING`] then ends when the whole time has passed. (In a process of positive
/// niceness, half a millisecond later at most.) A longer sleep ends earlier, with at most [`MOST_WIDENING`]
/// left: one wake-up more, whatever the length.
pub(crate) fn short_of(whole: Duration) -> Duration {
    if whole > MOST_WIDENING {
        whole - (whole / WIDENED_BY).min(MOST_WIDENING)
    } else if whole > SLACK {
        whole - (whole / USUALLY_WIDENED_BY).max(SLACK)
    } else {
        whole
    }
}

/// Awake: it checks for work before it sleeps.
const AWAKE: u64 = 0;
/// A thread has asked for the turn to end: the next sleep must not begin.
const NOTIFIED: u64 = 1;
/// Asleep until an event.
const FOREVER: u64 = u64::MAX;

#[derive(Debug)]
pub(crate) struct Sleep {
    until: AtomicU64,
    armed: Mutex<Vec<u32>>,
    /// Whether `armed` has slots. Changed under its lock, read without.
    has_armed: AtomicBool,
}

impl Sleep {
    pub(crate) fn new() -> Self {
        Self {
            until: AtomicU64::new(AWAKE),
            armed: Mutex::new(Vec::new()),
            has_armed: AtomicBool::new(false),
        }
    }

    /// The sleeper is about to sleep until `until_ns`, or for ever. False: it must not, since a thread has asked for
    /// the turn to end, or has armed a slot. If true, the caller checks for other work a last time.
    #[must_use]
    pub(crate) fn announce(&self, until_ns: Option<u64>) -> bool {
        let until = until_ns.map_or(FOREVER, |ns| ns.max(NOTIFIED + 1));
        self.until.swap(until, Ordering::AcqRel) != NOTIFIED && !self.has_armed()
    }

    /// The sleeper is awake again.
    pub(crate) fn awake(&self) {
        self.until.swap(AWAKE, Ordering::AcqRel);
    }

    /// When the sleeper is needed next, in the reactor's time: 0 if a thread has asked for it already, `None` if for
    /// events alone. While it is awake, that is 0.
    pub(crate) fn needed_at(&self) -> Option<u64> {
        match self.until.load(Ordering::Acquire) {
            FOREVER => None,
            AWAKE | NOTIFIED => Some(0),
            at_ns => Some(at_ns),
        }
    }

    /// The reactor must check `slot` by `at_ns`: the caller has stored a deadline in it. True: write the eventfd.
    #[must_use]
    pub(crate) fn arm(&self, slot: &Slot, at_ns: u64) -> bool {
        let mut armed = lock(&self.armed);
        // Relaxed: the lock orders the changes of the mark.
        if !slot.queued.load(Ordering::Relaxed) {
            slot.queued.store(true, Ordering::Relaxed);
            armed.push(slot.index);
            self.has_armed.store(true, Ordering::Release);
        }
        drop(armed);
        self.needs_waking_by(at_ns)
    }

    /// Acquire, so that a sleeper that saw a setter's change of the word sees its push as well.
    pub(crate) fn has_armed(&self) -> bool {
        self.has_armed.load(Ordering::Acquire)
    }

    /// Moves up to `most` armed slots to `taken`; the others stay for the next call. The caller checks their deadlines
    /// afterwards.
    pub(crate) fn take_armed<'a>(
        &self,
        most: usize,
        slot: impl Fn(u32) -> &'a Slot,
        taken: &mut Vec<u32>,
    ) {
        let mut armed = lock(&self.armed);
        let rest = armed.len().saturating_sub(most);
        for index in armed.drain(rest..) {
            slot(index).queued.store(false, Ordering::Relaxed);
            taken.push(index);
        }
        self.has_armed.store(!armed.is_empty(), Ordering::Release);
    }

    /// Lowers the word. True if that ends a sleep.
    fn needs_waking_by(&self, at_ns: u64) -> bool {
        let at = at_ns.clamp(NOTIFIED + 1, FOREVER - 1);
        self.until.fetch_min(at, Ordering::AcqRel) > at
    }

    /// The caller has queued work, which the sleeper checks before it sleeps. True: it sleeps already, so write the eventfd.
    #[must_use]
    pub(crate) fn must_be_signalled(&self) -> bool {
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
    fn only_an_earlier_time_writes() {
        let sleep = Sleep::new();
        assert!(!sleep.needs_waking_by(5), "awake: it checks before it sleeps");
        assert!(sleep.announce(Some(100)));
        assert!(!sleep.needs_waking_by(100));
        assert!(sleep.needs_waking_by(50));
        assert!(!sleep.needs_waking_by(50), "one write is enough");
        assert!(!sleep.needs_waking_by(70));
        assert!(sleep.needs_waking_by(20), "but an earlier one is another");
        sleep.awake();
        assert!(!sleep.needs_waking_by(1));
    }

    #[test]
    fn a_slot_is_armed_once_and_keeps_the_reactor_awake() {
        let (sleep, slots) = (Sleep::new(), [0, 1].map(Slot::new));
        assert!(sleep.announce(Some(100)));
        assert!(sleep.arm(&slots[0], 50));
        assert!(!sleep.arm(&slots[0], 60), "in the queue, and the reactor wakes for 50");
        assert!(!sleep.arm(&slots[1], 70));
        sleep.awake();
        assert!(!sleep.announce(None));
        let take = || {
            let mut taken = Vec::new();
            sleep.take_armed(1, |index| &slots[index as usize], &mut taken);
            taken
        };
        assert_eq!((take(), take(), take()), (vec![1], vec![0], vec![]));
        assert!(sleep.announce(None));
        assert!(sleep.arm(&slots[0], 50), "and again");
    }

    /// When the kernel ends a sleep at the latest.
    fn widened(sleep: Duration, by: u32) -> Duration {
        sleep + (sleep / by).clamp(SLACK, MOST_WIDENING)
    }

    #[test]
    fn a_short_sleep_ends_in_time() {
        for whole in [50, 51, 60, 100, 1000, 50_000, 70_000, 100_000].map(Duration::from_micros) {
            let asked = short_of(whole);
            assert!(asked <= whole);
            assert!(widened(asked, USUALLY_WIDENED_BY) <= whole + SLACK);
            assert!(
                whole <= SLACK || widened(asked, USUALLY_WIDENED_BY) <= whole,
                "{whole:?} is late"
            );
            assert!(widened(asked, WIDENED_BY) <= whole + Duration::from_micros(500));
        }
    }

    /// Whichever way the kernel widens it: the first part ends in time, and the second is a short sleep.
    #[test]
    fn a_long_sleep_has_two_parts_and_the_first_ends_early() {
        for whole in [100_001, 5_000_000, 20_000_000, 60_000_000, u64::MAX] {
            let whole = Duration::from_micros(whole);
            let first = short_of(whole);
            assert!(widened(first, USUALLY_WIDENED_BY) <= whole);
            assert!(widened(first, WIDENED_BY) <= whole);
            assert!(whole - first <= MOST_WIDENING, "{whole:?} would have a third part");
        }
    }

    #[test]
    fn a_notification_is_kept_for_the_next_sleep() {
        let sleep = Sleep::new();
        assert!(!sleep.notify());
        assert!(!sleep.announce(None));
        sleep.awake();
        assert!(sleep.announce(None));
        assert!(sleep.notify());
        assert!(!sleep.notify());
    }
}
