//! The reactor's time: nanoseconds since its clock began. The only module that reads a clock for deadlines.

use std::time::{Duration, Instant};

use crate::sync::{AtomicU64, Ordering};

const NS_PER_SEC: u64 = 1_000_000_000;

#[derive(Debug)]
pub(crate) struct Clock {
    began: Instant,
    source: Source,
}

#[derive(Debug)]
enum Source {
    System,
    /// The time that the program has moved by hand.
    ByHand(AtomicU64),
    /// The clock of a runtime.
    Given(fn() -> Instant),
}

impl Clock {
    pub(crate) fn monotonic() -> Self {
        Self { began: Instant::now(), source: Source::System }
    }

    /// A clock that stands still until [`advance`](Self::advance) moves it.
    pub(crate) fn by_hand() -> Self {
        Self { began: Instant::now(), source: Source::ByHand(AtomicU64::new(0)) }
    }

    /// The clock that `now` reads.
    pub(crate) fn given(now: fn() -> Instant) -> Self {
        Self { began: now(), source: Source::Given(now) }
    }

    /// Another clock with the same beginning and the same present time.
    pub(crate) fn twin(&self) -> Self {
        let source = match &self.source {
            Source::System => Source::System,
            Source::ByHand(ns) => Source::ByHand(AtomicU64::new(ns.load(Ordering::Acquire))),
            Source::Given(now) => Source::Given(*now),
        };
        Self { began: self.began, source }
    }

    pub(crate) fn is_by_hand(&self) -> bool {
        matches!(self.source, Source::ByHand(_))
    }

    pub(crate) fn now_ns(&self) -> u64 {
        match &self.source {
            Source::System => self.ns_at(Instant::now()),
            Source::ByHand(ns) => ns.load(Ordering::Acquire),
            Source::Given(now) => self.ns_at(now()),
        }
    }

    pub(crate) fn now(&self) -> Instant {
        self.instant_at(self.now_ns())
    }

    pub(crate) fn instant_at(&self, ns: u64) -> Instant {
        self.began + Duration::from_nanos(ns)
    }

    /// The nanoseconds of `instant` on this clock: 0 for an instant before the clock began, the maximum for one
    /// beyond five centuries.
    #[inline]
    pub(crate) fn ns_at(&self, instant: Instant) -> u64 {
        let since = instant.saturating_duration_since(self.began);
        let whole = since.as_secs().saturating_mul(NS_PER_SEC);
        whole.saturating_add(u64::from(since.subsec_nanos()))
    }

    /// Moves a manual clock, at most to the end of its range, five centuries on. False if the clock is not manual.
    pub(crate) fn advance(&self, by: Duration) -> bool {
        let Source::ByHand(ns) = &self.source else { return false };
        let by = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX);
        let moved = |now: u64| Some(now.saturating_add(by));
        ns.fetch_update(Ordering::AcqRel, Ordering::Acquire, moved).is_ok()
    }
}

#[cfg(test)]
#[cfg(not(netpoll_loom))]
mod tests {
    use super::*;

    #[test]
    fn an_instant_is_the_time_since_the_clock_began() {
        let clock = Clock::monotonic();
        for ns in [0, 1, 999_999_999, NS_PER_SEC, 1_234_567_890_123, 1 << 62] {
            assert_eq!(clock.ns_at(clock.began + Duration::from_nanos(ns)), ns);
        }
        let before = clock.began.checked_sub(Duration::from_nanos(1));
        assert_eq!(before.map_or(0, |before| clock.ns_at(before)), 0);
    }

    #[test]
    fn an_instant_beyond_all_bounds_is_clamped() {
        let clock = Clock::monotonic();
        let far = clock.began + Duration::from_secs(1 << 50);
        assert_eq!(clock.ns_at(far), u64::MAX);
    }
}
