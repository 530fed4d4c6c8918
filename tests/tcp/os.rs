//! What the tests ask of the system that neither the standard library nor the reactor offers.
#![allow(unsafe_code)] // Foreign calls. The other modules of the tests have none.

use std::io;
use std::net;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

pub(crate) use libc::{
    EADDRINUSE, EBADF, ECONNREFUSED, EFAULT, EINVAL, EMFILE, ENFILE, ENOBUFS, ENOMEM, ENOSPC,
    ENOTSOCK, EPERM, ETIMEDOUT,
};

/// What `accept(2)` tells of a connection that is not there any more.
pub(crate) const OF_ONE_CONNECTION: [i32; 15] = [
    libc::ECONNABORTED,
    libc::ECONNRESET,
    libc::ENOSR,
    libc::EOPNOTSUPP,
    libc::EPERM,
    libc::EPROTONOSUPPORT,
    libc::ESOCKTNOSUPPORT,
    libc::ENETDOWN,
    libc::EPROTO,
    libc::ENOPROTOOPT,
    libc::EHOSTDOWN,
    libc::ENONET,
    libc::EHOSTUNREACH,
    libc::ENETUNREACH,
    libc::ETIMEDOUT,
];

fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// Makes both buffers small, and of a size that does not grow.
pub(crate) fn shrink_buffers(socket: &impl AsFd) -> io::Result<()> {
    for name in [libc::SO_SNDBUF, libc::SO_RCVBUF] {
        let bytes: libc::c_int = 16 * 1024;
        let (pointer, len) = ((&raw const bytes).cast(), size_of::<libc::c_int>());
        let fd = socket.as_fd().as_raw_fd();
        // SAFETY: the kernel reads `len` bytes of `bytes`.
        check(unsafe {
            libc::setsockopt(fd, libc::SOL_SOCKET, name, pointer, len as libc::socklen_t)
        })?;
    }
    Ok(())
}

/// Listens with room for `backlog` connections beside the first.
pub(crate) fn listen(socket: &impl AsFd, backlog: i32) -> io::Result<()> {
    // SAFETY: no pointers.
    check(unsafe { libc::listen(socket.as_fd().as_raw_fd(), backlog) }).map(drop)
}

/// Ends listening, but keeps the descriptor.
pub(crate) fn stop_listening(listener: &net::TcpListener) -> io::Result<()> {
    // SAFETY: no pointers.
    check(unsafe { libc::shutdown(listener.as_raw_fd(), libc::SHUT_RDWR) }).map(drop)
}

/// Whether operations on it do not block.
pub(crate) fn is_nonblocking(socket: &impl AsFd) -> io::Result<bool> {
    // SAFETY: no pointers.
    let flags = check(unsafe { libc::fcntl(socket.as_fd().as_raw_fd(), libc::F_GETFL) })?;
    Ok(flags & libc::O_NONBLOCK != 0)
}

/// A duplicate with a number so high that nobody who takes the lowest free one ever gets it.
pub(crate) fn duplicate_far_up(fd: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: it fills `limit`.
    check(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) })?;
    let least = libc::c_int::try_from(limit.rlim_cur / 4 * 3).unwrap_or(libc::c_int::MAX);
    // SAFETY: no pointers.
    let number =
        check(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_DUPFD_CLOEXEC, least.min(1 << 16)) })?;
    // SAFETY: the call has just made it, and nobody else knows of it.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// Holds `SIGPIPE` back from this thread, so that it can be seen to be there. A signal that is held
/// back is kept, also where it would be ignored.
pub(crate) fn hold_back_sigpipe() {
    // SAFETY: it reads the set, and there is no old one to write.
    let held = unsafe {
        libc::pthread_sigmask(libc::SIG_BLOCK, &raw const *sigpipe(), std::ptr::null_mut())
    };
    assert_eq!(held, 0, "a signal can be held back");
}

/// Whether this thread was sent `SIGPIPE`, which it must be holding back. Takes it away.
pub(crate) fn take_sigpipe() -> bool {
    let now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: it reads the set and the time, and is asked for nothing more than the number.
    let taken =
        unsafe { libc::sigtimedwait(&raw const *sigpipe(), std::ptr::null_mut(), &raw const now) };
    taken == libc::SIGPIPE
}

fn sigpipe() -> Box<libc::sigset_t> {
    // SAFETY: a set is plain integers, and zeroes are the empty one.
    let mut set: Box<libc::sigset_t> = Box::new(unsafe { std::mem::zeroed() });
    // SAFETY: it writes to the set.
    unsafe { libc::sigaddset(&raw mut *set, libc::SIGPIPE) };
    set
}

/// Sends a byte the careless way: where the other end is gone, that is a `SIGPIPE`.
pub(crate) fn send_carelessly(socket: &impl AsFd) -> io::Result<usize> {
    let byte = 0_u8;
    let fd = socket.as_fd().as_raw_fd();
    // SAFETY: the kernel reads one byte of `byte`.
    let sent = unsafe { libc::send(fd, (&raw const byte).cast(), 1, 0) };
    usize::try_from(sent).map_err(|_| io::Error::last_os_error())
}

/// Has `connect(2)` return before there is a peer: the first write goes with the first segment, without
/// a cookie (`TCP_FASTOPEN_CONNECT`, `TCP_FASTOPEN_NO_COOKIE`).
pub(crate) fn connect_with_the_first_write(socket: &impl AsFd) -> io::Result<()> {
    const TCP_FASTOPEN_NO_COOKIE: libc::c_int = 34;
    for name in [libc::TCP_FASTOPEN_CONNECT, TCP_FASTOPEN_NO_COOKIE] {
        let on: libc::c_int = 1;
        let (pointer, len) = ((&raw const on).cast(), size_of::<libc::c_int>());
        let fd = socket.as_fd().as_raw_fd();
        // SAFETY: the kernel reads `len` bytes of `on`.
        check(unsafe {
            libc::setsockopt(fd, libc::IPPROTO_TCP, name, pointer, len as libc::socklen_t)
        })?;
    }
    Ok(())
}
