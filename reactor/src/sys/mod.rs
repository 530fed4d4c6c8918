//! The operating system: each function does one job by a system call with safe
//! types, or by an older call where the system lacks the newer one. The layers above rely on this:
//!
//! - Every new descriptor is an [`OwnedFd`](std::os::fd::OwnedFd), close-on-exec and, but for epoll's,
//!   non-blocking from its creation; it is borrowed as [`BorrowedFd`](std::os::fd::BorrowedFd).
//! - `EINTR` is retried, except in [`Epoll::wait`], which then returns no events.
//! - Only [`Epoll::wait`] blocks, and closing a socket that lingers.
//! - No function keeps state between calls, but for the count of forks and whether the system lacks `epoll_pwait2`; none knows of slots, wakers or time beyond a timeout.
#![allow(unsafe_code)] // Foreign calls. Each has the reason why its arguments are valid.

pub(crate) mod descriptor;
mod epoll;
mod eventfd;
mod inspect;
mod owns_fd;
mod process;
mod raw_syscalls;
mod timerfd;
mod wall;

pub(crate) use epoll::{Epoll, Events};
pub(crate) use eventfd::EventFd;
pub use inspect::DescriptorKind;
pub(crate) use inspect::{Inspected, inspect};
pub use owns_fd::OwnsFd;
pub(crate) use process::{
    SignalsBlocked, adopt_affinity_of_process, batch_scheduling, count_forks, forks,
};
pub(crate) use timerfd::TimerFd;
pub(crate) use wall::{wall_second, wall_time};

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// The result of a call that returns -1 for an error.
fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// The result of a call that returns a number of bytes, or -1 for an error.
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
    // SAFETY: callers pass a number that `epoll_create1`, `eventfd` or `timerfd_create` has just returned, or that `pipe2` has
    // stored, which no other object owns.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

/// Takes the number of a closed descriptor until the owner drops it: the read end of a pipe
/// that has no writer.
///
/// It conveys nothing: it leads to no directory, no file system, no network and no process, and a read
/// finds the end. Reading returns 0, writing fails with `EBADF` and raises no signal, socket
/// calls fail with `ENOTSOCK`, `openat` and `fchdir` with `ENOTDIR`, and `poll` reports `POLLHUP`: no call
/// waits. Making it needs no path and no call that opens one.
///
/// Rejected: an `O_PATH` descriptor of a directory (it is a way out of a `chroot`) or of anything else (it
/// needs a path, or `open_tree`, which sandboxes refuse); an unconnected socket (a holder can bind or connect
/// it, in the network namespace of its maker); a Unix socket without its peer (`write` raises `SIGPIPE`); an
/// eventfd or an epoll instance (holders can pass each other data, `poll` on it waits).
pub(crate) fn placeholder() -> io::Result<OwnedFd> {
    let mut ends = [-1; 2];
    // SAFETY: the kernel writes two integers, to `ends`.
    check(unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC | libc::O_NONBLOCK) })?;
    let [reader, writer] = ends.map(owned);
    drop(writer);
    Ok(reader)
}

/// Closes the file description behind `fd`, and puts `placeholder` under the number, which stays with its owner.
///
/// The number stays taken until the owner drops it, so that code that has borrowed it never reaches another
/// descriptor by it.
///
/// Where the number cannot be replaced (it is above the limit of descriptors, or a filter refuses the calls),
/// a connection or a listener is shut down instead: its peers see the end, and the descriptor
/// closes when the owner drops it.
///
/// # Errors
///
/// The error of `dup3(2)`, if the peers cannot see the end before the owner drops the descriptor.
pub(crate) fn end(fd: BorrowedFd<'_>, placeholder: BorrowedFd<'_>) -> io::Result<()> {
    let Err(refused) = replace(fd, placeholder) else { return Ok(()) };
    // Also for a socket without a connection: it takes no more data, and its peers can see that.
    // SAFETY: no pointers.
    let shut = check(unsafe { libc::shutdown(fd.as_raw_fd(), libc::SHUT_RDWR) });
    match shut {
        Ok(_) if descriptor::is_connection(fd) => Ok(()),
        // The peer has ended the connection before.
        Err(error) if is_ended(&error) && descriptor::is_connection(fd) => Ok(()),
        _ => Err(refused),
    }
}

fn is_ended(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotConnected
}

fn replace(fd: BorrowedFd<'_>, by: BorrowedFd<'_>) -> io::Result<()> {
    let (number, by) = (fd.as_raw_fd(), by.as_raw_fd());
    // By number: the `libc` crate has no `dup3` for Android.
    // SAFETY: both are open, as they are borrowed, and the caller owns the target.
    let replaced = unsafe { libc::syscall(libc::SYS_dup3, by, number, libc::O_CLOEXEC) };
    let Err(refused) = check(replaced as libc::c_int) else { return Ok(()) };
    // A filter may know the older call only.
    // SAFETY: as above.
    check(unsafe { libc::dup2(by, number) }).map_err(|_| refused)?;
    // A child that is started in between inherits a number that stands for nothing.
    // SAFETY: no pointers.
    let _ = check(unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) });
    Ok(())
}
