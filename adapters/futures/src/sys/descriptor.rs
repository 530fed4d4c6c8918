//! Calls for descriptors of any kind: pipes, timers, devices, sockets.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use netpoll::Interest;

use super::{check, retry, socket};

/// Repeats a call of the standard library as long as it returns `Interrupted`.
pub fn uninterrupted<T>(call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    retry(call)
}

/// Sets or clears `O_NONBLOCK`. The flag belongs to the open file description: duplicates share it, and
/// so do other processes that have inherited the descriptor. `ioctl(2)`, `FIONBIO`
///
/// ```
/// use std::io::Read;
/// use std::os::fd::AsFd;
/// use netpoll_futures::sys;
///
/// let (mut receiver, _sender) = std::io::pipe()?;
/// sys::set_nonblocking(receiver.as_fd(), true)?;
/// let nothing = receiver.read(&mut [0]).unwrap_err();
/// assert_eq!(nothing.kind(), std::io::ErrorKind::WouldBlock);
/// # std::io::Result::Ok(())
/// ```
pub fn set_nonblocking(fd: BorrowedFd<'_>, on: bool) -> io::Result<()> {
    let mut on = libc::c_int::from(on);
    // SAFETY: the kernel reads one integer, `on`.
    check(unsafe { libc::ioctl(fd.as_raw_fd(), libc::FIONBIO, &raw mut on) }).map(drop)
}

/// The interest to register a descriptor with: the directions that it was opened for. Only a TCP
/// socket, whose peer is remote, keeps `EPOLLOUT` enabled. For all others it is enabled only while a
/// task waits to write: otherwise each read from a socket pair, an eventfd or a terminal would cause an
/// event.
///
/// epoll would also accept both directions for a descriptor that was opened for one, but a wait for the
/// other would never end. With this interest, such a wait fails.
///
/// For a number that is no open descriptor, the registration fails later.
#[must_use]
pub fn interest(fd: BorrowedFd<'_>) -> Interest {
    // SAFETY: no pointers.
    match check(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFL) }).unwrap_or(libc::O_RDWR)
        & libc::O_ACCMODE
    {
        libc::O_RDONLY => Interest::Readable,
        libc::O_WRONLY => Interest::Writable,
        _ if socket::is_tcp(fd) => Interest::Both,
        _ => Interest::WriteOnDemand,
    }
}
