//! The reactor's time: nanoseconds since its clock began. The only module that reads a clock.

use std::hash::{Hash, Hasher};
use std::time::{Duration, Instant};

use crate::sync::{AtomicU64, Ordering};

const NS_PER_SEC: u64 = 1_000_000_000;

/// Parts of more seconds may be more nanoseconds than a word holds.
const LAST_SEC: u64 = 1 << 34;

#[derive(Debug)]
pub(crate) struct Clock {
    began: Instant,
    /// The same by its [parts](Parts).
    began_ns: u64,
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

    /// Another that began at the same time, and stands where this one does.
    pub(crate) fn twin(&self) -> Self {
        let by_hand_ns =
            self.by_hand_ns.as_ref().map(|ns| AtomicU64::new(ns.load(Ordering::Acquire)));
        Self::new(self.began, by_hand_ns)
    }

    fn new(began: Instant, by_hand_ns: Option<AtomicU64>) -> Self {
        Self { began, began_ns: Parts::of(began).ns().unwrap_or(0), by_hand_ns }
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
        let Some(ns) = Parts::of(instant).ns() else { return self.ns_by_difference(instant) };
        let since = ns.saturating_sub(self.began_ns);
        debug_assert_eq!(since, self.ns_by_difference(instant), "the parts are what they seem");
        since
    }

    /// The same where an instant has no parts that we know, or is out of their bounds.
    #[cold]
    fn ns_by_difference(&self, instant: Instant) -> u64 {
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

/// The seconds and nanoseconds that an instant is made of, since whenever the system counts.
///
/// The difference of two instants is a call into the standard library, half of what moving a deadline
/// would cost. Hashing one is not, and tells the parts. What they are called says what they are;
/// should they ever be others, nothing is known, and the difference is asked for.
#[derive(Default)]
struct Parts {
    secs: Option<i64>,
    nanos: Option<u32>,
    strange: bool,
}

impl Parts {
    #[inline]
    fn of(instant: Instant) -> Self {
        let mut parts = Self::default();
        instant.hash(&mut parts);
        parts
    }

    /// All of it in nanoseconds, if they are known, and it is five centuries at most.
    #[inline]
    fn ns(&self) -> Option<u64> {
        let (Some(secs), Some(nanos), false) = (self.secs, self.nanos, self.strange) else {
            return None;
        };
        let secs = u64::try_from(secs).ok().filter(|secs| *secs < LAST_SEC)?;
        Some(secs * NS_PER_SEC + u64::from(nanos))
    }
}

impl Hasher for Parts {
    #[inline]
    fn write_i64(&mut self, secs: i64) {
        self.strange |= self.secs.replace(secs).is_some();
    }

    #[inline]
    fn write_u32(&mut self, nanos: u32) {
        self.strange |= self.nanos.replace(nanos).is_some();
    }

    #[inline]
    fn write(&mut self, _: &[u8]) {
        self.strange = true;
    }

    fn finish(&self) -> u64 {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By parts and by difference, an instant is the same: near, far, and before the clock began.
    #[test]
    fn parts_and_differences_agree() {
        let clock = Clock::monotonic();
        for ns in [0, 1, 999_999_999, NS_PER_SEC, 1_234_567_890_123, 1 << 62] {
            let by = Duration::from_nanos(ns);
            let instants = [Some(clock.began + by), clock.began.checked_sub(by)];
            for instant in instants.into_iter().flatten() {
                assert_eq!(clock.ns_at(instant), clock.ns_by_difference(instant), "{ns}");
            }
        }
    }

    #[test]
    fn an_instant_has_the_parts_that_make_it_fast() {
        assert!(Parts::of(Instant::now()).ns().is_some());
    }

    /// Should instants ever hash otherwise, the difference is asked for.
    #[test]
    fn strange_parts_are_none() {
        let told = |tell: fn(&mut Parts)| {
            let mut parts = Parts::default();
            tell(&mut parts);
            parts.ns()
        };
        assert_eq!(told(|parts| (3, 4_u32).hash(parts)), None, "an i32 is no i64");
        assert_eq!(told(|parts| 3_i64.hash(parts)), None);
        assert_eq!(told(|parts| (3_i64, 4_u32, 5_u32).hash(parts)), None);
        assert_eq!(told(|parts| (3_i64, 4_i64, 5_u32).hash(parts)), None);
        assert_eq!(told(|parts| (3_i64, 4_u32, 5_u8).hash(parts)), None);
        assert_eq!(told(|parts| (-3_i64, 4_u32).hash(parts)), None);
        assert_eq!(told(|parts| (LAST_SEC as i64, 4_u32).hash(parts)), None);
        assert_eq!(told(|parts| (3_i64, 4_u32).hash(parts)), Some(3_000_000_004));
    }

    #[test]
    fn what_lies_beyond_all_bounds_is_clamped() {
        let clock = Clock::monotonic();
        let far = clock.began + Duration::from_secs(1 << 50);
        assert_eq!(clock.ns_at(far), u64::MAX);
    }
}
