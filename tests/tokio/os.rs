//! What std does not offer.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, RawFd};

/// Makes a descriptor non-blocking.
pub(crate) fn set_nonblocking(fd: &impl AsFd) -> io::Result<()> {
    // SAFETY: no pointers; the descriptor is open.
    match unsafe { libc::fcntl(fd.as_fd().as_raw_fd(), libc::F_SETFL, libc::O_NONBLOCK) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Whether a descriptor is non-blocking.
pub(crate) fn is_nonblocking(fd: &impl AsFd) -> bool {
    // SAFETY: no pointers; the descriptor is open.
    let flags = unsafe { libc::fcntl(fd.as_fd().as_raw_fd(), libc::F_GETFL) };
    flags & libc::O_NONBLOCK != 0
}

/// What `from_raw_fd` makes of a descriptor that the caller has just given away by `into_raw_fd`.
pub(crate) fn take<T: FromRawFd>(fd: RawFd) -> T {
    // SAFETY: it came out of `into_raw_fd`, so it is open, and no other value owns it.
    unsafe { T::from_raw_fd(fd) }
}
