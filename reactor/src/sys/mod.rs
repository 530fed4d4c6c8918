//! The operating system, and nothing else: each function is one system call with its types put
//! right. The layers above rely on this:
//!
//! - Every descriptor that is made here is an [`OwnedFd`](std::os::fd::OwnedFd), close-on-exec and
//!   non-blocking from its creation; it is borrowed as [`BorrowedFd`](std::os::fd::BorrowedFd).
//! - `EINTR` is retried here, but for waiting, where it is an empty turn.
//! - Nothing raises `SIGPIPE`.
//! - Nothing blocks but [`Epoll::wait`], and closing a socket that lingers.
//! - No function keeps state between calls; none knows of slots, wakers or time beyond a timeout.
#![allow(unsafe_code)] // Foreign calls. Each says why its arguments are what the kernel expects.

mod address;
mod control;
mod datagram;
pub mod descriptor;
mod epoll;
mod eventfd;
mod options;
mod process;
pub mod socket;
mod uncancelled;
mod unix;

pub(crate) use epoll::{Epoll, Events};
pub(crate) use eventfd::EventFd;
pub(crate) use process::{
    SignalsBlocked, adopt_affinity_of_process, batch_scheduling, count_forks, exact_timeouts, forks,
};

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// The result of a call that says -1 for an error.
fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// The same for a call that counts bytes.
#[inline]
fn check_len(result: libc::ssize_t) -> io::Result<usize> {
    usize::try_from(result).map_err(|_| io::Error::last_os_error())
}

/// Repeats a call that a signal interrupted.
#[inline]
fn retry<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}

/// Takes ownership of a descriptor that a call has just made.
fn owned(fd: RawFd) -> OwnedFd {
    // SAFETY: callers pass what `socket`, `accept4`, `epoll_create1`, `eventfd`, `open` or `fcntl`
    // has just returned, or `recvmsg` has put down, which nobody else knows of.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

/// A descriptor that stands for nothing: every operation on it fails with `EBADF`.
pub(crate) fn nothing() -> io::Result<OwnedFd> {
    // SAFETY: a literal C string and flags.
    let open = || check(unsafe { libc::open(c"/".as_ptr(), libc::O_PATH | libc::O_CLOEXEC) });
    retry(open).map(owned)
}

/// Ends what `fd` stands for, and leaves the number to its owner, standing for nothing.
///
/// The number stays taken until the owner drops it, so that whoever has borrowed it can never
/// reach another's descriptor by it.
///
/// # Errors
///
/// What `dup3(2)` says; `fd` is then as it was.
pub(crate) fn replace(fd: BorrowedFd<'_>, nothing: BorrowedFd<'_>) -> io::Result<()> {
    loop {
        let (from, to) = (nothing.as_raw_fd(), fd.as_raw_fd());
        // By number: the `libc` crate has no `dup3` for Android.
        // SAFETY: both are open, as they are borrowed. The caller owns the target.
        let result = unsafe { libc::syscall(libc::SYS_dup3, from, to, libc::O_CLOEXEC) };
        match check(result as libc::c_int) {
            Ok(_) => return Ok(()),
            // Another thread is between reserving this number and filling it (dup(2)).
            Err(error) if error.raw_os_error() == Some(libc::EBUSY) => std::thread::yield_now(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
