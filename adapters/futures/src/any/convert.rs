//! Conversions to and from other owners of a descriptor.

use std::io;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};

use netpoll::Registration;

use super::Async;

/// A descriptor with directions that the caller has chosen. It must be non-blocking.
impl<T> From<Registration<T>> for Async<T> {
    fn from(registration: Registration<T>) -> Self {
        Self { registration }
    }
}

impl<T> AsFd for Async<T> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.registration.as_fd()
    }
}

impl<T> AsRawFd for Async<T> {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

impl<T> AsRef<T> for Async<T> {
    fn as_ref(&self) -> &T {
        self.get_ref()
    }
}

/// [`Async::new`]
impl<T: AsFd + From<OwnedFd>> TryFrom<OwnedFd> for Async<T> {
    type Error = io::Error;

    fn try_from(fd: OwnedFd) -> io::Result<Self> {
        Self::new(fd.into())
    }
}

/// [`Async::into_inner`]
impl<T: Into<OwnedFd>> TryFrom<Async<T>> for OwnedFd {
    type Error = io::Error;

    fn try_from(descriptor: Async<T>) -> io::Result<Self> {
        descriptor.into_inner().map(Into::into)
    }
}

/// [`Async::new`] as a `TryFrom`, which generic code expects of a socket.
macro_rules! from_std {
    ($($socket:ty),+) => {$(
        /// [`Async::new`]
        impl TryFrom<$socket> for Async<$socket> {
            type Error = io::Error;

            fn try_from(socket: $socket) -> io::Result<Self> {
                Self::new(socket)
            }
        }
    )+};
}
from_std!(TcpListener, TcpStream, UdpSocket, UnixDatagram, UnixListener, UnixStream);
