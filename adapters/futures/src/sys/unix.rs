//! Calls for Unix sockets only: names, and the peer's credentials.

use std::io;
use std::mem::offset_of;
#[cfg(target_os = "android")]
use std::os::android::net::SocketAddrExt;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
#[cfg(target_os = "linux")]
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::SocketAddr;
use std::path::Path;

use super::options::option;
use super::socket::SEND;
use super::{check, check_len, owned, retry};

/// The identity of the peer of a Unix socket. The kernel recorded it when the connection or the pair
/// was created. A peer cannot forge it, and it does not change later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Credentials {
    /// The process. 0 if it is not visible in this process's PID namespace.
    pub pid: i32,
    /// Its effective user.
    pub uid: u32,
    /// Its effective group.
    pub gid: u32,
}

/// The longest path, and the longest abstract name (`unix(7)`: 108 bytes with its zero).
const LONGEST_NAME: usize = 107;

/// The address of `path`; if it begins with a zero byte, an abstract name, as in tokio and async-net. A name that is too
/// long is [`InvalidInput`](io::ErrorKind::InvalidInput).
pub fn unix_address(path: &Path) -> io::Result<SocketAddr> {
    let bytes = path.as_os_str().as_bytes();
    let name = bytes.strip_prefix(b"\0");
    let len = name.unwrap_or(bytes).len();
    if len > LONGEST_NAME {
        let message = format!("a name of {len} bytes, where {LONGEST_NAME} are the most");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    }
    match name {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(path),
    }
}

/// A Unix stream socket. `socket(2)`
pub fn unix_stream() -> io::Result<OwnedFd> {
    let kind = libc::SOCK_STREAM | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    // SAFETY: no pointers.
    check(unsafe { libc::socket(libc::AF_UNIX, kind, 0) }).map(owned)
}

/// `bind(2)` on a Unix socket. For a path, the kernel creates a file.
pub fn bind_unix(fd: BorrowedFd<'_>, address: &SocketAddr) -> io::Result<()> {
    let (address, len) = in_the_kernels_form(address);
    let pointer = (&raw const address).cast();
    // SAFETY: `pointer` is to `len` bytes of an address, which outlives the call.
    check(unsafe { libc::bind(fd.as_raw_fd(), pointer, len) }).map(drop)
}

/// `connect(2)` on a Unix socket, which succeeds or fails at once. `WouldBlock` means that the
/// listener's queue is full. The kernel has no event for room in it: call this again later.
pub fn connect_unix(fd: BorrowedFd<'_>, address: &SocketAddr) -> io::Result<()> {
    let (address, len) = in_the_kernels_form(address);
    let pointer = (&raw const address).cast();
    // SAFETY: `pointer` is to `len` bytes of an address, which outlives the call.
    let connect = || check(unsafe { libc::connect(fd.as_raw_fd(), pointer, len) });
    retry(connect).map(drop)
}

/// `sendto(2)` to a Unix socket.
pub fn send_to_unix(
    fd: BorrowedFd<'_>,
    datagram: &[u8],
    address: &SocketAddr,
) -> io::Result<usize> {
    let (address, address_len) = in_the_kernels_form(address);
    let (bytes, len) = (datagram.as_ptr().cast(), datagram.len());
    let (to, flags) = ((&raw const address).cast(), SEND);
    // SAFETY: the kernel reads `len` bytes of the datagram, and `address_len` bytes of an address; both
    // outlive the call.
    retry(|| check_len(unsafe { libc::sendto(fd.as_raw_fd(), bytes, len, flags, to, address_len) }))
}

/// `SO_PEERCRED`
pub fn peer_cred(fd: BorrowedFd<'_>) -> io::Result<Credentials> {
    let zero = libc::ucred { pid: 0, uid: 0, gid: 0 };
    let libc::ucred { pid, uid, gid } = option(fd, libc::SOL_SOCKET, libc::SO_PEERCRED, zero)?;
    Ok(Credentials { pid, uid, gid })
}

/// A path ends with a zero, an abstract name begins with one, and an unnamed socket's address has no
/// bytes after the family.
fn in_the_kernels_form(address: &SocketAddr) -> (libc::sockaddr_un, libc::socklen_t) {
    let path = address.as_pathname().map(|path| path.as_os_str().as_bytes());
    let name = path.or_else(|| address.as_abstract_name());
    let start = usize::from(path.is_none());
    let mut raw = libc::sockaddr_un { sun_family: libc::AF_UNIX as _, sun_path: [0; 108] };
    for (to, from) in raw.sun_path[start..].iter_mut().zip(name.unwrap_or_default()) {
        *to = *from as libc::c_char;
    }
    let len = offset_of!(libc::sockaddr_un, sun_path) + name.map_or(0, |name| name.len() + 1);
    // The kernel returns paths that fill the field, and accepts them without their zero.
    (raw, len.min(size_of_val(&raw)) as libc::socklen_t)
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;
    use std::os::unix::net::{UnixListener, UnixStream};

    use super::*;

    #[test]
    fn a_name_reaches_its_listener() {
        let name = format!("netpoll-sys-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let listener = UnixListener::bind_addr(&address).unwrap();
        let socket = unix_stream().unwrap();
        connect_unix(socket.as_fd(), &address).unwrap();
        let (_, peer) = listener.accept().unwrap();
        assert!(peer.is_unnamed());
        let found = UnixStream::from(socket).peer_addr().unwrap();
        assert_eq!(found.as_abstract_name(), Some(name.as_bytes()));
    }

    #[test]
    fn every_kind_of_address_has_its_length() {
        let path = SocketAddr::from_pathname("/a").unwrap();
        let name = SocketAddr::from_abstract_name("a").unwrap();
        let none = SocketAddr::from_pathname("").unwrap();
        let lens = [&path, &name, &none].map(|address| in_the_kernels_form(address).1);
        assert_eq!(lens, [2 + 3, 2 + 2, 2]);
    }

    #[test]
    fn no_name_is_no_address() {
        let socket = unix_stream().unwrap();
        let unnamed = SocketAddr::from_pathname("").unwrap();
        let error = connect_unix(socket.as_fd(), &unnamed).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EINVAL));
    }
}
