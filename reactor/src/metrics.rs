//! The counts of a reactor.

use std::iter::Sum;

use crate::sync::{AtomicU64, Ordering};

/// The counts of a reactor since it was made, and the number of its registrations now.
///
/// The counts are exact; they are read one after the other, while the reactor goes on. Reading them takes one short lock, and no
/// count costs an operation anything.
///
/// # For Prometheus
///
/// Under these names, as the example `metrics` of the repository serves them (`cargo run --release -p netpoll-tests --example metrics`).
/// No count has a dimension, such as seconds or bytes.
///
/// | name | kind | counts | field |
/// | --- | --- | --- | --- |
/// | `netpoll_registrations` | gauge | sockets and timers | [`registrations`](Self::registrations) |
/// | `netpoll_turns_total` | counter | turns | [`turns`](Self::turns) |
/// | `netpoll_thread_turns_total` | counter | turns | [`thread_turns`](Self::thread_turns) |
/// | `netpoll_events_total` | counter | events | [`events`](Self::events) |
/// | `netpoll_stale_events_total` | counter | events | [`stale_events`](Self::stale_events) |
/// | `netpoll_wakes_total` | counter | wakers | [`wakes`](Self::wakes) |
/// | `netpoll_expiries_total` | counter | deadlines and timers | [`expiries`](Self::expiries) |
/// | `netpoll_notifies_total` | counter | notifications | [`notifies`](Self::notifies) |
///
/// Ratios to watch: `rate(netpoll_events_total) / rate(netpoll_turns_total)` is how many events a turn serves;
/// `rate(netpoll_wakes_total) / rate(netpoll_events_total)` far above one means that many tasks wait for one descriptor. A
/// `netpoll_registrations` that only rises is a leak: [`Reactor::snapshot`](crate::Reactor::snapshot) lists the sockets.
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
    pub(crate) thread_turns: TurnCount,
    pub(crate) turns: TurnCount,
    pub(crate) events: TurnCount,
    pub(crate) stale_events: TurnCount,
    pub(crate) wakes: TurnCount,
    pub(crate) expiries: TurnCount,
}

/// A count that only the thread that makes the turn changes, so no read-modify-write is needed. Relaxed:
/// nothing is ordered by a count.
#[derive(Debug, Default)]
pub(crate) struct TurnCount(AtomicU64);

impl TurnCount {
    #[inline]
    pub(crate) fn add(&self, count: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(count), Ordering::Relaxed);
    }
}

impl Counters {
    pub(crate) fn read(&self, registrations: usize) -> Metrics {
        let load = |count: &TurnCount| count.0.load(Ordering::Relaxed);
        Metrics {
            registrations: registrations as u64,
            turns: load(&self.turns),
            thread_turns: load(&self.thread_turns),
            events: load(&self.events),
            stale_events: load(&self.stale_events),
            wakes: load(&self.wakes),
            expiries: load(&self.expiries),
            notifies: self.notifies.load(Ordering::Relaxed),
        }
    }
}
