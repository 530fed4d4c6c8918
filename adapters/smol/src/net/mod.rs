//! Sockets in async-net's shape.

// rustdoc lists the methods of `Socket` in the order of these modules: how a socket is made comes first.
mod tcp;
pub mod unix;

mod datagram;
mod listener;
mod stream;

mod socket;

use std::io;
use std::net;

use netpoll_futures::OpError;

#[doc(no_inline)]
pub use std::net::{
    AddrParseError, IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, SocketAddrV4, SocketAddrV6,
};

/// Their streams and listeners are those of `netpoll-futures`; `into()` makes them the types of this module.
#[doc(no_inline)]
pub use netpoll_futures::{DialError, Dialer, ListenConfig};

/// A type that denotes one or several addresses.
pub use netpoll_futures::ToSocketAddrs as AsyncToSocketAddrs;

pub use datagram::Datagram;
pub use listener::{Incoming, IntoIncoming, Listener};
pub use socket::Socket;
pub use stream::Stream;

/// A TCP connection.
pub type TcpStream = Stream<net::TcpStream>;

/// A UDP socket.
pub type UdpSocket = Datagram<net::UdpSocket>;

/// A TCP socket that accepts connections.
pub type TcpListener = Listener<net::TcpListener>;

/// Resolves names to addresses. An empty list gives an empty list.
///
/// # Errors
///
/// The error of the lookup.
pub async fn resolve(addresses: impl AsyncToSocketAddrs) -> io::Result<Vec<SocketAddr>> {
    netpoll_futures::resolve(addresses).await.map_err(OpError::strip)
}
