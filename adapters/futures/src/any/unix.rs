//! Unix sockets over the types of the standard library.

use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixListener, UnixStream};
use std::path::Path;
use std::sync::Arc;

use crate::sys;
use netpoll::OpError;

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

    /// Sends a datagram. It waits, and fails as [`write_with`](Self::write_with) does.
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
}
