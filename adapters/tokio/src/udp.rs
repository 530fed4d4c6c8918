//! UDP sockets: how they are made and connected, and their options.

use std::io;
use std::net::{self, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsFd;
use std::task::{Context, Poll};

use netpoll::OpError;
use netpoll_futures::{ToSocketAddrs, sys, try_each};

use crate::datagram::Datagram;
use crate::forward::{forward, forward_async, forward_poll};
use crate::runtime::reactor;

/// A UDP socket. [`Datagram`] has its methods for datagrams.
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
/// // The server does not reply.
/// client.set_read_deadline(Some(Instant::now() + Duration::from_millis(10)))?;
/// assert!(is_deadline_exceeded(&client.recv(&mut buffer).await.unwrap_err()));
/// # Ok(()) }) }
/// ```
pub type UdpSocket = Datagram<net::UdpSocket>;

impl UdpSocket {
    /// Binds to the first address that can be bound. Port 0 is a free port.
    ///
    /// # Errors
    ///
    /// As in tokio: the error of the system for the last address, or the error of the lookup.
    pub async fn bind(address: impl ToSocketAddrs) -> io::Result<Self> {
        let reactor = reactor()?;
        let bind = |address| netpoll_futures::UdpSocket::bind_as_configured_on(&reactor, address);
        let bound = try_each(address, bind).await;
        bound.map(Into::into).map_err(OpError::strip)
    }

    /// Connects to the first address that can be connected to: [`send`](Self::send) sends there, and
    /// the socket receives only from there. It may be connected again at any time.
    ///
    /// # Errors
    ///
    /// [`Closed`](netpoll::Closed), the error of the system for the last address, or the error of the lookup.
    pub async fn connect(&self, address: impl ToSocketAddrs) -> io::Result<()> {
        try_each(address, |address| self.inner.connect(address)).await.map_err(OpError::strip)
    }

    forward_async! { self.inner:
        /// Sends a datagram as soon as there is room: to the first of the addresses that has the family of the
        /// socket. It may also fail with the error of the lookup.
        async fn send_to(&self, datagram: &[u8], to: impl ToSocketAddrs) -> io::Result<usize>;
    }

    forward_poll! { self.inner:
        /// Polls [`send_to`](Self::send_to).
        fn poll_send_to(&self, cx: &mut Context<'_>, datagram: &[u8], to: SocketAddr)
            -> Poll<io::Result<usize>>;
    }
}

/// Each method fails with the error of `getsockopt(2)` or `setsockopt(2)`, and after [`close`](UdpSocket::close)
/// with [`Closed`](netpoll::Closed).
impl UdpSocket {
    forward! { self.inner:
        /// Attempts [`send_to`](Self::send_to).
        fn try_send_to(&self, datagram: &[u8], to: SocketAddr) -> io::Result<usize>;

        /// `SO_BROADCAST`. It is off by default.
        fn broadcast(&self) -> io::Result<bool>;

        /// `SO_BROADCAST`: allows sends to broadcast addresses.
        fn set_broadcast(&self, on: bool) -> io::Result<()>;

        /// `IP_MULTICAST_LOOP`.
        fn multicast_loop_v4(&self) -> io::Result<bool>;

        /// `IP_MULTICAST_LOOP`: this host receives its own datagrams to a group that it has joined.
        fn set_multicast_loop_v4(&self, on: bool) -> io::Result<()>;

        /// `IP_MULTICAST_TTL`.
        fn multicast_ttl_v4(&self) -> io::Result<u32>;

        /// `IP_MULTICAST_TTL`: the number of networks that a datagram to a group may cross; 1 is the local one.
        fn set_multicast_ttl_v4(&self, ttl: u32) -> io::Result<()>;

        /// `IPV6_MULTICAST_LOOP`.
        fn multicast_loop_v6(&self) -> io::Result<bool>;

        /// `IPV6_MULTICAST_LOOP`: this host receives its own datagrams to a group that it has joined.
        fn set_multicast_loop_v6(&self, on: bool) -> io::Result<()>;

        /// `IP_TTL`.
        fn ttl(&self) -> io::Result<u32>;

        /// `IP_TTL`.
        fn set_ttl(&self, ttl: u32) -> io::Result<()>;

        /// Joins a group, on the interface with this address; on any, if the address is unspecified.
        fn join_multicast_v4(&self, group: Ipv4Addr, interface: Ipv4Addr) -> io::Result<()>;

        /// Joins a group, on the interface with this index; on any, if the index is 0.
        fn join_multicast_v6(&self, group: &Ipv6Addr, interface: u32) -> io::Result<()>;

        /// Leaves a group that was [joined](Self::join_multicast_v4).
        fn leave_multicast_v4(&self, group: Ipv4Addr, interface: Ipv4Addr) -> io::Result<()>;

        /// Leaves a group that was [joined](Self::join_multicast_v6).
        fn leave_multicast_v6(&self, group: &Ipv6Addr, interface: u32) -> io::Result<()>;
    }

    /// `IP_TOS`.
    pub fn tos_v4(&self) -> io::Result<u32> {
        self.inner.registration().while_open(|socket| sys::tos(socket.as_fd()))
    }

    /// `IP_TOS`.
    pub fn set_tos_v4(&self, tos: u32) -> io::Result<()> {
        self.inner.registration().while_open(|socket| sys::set_tos(socket.as_fd(), tos))
    }

    /// `IPV6_TCLASS`.
    pub fn tclass_v6(&self) -> io::Result<u32> {
        self.inner.registration().while_open(|socket| sys::traffic_class(socket.as_fd()))
    }

    /// `IPV6_TCLASS`.
    pub fn set_tclass_v6(&self, class: u32) -> io::Result<()> {
        self.inner.registration().while_open(|io| sys::set_traffic_class(io.as_fd(), class))
    }

    /// `SO_BINDTODEVICE`: the name of the device to which the socket is bound.
    pub fn device(&self) -> io::Result<Option<Vec<u8>>> {
        self.inner.registration().while_open(|socket| sys::device(socket.as_fd()))
    }

    /// `SO_BINDTODEVICE`. `None` and an empty name undo it. A name that no device can have fails with
    /// `InvalidInput`.
    pub fn bind_device(&self, name: Option<&[u8]>) -> io::Result<()> {
        self.inner.registration().while_open(|socket| sys::bind_to_device(socket.as_fd(), name))
    }
}
