//! Asks the kernel about a descriptor by its number: kind, addresses, bytes in its buffers. For snapshots.
//!
//! The number is not borrowed: its owner may close it meanwhile, and then another descriptor may have the number. So each call
//! here only reads, and has no effect on whichever descriptor it meets. The caller checks afterwards that the
//! answers are about the descriptor that it meant.

use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::mem::{MaybeUninit, offset_of};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddrV4, SocketAddrV6};
use std::os::fd::RawFd;
use std::os::unix::ffi::OsStrExt;

use super::check;

/// The kind of a descriptor, as the kernel names it at the time of a [`Snapshot`](crate::Snapshot).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DescriptorKind {
    /// A TCP connection, or one that is being made.
    TcpStream,
    /// A TCP socket that listens.
    TcpListener,
    /// A UDP socket.
    Udp,
    /// A Unix socket of connections.
    UnixStream,
    /// A Unix socket that listens.
    UnixListener,
    /// A Unix socket of datagrams.
    UnixDatagram,
    /// A pipe or a FIFO.
    Pipe,
    /// Any other: an eventfd, inotify, a terminal, a socket of another family.
    Other,
}

impl DescriptorKind {
    /// Whether it accepts connections. A task that waits for one may wait for ever by design.
    #[must_use]
    pub fn is_listener(self) -> bool {
        matches!(self, Self::TcpListener | Self::UnixListener)
    }
}

/// Prints it as in the table of a snapshot.
impl fmt::Display for DescriptorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::TcpStream => "tcp",
            Self::TcpListener => "tcp listener",
            Self::Udp => "udp",
            Self::UnixStream => "unix",
            Self::UnixListener => "unix listener",
            Self::UnixDatagram => "unix datagram",
            Self::Pipe => "pipe",
            Self::Other => "other",
        })
    }
}

/// The kernel's answers about a number.
#[derive(Clone, Debug)]
pub(crate) struct Inspected {
    pub(crate) kind: DescriptorKind,
    pub(crate) local: Option<String>,
    pub(crate) peer: Option<String>,
    /// Bytes that have arrived and that no read has taken. Of datagrams, those of the next one.
    pub(crate) unread: Option<usize>,
    /// Bytes that were written and that the peer has not acknowledged or, on a Unix socket, not read.
    pub(crate) unsent: Option<usize>,
}

pub(crate) fn inspect(number: RawFd) -> Inspected {
    let kind = kind(number);
    let (has_buffers, is_socket) = match kind {
        DescriptorKind::Other => (false, option(number, libc::SO_TYPE).is_ok()),
        DescriptorKind::Pipe => (true, false),
        _ => (!kind.is_listener(), true),
    };
    let buffered = |request, asked: bool| asked.then(|| bytes(number, request).ok()).flatten();
    Inspected {
        kind,
        local: is_socket.then(|| address(number, libc::getsockname)).flatten(),
        peer: is_socket.then(|| address(number, libc::getpeername)).flatten(),
        unread: buffered(libc::FIONREAD, has_buffers),
        unsent: buffered(libc::TIOCOUTQ, has_buffers && is_socket),
    }
}

fn kind(number: RawFd) -> DescriptorKind {
    use DescriptorKind::{
        Other, Pipe, TcpListener, TcpStream, Udp, UnixDatagram, UnixListener, UnixStream,
    };
    let Ok(of_socket) = option(number, libc::SO_TYPE) else {
        return if is_pipe(number) { Pipe } else { Other };
    };
    let family = option(number, libc::SO_DOMAIN).unwrap_or(libc::AF_UNSPEC);
    let protocol = option(number, libc::SO_PROTOCOL).unwrap_or(0);
    let listens = option(number, libc::SO_ACCEPTCONN).is_ok_and(|listens| listens != 0);
    match (family, of_socket) {
        (libc::AF_INET | libc::AF_INET6, libc::SOCK_STREAM) if listens => TcpListener,
        (libc::AF_INET | libc::AF_INET6, libc::SOCK_STREAM) => TcpStream,
        (libc::AF_INET | libc::AF_INET6, libc::SOCK_DGRAM) if protocol == libc::IPPROTO_UDP => Udp,
        (libc::AF_UNIX, libc::SOCK_DGRAM) => UnixDatagram,
        (libc::AF_UNIX, _) if listens => UnixListener,
        (libc::AF_UNIX, _) => UnixStream,
        _ => Other,
    }
}

/// `getsockopt(2)` of `SOL_SOCKET`
fn option(number: RawFd, name: libc::c_int) -> io::Result<libc::c_int> {
    let (mut value, mut len) = (0, size_of::<libc::c_int>() as libc::socklen_t);
    let place = (&raw mut value).cast();
    // SAFETY: the kernel writes one integer, to `value`. The call only reads from the socket.
    check(unsafe { libc::getsockopt(number, libc::SOL_SOCKET, name, place, &raw mut len) })?;
    Ok(value)
}

/// `ioctl(2)` of a request that writes one integer.
fn bytes(number: RawFd, request: libc::Ioctl) -> io::Result<usize> {
    let mut count: libc::c_int = 0;
    // SAFETY: the kernel writes one integer, to `count`. Both requests only read from the descriptor.
    check(unsafe { libc::ioctl(number, request, &raw mut count) })?;
    Ok(usize::try_from(count).unwrap_or(0))
}

/// `fstat(2)`
fn is_pipe(number: RawFd) -> bool {
    let mut stat = MaybeUninit::<libc::stat>::zeroed();
    // SAFETY: the kernel writes one structure, to `stat`. The call only reads from the file.
    if unsafe { libc::fstat(number, stat.as_mut_ptr()) } != 0 {
        return false;
    }
    // SAFETY: zeroes are a valid `stat`, and the kernel wrote integers over them.
    let stat = unsafe { stat.assume_init_ref() };
    stat.st_mode & libc::S_IFMT == libc::S_IFIFO
}

/// `getsockname(2)` or `getpeername(2)`.
type NameCall =
    unsafe extern "C" fn(libc::c_int, *mut libc::sockaddr, *mut libc::socklen_t) -> libc::c_int;

/// The address as text; `None` without one.
fn address(number: RawFd, call: NameCall) -> Option<String> {
    let mut storage = MaybeUninit::<libc::sockaddr_storage>::zeroed();
    let mut len = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
    // SAFETY: the kernel writes at most `len` bytes, to `storage`. The call only reads from the socket.
    check(unsafe { call(number, storage.as_mut_ptr().cast(), &raw mut len) }).ok()?;
    // SAFETY: zeroes are a valid `sockaddr_storage`, and the kernel wrote integers over them.
    let family = unsafe { storage.assume_init_ref() }.ss_family;
    match libc::c_int::from(family) {
        libc::AF_INET => {
            // SAFETY: the storage is larger, aligned for it, initialised, and of this family.
            let found = unsafe { storage.as_ptr().cast::<libc::sockaddr_in>().read() };
            let ip = Ipv4Addr::from(found.sin_addr.s_addr.to_ne_bytes());
            Some(SocketAddrV4::new(ip, u16::from_be(found.sin_port)).to_string())
        }
        libc::AF_INET6 => {
            // SAFETY: as above.
            let found = unsafe { storage.as_ptr().cast::<libc::sockaddr_in6>().read() };
            let (ip, port) =
                (Ipv6Addr::from(found.sin6_addr.s6_addr), u16::from_be(found.sin6_port));
            Some(SocketAddrV6::new(ip, port, 0, found.sin6_scope_id).to_string())
        }
        libc::AF_UNIX => {
            let len = size_of::<libc::sockaddr_un>().min(len as usize);
            let begin = offset_of!(libc::sockaddr_un, sun_path).min(len);
            // SAFETY: the storage is larger than any `sockaddr_un`, and initialised.
            let bytes = unsafe { std::slice::from_raw_parts(storage.as_ptr().cast::<u8>(), len) };
            name(&bytes[begin..])
        }
        _ => None,
    }
}

/// A path, or `@` and an abstract name. Control characters are escaped: the name may be a peer's.
fn name(bytes: &[u8]) -> Option<String> {
    let (prefix, bytes) = match bytes {
        [] | [0] => return None,
        [0, name @ ..] => ("@", name),
        path => ("", path.split(|byte| *byte == 0).next().unwrap_or_default()),
    };
    let name = OsStr::from_bytes(bytes).display().to_string();
    let escape = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.into() };
    (!bytes.is_empty()).then(|| prefix.chars().chain(name.chars()).map(escape).collect())
}
