//! The reactor's time: nanoseconds since its clock began. The only module that reads a clock.

use std::time::{Duration, Instant};

use crate::sync::{AtomicU64, Ordering};

const NS_PER_SEC: u64 = 1_000_000_000;

#[derive(Debug)]
pub(crate) struct Clock {
    began: Instant,
    /// `Some` if time is moved by hand.
    by_hand_ns: Option<AtomicU64>,
}

impl Clock {
    pub(crate) fn monotonic() -> Self {
        Self::new(Instant::now(), None)
    }

    /// A clock that stands still until [`advance`](Self::advance) moves it.
    pub(crate) fn by_hand() -> Self {
        Self::new(Instant::now(), Some(AtomicU64::new(0)))
    }

    /// Another clock with the same beginning and the same present time.
    pub(crate) fn twin(&self) -> Self {
        let by_hand_ns =
            self.by_hand_ns.as_ref().map(|ns| AtomicU64::new(ns.load(Ordering::Acquire)));
        Self::new(self.began, by_hand_ns)
    }

    fn new(began: Instant, by_hand_ns: Option<AtomicU64>) -> Self {
        Self { began, by_hand_ns }
    }

    pub(crate) fn is_by_hand(&self) -> bool {
        self.by_hand_ns.is_some()
    }

    pub(crate) fn now_ns(&self) -> u64 {
        match &self.by_hand_ns {
            Some(ns) => ns.load(Ordering::Acquire),
            None => self.ns_at(Instant::now()),
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

    /// Moves a clock that is moved by hand, to its end at most, five centuries on. False if this one is not.
    pub(crate) fn advance(&self, by: Duration) -> bool {
        let Some(ns) = &self.by_hand_ns else { return false };
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
