//! The readiness and the kind of a descriptor: `poll(2)` and `SO_TYPE`.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use super::{check, retry};
use crate::ready::{Direction, Ready};

/// The answer of `poll(2)` for one direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Polled {
    /// An operation would not block.
    Ready,
    /// The kernel flags only an error or a hang-up. An operation returns it, or blocks all the same while the flag stays:
    /// `recv(2)` does not read a socket's error queue.
    Flagged,
    /// An operation would block.
    NotReady,
    /// `poll(2)` failed.
    Unknown,
}

/// Whether an operation of this direction would block now. `poll(2)`
///
/// Without urgent data: a plain read does not return it.
pub(crate) fn poll(fd: BorrowedFd<'_>, direction: Direction) -> io::Result<Polled> {
    let (ready, events) = match direction {
        Direction::Read => (libc::POLLIN, libc::POLLIN | libc::POLLRDHUP),
        Direction::Write => (libc::POLLOUT, libc::POLLOUT),
    };
    let mut entry = libc::pollfd { fd: fd.as_raw_fd(), events, revents: 0 };
    // SAFETY: one `pollfd`, which outlives the call.
    retry(|| check(unsafe { libc::poll(&raw mut entry, 1, 0) }))?;
    let flags = entry.revents;
    Ok(if flags == 0 {
        Polled::NotReady
    } else if flags & ready == 0 || (flags & libc::POLLRDHUP != 0 && is_datagram(fd)) {
        // Linux reports a datagram socket that was shut down for reading as readable. It is not: it has no end
        // that a read could find.
        Polled::Flagged
    } else {
        Polled::Ready
    })
}

/// Urgent data, errors and the hang-up of both ends. `poll(2)`
pub(crate) fn poll_flags(fd: BorrowedFd<'_>) -> io::Result<Ready> {
    let mut entry = libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLPRI, revents: 0 };
    // SAFETY: one `pollfd`, which outlives the call.
    retry(|| check(unsafe { libc::poll(&raw mut entry, 1, 0) }))?;
    let flags = [
        (libc::POLLPRI, Ready::PRIORITY),
        (libc::POLLERR, Ready::ERROR),
        (libc::POLLHUP, Ready::READ_HANGUP.union(Ready::WRITE_HANGUP)),
    ];
    let set = flags.iter().filter(|(flag, _)| entry.revents & flag != 0);
    Ok(set.fold(Ready::EMPTY, |all, (_, ready)| all.union(*ready)))
}

/// Whether it is a socket, of any kind.
pub(crate) fn is_socket(fd: BorrowedFd<'_>) -> bool {
    kind(fd).is_ok()
}

/// Whether it is a socket of datagrams, or a raw one.
fn is_datagram(fd: BorrowedFd<'_>) -> bool {
    kind(fd).is_ok_and(|kind| kind == libc::SOCK_DGRAM || kind == libc::SOCK_RAW)
}

/// Whether it is a socket of connections: a stream or a listener of any family.
pub(super) fn is_connection(fd: BorrowedFd<'_>) -> bool {
    kind(fd).is_ok_and(|kind| kind == libc::SOCK_STREAM || kind == libc::SOCK_SEQPACKET)
}

/// `SO_TYPE`
fn kind(fd: BorrowedFd<'_>) -> io::Result<libc::c_int> {
    let (mut kind, mut len) = (0, size_of::<libc::c_int>() as libc::socklen_t);
    let (name, value) = (libc::SO_TYPE, (&raw mut kind).cast());
    // SAFETY: the kernel writes one integer, to `kind`.
    check(unsafe {
        libc::getsockopt(fd.as_raw_fd(), libc::SOL_SOCKET, name, value, &raw mut len)
    })?;
    Ok(kind)
}
