//! The timer in the reactor's epoll, which makes the epoll descriptor readable when a deadline is due.
//!
//! As the eventfd it is registered edge-triggered and never read: each time it fires is an edge.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::ptr::null_mut;
use std::time::Duration;

use super::{check, owned};

#[derive(Debug)]
pub(crate) struct TimerFd(OwnedFd);

impl TimerFd {
    pub(crate) fn new() -> io::Result<Self> {
        let flags = libc::TFD_CLOEXEC | libc::TFD_NONBLOCK;
        // SAFETY: no pointers.
        check(unsafe { libc::timerfd_create(libc::CLOCK_MONOTONIC, flags) })
            .map(|fd| Self(owned(fd)))
    }

    /// Fires once after this time, or not at all. It no longer fires for the time that was set before.
    pub(crate) fn set(&self, after: Option<Duration>) -> io::Result<()> {
        // A time of zero would stop it.
        let after = after.map_or(Duration::ZERO, |after| after.max(Duration::from_nanos(1)));
        let never = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        let once = libc::timespec {
            tv_sec: libc::time_t::try_from(after.as_secs()).unwrap_or(libc::time_t::MAX),
            tv_nsec: after.subsec_nanos() as libc::c_long,
        };
        let time = libc::itimerspec { it_interval: never, it_value: once };
        // SAFETY: `time` outlives the call, and the old value is not asked for.
        check(unsafe { libc::timerfd_settime(self.0.as_raw_fd(), 0, &raw const time, null_mut()) })
            .map(drop)
    }
}

impl AsFd for TimerFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
