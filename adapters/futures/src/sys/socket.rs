//! Calls of stream sockets.

use std::ffi::CString;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::net::{Shutdown, SocketAddr};
use std::ops::{Deref, Range};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::net as unix;

use super::address::Address;
use super::options::option;
use super::{check, check_len, owned, raw_syscalls, retry};

/// The maximum number of buffers in one vectored call (`IOV_MAX`).
const MOST_BUFFERS: usize = 1024;

/// The flags of every call that receives: the call does not block, even without `O_NONBLOCK`. That flag
/// belongs to the open file description, and another process that shares it may clear it at any time.
pub(super) const RECEIVE: libc::c_int = libc::MSG_DONTWAIT;

/// The flags of every call that sends: the call does not block (see [`RECEIVE`]) and raises no
/// `SIGPIPE`.
pub(super) const SEND: libc::c_int = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;

/// A TCP socket of the family of `address`. `socket(2)`
pub fn stream(address: &SocketAddr) -> io::Result<OwnedFd> {
    let kind = libc::SOCK_STREAM | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    // SAFETY: no pointers.
    check(unsafe { libc::socket(Address::family_of(address), kind, 0) }).map(owned)
}

/// `bind(2)`
pub fn bind(fd: BorrowedFd<'_>, address: &SocketAddr) -> io::Result<()> {
    let address = Address::from(*address);
    let (pointer, len) = address.as_ptr();
    // SAFETY: `pointer` is to `len` bytes of an address, which outlives the call.
    check(unsafe { libc::bind(fd.as_raw_fd(), pointer, len) }).map(drop)
}

/// `listen(2)`, with the longest queue that the system allows (`net.core.somaxconn`).
pub fn listen(fd: BorrowedFd<'_>) -> io::Result<()> {
    listen_with_backlog(fd, u32::MAX)
}

/// `listen(2)`, with a queue for `backlog` connections, or as many as the system allows.
pub fn listen_with_backlog(fd: BorrowedFd<'_>, backlog: u32) -> io::Result<()> {
    let backlog = libc::c_int::try_from(backlog).unwrap_or(libc::c_int::MAX);
    // SAFETY: no pointers.
    check(unsafe { libc::listen(fd.as_raw_fd(), backlog) }).map(drop)
}

/// `connect(2)`. It relies on the socket's `O_NONBLOCK`, as the call has no flag against blocking.
///
/// `WouldBlock` without an errno means that the connect is in progress: wait until the socket is
/// writable, then read `SO_ERROR`. `WouldBlock` with an errno is `EAGAIN`: the connect has not begun.
pub fn connect(fd: BorrowedFd<'_>, address: &SocketAddr) -> io::Result<()> {
    let address = Address::from(*address);
    let (pointer, len) = address.as_ptr();
    // SAFETY: `pointer` is to `len` bytes of an address, which outlives the call.
    match check(unsafe { libc::connect(fd.as_raw_fd(), pointer, len) }) {
        Ok(_) => Ok(()),
        Err(error) => match error.raw_os_error() {
            // An interrupted connect goes on (connect(2)), so it is not called again.
            Some(libc::EINPROGRESS | libc::EALREADY | libc::EINTR) => {
                Err(io::ErrorKind::WouldBlock.into())
            }
            Some(libc::EISCONN) => Ok(()),
            _ => Err(error),
        },
    }
}

/// `accept4(2)`. A connection that ended before it was accepted (`ECONNABORTED`) is skipped.
///
/// The call has no flag against blocking: it relies on the listener's `O_NONBLOCK`. If another process
/// that shares the listener's file description clears that flag, `accept` blocks its thread until a
/// connection arrives.
pub fn accept(fd: BorrowedFd<'_>) -> io::Result<(OwnedFd, SocketAddr)> {
    let (socket, peer) = next_connection(|| {
        let mut peer = Address::empty();
        let (pointer, len) = peer.as_mut_ptrs();
        // SAFETY: `pointer` is to room for any address, and `len` says how much.
        let accepted = unsafe { libc::accept4(fd.as_raw_fd(), pointer, len, ACCEPTED) };
        check(accepted).map(|socket| (owned(socket), peer))
    })?;
    Ok((socket, peer.to_std()?))
}

/// The flags of an accepted socket, set at its creation.
const ACCEPTED: libc::c_int = libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;

fn next_connection<T>(mut accept: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match retry(&mut accept) {
            Err(error) if error.raw_os_error() == Some(libc::ECONNABORTED) => {}
            done => return done,
        }
    }
}

/// `accept4(2)` on a Unix socket, whose peer most often has no name. It relies on `O_NONBLOCK`, as
/// [`accept`] does.
pub fn accept_unix(fd: BorrowedFd<'_>) -> io::Result<(OwnedFd, unix::SocketAddr)> {
    let (fd, nowhere, no_len) = (fd.as_raw_fd(), std::ptr::null_mut(), std::ptr::null_mut());
    // SAFETY: without room for an address, the kernel writes none.
    let accept = || check(unsafe { libc::accept4(fd, nowhere, no_len, ACCEPTED) });
    let socket = unix::UnixStream::from(owned(next_connection(accept)?));
    let peer = socket.peer_addr()?;
    Ok((socket.into(), peer))
}

/// `shutdown(2)`
pub fn shutdown(fd: BorrowedFd<'_>, how: Shutdown) -> io::Result<()> {
    let how = match how {
        Shutdown::Read => libc::SHUT_RD,
        Shutdown::Write => libc::SHUT_WR,
        Shutdown::Both => libc::SHUT_RDWR,
    };
    // SAFETY: no pointers.
    check(unsafe { libc::shutdown(fd.as_raw_fd(), how) }).map(drop)
}

/// `recv(2)` into memory that need not be initialised. Returns the filled part.
#[inline]
pub fn recv_uninit<'a>(
    fd: BorrowedFd<'_>,
    buffer: &'a mut [MaybeUninit<u8>],
) -> io::Result<&'a mut [u8]> {
    let pointer = buffer.as_mut_ptr();
    // SAFETY: the kernel writes at most `buffer.len()` bytes to `pointer`.
    let recv =
        || unsafe { raw_syscalls::recv(fd.as_raw_fd(), pointer.cast(), buffer.len(), RECEIVE) };
    let len = retry(|| check_len(recv()))?;
    let filled = &mut buffer[..len];
    // SAFETY: the kernel wrote these `len` bytes; a byte has the layout of its `MaybeUninit`.
    Ok(unsafe { &mut *(std::ptr::from_mut(filled) as *mut [u8]) })
}

/// `recv(2)`. Zero is the end of the stream, unless `buffer` is empty.
#[inline]
pub fn recv(fd: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<usize> {
    recv_flags(fd, buffer, RECEIVE)
}

/// `recvmsg(2)` from a Unix stream. Returns the number of bytes, and whether the kernel may have ended the read early
/// although more bytes are there: it does so after bytes that were sent with descriptors, and between two senders if an
/// option of the socket asks for credentials (`MSG_CTRUNC`).
#[inline]
pub fn recv_unix(fd: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<(usize, bool)> {
    recv_unix_uninit(fd, as_uninit(buffer))
}

/// [`recv_unix`] into memory that need not be initialised. The kernel initialises the bytes that it counts.
pub fn recv_unix_uninit(
    fd: BorrowedFd<'_>,
    buffer: &mut [MaybeUninit<u8>],
) -> io::Result<(usize, bool)> {
    let mut buffer = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    let mut message = message(&raw mut buffer, 1);
    // SAFETY: the kernel writes to the one buffer, at most as many bytes as it has.
    let mut recv = || unsafe { raw_syscalls::recvmsg(fd.as_raw_fd(), &raw mut message, RECEIVE) };
    let len = retry(|| check_len(recv()))?;
    Ok((len, message.msg_flags & libc::MSG_CTRUNC != 0))
}

/// For a call that leaves the bytes initialised.
pub(super) fn as_uninit(buffer: &mut [u8]) -> &mut [MaybeUninit<u8>] {
    // SAFETY: a byte has the layout of its `MaybeUninit`, and the callers write no uninitialised bytes.
    unsafe { &mut *(std::ptr::from_mut(buffer) as *mut [MaybeUninit<u8>]) }
}

/// `recv(2)` with `MSG_PEEK`: the bytes stay in the queue.
pub fn peek(fd: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<usize> {
    recv_flags(fd, buffer, RECEIVE | libc::MSG_PEEK)
}

#[inline]
fn recv_flags(fd: BorrowedFd<'_>, buffer: &mut [u8], flags: libc::c_int) -> io::Result<usize> {
    let (pointer, len) = (buffer.as_mut_ptr().cast(), buffer.len());
    let fd = fd.as_raw_fd();
    // SAFETY: the kernel writes at most `len` bytes to `pointer`.
    at_once(move || check_len(unsafe { raw_syscalls::recv(fd, pointer, len, flags) }))
}

/// `send(2)`
#[inline]
pub fn send(fd: BorrowedFd<'_>, buffer: &[u8]) -> io::Result<usize> {
    let (pointer, len) = (buffer.as_ptr().cast(), buffer.len());
    let fd = fd.as_raw_fd();
    // SAFETY: the kernel reads `len` bytes from `pointer`.
    at_once(move || check_len(unsafe { raw_syscalls::send(fd, pointer, len, SEND) }))
}

/// [`retry`], with the first call inlined into the caller and a second copy of the call for repeats
/// after a failure.
#[inline(always)]
fn at_once(call: impl Fn() -> io::Result<usize> + Copy) -> io::Result<usize> {
    #[cold]
    fn again(error: io::Error, call: impl Fn() -> io::Result<usize>) -> io::Result<usize> {
        if error.kind() == io::ErrorKind::Interrupted { retry(call) } else { Err(error) }
    }
    match call() {
        Err(error) => again(error, call),
        done => done,
    }
}

/// The range of buffers for one vectored call, and their total length: at most 1,024 buffers, from the
/// first one that is not empty. The next call takes the rest. A call with only empty buffers would
/// return 0, like the end of the stream.
pub fn window<B: Deref<Target = [u8]>>(buffers: &[B]) -> (Range<usize>, usize) {
    let first = buffers.iter().position(|buffer| !buffer.is_empty()).unwrap_or(buffers.len());
    let last = buffers.len().min(first + MOST_BUFFERS);
    (first..last, buffers[first..last].iter().map(|buffer| buffer.len()).sum())
}

/// `recvmsg(2)` into several buffers, the first 1,024 of them. See [`window`].
pub fn recv_vectored(fd: BorrowedFd<'_>, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
    let mut message = message(buffers.as_mut_ptr().cast(), buffers.len());
    // SAFETY: `IoSliceMut` has the layout of `iovec` (its documentation), and every buffer is
    // borrowed for longer than the call.
    retry(|| check_len(unsafe { libc::recvmsg(fd.as_raw_fd(), &raw mut message, RECEIVE) }))
}

/// `sendmsg(2)` from several buffers, the first 1,024 of them. See [`window`].
pub fn send_vectored(fd: BorrowedFd<'_>, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
    let message = message(buffers.as_ptr().cast_mut().cast(), buffers.len());
    // SAFETY: `IoSlice` has the layout of `iovec` (its documentation), sending only reads it, and
    // every buffer is borrowed for longer than the call.
    let send = || unsafe { libc::sendmsg(fd.as_raw_fd(), &raw const message, SEND) };
    retry(|| check_len(send()))
}

pub(super) fn message(buffers: *mut libc::iovec, len: usize) -> libc::msghdr {
    // SAFETY: a `msghdr` of zeroes is one without address, buffers and control data.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = buffers;
    message.msg_iovlen = len.min(MOST_BUFFERS) as _;
    message
}

/// The number of written bytes that the peer has not taken yet: for TCP, the bytes that the peer's
/// kernel has not acknowledged; for a Unix socket, the memory of the queued messages that the peer has
/// not read, with the kernel's overhead. Between writes, a falling number means progress. `SIOCOUTQ`
pub fn not_taken(fd: BorrowedFd<'_>) -> io::Result<usize> {
    let mut count: libc::c_int = 0;
    // SAFETY: the kernel writes one integer, to `count`.
    check(unsafe { libc::ioctl(fd.as_raw_fd(), libc::TIOCOUTQ, &raw mut count) })?;
    Ok(usize::try_from(count).unwrap_or(0))
}

/// The number of the network interface of this name, for the scope of an IPv6 address.
/// `if_nametoindex(3)`
pub fn interface_index(name: &str) -> io::Result<u32> {
    let name = CString::new(name)?;
    // SAFETY: a C string, which outlives the call.
    match unsafe { libc::if_nametoindex(name.as_ptr()) } {
        0 => Err(io::Error::last_os_error()),
        index => Ok(index),
    }
}

/// `SO_TYPE`
pub(super) fn kind(fd: BorrowedFd<'_>) -> io::Result<libc::c_int> {
    option(fd, libc::SOL_SOCKET, libc::SO_TYPE, 0)
}

/// Whether the descriptor is a stream socket. `SO_TYPE`
#[must_use]
pub fn is_stream(fd: BorrowedFd<'_>) -> bool {
    kind(fd).is_ok_and(|kind| kind == libc::SOCK_STREAM)
}

/// Whether the descriptor is a datagram socket or a raw socket. `SO_TYPE`
#[must_use]
pub fn is_datagram(fd: BorrowedFd<'_>) -> bool {
    kind(fd).is_ok_and(|kind| kind == libc::SOCK_DGRAM || kind == libc::SOCK_RAW)
}

/// Whether the descriptor is a TCP socket.
pub(super) fn is_tcp(fd: BorrowedFd<'_>) -> bool {
    option(fd, libc::SOL_SOCKET, libc::SO_PROTOCOL, 0).is_ok_and(|is| is == libc::IPPROTO_TCP)
}
