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
    /// What `bind(2)` or `listen(2)` says.
    pub fn bind<P: AsRef<Path>>(path: P) -> io::Result<Self> {
        let path = path.as_ref();
        let bound = SocketAddr::from_pathname(path).and_then(|address| listen_at(&address));
        let (listener, file) = bound?;
        let listener = Self::new_nonblocking(listener)?;
        // It stays, as the standard library's does, but not of a binding that has failed.
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
    /// What `connect(2)` says.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it leaves no socket behind.
    pub async fn connect<P: AsRef<Path>>(path: P) -> io::Result<Self> {
        let stream = crate::UnixStream::connect(path).await.map_err(OpError::strip)?;
        let only = Arc::into_inner(stream.shared).expect("there is no clone of it yet");
        Ok(only.registration.into())
    }

    /// Two that are connected to each other.
    ///
    /// # Errors
    ///
    /// What `socketpair(2)` says, or as for [`new`](Self::new).
    pub fn pair() -> io::Result<(Self, Self)> {
        let (one, other) = UnixStream::pair()?;
        Ok((Self::new(one)?, Self::new(other)?))
    }
}

/// Each waits, and fails as [`read_with`](Self::read_with) does. A datagram that is longer
/// than the buffer is cut off.
impl Async<UnixDatagram> {
    /// Binds to a path, which must not exist.
    ///
    /// # Errors
    ///
    /// What `bind(2)` says.
    pub fn bind<P: AsRef<Path>>(path: P) -> io::Result<Self> {
        Self::new(UnixDatagram::bind(path)?)
    }

    /// One without an address.
    ///
    /// # Errors
    ///
    /// What `socket(2)` says, or as for [`new`](Self::new).
    pub fn unbound() -> io::Result<Self> {
        Self::new(UnixDatagram::unbound()?)
    }

    /// Two that are connected to each other.
    ///
    /// # Errors
    ///
    /// What `socketpair(2)` says, or as for [`new`](Self::new).
    pub fn pair() -> io::Result<(Self, Self)> {
        let (one, other) = UnixDatagram::pair()?;
        Ok((Self::new(one)?, Self::new(other)?))
    }

    /// Receives a datagram. Returns its length and whose it is.
    pub async fn recv_from(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        let recv = |socket: &UnixDatagram| {
            let (len, origin) = sys::recv_from(socket.as_fd(), buffer)?;
            Ok((len, origin.unix()?))
        };
        self.registration.io(Direction::Read, recv).await
    }

    /// Sends a datagram.
    ///
    /// Room is waited for in our own queue. Where it is the receiver's that is full, of which epoll tells
    /// an unconnected socket nothing, it is tried again whenever other tasks have run.
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
