//! The reactor's time: nanoseconds since its clock began. The only module that reads a clock.

use std::time::{Duration, Instant};

use crate::sync::{AtomicU64, Ordering};

#[derive(Debug)]
pub(crate) struct Clock {
    began: Instant,
    /// `Some` if time is moved by hand.
    by_hand_ns: Option<AtomicU64>,
}

impl Clock {
    pub(crate) fn monotonic() -> Self {
        Self { began: Instant::now(), by_hand_ns: None }
    }

    /// A clock that stands still until [`advance`](Self::advance) moves it.
    pub(crate) fn by_hand() -> Self {
        Self { began: Instant::now(), by_hand_ns: Some(AtomicU64::new(0)) }
    }

    /// Another that began at the same time, and stands where this one does.
    pub(crate) fn twin(&self) -> Self {
        let by_hand_ns =
            self.by_hand_ns.as_ref().map(|ns| AtomicU64::new(ns.load(Ordering::Acquire)));
        Self { began: self.began, by_hand_ns }
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
        self.began + Duration::from_nanos(self.now_ns())
    }

    /// What `instant` is on this clock: 0 for all that was before it, the maximum for what lies
    /// beyond five centuries.
    #[inline]
    pub(crate) fn ns_at(&self, instant: Instant) -> u64 {
        let since = instant.saturating_duration_since(self.began);
        let whole = since.as_secs().saturating_mul(1_000_000_000);
        whole.saturating_add(u64::from(since.subsec_nanos()))
    }

    /// Moves a clock that is moved by hand. False if this one is not.
    pub(crate) fn advance(&self, by: Duration) -> bool {
        let Some(ns) = &self.by_hand_ns else { return false };
        ns.fetch_add(u64::try_from(by.as_nanos()).unwrap_or(u64::MAX >> 8), Ordering::AcqRel);
        true
    }
}
