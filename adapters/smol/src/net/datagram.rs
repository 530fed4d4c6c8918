//! The datagram socket: that of `netpoll-futures`, with smol's errors.

use std::fmt;
use std::io;
use std::net;
use std::ops::Deref;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::net as unix;
use std::path::Path;

use netpoll_futures::{DatagramSocket, OpError, try_each};

use super::AsyncToSocketAddrs;

/// A socket for datagrams: a [`UdpSocket`](super::UdpSocket) or a
/// [`UnixDatagram`](super::unix::UnixDatagram).
///
/// It has all that [`netpoll_futures::Datagram`] has, deadlines first of all. What the system says comes
/// as it is from the methods that smol's sockets have, as it does there; from the others it comes with the
/// operation and an address around it.
pub struct Datagram<S: DatagramSocket>(netpoll_futures::Datagram<S>);

/// Each fails with what the system says, [`Closed`](netpoll_futures::Closed) or
/// [`DeadlineExceeded`](netpoll_futures::DeadlineExceeded).
impl<S: DatagramSocket> Datagram<S> {
    /// Receives a datagram. See [`netpoll_futures::Datagram::recv`].
    pub async fn recv(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.recv(buffer).await.map_err(OpError::strip)
    }

    /// [`recv`](Self::recv), with the sender's address.
    pub async fn recv_from(&self, buffer: &mut [u8]) -> io::Result<(usize, S::Address)> {
        self.0.recv_from(buffer).await.map_err(OpError::strip)
    }

    /// [`recv`](Self::recv), but leaves the datagram to be received.
    pub async fn peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.peek(buffer).await.map_err(OpError::strip)
    }

    /// [`recv_from`](Self::recv_from), but leaves the datagram to be received.
    pub async fn peek_from(&self, buffer: &mut [u8]) -> io::Result<(usize, S::Address)> {
        self.0.peek_from(buffer).await.map_err(OpError::strip)
    }

    /// Sends a datagram to the peer that the socket is connected to. See [`netpoll_futures::Datagram::send`].
    pub async fn send(&self, datagram: &[u8]) -> io::Result<usize> {
        self.0.send(datagram).await.map_err(OpError::strip)
    }
}

/// Each fails with what the system says, or that a name could not be looked up.
impl Datagram<net::UdpSocket> {
    /// Binds to the first address that can be bound. See [`netpoll_futures::UdpSocket::bind`].
    pub async fn bind(addresses: impl AsyncToSocketAddrs) -> io::Result<Self> {
        try_each(addresses, netpoll_futures::UdpSocket::bind_as_configured)
            .await
            .map(Self)
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

    /// Joins a group, on the interface with this address.
    pub fn join_multicast_v4(
        &self,
        group: net::Ipv4Addr,
        interface: net::Ipv4Addr,
    ) -> io::Result<()> {
        self.0.join_multicast_v4(group, interface).map_err(OpError::strip)
    }

    /// Joins a group, on the interface with this index.
    pub fn join_multicast_v6(&self, group: &net::Ipv6Addr, interface: u32) -> io::Result<()> {
        self.0.join_multicast_v6(group, interface).map_err(OpError::strip)
    }

    /// Leaves a group that was [joined](Self::join_multicast_v4).
    pub fn leave_multicast_v4(
        &self,
        group: net::Ipv4Addr,
        interface: net::Ipv4Addr,
    ) -> io::Result<()> {
        self.0.leave_multicast_v4(group, interface).map_err(OpError::strip)
    }

    /// Leaves a group that was [joined](Self::join_multicast_v6).
    pub fn leave_multicast_v6(&self, group: &net::Ipv6Addr, interface: u32) -> io::Result<()> {
        self.0.leave_multicast_v6(group, interface).map_err(OpError::strip)
    }
}

/// Each fails with what the system says.
impl Datagram<unix::UnixDatagram> {
    /// Binds to a path. See [`netpoll_futures::UnixDatagram::bind`].
    pub fn bind(path: impl AsRef<Path>) -> io::Result<Self> {
        netpoll_futures::UnixDatagram::bind(path).map(Self).map_err(OpError::strip)
    }

    /// One without a name. See [`netpoll_futures::UnixDatagram::unbound`].
    pub fn unbound() -> io::Result<Self> {
        netpoll_futures::UnixDatagram::unbound().map(Self).map_err(OpError::strip)
    }

    /// Two without names that are connected to each other.
    pub fn pair() -> io::Result<(Self, Self)> {
        let pair = netpoll_futures::UnixDatagram::pair().map_err(OpError::strip);
        pair.map(|(one, other)| (Self(one), Self(other)))
    }

    /// Connects to the socket at a path. See [`netpoll_futures::UnixDatagram::connect`].
    pub fn connect(&self, path: impl AsRef<Path>) -> io::Result<()> {
        self.0.connect(path).map_err(OpError::strip)
    }

    /// Sends a datagram to the socket at a path. See [`netpoll_futures::UnixDatagram::send_to`].
    pub async fn send_to(&self, datagram: &[u8], path: impl AsRef<Path>) -> io::Result<usize> {
        self.0.send_to(datagram, path).await.map_err(OpError::strip)
    }
}

/// Prints the socket as the standard library does: its descriptor and its addresses.
impl<S: DatagramSocket> fmt::Debug for Datagram<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A clone is the same socket.
impl<S: DatagramSocket> Clone for Datagram<S> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<S: DatagramSocket> Deref for Datagram<S> {
    type Target = netpoll_futures::Datagram<S>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl<S: DatagramSocket> From<netpoll_futures::Datagram<S>> for Datagram<S> {
    fn from(socket: netpoll_futures::Datagram<S>) -> Self {
        Self(socket)
    }
}

impl<S: DatagramSocket> From<Datagram<S>> for netpoll_futures::Datagram<S> {
    fn from(socket: Datagram<S>) -> Self {
        socket.0
    }
}

impl TryFrom<net::UdpSocket> for Datagram<net::UdpSocket> {
    type Error = io::Error;

    fn try_from(socket: net::UdpSocket) -> io::Result<Self> {
        netpoll_futures::UdpSocket::try_from(socket).map(Self).map_err(OpError::strip)
    }
}

impl TryFrom<unix::UnixDatagram> for Datagram<unix::UnixDatagram> {
    type Error = io::Error;

    fn try_from(socket: unix::UnixDatagram) -> io::Result<Self> {
        netpoll_futures::UnixDatagram::try_from(socket).map(Self).map_err(OpError::strip)
    }
}

impl TryFrom<OwnedFd> for Datagram<net::UdpSocket> {
    type Error = io::Error;

    fn try_from(fd: OwnedFd) -> io::Result<Self> {
        net::UdpSocket::from(fd).try_into()
    }
}

impl TryFrom<OwnedFd> for Datagram<unix::UnixDatagram> {
    type Error = io::Error;

    fn try_from(fd: OwnedFd) -> io::Result<Self> {
        unix::UnixDatagram::from(fd).try_into()
    }
}

/// The socket itself if this is the last clone, or else a duplicate; non-blocking still.
impl TryFrom<Datagram<net::UdpSocket>> for net::UdpSocket {
    type Error = io::Error;

    fn try_from(socket: Datagram<net::UdpSocket>) -> io::Result<Self> {
        socket.0.try_into()
    }
}

/// The socket itself if this is the last clone, or else a duplicate; non-blocking still.
impl TryFrom<Datagram<unix::UnixDatagram>> for unix::UnixDatagram {
    type Error = io::Error;

    fn try_from(socket: Datagram<unix::UnixDatagram>) -> io::Result<Self> {
        socket.0.try_into()
    }
}

impl TryFrom<Datagram<net::UdpSocket>> for OwnedFd {
    type Error = io::Error;

    fn try_from(socket: Datagram<net::UdpSocket>) -> io::Result<Self> {
        socket.0.try_into()
    }
}

impl TryFrom<Datagram<unix::UnixDatagram>> for OwnedFd {
    type Error = io::Error;

    fn try_from(socket: Datagram<unix::UnixDatagram>) -> io::Result<Self> {
        socket.0.try_into()
    }
}

impl<S: DatagramSocket> AsFd for Datagram<S> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl<S: DatagramSocket> AsRawFd for Datagram<S> {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}
