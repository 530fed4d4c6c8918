//! TCP.

use std::io;
use std::net::{self, SocketAddr};

use async_io::Async;
use netpoll_futures::{OpError, try_each};

use crate::listener::{Connections, accepted};
use crate::{AsyncToSocketAddrs, Socket};

/// A TCP socket that accepts connections.
pub type TcpListener = Socket<net::TcpListener>;

/// A TCP connection, with the traits of futures-io.
pub type TcpStream = Socket<net::TcpStream>;

/// The connections of a [`TcpListener`], as a stream that does not end.
pub type Incoming<'a> = Connections<'a, net::TcpStream>;

impl Socket<net::TcpListener> {
    /// Binds to the first address that can be bound, and listens.
    ///
    /// # Errors
    ///
    /// The error for the last address; [`InvalidInput`](io::ErrorKind::InvalidInput) without any.
    pub async fn bind<A: AsyncToSocketAddrs>(addr: A) -> io::Result<Self> {
        let bound = try_each(addr, async |addr| Async::<net::TcpListener>::bind(addr)).await;
        bound.map(Self::from).map_err(OpError::strip)
    }

    /// Waits for a connection. Returns it with the address of the peer.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped before it completes, it has accepted no connection.
    pub async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        self.0.accept().await.map(|(stream, peer)| (accepted(stream), peer))
    }

    /// The connections, as a stream that does not end: each item after the close of the listener is an error.
    pub fn incoming(&self) -> Incoming<'_> {
        Connections::of(self.0.incoming())
    }

    /// `IP_TTL`.
    pub fn ttl(&self) -> io::Result<u32> {
        self.while_open(net::TcpListener::ttl)
    }

    /// `IP_TTL`.
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        self.while_open(|socket| socket.set_ttl(ttl))
    }
}

impl Socket<net::TcpStream> {
    /// Connects to the first address that answers. The connection has the options that the system gives it.
    ///
    /// # Errors
    ///
    /// The error for the last address; [`InvalidInput`](io::ErrorKind::InvalidInput) without any.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the socket.
    pub async fn connect<A: AsyncToSocketAddrs>(addr: A) -> io::Result<Self> {
        let connected = try_each(addr, Async::<net::TcpStream>::connect::<SocketAddr>).await;
        connected.map(Self::from).map_err(OpError::strip)
    }

    /// Reads, and leaves the bytes in the socket.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, nothing changes.
    pub async fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.peek(buf).await
    }

    /// `TCP_NODELAY`. It is off by default.
    pub fn nodelay(&self) -> io::Result<bool> {
        self.while_open(net::TcpStream::nodelay)
    }

    /// `TCP_NODELAY`.
    pub fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        self.while_open(|socket| socket.set_nodelay(nodelay))
    }

    /// `IP_TTL`.
    pub fn ttl(&self) -> io::Result<u32> {
        self.while_open(net::TcpStream::ttl)
    }

    /// `IP_TTL`.
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        self.while_open(|socket| socket.set_ttl(ttl))
    }
}
