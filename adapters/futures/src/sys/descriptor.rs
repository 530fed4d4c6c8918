//! Calls for descriptors of any kind: pipes, timers, devices, sockets.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use netpoll::Interest;

use super::{check, retry, socket};

/// Repeats a call for as long as signals interrupt it: for those of the standard library, which tells
/// of them.
pub fn uninterrupted<T>(call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    retry(call)
}

/// `O_NONBLOCK`, on or off. It belongs to the open file description: duplicates, and whoever else has
/// inherited it, share it. `ioctl(2)`, `FIONBIO`
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

/// What to ask epoll for: the directions for which the descriptor was opened, and writability all the
/// time of a TCP socket only, whose peer is far. Of all others it is asked while somebody waits for
/// it: a socket pair, an eventfd or a terminal would report it at every read.
///
/// One that was opened for one direction can be registered for both, and the other is then waited for
/// in vain; registered for what it can do, waiting for the other fails.
///
/// A number that stands for nothing is told by the registration.
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
