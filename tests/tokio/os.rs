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

/// Sends one byte out of band. `send(2)` with `MSG_OOB`
pub(crate) fn send_urgent(socket: &impl AsFd) -> io::Result<()> {
    // SAFETY: there is one byte.
    let sent =
        unsafe { libc::send(socket.as_fd().as_raw_fd(), b"!".as_ptr().cast(), 1, libc::MSG_OOB) };
    if sent == 1 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Receives the byte that came out of band. `recv(2)` with `MSG_OOB`
pub(crate) fn receive_urgent(socket: &impl AsFd) -> io::Result<()> {
    let mut byte = [0_u8; 1];
    // SAFETY: there is room for one byte.
    let len = unsafe {
        libc::recv(socket.as_fd().as_raw_fd(), byte.as_mut_ptr().cast(), 1, libc::MSG_OOB)
    };
    if len == 1 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Has a UDP socket keep the errors that it gets in its error queue (`ip(7)`, `IP_RECVERR`).
pub(crate) fn queue_errors(socket: &impl AsFd) -> io::Result<()> {
    let (fd, value) = (socket.as_fd().as_raw_fd(), 1 as libc::c_int);
    let (pointer, len) = ((&raw const value).cast(), size_of::<libc::c_int>() as libc::socklen_t);
    // SAFETY: the kernel reads one integer, `value`.
    match unsafe { libc::setsockopt(fd, libc::IPPROTO_IP, libc::IP_RECVERR, pointer, len) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Takes a message out of the error queue. `recv(2)` with `MSG_ERRQUEUE`
pub(crate) fn receive_error(socket: &impl AsFd) -> io::Result<()> {
    let mut buffer = [0_u8; 64];
    let pointer = buffer.as_mut_ptr().cast();
    // SAFETY: there is room for so many bytes.
    let len = unsafe {
        libc::recv(socket.as_fd().as_raw_fd(), pointer, buffer.len(), libc::MSG_ERRQUEUE)
    };
    if len >= 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
