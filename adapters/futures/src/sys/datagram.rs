//! Datagrams: each is received whole or cut off, together with the sender's address.

use std::io;
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::net as unix;

use super::address::Address;
use super::socket::{RECEIVE, SEND, as_uninit, recv_uninit};
use super::{check, check_len, owned, retry};

/// The sender's address of a datagram, in the kernel's form.
#[derive(Debug)]
pub struct Origin(Address);

impl Origin {
    /// The sender's internet address.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) if the address is of another family.
    pub fn internet(&self) -> io::Result<SocketAddr> {
        self.0.to_std()
    }

    /// The sender's name as a Unix socket, if it has one.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) if the address is of another family.
    pub fn unix(&self) -> io::Result<unix::SocketAddr> {
        self.0.to_unix()
    }
}

/// A UDP socket of the family of `address`. `socket(2)`
pub fn datagram(address: &SocketAddr) -> io::Result<OwnedFd> {
    let kind = libc::SOCK_DGRAM | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    // SAFETY: no pointers.
    check(unsafe { libc::socket(Address::family_of(address), kind, 0) }).map(owned)
}

/// `recvfrom(2)`: a datagram, or the beginning of one that is longer than `buffer`.
pub fn recv_from(fd: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<(usize, Origin)> {
    receive(fd, as_uninit(buffer), 0)
}

/// `recvfrom(2)` with `MSG_PEEK`: the datagram stays in the queue.
pub fn peek_from(fd: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<(usize, Origin)> {
    receive(fd, as_uninit(buffer), libc::MSG_PEEK)
}

/// `recvfrom(2)` with `MSG_TRUNC`: returns the length of the datagram, even if `buffer` is shorter and
/// gets only its beginning. For datagram sockets only; it would discard the bytes of a stream.
pub fn recv_measured(fd: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<(usize, Origin)> {
    receive(fd, as_uninit(buffer), libc::MSG_TRUNC)
}

/// `recv(2)`, appending to `buffer`, into its spare capacity. Returns the number of bytes appended.
pub fn recv_spare(fd: BorrowedFd<'_>, buffer: &mut Vec<u8>) -> io::Result<usize> {
    let len = recv_uninit(fd, buffer.spare_capacity_mut())?.len();
    let filled = buffer.len() + len;
    // SAFETY: the kernel wrote these `len` bytes, which lie in the capacity.
    unsafe { buffer.set_len(filled) };
    Ok(len)
}

/// As [`recv_spare`], with the sender's address. `recvfrom(2)`
pub fn recv_from_spare(fd: BorrowedFd<'_>, buffer: &mut Vec<u8>) -> io::Result<(usize, Origin)> {
    let (len, origin) = receive(fd, buffer.spare_capacity_mut(), 0)?;
    let filled = buffer.len() + len;
    // SAFETY: the kernel wrote these `len` bytes, which lie in the capacity.
    unsafe { buffer.set_len(filled) };
    Ok((len, origin))
}

/// `recvfrom(2)` into memory that need not be initialised. Returns the filled part and the sender's
/// address.
pub fn recv_from_uninit<'a>(
    fd: BorrowedFd<'_>,
    buffer: &'a mut [MaybeUninit<u8>],
) -> io::Result<(&'a mut [u8], Origin)> {
    let (len, origin) = receive(fd, buffer, 0)?;
    let filled = &mut buffer[..len];
    // SAFETY: the kernel wrote these `len` bytes; a byte has the layout of its `MaybeUninit`.
    Ok((unsafe { &mut *(std::ptr::from_mut(filled) as *mut [u8]) }, origin))
}

/// Initialises the bytes that it fills, and writes no other.
fn receive(
    fd: BorrowedFd<'_>,
    buffer: &mut [MaybeUninit<u8>],
    flags: libc::c_int,
) -> io::Result<(usize, Origin)> {
    let (room, len) = (buffer.as_mut_ptr().cast(), buffer.len());
    retry(|| {
        let mut from = Address::empty();
        let (name, name_len) = from.as_mut_ptrs();
        // SAFETY: the kernel writes at most `len` bytes to `room`; `name` is to room for any address,
        // and `name_len` says how much.
        let received =
            unsafe { libc::recvfrom(fd.as_raw_fd(), room, len, RECEIVE | flags, name, name_len) };
        check_len(received).map(|len| (len, Origin(from)))
    })
}

/// `sendto(2)`: a datagram, whole or not at all.
pub fn send_to(fd: BorrowedFd<'_>, buffer: &[u8], to: &SocketAddr) -> io::Result<usize> {
    let to = Address::from(*to);
    let (name, name_len) = to.as_ptr();
    let (fd, bytes, len) = (fd.as_raw_fd(), buffer.as_ptr().cast(), buffer.len());
    // SAFETY: the kernel reads `len` bytes of the buffer, and `name_len` bytes of the address, which
    // outlives the call.
    retry(|| check_len(unsafe { libc::sendto(fd, bytes, len, SEND, name, name_len) }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;
    use std::os::fd::AsFd;
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::UnixDatagram;

    #[test]
    fn a_new_socket_does_not_block() {
        let address = "[::1]:0".parse().unwrap();
        let socket = datagram(&address).unwrap();
        let nothing = recv_from(socket.as_fd(), &mut [0; 8]).unwrap_err();
        assert_eq!(nothing.kind(), io::ErrorKind::WouldBlock);
    }

    #[test]
    fn receives_return_the_sender_and_the_length() {
        let [near, far] = [(); 2].map(|()| UdpSocket::bind("127.0.0.1:0").unwrap());
        let mut buffer = [0; 4];
        let mut vec = Vec::with_capacity(8);
        vec.extend_from_slice(b"> ");
        for _ in 0..4 {
            far.send_to(b"hello", near.local_addr().unwrap()).unwrap();
        }
        let (len, origin) = peek_from(near.as_fd(), &mut buffer).unwrap();
        assert_eq!((len, origin.internet().unwrap()), (4, far.local_addr().unwrap()));
        assert_eq!(recv_from(near.as_fd(), &mut buffer).unwrap().0, 4);
        assert_eq!(recv_measured(near.as_fd(), &mut buffer).unwrap().0, 5);
        assert_eq!(recv_spare(near.as_fd(), &mut vec).unwrap(), 5);
        assert_eq!(vec, b"> hello");
        let mut room = [MaybeUninit::uninit(); 4];
        let (filled, origin) = recv_from_uninit(near.as_fd(), &mut room).unwrap();
        assert_eq!(
            (&*filled, origin.internet().unwrap()),
            (&b"hell"[..], far.local_addr().unwrap())
        );
    }

    #[test]
    fn an_origin_distinguishes_unix_sockets() {
        let near = UnixDatagram::unbound().unwrap();
        let name = format!("netpoll-datagram-{}", std::process::id());
        let name = unix::SocketAddr::from_abstract_name(name).unwrap();
        let far = UnixDatagram::bind_addr(&name).unwrap();
        near.connect_addr(&name).unwrap();
        near.send(b"from near").unwrap();
        let mut vec = Vec::with_capacity(4);
        let (len, origin) = recv_from_spare(far.as_fd(), &mut vec).unwrap();
        assert_eq!((len, &vec[..]), (4, &b"from"[..]));
        assert!(origin.unix().unwrap().is_unnamed());
        assert!(origin.internet().is_err());
        far.send_to_addr(b"to itself", &name).unwrap();
        let (_, origin) = recv_from(far.as_fd(), &mut [0; 4]).unwrap();
        assert_eq!(origin.unix().unwrap().as_abstract_name(), name.as_abstract_name());
    }
}
