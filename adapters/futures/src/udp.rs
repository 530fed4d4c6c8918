//! UDP: binding, connecting, options and conversions. [`Datagram`] has the methods that receive and
//! send.

use std::io;
use std::net::{self, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsFd;
use std::task::{Context, Poll};

use crate::sys;
use netpoll::{OpError, Reactor};

use crate::address::{Families, ToSocketAddrs, first_of};
use crate::datagram::Datagram;
use crate::sealed::DatagramSocket;

/// A UDP socket. [`Datagram`] has the methods that receive and send.
///
/// ```no_run
/// # async fn example() -> std::io::Result<()> {
/// let socket = netpoll_futures::UdpSocket::bind("127.0.0.1:7000").await?;
/// let mut buffer = [0; 1500];
/// loop {
///     let (len, from) = socket.recv_from(&mut buffer).await?;
///     socket.send_to(&buffer[..len], from).await?;
/// }
/// # }
/// ```
pub type UdpSocket = Datagram<net::UdpSocket>;

impl DatagramSocket for net::UdpSocket {
    fn send_one_to(&self, datagram: &[u8], to: &SocketAddr) -> io::Result<usize> {
        sys::send_to(self.as_fd(), datagram, to)
    }
}

impl UdpSocket {
    /// Binds to the first address that can be bound. For port 0, the system picks a free port; see
    /// [`local_addr`](Self::local_addr). A socket on `[::]` also receives IPv4, regardless of
    /// `net.ipv6.bindv6only`.
    ///
    /// # Errors
    ///
    /// An [`OpError`] with the first address tried, or the name that could not be looked up.
    pub async fn bind(addresses: impl ToSocketAddrs) -> io::Result<Self> {
        Self::bind_on(Reactor::global()?, addresses).await
    }

    /// [`bind`](Self::bind) with a reactor that the caller names; see
    /// [`register_on`](Self::register_on).
    ///
    /// # Errors
    ///
    /// As for [`bind`](Self::bind).
    pub async fn bind_on(reactor: &Reactor, addresses: impl ToSocketAddrs) -> io::Result<Self> {
        Self::bind_for(reactor, addresses, Families::Both).await
    }

    /// [`bind`](Self::bind), but the system decides whether a socket on `[::]` also receives IPv4
    /// (`net.ipv6.bindv6only`), as for sockets of the standard library, tokio and async-net.
    ///
    /// # Errors
    ///
    /// As for [`bind`](Self::bind).
    pub async fn bind_as_configured(addresses: impl ToSocketAddrs) -> io::Result<Self> {
        Self::bind_as_configured_on(Reactor::global()?, addresses).await
    }

    /// [`bind_as_configured`](Self::bind_as_configured) with a reactor that the caller names.
    ///
    /// # Errors
    ///
    /// As for [`bind`](Self::bind).
    pub async fn bind_as_configured_on(
        reactor: &Reactor,
        addresses: impl ToSocketAddrs,
    ) -> io::Result<Self> {
        Self::bind_for(reactor, addresses, Families::AsConfigured).await
    }

    async fn bind_for(
        reactor: &Reactor,
        addresses: impl ToSocketAddrs,
        families: Families,
    ) -> io::Result<Self> {
        let addresses = addresses.to_addresses().resolve(None).await?;
        let bound = first_of(&addresses, "bind", |address| {
            let socket = sys::datagram(address)?;
            families.apply(socket.as_fd(), address)?;
            sys::bind(socket.as_fd(), address)?;
            Ok(socket)
        })?;
        Self::register_nonblocking(reactor, bound)
    }

    /// Connects to the first address that the system accepts: [`send`](Self::send) sends to it, and the
    /// socket receives only datagrams from it. The socket may be connected again at any time.
    ///
    /// # Errors
    ///
    /// [`Closed`](crate::Closed), or an [`OpError`] with the first address tried, or the name that
    /// could not be looked up.
    pub async fn connect(&self, addresses: impl ToSocketAddrs) -> io::Result<()> {
        let addresses = addresses.to_addresses().resolve(None).await?;
        self.registration()
            .while_open(|socket| first_of(&addresses, "connect", |address| socket.connect(address)))
    }

    /// Sends a datagram as soon as there is room. Of several addresses, it takes the first of the
    /// socket's own family. See [`send_to_addr`](Self::send_to_addr).
    ///
    /// # Errors
    ///
    /// As for every [datagram](Datagram#errors), or the error of looking up the name.
    pub async fn send_to(
        &self,
        datagram: &[u8],
        addresses: impl ToSocketAddrs,
    ) -> io::Result<usize> {
        let addresses = addresses.to_addresses().resolve(None).await?;
        let to = match &addresses[..] {
            [only] => *only,
            several => self.reachable(several),
        };
        self.send_to_addr(datagram, &to).await
    }

    /// [`send_to`](Self::send_to) without waiting: fails with `WouldBlock` if there is no room.
    pub fn try_send_to(&self, datagram: &[u8], to: SocketAddr) -> io::Result<usize> {
        self.try_send_to_addr(datagram, &to)
    }

    /// [`send_to`](Self::send_to) as a poll function.
    pub fn poll_send_to(
        &self,
        cx: &mut Context<'_>,
        datagram: &[u8],
        to: SocketAddr,
    ) -> Poll<io::Result<usize>> {
        self.poll_send_to_addr(cx, datagram, &to)
    }

    /// Joins a group, on the interface with this address; on any, if that is unspecified.
    ///
    /// # Errors
    ///
    /// An [`OpError`] with the group, around [`Closed`](crate::Closed) or an error of `setsockopt(2)`.
    pub fn join_multicast_v4(&self, group: Ipv4Addr, interface: Ipv4Addr) -> io::Result<()> {
        let joined =
            self.registration().while_open(|socket| socket.join_multicast_v4(&group, &interface));
        joined.map_err(|error| OpError::wrap("join", group, error))
    }

    /// Joins a group, on the interface with this index; on any, if that is 0.
    ///
    /// # Errors
    ///
    /// An [`OpError`] with the group, around [`Closed`](crate::Closed) or an error of `setsockopt(2)`.
    pub fn join_multicast_v6(&self, group: &Ipv6Addr, interface: u32) -> io::Result<()> {
        let joined =
            self.registration().while_open(|socket| socket.join_multicast_v6(group, interface));
        joined.map_err(|error| OpError::wrap("join", group, error))
    }

    /// Leaves a group that was [joined](Self::join_multicast_v4).
    ///
    /// # Errors
    ///
    /// An [`OpError`] with the group, around [`Closed`](crate::Closed) or an error of `setsockopt(2)`.
    pub fn leave_multicast_v4(&self, group: Ipv4Addr, interface: Ipv4Addr) -> io::Result<()> {
        let left =
            self.registration().while_open(|socket| socket.leave_multicast_v4(&group, &interface));
        left.map_err(|error| OpError::wrap("leave", group, error))
    }

    /// Leaves a group that was [joined](Self::join_multicast_v6).
    ///
    /// # Errors
    ///
    /// An [`OpError`] with the group, around [`Closed`](crate::Closed) or an error of `setsockopt(2)`.
    pub fn leave_multicast_v6(&self, group: &Ipv6Addr, interface: u32) -> io::Result<()> {
        let left =
            self.registration().while_open(|socket| socket.leave_multicast_v6(group, interface));
        left.map_err(|error| OpError::wrap("leave", group, error))
    }

    /// The first address of the socket's own family, or the first of all if there is none.
    fn reachable(&self, several: &[SocketAddr]) -> SocketAddr {
        let is_v4 = self.local_addr().ok().map(|own| own.is_ipv4());
        let of_family = several.iter().find(|address| Some(address.is_ipv4()) == is_v4);
        *of_family.unwrap_or(&several[0])
    }
}

/// Each method fails with an error of `getsockopt(2)` or `setsockopt(2)`, and after
/// [`close`](UdpSocket::close) with [`Closed`](crate::Closed).
impl UdpSocket {
    /// `SO_BROADCAST`: off, unless it was turned on.
    pub fn broadcast(&self) -> io::Result<bool> {
        self.registration().while_open(net::UdpSocket::broadcast)
    }

    /// `SO_BROADCAST`: whether the socket may send to broadcast addresses.
    pub fn set_broadcast(&self, on: bool) -> io::Result<()> {
        self.registration().while_open(|socket| socket.set_broadcast(on))
    }

    /// `IP_TTL`
    pub fn ttl(&self) -> io::Result<u32> {
        self.registration().while_open(net::UdpSocket::ttl)
    }

    /// `IP_TTL`
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        self.registration().while_open(|socket| socket.set_ttl(ttl))
    }

    /// `IP_MULTICAST_LOOP`
    pub fn multicast_loop_v4(&self) -> io::Result<bool> {
        self.registration().while_open(net::UdpSocket::multicast_loop_v4)
    }

    /// `IP_MULTICAST_LOOP`: whether this host receives its own datagrams to a group that it has joined.
    pub fn set_multicast_loop_v4(&self, on: bool) -> io::Result<()> {
        self.registration().while_open(|socket| socket.set_multicast_loop_v4(on))
    }

    /// `IP_MULTICAST_TTL`
    pub fn multicast_ttl_v4(&self) -> io::Result<u32> {
        self.registration().while_open(net::UdpSocket::multicast_ttl_v4)
    }

    /// `IP_MULTICAST_TTL`: how many networks away a group may be; 1 is this one.
    pub fn set_multicast_ttl_v4(&self, ttl: u32) -> io::Result<()> {
        self.registration().while_open(|socket| socket.set_multicast_ttl_v4(ttl))
    }

    /// `IPV6_MULTICAST_LOOP`
    pub fn multicast_loop_v6(&self) -> io::Result<bool> {
        self.registration().while_open(net::UdpSocket::multicast_loop_v6)
    }

    /// `IPV6_MULTICAST_LOOP`: whether this host receives its own datagrams to a group that it has
    /// joined.
    pub fn set_multicast_loop_v6(&self, on: bool) -> io::Result<()> {
        self.registration().while_open(|socket| socket.set_multicast_loop_v6(on))
    }
}
