//! The wall clock, by which a [snapshot](crate::Snapshot) counts how long a task waits.
//!
//! A task that begins to wait notes the second. `time(2)` enters no kernel on x86-64: it takes one nanosecond, where the clock
//! of the deadlines takes 22. Deadlines never depend on this clock, which the system may set.

use std::time::Duration;

use crate::sys;

/// The present second, since 1970.
#[inline]
pub(crate) fn second() -> u32 {
    sys::wall_second()
}

/// The present time, since 1970.
pub(crate) fn now() -> Duration {
    sys::wall_time()
}

/// How long before `now` a second began. Zero if the clock was set back since.
pub(crate) fn since(second: u32, now: Duration) -> Duration {
    now.saturating_sub(Duration::from_secs(second.into()))
}
