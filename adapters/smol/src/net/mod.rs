//! Sockets in async-net's shape.

mod datagram;
mod listener;
mod socket;
mod stream;
pub mod unix;

use std::io;
use std::net;

use netpoll_futures::{OpError, try_each};

#[doc(no_inline)]
pub use std::net::{
    AddrParseError, IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, SocketAddrV4, SocketAddrV6,
};

/// A type that denotes one or several addresses.
pub use netpoll_futures::ToSocketAddrs as AsyncToSocketAddrs;

pub use datagram::Datagram;
pub use listener::{Incoming, Listener};
pub use socket::Socket;
pub use stream::Stream;

/// A TCP connection.
pub type TcpStream = Stream<net::TcpStream>;

/// A UDP socket.
pub type UdpSocket = Datagram<net::UdpSocket>;

/// A TCP socket that accepts connections.
pub type TcpListener = Listener<net::TcpListener>;

impl TcpStream {
    /// Connects to the first address that answers. See [`netpoll_futures::TcpStream::connect`].
    ///
    /// # Errors
    ///
    /// The error for the last address.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, it leaves no socket behind.
    pub async fn connect(addresses: impl AsyncToSocketAddrs) -> io::Result<Self> {
        try_each(addresses, netpoll_futures::TcpStream::connect)
            .await
            .map(Self::from)
            .map_err(OpError::strip)
    }
}

impl TcpListener {
    /// Binds to the first address that can be bound. See [`netpoll_futures::TcpListener::bind`].
    ///
    /// # Errors
    ///
    /// The error for the last address.
    pub async fn bind(addresses: impl AsyncToSocketAddrs) -> io::Result<Self> {
        try_each(addresses, netpoll_futures::TcpListener::bind_as_configured)
            .await
            .map(Self::from)
            .map_err(OpError::strip)
    }
}

/// Resolves names to addresses. An empty list gives an empty list.
///
/// # Errors
///
/// The error of the lookup.
pub async fn resolve(addresses: impl AsyncToSocketAddrs) -> io::Result<Vec<SocketAddr>> {
    netpoll_futures::resolve(addresses).await.map_err(OpError::strip)
}
