//! Calls for descriptors of any kind: pipes, timers, devices, sockets.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use super::{check, retry, socket};
use crate::ready::{Direction, Interest, Ready};

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
/// use netpoll::descriptor;
///
/// let (mut receiver, _sender) = std::io::pipe()?;
/// descriptor::set_nonblocking(receiver.as_fd(), true)?;
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

/// What `poll(2)` says of one direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Polled {
    /// An operation would not block.
    Ready,
    /// An error or a hang-up is flagged, and nothing else. An operation finds it, or blocks all the same, for as
    /// long as the flag stays: a `recv(2)` finds nothing of a socket's error queue.
    Flagged,
    /// An operation would block.
    NotReady,
    /// The kernel could not be asked.
    Unknown,
}

/// Asks the kernel what an operation of this direction would do now. `poll(2)`
///
/// Urgent data is not asked for: a plain read does not get it.
pub(crate) fn poll(fd: BorrowedFd<'_>, direction: Direction) -> io::Result<Polled> {
    let (ready, events) = match direction {
        Direction::Read => (libc::POLLIN, libc::POLLIN | libc::POLLRDHUP),
        Direction::Write => (libc::POLLOUT, libc::POLLOUT),
    };
    let mut asked = libc::pollfd { fd: fd.as_raw_fd(), events, revents: 0 };
    // SAFETY: one `pollfd`, which outlives the call.
    retry(|| check(unsafe { libc::poll(&raw mut asked, 1, 0) }))?;
    let said = asked.revents;
    Ok(if said == 0 {
        Polled::NotReady
    } else if said & ready == 0 || (said & libc::POLLRDHUP != 0 && socket::is_datagram(fd)) {
        // Of a datagram socket that was shut down for reading, Linux says that it is readable. It is
        // not: it has no end that a read could find.
        Polled::Flagged
    } else {
        Polled::Ready
    })
}

/// Asks the kernel for urgent data, errors and the hang-up of both ends. `poll(2)`
pub(crate) fn poll_flags(fd: BorrowedFd<'_>) -> io::Result<Ready> {
    let mut asked = libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLPRI, revents: 0 };
    // SAFETY: one `pollfd`, which outlives the call.
    retry(|| check(unsafe { libc::poll(&raw mut asked, 1, 0) }))?;
    let flags = [
        (libc::POLLPRI, Ready::PRIORITY),
        (libc::POLLERR, Ready::ERROR),
        (libc::POLLHUP, Ready::READ_HANGUP.union(Ready::WRITE_HANGUP)),
    ];
    let said = flags.iter().filter(|(flag, _)| asked.revents & flag != 0);
    Ok(said.fold(Ready::EMPTY, |all, (_, ready)| all.union(*ready)))
}

/// Whether it is a socket, of any kind.
pub(crate) fn is_socket(fd: BorrowedFd<'_>) -> bool {
    socket::kind(fd).is_ok()
}
