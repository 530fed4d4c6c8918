//! The counts of a reactor.

use std::iter::Sum;

use crate::sync::{AtomicU64, Ordering};

/// The counts of a reactor since it was made, and the number of its registrations now.
///
/// The counts are exact; they are read one after the other, while the reactor goes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Metrics {
    /// Sockets and timers that are registered now.
    pub registrations: u64,
    /// Turns of the reactor.
    pub turns: u64,
    /// The turns that the reactor's own thread made. The others were made by threads in
    /// [`block_on`](crate::block_on), by a [`Driver`](crate::Driver) or by
    /// [`Reactor::turn`](crate::Reactor::turn).
    pub thread_turns: u64,
    /// Events that epoll reported, without the reactor's own.
    pub events: u64,
    /// Events for descriptors that had been deregistered.
    pub stale_events: u64,
    /// Wakers that events, deadlines and timers woke.
    pub wakes: u64,
    /// Deadlines and timers that a turn expired.
    pub expiries: u64,
    /// Times that a sleeping reactor was woken for an earlier deadline or by `notify`.
    pub notifies: u64,
}

/// The sum over several reactors.
impl Sum for Metrics {
    fn sum<I: Iterator<Item = Self>>(each: I) -> Self {
        each.fold(Self::default(), |sum, one| Self {
            registrations: sum.registrations + one.registrations,
            turns: sum.turns + one.turns,
            thread_turns: sum.thread_turns + one.thread_turns,
            events: sum.events + one.events,
            stale_events: sum.stale_events + one.stale_events,
            wakes: sum.wakes + one.wakes,
            expiries: sum.expiries + one.expiries,
            notifies: sum.notifies + one.notifies,
        })
    }
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) notifies: AtomicU64,
    thread_turns: AtomicU64,
    turns: AtomicU64,
    events: AtomicU64,
    stale_events: AtomicU64,
    wakes: AtomicU64,
    expiries: AtomicU64,
}

/// The counts of one turn.
#[derive(Debug, Default)]
pub(crate) struct Turned {
    pub(crate) events: u64,
    pub(crate) stale_events: u64,
    pub(crate) wakes: u64,
    pub(crate) expiries: u64,
}

impl Counters {
    /// Adds a turn. Only the thread that makes the turn writes these counts, so no read-modify-write is
    /// needed. Relaxed throughout: nothing is ordered by a count.
    pub(crate) fn add(&self, turned: &Turned) {
        add(&self.turns, 1);
        add(&self.events, turned.events);
        add(&self.stale_events, turned.stale_events);
        add(&self.wakes, turned.wakes);
        add(&self.expiries, turned.expiries);
    }

    /// The reactor's own thread is about to make a turn.
    pub(crate) fn add_thread_turn(&self) {
        add(&self.thread_turns, 1);
    }

    pub(crate) fn read(&self, registrations: usize) -> Metrics {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Metrics {
            registrations: registrations as u64,
            turns: load(&self.turns),
            thread_turns: load(&self.thread_turns),
            events: load(&self.events),
            stale_events: load(&self.stale_events),
            wakes: load(&self.wakes),
            expiries: load(&self.expiries),
            notifies: load(&self.notifies),
        }
    }
}

fn add(counter: &AtomicU64, count: u64) {
    counter.store(counter.load(Ordering::Relaxed).wrapping_add(count), Ordering::Relaxed);
}
