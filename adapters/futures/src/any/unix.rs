//! Unix sockets over the types of the standard library.

use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixListener, UnixStream};
use std::path::Path;
use std::sync::Arc;

use crate::sys;
use netpoll::{Direction, OpError};

use super::Async;
use crate::unix::listen_at;

impl Async<UnixListener> {
    /// Binds to a path, which must not exist, and listens.
    ///
    /// # Errors
    ///
    /// An error of `bind(2)` or `listen(2)`.
    pub fn bind<P: AsRef<Path>>(path: P) -> io::Result<Self> {
        let path = path.as_ref();
        let bound = SocketAddr::from_pathname(path).and_then(|address| listen_at(&address));
        let (listener, file) = bound?;
        let listener = Self::new_nonblocking(listener)?;
        // The file stays, as with the standard library, unless binding has failed.
        file.set_removed_on_close(false);
        Ok(listener)
    }
}

impl Async<UnixStream> {
    /// Connects to a path, or to an abstract name, as
    /// [`UnixStream::connect`](crate::UnixStream::connect) does.
    ///
    /// # Errors
    ///
    /// An error of `connect(2)`.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the socket.
    pub async fn connect<P: AsRef<Path>>(path: P) -> io::Result<Self> {
        let stream = crate::UnixStream::connect(path).await.map_err(OpError::strip)?;
        let only = Arc::into_inner(stream.shared).expect("there is no clone of it yet");
        Ok(only.registration.into())
    }

    /// Creates two sockets that are connected to each other.
    ///
    /// # Errors
    ///
    /// An error of `socketpair(2)`, or as for [`new`](Self::new).
    pub fn pair() -> io::Result<(Self, Self)> {
        let (one, other) = UnixStream::pair()?;
        Ok((Self::new(one)?, Self::new(other)?))
    }
}

/// Each method waits, and fails as [`read_with`](Self::read_with) does. A datagram that is longer than
/// the buffer is cut off.
impl Async<UnixDatagram> {
    /// Binds to a path, which must not exist.
    ///
    /// # Errors
    ///
    /// An error of `bind(2)`.
    pub fn bind<P: AsRef<Path>>(path: P) -> io::Result<Self> {
        Self::new(UnixDatagram::bind(path)?)
    }

    /// Creates a socket without an address.
    ///
    /// # Errors
    ///
    /// An error of `socket(2)`, or as for [`new`](Self::new).
    pub fn unbound() -> io::Result<Self> {
        Self::new(UnixDatagram::unbound()?)
    }

    /// Creates two sockets that are connected to each other.
    ///
    /// # Errors
    ///
    /// An error of `socketpair(2)`, or as for [`new`](Self::new).
    pub fn pair() -> io::Result<(Self, Self)> {
        let (one, other) = UnixDatagram::pair()?;
        Ok((Self::new(one)?, Self::new(other)?))
    }

    /// Receives a datagram. Returns its length and the sender's address.
    pub async fn recv_from(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        let recv = |socket: &UnixDatagram| {
            let (len, origin) = sys::recv_from(socket.as_fd(), buffer)?;
            Ok((len, origin.unix()?))
        };
        self.registration.io(Direction::Read, recv).await
    }

    /// Sends a datagram.
    ///
    /// The send waits for room in this socket's own queue. If the receiver's queue is full, which epoll
    /// does not report for an unconnected socket, the send is tried again each time other tasks have
    /// run.
    pub async fn send_to<P: AsRef<Path>>(&self, buffer: &[u8], path: P) -> io::Result<usize> {
        let path = path.as_ref();
        let to = SocketAddr::from_pathname(path)?;
        let send = |socket: &UnixDatagram| sys::send_to_unix(socket.as_fd(), buffer, &to);
        self.write_with(send).await
    }

    /// Receives a datagram of the connected peer. Returns its length.
    pub async fn recv(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.registration.io(Direction::Read, |socket| sys::recv(socket.as_fd(), buffer)).await
    }

    /// Sends a datagram to the connected peer.
    pub async fn send(&self, buffer: &[u8]) -> io::Result<usize> {
        self.registration.io(Direction::Write, |socket| sys::send(socket.as_fd(), buffer)).await
    }
}
