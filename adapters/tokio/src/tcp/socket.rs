//! A socket that neither listens nor is connected yet, to set options on.

use std::io;
use std::net::{self, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, IntoRawFd, OwnedFd, RawFd};
use std::time::Duration;

use netpoll::OpError;
use netpoll_futures::sys::{self, KeepAlive};

use super::{TcpListener, TcpStream};

/// A TCP socket that neither listens nor is connected yet. Unlike
/// [`TcpStream::connect`](super::TcpStream) and [`TcpListener::bind`](super::TcpListener), it has the
/// system's defaults, and what is set.
///
/// ```no_run
/// # async fn example() -> std::io::Result<()> {
/// use netpoll_tokio::net::TcpSocket;
///
/// let socket = TcpSocket::new_v4()?;
/// socket.set_reuseport(true)?;
/// socket.bind("127.0.0.1:7000".parse().unwrap())?;
/// let listener = socket.listen(1024)?;
/// # drop(listener); Ok(()) }
/// ```
#[derive(Debug)]
pub struct TcpSocket {
    // Not connected, but std has the calls for it.
    socket: net::TcpStream,
}

impl TcpSocket {
    /// One for IPv4.
    ///
    /// # Errors
    ///
    /// What `socket(2)` says.
    pub fn new_v4() -> io::Result<Self> {
        Self::of_family((Ipv4Addr::UNSPECIFIED, 0).into())
    }

    /// One for IPv6.
    ///
    /// # Errors
    ///
    /// What `socket(2)` says.
    pub fn new_v6() -> io::Result<Self> {
        Self::of_family((Ipv6Addr::UNSPECIFIED, 0).into())
    }

    fn of_family(address: SocketAddr) -> io::Result<Self> {
        sys::stream(&address).map(Self::from)
    }

    /// A socket that was made elsewhere, for options that have no method here.
    #[must_use]
    pub fn from_std_stream(socket: net::TcpStream) -> Self {
        Self { socket }
    }

    /// Binds it.
    ///
    /// # Errors
    ///
    /// What `bind(2)` says.
    pub fn bind(&self, address: SocketAddr) -> io::Result<()> {
        sys::bind(self.as_fd(), &address)
    }

    /// Connects it.
    ///
    /// # Errors
    ///
    /// What `connect(2)` says, at once or later.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it leaves no socket behind.
    pub async fn connect(self, address: SocketAddr) -> io::Result<TcpStream> {
        let connected = netpoll_futures::TcpStream::connect_with(self.socket, address).await;
        connected.map(Into::into).map_err(OpError::strip)
    }

    /// Has it listen, with a queue for so many connections.
    ///
    /// # Errors
    ///
    /// What `listen(2)` says.
    pub fn listen(self, backlog: u32) -> io::Result<TcpListener> {
        sys::listen_with_backlog(self.as_fd(), backlog)?;
        TcpListener::from_std(OwnedFd::from(self.socket).into())
    }
}

/// Each fails with what `getsockopt(2)`, `setsockopt(2)` or `getsockname(2)` says.
impl TcpSocket {
    /// Our address.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// `SO_ERROR`, which reading it clears.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.socket.take_error()
    }

    /// `SO_KEEPALIVE`
    pub fn keepalive(&self) -> io::Result<bool> {
        sys::keepalive(self.as_fd()).map(|probes| probes.is_some())
    }

    /// `SO_KEEPALIVE`, with the system's times. For others, see
    /// [`netpoll_futures::TcpStream::set_keepalive`].
    pub fn set_keepalive(&self, on: bool) -> io::Result<()> {
        let as_it_is = KeepAlive { idle: None, interval: None, count: None };
        sys::set_keepalive(self.as_fd(), on.then_some(as_it_is))
    }

    /// `SO_REUSEADDR`
    pub fn reuseaddr(&self) -> io::Result<bool> {
        sys::reuse_address(self.as_fd())
    }

    /// `SO_REUSEADDR`
    pub fn set_reuseaddr(&self, on: bool) -> io::Result<()> {
        sys::set_reuse_address(self.as_fd(), on)
    }

    /// `SO_REUSEPORT`
    pub fn reuseport(&self) -> io::Result<bool> {
        sys::reuse_port(self.as_fd())
    }

    /// `SO_REUSEPORT`
    pub fn set_reuseport(&self, on: bool) -> io::Result<()> {
        sys::set_reuse_port(self.as_fd(), on)
    }

    /// `SO_SNDBUF`, in bytes: twice what was set.
    pub fn send_buffer_size(&self) -> io::Result<u32> {
        sys::send_buffer_size(self.as_fd())
    }

    /// `SO_SNDBUF`, in bytes.
    pub fn set_send_buffer_size(&self, bytes: u32) -> io::Result<()> {
        sys::set_send_buffer_size(self.as_fd(), bytes)
    }

    /// `SO_RCVBUF`, in bytes: twice what was set.
    pub fn recv_buffer_size(&self) -> io::Result<u32> {
        sys::recv_buffer_size(self.as_fd())
    }

    /// `SO_RCVBUF`, in bytes.
    pub fn set_recv_buffer_size(&self, bytes: u32) -> io::Result<()> {
        sys::set_recv_buffer_size(self.as_fd(), bytes)
    }

    /// `SO_LINGER`
    pub fn linger(&self) -> io::Result<Option<Duration>> {
        sys::linger(self.as_fd())
    }

    /// `SO_LINGER`, rounded up to seconds. [`close`](TcpStream::close) lingers without blocking
    /// the thread; dropping a stream that lingers blocks it.
    pub fn set_linger(&self, linger: Option<Duration>) -> io::Result<()> {
        sys::set_linger(self.as_fd(), linger)
    }

    /// Has closing reset the connection, without lingering.
    pub fn set_zero_linger(&self) -> io::Result<()> {
        self.set_linger(Some(Duration::ZERO))
    }

    /// `TCP_NODELAY`: off, unless it was turned on.
    pub fn nodelay(&self) -> io::Result<bool> {
        self.socket.nodelay()
    }

    /// `TCP_NODELAY`
    pub fn set_nodelay(&self, on: bool) -> io::Result<()> {
        self.socket.set_nodelay(on)
    }

    /// `IP_TOS`
    pub fn tos_v4(&self) -> io::Result<u32> {
        sys::tos(self.as_fd())
    }

    /// `IP_TOS`
    pub fn set_tos_v4(&self, tos: u32) -> io::Result<()> {
        sys::set_tos(self.as_fd(), tos)
    }

    /// `IPV6_TCLASS`
    pub fn tclass_v6(&self) -> io::Result<u32> {
        sys::traffic_class(self.as_fd())
    }

    /// `IPV6_TCLASS`
    pub fn set_tclass_v6(&self, class: u32) -> io::Result<()> {
        sys::set_traffic_class(self.as_fd(), class)
    }

    /// `SO_BINDTODEVICE`: the name of the device, if it is bound to one.
    pub fn device(&self) -> io::Result<Option<Vec<u8>>> {
        sys::device(self.as_fd())
    }

    /// `SO_BINDTODEVICE`. `None` and an empty name lift it. A name that no device can have is
    /// `InvalidInput`.
    pub fn bind_device(&self, name: Option<&[u8]>) -> io::Result<()> {
        sys::bind_to_device(self.as_fd(), name)
    }
}

impl From<OwnedFd> for TcpSocket {
    fn from(socket: OwnedFd) -> Self {
        Self { socket: socket.into() }
    }
}

impl From<TcpSocket> for OwnedFd {
    fn from(socket: TcpSocket) -> Self {
        socket.socket.into()
    }
}

impl AsFd for TcpSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl AsRawFd for TcpSocket {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

impl IntoRawFd for TcpSocket {
    fn into_raw_fd(self) -> RawFd {
        self.socket.into_raw_fd()
    }
}
