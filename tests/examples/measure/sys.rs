//! What the standard library does not tell of a process, and the barest use of epoll there is.
#![allow(unsafe_code)] // Foreign calls: each says why its arguments are what the kernel expects.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::time::Duration;

/// The processor time of this process so far, its own and the kernel's on its behalf.
pub(crate) fn processor_time() -> Duration {
    let mut usage = MaybeUninit::<libc::rusage>::uninit();
    // SAFETY: the kernel fills the struct that the pointer points to.
    let result = unsafe { libc::getrusage(libc::RUSAGE_SELF, usage.as_mut_ptr()) };
    assert_eq!(result, 0, "{}", io::Error::last_os_error());
    // SAFETY: it has been filled, as the call succeeded.
    let usage = unsafe { usage.assume_init() };
    duration(usage.ru_utime) + duration(usage.ru_stime)
}

fn duration(time: libc::timeval) -> Duration {
    Duration::from_secs(time.tv_sec as u64) + Duration::from_micros(time.tv_usec as u64)
}

pub(crate) fn page_size() -> u64 {
    // SAFETY: no pointers.
    let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    u64::try_from(size).expect("every system has a page size")
}

/// An epoll instance and nothing else.
pub(crate) struct BareEpoll(OwnedFd);

impl BareEpoll {
    pub(crate) fn new() -> io::Result<Self> {
        // SAFETY: no pointers.
        let fd = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the call has just returned it, and nobody else knows of it.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Registers a descriptor, edge-triggered, for reading.
    pub(crate) fn add(&self, fd: impl AsFd) -> io::Result<()> {
        let number = fd.as_fd().as_raw_fd();
        let events = (libc::EPOLLIN | libc::EPOLLET) as u32;
        let mut event = libc::epoll_event { events, u64: number as u64 };
        let add = libc::EPOLL_CTL_ADD;
        // SAFETY: the event outlives the call.
        match unsafe { libc::epoll_ctl(self.0.as_raw_fd(), add, number, &raw mut event) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }
}
