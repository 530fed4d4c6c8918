//! The datagram socket, in async-net's shape: receiving and sending.

use std::io;
use std::net::{self, Ipv4Addr, Ipv6Addr, Shutdown};
use std::os::unix::net as unix;
use std::path::Path;

use netpoll_futures::{DatagramSocket, OpError, try_each};

use super::{AsyncToSocketAddrs, Socket};

/// A socket for datagrams: a [`UdpSocket`](super::UdpSocket) or a
/// [`UnixDatagram`](super::unix::UnixDatagram). Deadlines, addresses, close and conversions are those of every
/// [`Socket`].
///
/// # Cancel safety
///
/// If a future is dropped, it has received or sent no datagram.
pub type Datagram<S> = Socket<S>;

impl<S: DatagramSocket> Datagram<S> {
    /// Receives a datagram. See [`netpoll_futures::Datagram::recv`].
    pub async fn recv(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.recv(buffer).await.map_err(OpError::strip)
    }

    /// [`recv`](Self::recv), with the sender's address.
    pub async fn recv_from(&self, buffer: &mut [u8]) -> io::Result<(usize, S::Address)> {
        self.0.recv_from(buffer).await.map_err(OpError::strip)
    }

    /// [`recv_from`](Self::recv_from), but the datagram stays in the socket.
    pub async fn peek_from(&self, buffer: &mut [u8]) -> io::Result<(usize, S::Address)> {
        self.0.peek_from(buffer).await.map_err(OpError::strip)
    }

    /// Sends a datagram to the connected peer. See [`netpoll_futures::Datagram::send`].
    pub async fn send(&self, datagram: &[u8]) -> io::Result<usize> {
        self.0.send(datagram).await.map_err(OpError::strip)
    }
}

impl Datagram<net::UdpSocket> {
    /// Binds to the first address that can be bound. See [`netpoll_futures::UdpSocket::bind`].
    pub async fn bind(addresses: impl AsyncToSocketAddrs) -> io::Result<Self> {
        try_each(addresses, netpoll_futures::UdpSocket::bind_as_configured)
            .await
            .map(Self::from)
            .map_err(OpError::strip)
    }

    /// Connects to the first address that can be connected to. See [`netpoll_futures::UdpSocket::connect`].
    pub async fn connect(&self, addresses: impl AsyncToSocketAddrs) -> io::Result<()> {
        try_each(addresses, |address| self.0.connect(address)).await.map_err(OpError::strip)
    }

    /// Sends a datagram to an address. See [`netpoll_futures::UdpSocket::send_to`].
    pub async fn send_to(
        &self,
        datagram: &[u8],
        addresses: impl AsyncToSocketAddrs,
    ) -> io::Result<usize> {
        self.0.send_to(datagram, addresses).await.map_err(OpError::strip)
    }

    /// `SO_BROADCAST`.
    pub fn broadcast(&self) -> io::Result<bool> {
        self.0.broadcast()
    }

    /// `SO_BROADCAST`: allows sends to broadcast addresses.
    pub fn set_broadcast(&self, broadcast: bool) -> io::Result<()> {
        self.0.set_broadcast(broadcast)
    }

    /// `IP_MULTICAST_LOOP`.
    pub fn multicast_loop_v4(&self) -> io::Result<bool> {
        self.0.multicast_loop_v4()
    }

    /// `IP_MULTICAST_LOOP`: this host receives its own datagrams to a group that it has joined.
    pub fn set_multicast_loop_v4(&self, multicast_loop: bool) -> io::Result<()> {
        self.0.set_multicast_loop_v4(multicast_loop)
    }

    /// `IP_MULTICAST_TTL`.
    pub fn multicast_ttl_v4(&self) -> io::Result<u32> {
        self.0.multicast_ttl_v4()
    }

    /// `IP_MULTICAST_TTL`: the number of networks that a datagram to a group may cross; 1 is the local one.
    pub fn set_multicast_ttl_v4(&self, ttl: u32) -> io::Result<()> {
        self.0.set_multicast_ttl_v4(ttl)
    }

    /// `IPV6_MULTICAST_LOOP`.
    pub fn multicast_loop_v6(&self) -> io::Result<bool> {
        self.0.multicast_loop_v6()
    }

    /// `IPV6_MULTICAST_LOOP`: this host receives its own datagrams to a group that it has joined.
    pub fn set_multicast_loop_v6(&self, multicast_loop: bool) -> io::Result<()> {
        self.0.set_multicast_loop_v6(multicast_loop)
    }

    /// `IP_TTL`.
    pub fn ttl(&self) -> io::Result<u32> {
        self.0.ttl()
    }

    /// `IP_TTL`.
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        self.0.set_ttl(ttl)
    }

    /// Joins a group, on the interface with this address.
    pub fn join_multicast_v4(&self, group: Ipv4Addr, interface: Ipv4Addr) -> io::Result<()> {
        self.0.join_multicast_v4(group, interface).map_err(OpError::strip)
    }

    /// Joins a group, on the interface with this index.
    pub fn join_multicast_v6(&self, group: &Ipv6Addr, interface: u32) -> io::Result<()> {
        self.0.join_multicast_v6(group, interface).map_err(OpError::strip)
    }

    /// Leaves a group, on the interface with this address.
    pub fn leave_multicast_v4(&self, group: Ipv4Addr, interface: Ipv4Addr) -> io::Result<()> {
        self.0.leave_multicast_v4(group, interface).map_err(OpError::strip)
    }

    /// Leaves a group, on the interface with this index.
    pub fn leave_multicast_v6(&self, group: &Ipv6Addr, interface: u32) -> io::Result<()> {
        self.0.leave_multicast_v6(group, interface).map_err(OpError::strip)
    }
}

impl Datagram<unix::UnixDatagram> {
    /// Binds to a path. See [`netpoll_futures::UnixDatagram::bind`].
    pub fn bind(path: impl AsRef<Path>) -> io::Result<Self> {
        netpoll_futures::UnixDatagram::bind(path).map(Self::from).map_err(OpError::strip)
    }

    /// Makes a socket without a name. See [`netpoll_futures::UnixDatagram::unbound`].
    pub fn unbound() -> io::Result<Self> {
        netpoll_futures::UnixDatagram::unbound().map(Self::from).map_err(OpError::strip)
    }

    /// Makes two sockets without names that are connected to each other.
    pub fn pair() -> io::Result<(Self, Self)> {
        let pair = netpoll_futures::UnixDatagram::pair().map_err(OpError::strip);
        pair.map(|(one, other)| (one.into(), other.into()))
    }

    /// Connects to the socket at a path. See [`netpoll_futures::UnixDatagram::connect`].
    pub fn connect(&self, path: impl AsRef<Path>) -> io::Result<()> {
        self.0.connect(path).map_err(OpError::strip)
    }

    /// Sends a datagram to the socket at a path. See [`netpoll_futures::UnixDatagram::send_to`].
    pub async fn send_to(&self, datagram: &[u8], path: impl AsRef<Path>) -> io::Result<usize> {
        self.0.send_to(datagram, path).await.map_err(OpError::strip)
    }

    /// Shuts down receiving, sending or both. See [`netpoll_futures::UnixDatagram::shutdown`].
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.0.shutdown(how)
    }
}
