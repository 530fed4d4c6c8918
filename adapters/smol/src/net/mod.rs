//! Networking, in the shape of async-net.

mod datagram;
mod listener;
mod stream;
pub mod unix;

use std::io;
use std::net;

use netpoll_futures::{OpError, try_each};

#[doc(no_inline)]
pub use std::net::{
    AddrParseError, IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, SocketAddrV4, SocketAddrV6,
};

/// Whatever says one or several addresses.
pub use netpoll_futures::ToSocketAddrs as AsyncToSocketAddrs;

pub use datagram::Datagram;
pub use listener::{Incoming, Listener};
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
    /// What connecting to the last address said.
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
    /// What binding to the last address said.
    pub async fn bind(addresses: impl AsyncToSocketAddrs) -> io::Result<Self> {
        try_each(addresses, netpoll_futures::TcpListener::bind_as_configured)
            .await
            .map(Self::from)
            .map_err(OpError::strip)
    }
}

/// The addresses that these words say, looked up where they are names. An empty list gives an empty list.
///
/// # Errors
///
/// That the name could not be looked up.
pub async fn resolve(addresses: impl AsyncToSocketAddrs) -> io::Result<Vec<SocketAddr>> {
    netpoll_futures::resolve(addresses).await.map_err(OpError::strip)
}
