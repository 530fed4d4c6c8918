//! What std does not offer.
#![allow(unsafe_code)]

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

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

/// What `from_raw_fd` makes of a descriptor that no value owns any more, or yet.
pub(crate) fn take<T: FromRawFd>(fd: RawFd) -> T {
    // SAFETY: it came out of `into_raw_fd` or of the kernel: it is open, and no other value owns it.
    unsafe { T::from_raw_fd(fd) }
}

/// Makes a FIFO at a path that has no file yet.
pub(crate) fn make_fifo(path: &Path) -> io::Result<()> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    // SAFETY: a string that ends with a zero byte, which outlives the call.
    match unsafe { libc::mkfifo(path.as_ptr(), 0o600) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// A pipe whose reads return one write each: its end that reads, and its end that writes.
pub(crate) fn packet_pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let mut ends = [-1; 2];
    // SAFETY: the kernel fills the two numbers.
    match unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC | libc::O_DIRECT) } {
        0 => Ok((take(ends[0]), take(ends[1]))),
        _ => Err(io::Error::last_os_error()),
    }
}
