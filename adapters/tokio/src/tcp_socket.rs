//! A TCP socket that is not connected and does not listen yet, to set options.

use std::io;
use std::net::{self, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, IntoRawFd, OwnedFd, RawFd};
use std::time::Duration;

use netpoll::OpError;
use netpoll_futures::sys::{self, KeepAlive};

use crate::forward::{forward, unregistered};
use crate::runtime::reactor;
use crate::tcp::{TcpListener, TcpStream};

/// A TCP socket that is not connected and does not listen yet. Unlike a socket of
/// [`TcpStream::connect`](TcpStream) and [`TcpListener::bind`](TcpListener), it has the defaults of the
/// system.
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
    // It is not connected, but this type has the methods for the options.
    socket: net::TcpStream,
}

unregistered!(TcpSocket);

impl TcpSocket {
    /// Makes a socket for IPv4.
    ///
    /// # Errors
    ///
    /// The error of `socket(2)`.
    pub fn new_v4() -> io::Result<Self> {
        sys::stream(&(Ipv4Addr::UNSPECIFIED, 0).into()).map(Self::from)
    }

    /// Makes a socket for IPv6.
    ///
    /// # Errors
    ///
    /// The error of `socket(2)`.
    pub fn new_v6() -> io::Result<Self> {
        sys::stream(&(Ipv6Addr::UNSPECIFIED, 0).into()).map(Self::from)
    }

    /// Takes a socket that was made elsewhere, for options that have no method here.
    #[must_use]
    pub fn from_std_stream(socket: net::TcpStream) -> Self {
        Self { socket }
    }

    /// Binds the socket.
    ///
    /// # Errors
    ///
    /// The error of `bind(2)`.
    pub fn bind(&self, address: SocketAddr) -> io::Result<()> {
        sys::bind(self.as_fd(), &address)
    }

    /// Connects the socket.
    ///
    /// # Errors
    ///
    /// The error of `connect(2)`, or the one that ends the attempt later.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, it leaves no socket behind.
    pub async fn connect(self, address: SocketAddr) -> io::Result<TcpStream> {
        let connected =
            netpoll_futures::TcpStream::connect_with_on(&reactor()?, self.socket, address).await;
        connected.map(Into::into).map_err(OpError::strip)
    }

    /// Makes the socket listen, with a queue for `backlog` connections.
    ///
    /// # Errors
    ///
    /// The error of `listen(2)`.
    pub fn listen(self, backlog: u32) -> io::Result<TcpListener> {
        sys::listen_with_backlog(self.as_fd(), backlog)?;
        TcpListener::from_std(OwnedFd::from(self.socket).into())
    }

    forward! { self.socket:
        /// The local address.
        fn local_addr(&self) -> io::Result<SocketAddr>;

        /// `SO_ERROR`. To read it clears it.
        fn take_error(&self) -> io::Result<Option<io::Error>>;

        /// `TCP_NODELAY`. It is off by default.
        fn nodelay(&self) -> io::Result<bool>;

        /// `TCP_NODELAY`.
        fn set_nodelay(&self, on: bool) -> io::Result<()>;
    }

    /// `SO_KEEPALIVE`.
    pub fn keepalive(&self) -> io::Result<bool> {
        sys::keepalive(self.as_fd()).map(|probes| probes.is_some())
    }

    /// `SO_KEEPALIVE`, with the intervals of the system. For other intervals, see
    /// [`netpoll_futures::TcpStream::set_keepalive`].
    pub fn set_keepalive(&self, on: bool) -> io::Result<()> {
        let unchanged = KeepAlive { idle: None, interval: None, count: None };
        sys::set_keepalive(self.as_fd(), on.then_some(unchanged))
    }

    /// Sets `SO_LINGER` to zero: the close resets the connection.
    pub fn set_zero_linger(&self) -> io::Result<()> {
        self.set_linger(Some(Duration::ZERO))
    }
}

/// Methods that call a function of `sys` with the descriptor.
macro_rules! options {
    ($($(#[$doc:meta])* fn $name:ident(&self $(, $arg:ident: $type:ty)?) -> $output:ty = $call:ident;)+) => {
        /// Each method fails with the error of `getsockopt(2)` or `setsockopt(2)`.
        impl TcpSocket {$(
            $(#[$doc])*
            pub fn $name(&self $(, $arg: $type)?) -> io::Result<$output> {
                sys::$call(self.as_fd() $(, $arg)?)
            }
        )+}
    };
}

options! {
    /// `SO_REUSEADDR`.
    fn reuseaddr(&self) -> bool = reuse_address;
    /// `SO_REUSEADDR`.
    fn set_reuseaddr(&self, on: bool) -> () = set_reuse_address;
    /// `SO_REUSEPORT`.
    fn reuseport(&self) -> bool = reuse_port;
    /// `SO_REUSEPORT`.
    fn set_reuseport(&self, on: bool) -> () = set_reuse_port;
    /// `SO_SNDBUF`, in bytes: twice the size that was set.
    fn send_buffer_size(&self) -> u32 = send_buffer_size;
    /// `SO_SNDBUF`, in bytes.
    fn set_send_buffer_size(&self, bytes: u32) -> () = set_send_buffer_size;
    /// `SO_RCVBUF`, in bytes: twice the size that was set.
    fn recv_buffer_size(&self) -> u32 = recv_buffer_size;
    /// `SO_RCVBUF`, in bytes.
    fn set_recv_buffer_size(&self, bytes: u32) -> () = set_recv_buffer_size;
    /// `SO_LINGER`.
    fn linger(&self) -> Option<Duration> = linger;
    /// `SO_LINGER`, rounded up to seconds. [`close`](TcpStream::close) lingers without blocking
    /// the thread; the drop of a stream that lingers blocks it.
    fn set_linger(&self, linger: Option<Duration>) -> () = set_linger;
    /// `IP_TOS`.
    fn tos_v4(&self) -> u32 = tos;
    /// `IP_TOS`.
    fn set_tos_v4(&self, tos: u32) -> () = set_tos;
    /// `IPV6_TCLASS`.
    fn tclass_v6(&self) -> u32 = traffic_class;
    /// `IPV6_TCLASS`.
    fn set_tclass_v6(&self, class: u32) -> () = set_traffic_class;
    /// `SO_BINDTODEVICE`: the name of the device to which the socket is bound.
    fn device(&self) -> Option<Vec<u8>> = device;
    /// `SO_BINDTODEVICE`. `None` and an empty name undo it. A name that no device can have fails with
    /// `InvalidInput`.
    fn bind_device(&self, name: Option<&[u8]>) -> () = bind_to_device;
}
