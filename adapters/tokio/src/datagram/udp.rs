//! UDP: how sockets are made, connected and set up.

use std::io;
use std::net::{self, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsFd;
use std::task::{Context, Poll};

use netpoll::OpError;
use netpoll_futures::sys;
use netpoll_futures::{ToSocketAddrs, try_each};

use super::{Datagram, poll, spend};

/// A UDP socket. What it can do with its datagrams is in [`Datagram`].
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// use std::time::{Duration, Instant};
/// use netpoll_tokio::is_deadline_exceeded;
/// use netpoll_tokio::net::UdpSocket;
///
/// let server = UdpSocket::bind("127.0.0.1:0").await?;
/// let client = UdpSocket::bind("127.0.0.1:0").await?;
/// client.connect(server.local_addr()?).await?;
/// client.send(b"hello").await?;
/// let mut buffer = [0; 1500];
/// let (len, from) = server.recv_from(&mut buffer).await?;
/// assert_eq!((&buffer[..len], from), (&b"hello"[..], client.local_addr()?));
///
/// // There is no answer.
/// client.set_read_deadline(Some(Instant::now() + Duration::from_millis(10)))?;
/// assert!(is_deadline_exceeded(&client.recv(&mut buffer).await.unwrap_err()));
/// # Ok(()) }) }
/// ```
pub type UdpSocket = Datagram<net::UdpSocket>;

impl UdpSocket {
    /// Binds to the first address that can be bound. Port 0 takes a free one.
    ///
    /// # Errors
    ///
    /// As in tokio: the error of the system for the last address, or that the name could not be looked up.
    pub async fn bind(address: impl ToSocketAddrs) -> io::Result<Self> {
        try_each(address, netpoll_futures::UdpSocket::bind_as_configured)
            .await
            .map(Into::into)
            .map_err(OpError::strip)
    }

    /// Connects to the first address that can be connected to: [`send`](Self::send) sends there, and
    /// only what comes from there is received. It may be connected anew at any time.
    ///
    /// # Errors
    ///
    /// [`Closed`](netpoll::Closed), the error of the system for the last address, or that the name could not be looked up.
    pub async fn connect(&self, address: impl ToSocketAddrs) -> io::Result<()> {
        try_each(address, |address| self.inner.connect(address)).await.map_err(OpError::strip)
    }

    /// Sends a datagram to an address, as soon as there is room; of several, to the first of the
    /// socket's own family.
    ///
    /// # Errors
    ///
    /// As for every [datagram](Datagram#errors), or that the name could not be looked up.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it has sent nothing.
    pub async fn send_to(&self, datagram: &[u8], to: impl ToSocketAddrs) -> io::Result<usize> {
        spend(self.inner.send_to(datagram, to)).await
    }

    /// [`send_to`](Self::send_to) now, or `WouldBlock`.
    ///
    /// # Errors
    ///
    /// `WouldBlock`, and as for every [datagram](Datagram#errors).
    pub fn try_send_to(&self, datagram: &[u8], to: SocketAddr) -> io::Result<usize> {
        self.inner.try_send_to(datagram, to).map_err(OpError::strip)
    }

    /// [`send_to`](Self::send_to) for those who poll.
    ///
    /// # Errors
    ///
    /// As for every [datagram](Datagram#errors).
    pub fn poll_send_to(
        &self,
        cx: &mut Context<'_>,
        datagram: &[u8],
        to: SocketAddr,
    ) -> Poll<io::Result<usize>> {
        poll(cx, |cx| self.inner.poll_send_to(cx, datagram, to))
    }

    /// A socket of the standard library's, which is made non-blocking.
    ///
    /// # Errors
    ///
    /// What `fcntl(2)` or `epoll_ctl(2)` says.
    pub fn from_std(socket: net::UdpSocket) -> io::Result<Self> {
        netpoll_futures::UdpSocket::try_from(socket).map(Into::into).map_err(OpError::strip)
    }

    /// The socket for the standard library: non-blocking, until that is changed.
    ///
    /// # Errors
    ///
    /// [`Closed`](netpoll::Closed).
    pub fn into_std(self) -> io::Result<net::UdpSocket> {
        self.inner.try_into()
    }
}

/// Each fails with what `getsockopt(2)` or `setsockopt(2)` says, and after [`close`](UdpSocket::close)
/// with [`Closed`](netpoll::Closed).
impl UdpSocket {
    /// `SO_BROADCAST`: off, unless it was turned on.
    pub fn broadcast(&self) -> io::Result<bool> {
        self.inner.broadcast()
    }

    /// `SO_BROADCAST`: whether it may send to broadcast addresses.
    pub fn set_broadcast(&self, on: bool) -> io::Result<()> {
        self.inner.set_broadcast(on)
    }

    /// `IP_MULTICAST_LOOP`
    pub fn multicast_loop_v4(&self) -> io::Result<bool> {
        self.inner.multicast_loop_v4()
    }

    /// `IP_MULTICAST_LOOP`: whether this host receives what it sends to a group it is in.
    pub fn set_multicast_loop_v4(&self, on: bool) -> io::Result<()> {
        self.inner.set_multicast_loop_v4(on)
    }

    /// `IP_MULTICAST_TTL`
    pub fn multicast_ttl_v4(&self) -> io::Result<u32> {
        self.inner.multicast_ttl_v4()
    }

    /// `IP_MULTICAST_TTL`: how many networks away a group may be; 1 is this one.
    pub fn set_multicast_ttl_v4(&self, ttl: u32) -> io::Result<()> {
        self.inner.set_multicast_ttl_v4(ttl)
    }

    /// `IPV6_MULTICAST_LOOP`
    pub fn multicast_loop_v6(&self) -> io::Result<bool> {
        self.inner.multicast_loop_v6()
    }

    /// `IPV6_MULTICAST_LOOP`: whether this host receives what it sends to a group it is in.
    pub fn set_multicast_loop_v6(&self, on: bool) -> io::Result<()> {
        self.inner.set_multicast_loop_v6(on)
    }

    /// `IP_TTL`
    pub fn ttl(&self) -> io::Result<u32> {
        self.inner.ttl()
    }

    /// `IP_TTL`
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        self.inner.set_ttl(ttl)
    }

    /// `IP_TOS`
    pub fn tos_v4(&self) -> io::Result<u32> {
        self.inner.registration().while_open(|socket| sys::tos(socket.as_fd()))
    }

    /// `IP_TOS`
    pub fn set_tos_v4(&self, tos: u32) -> io::Result<()> {
        self.inner.registration().while_open(|socket| sys::set_tos(socket.as_fd(), tos))
    }

    /// `IPV6_TCLASS`
    pub fn tclass_v6(&self) -> io::Result<u32> {
        self.inner.registration().while_open(|socket| sys::traffic_class(socket.as_fd()))
    }

    /// `IPV6_TCLASS`
    pub fn set_tclass_v6(&self, class: u32) -> io::Result<()> {
        let set = |socket: &net::UdpSocket| sys::set_traffic_class(socket.as_fd(), class);
        self.inner.registration().while_open(set)
    }

    /// `SO_BINDTODEVICE`: the name of the device, if it is bound to one.
    pub fn device(&self) -> io::Result<Option<Vec<u8>>> {
        self.inner.registration().while_open(|socket| sys::device(socket.as_fd()))
    }

    /// `SO_BINDTODEVICE`. `None` and an empty name lift it. A name that no device can have is
    /// `InvalidInput`.
    pub fn bind_device(&self, name: Option<&[u8]>) -> io::Result<()> {
        self.inner.registration().while_open(|socket| sys::bind_to_device(socket.as_fd(), name))
    }

    /// Joins a group, on the interface with this address; on any, if that is unspecified.
    pub fn join_multicast_v4(&self, group: Ipv4Addr, interface: Ipv4Addr) -> io::Result<()> {
        self.inner.join_multicast_v4(group, interface).map_err(OpError::strip)
    }

    /// Joins a group, on the interface with this index; on any, if that is 0.
    pub fn join_multicast_v6(&self, group: &Ipv6Addr, interface: u32) -> io::Result<()> {
        self.inner.join_multicast_v6(group, interface).map_err(OpError::strip)
    }

    /// Leaves a group that was [joined](Self::join_multicast_v4).
    pub fn leave_multicast_v4(&self, group: Ipv4Addr, interface: Ipv4Addr) -> io::Result<()> {
        self.inner.leave_multicast_v4(group, interface).map_err(OpError::strip)
    }

    /// Leaves a group that was [joined](Self::join_multicast_v6).
    pub fn leave_multicast_v6(&self, group: &Ipv6Addr, interface: u32) -> io::Result<()> {
        self.inner.leave_multicast_v6(group, interface).map_err(OpError::strip)
    }

    /// `SO_ERROR`, which reading it clears.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.inner.take_error()
    }
}

impl TryFrom<net::UdpSocket> for UdpSocket {
    type Error = io::Error;

    fn try_from(socket: net::UdpSocket) -> io::Result<Self> {
        Self::from_std(socket)
    }
}
