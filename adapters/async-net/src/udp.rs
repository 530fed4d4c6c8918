//! UDP.

use std::io;
use std::net::{self, Ipv4Addr, Ipv6Addr, SocketAddr};

use async_io::Async;
use netpoll_futures::{OpError, try_each};

use crate::{AsyncToSocketAddrs, Socket, resolve};

/// A UDP socket.
///
/// A datagram that is longer than the buffer is cut off. If a future is dropped before it completes, it has received or
/// sent no datagram.
pub type UdpSocket = Socket<net::UdpSocket>;

impl Socket<net::UdpSocket> {
    /// Binds to the first address that can be bound.
    ///
    /// # Errors
    ///
    /// The error for the last address; [`InvalidInput`](io::ErrorKind::InvalidInput) without any.
    pub async fn bind<A: AsyncToSocketAddrs>(addr: A) -> io::Result<Self> {
        let bound = try_each(addr, async |addr| Async::<net::UdpSocket>::bind(addr)).await;
        bound.map(Self::from).map_err(OpError::strip)
    }

    /// Connects to the first address that can be connected to.
    ///
    /// # Errors
    ///
    /// As for [`bind`](Self::bind).
    pub async fn connect<A: AsyncToSocketAddrs>(&self, addr: A) -> io::Result<()> {
        let connected =
            try_each(addr, async |addr| self.while_open(|socket| socket.connect(addr))).await;
        connected.map_err(OpError::strip)
    }

    /// Receives a datagram. Returns its length and the sender's address.
    pub async fn recv_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.0.recv_from(buf).await
    }

    /// [`recv_from`](Self::recv_from), but leaves the datagram in the socket.
    pub async fn peek_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.0.peek_from(buf).await
    }

    /// Sends a datagram to the first address.
    ///
    /// # Errors
    ///
    /// Also [`InvalidInput`](io::ErrorKind::InvalidInput) without an address.
    pub async fn send_to<A: AsyncToSocketAddrs>(&self, buf: &[u8], addr: A) -> io::Result<usize> {
        match resolve(addr).await?.first() {
            Some(addr) => self.0.send_to(buf, *addr).await,
            None => Err(io::Error::new(io::ErrorKind::InvalidInput, "no addresses")),
        }
    }

    /// Receives a datagram of the connected peer. Returns its length.
    pub async fn recv(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.recv(buf).await
    }

    /// [`recv`](Self::recv), but leaves the datagram in the socket.
    pub async fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.peek(buf).await
    }

    /// Sends a datagram to the connected peer.
    pub async fn send(&self, buf: &[u8]) -> io::Result<usize> {
        self.0.send(buf).await
    }

    /// `SO_BROADCAST`.
    pub fn broadcast(&self) -> io::Result<bool> {
        self.while_open(net::UdpSocket::broadcast)
    }

    /// `SO_BROADCAST`: allows sends to broadcast addresses.
    pub fn set_broadcast(&self, broadcast: bool) -> io::Result<()> {
        self.while_open(|socket| socket.set_broadcast(broadcast))
    }

    /// `IP_MULTICAST_LOOP`.
    pub fn multicast_loop_v4(&self) -> io::Result<bool> {
        self.while_open(net::UdpSocket::multicast_loop_v4)
    }

    /// `IP_MULTICAST_LOOP`: this host receives its own datagrams to a group that it has joined.
    pub fn set_multicast_loop_v4(&self, multicast_loop_v4: bool) -> io::Result<()> {
        self.while_open(|socket| socket.set_multicast_loop_v4(multicast_loop_v4))
    }

    /// `IP_MULTICAST_TTL`.
    pub fn multicast_ttl_v4(&self) -> io::Result<u32> {
        self.while_open(net::UdpSocket::multicast_ttl_v4)
    }

    /// `IP_MULTICAST_TTL`: the number of networks that a datagram to a group may cross; 1 is the local one.
    pub fn set_multicast_ttl_v4(&self, ttl: u32) -> io::Result<()> {
        self.while_open(|socket| socket.set_multicast_ttl_v4(ttl))
    }

    /// `IPV6_MULTICAST_LOOP`.
    pub fn multicast_loop_v6(&self) -> io::Result<bool> {
        self.while_open(net::UdpSocket::multicast_loop_v6)
    }

    /// `IPV6_MULTICAST_LOOP`: this host receives its own datagrams to a group that it has joined.
    pub fn set_multicast_loop_v6(&self, multicast_loop_v6: bool) -> io::Result<()> {
        self.while_open(|socket| socket.set_multicast_loop_v6(multicast_loop_v6))
    }

    /// `IP_TTL`.
    pub fn ttl(&self) -> io::Result<u32> {
        self.while_open(net::UdpSocket::ttl)
    }

    /// `IP_TTL`.
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        self.while_open(|socket| socket.set_ttl(ttl))
    }

    /// Joins a group, on the interface with this address.
    pub fn join_multicast_v4(&self, multiaddr: Ipv4Addr, interface: Ipv4Addr) -> io::Result<()> {
        self.while_open(|socket| socket.join_multicast_v4(&multiaddr, &interface))
    }

    /// Leaves a group, on the interface with this address.
    pub fn leave_multicast_v4(&self, multiaddr: Ipv4Addr, interface: Ipv4Addr) -> io::Result<()> {
        self.while_open(|socket| socket.leave_multicast_v4(&multiaddr, &interface))
    }

    /// Joins a group, on the interface with this index.
    pub fn join_multicast_v6(&self, multiaddr: &Ipv6Addr, interface: u32) -> io::Result<()> {
        self.while_open(|socket| socket.join_multicast_v6(multiaddr, interface))
    }

    /// Leaves a group, on the interface with this index.
    pub fn leave_multicast_v6(&self, multiaddr: &Ipv6Addr, interface: u32) -> io::Result<()> {
        self.while_open(|socket| socket.leave_multicast_v6(multiaddr, interface))
    }
}
