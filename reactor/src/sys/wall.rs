//! The wall clock, by the second and exactly.

use std::time::Duration;

/// `time(2)`
#[inline]
pub(crate) fn wall_second() -> u32 {
    // Miri does not know `time(2)`.
    if cfg!(miri) {
        return wall_time().as_secs() as u32;
    }
    // SAFETY: a null pointer, to which nothing is written.
    unsafe { libc::time(std::ptr::null_mut()) as u32 }
}

/// `clock_gettime(2)`
pub(crate) fn wall_time() -> Duration {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the kernel writes one structure, to `now`. It knows this clock, so the call does not fail.
    unsafe { libc::clock_gettime(libc::CLOCK_REALTIME, &raw mut now) };
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}
