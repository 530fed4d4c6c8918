//! Unix sockets.

use std::io;
use std::os::unix::net;
use std::path::Path;

use async_io::Async;

#[doc(no_inline)]
pub use std::os::unix::net::SocketAddr;

use crate::Socket;
use crate::listener::{Connections, accepted};

/// A Unix socket that accepts connections. Its file stays after it is closed.
pub type UnixListener = Socket<net::UnixListener>;

/// A connection over a Unix socket, with the traits of futures-io.
pub type UnixStream = Socket<net::UnixStream>;

/// A Unix socket for datagrams.
///
/// A datagram that is longer than the buffer is cut off. If a future is dropped before it completes, it has received or
/// sent no datagram.
pub type UnixDatagram = Socket<net::UnixDatagram>;

/// The connections of a [`UnixListener`], as a stream that does not end.
pub type Incoming<'a> = Connections<'a, net::UnixStream>;

impl Socket<net::UnixListener> {
    /// Binds to a path, which must not exist, and listens.
    pub fn bind<P: AsRef<Path>>(path: P) -> io::Result<Self> {
        Async::<net::UnixListener>::bind(path).map(Self::from)
    }

    /// Waits for a connection. Returns it with the address of the peer.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped before it completes, it has accepted no connection.
    pub async fn accept(&self) -> io::Result<(UnixStream, SocketAddr)> {
        self.0.accept().await.map(|(stream, peer)| (accepted(stream), peer))
    }

    /// The connections, as a stream that does not end: each item after the close of the listener is an error.
    pub fn incoming(&self) -> Incoming<'_> {
        Connections::of(self.0.incoming())
    }
}

impl Socket<net::UnixStream> {
    /// Connects to a path; if it begins with a zero byte, to the abstract name that follows.
    ///
    /// # Errors
    ///
    /// If the listener's queue is full, `ENOTCONN`, as in async-net.
    pub async fn connect<P: AsRef<Path>>(path: P) -> io::Result<Self> {
        Async::<net::UnixStream>::connect(path).await.map(Self::from)
    }

    /// Creates two sockets that are connected to each other.
    pub fn pair() -> io::Result<(Self, Self)> {
        let (one, other) = Async::<net::UnixStream>::pair()?;
        Ok((one.into(), other.into()))
    }
}

impl Socket<net::UnixDatagram> {
    /// Binds to a path, which must not exist.
    pub fn bind<P: AsRef<Path>>(path: P) -> io::Result<Self> {
        Async::<net::UnixDatagram>::bind(path).map(Self::from)
    }

    /// Creates a socket without an address.
    pub fn unbound() -> io::Result<Self> {
        Async::<net::UnixDatagram>::unbound().map(Self::from)
    }

    /// Creates two sockets that are connected to each other.
    pub fn pair() -> io::Result<(Self, Self)> {
        let (one, other) = Async::<net::UnixDatagram>::pair()?;
        Ok((one.into(), other.into()))
    }

    /// Connects to the socket at a path.
    pub fn connect<P: AsRef<Path>>(&self, path: P) -> io::Result<()> {
        self.while_open(|socket| socket.connect(path))
    }

    /// Receives a datagram. Returns its length and the sender's address.
    pub async fn recv_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.0.recv_from(buf).await
    }

    /// Sends a datagram to the socket at a path. While the receiver's queue is full, each poll makes an attempt.
    pub async fn send_to<P: AsRef<Path>>(&self, buf: &[u8], path: P) -> io::Result<usize> {
        self.0.send_to(buf, path).await
    }

    /// Receives a datagram of the connected peer. Returns its length.
    pub async fn recv(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.recv(buf).await
    }

    /// Sends a datagram to the connected peer.
    pub async fn send(&self, buf: &[u8]) -> io::Result<usize> {
        self.0.send(buf).await
    }
}
