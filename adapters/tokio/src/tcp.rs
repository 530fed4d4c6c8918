//! TCP streams and listeners: how they are made, and their options.

use std::io;
use std::net;
use std::os::fd::AsFd;
use std::time::Duration;

use netpoll::OpError;
use netpoll_futures::{ToSocketAddrs, sys, try_each};

use crate::forward::forward;
use crate::listener::Listener;
use crate::runtime::reactor;
use crate::stream::Stream;

/// A TCP connection, with the defaults of [`netpoll_futures::TcpStream`]: `TCP_NODELAY` and
/// keep-alive probes are on. [`Stream`] has its methods for bytes.
///
/// ```
/// # fn main() -> std::io::Result<()> { netpoll::block_on(async {
/// use std::time::{Duration, Instant};
/// use netpoll_tokio::net::{TcpListener, TcpStream};
/// use tokio::io::{AsyncReadExt, AsyncWriteExt};
///
/// let listener = TcpListener::bind("127.0.0.1:0").await?;
/// let mut client = TcpStream::connect(listener.local_addr()?).await?;
/// let (mut server, _) = listener.accept().await?;
/// server.set_read_deadline(Some(Instant::now() + Duration::from_secs(30)))?;
///
/// client.write_all(b"hello").await?;
/// client.shutdown().await?;
/// let mut all = Vec::new();
/// server.read_to_end(&mut all).await?;
/// assert_eq!(all, b"hello");
/// # Ok(()) }) }
/// ```
pub type TcpStream = Stream<net::TcpStream>;

/// A TCP socket that accepts connections, with the defaults of [`netpoll_futures::TcpListener`].
pub type TcpListener = Listener<net::TcpListener>;

impl TcpStream {
    /// Connects to the first address that accepts the connection.
    ///
    /// # Errors
    ///
    /// As in tokio: the error of the system for the last address, or the error of the lookup.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, it leaves no socket behind.
    pub async fn connect(address: impl ToSocketAddrs) -> io::Result<Self> {
        let reactor = reactor()?;
        let connect = |address| netpoll_futures::TcpStream::connect_on(&reactor, address);
        let connected = try_each(address, connect).await;
        connected.map(Into::into).map_err(OpError::strip)
    }

    /// Connects to the first address that accepts the connection, for at most `timeout`. The lookup of a name counts,
    /// and several addresses share the time. tokio has no such method.
    ///
    /// # Errors
    ///
    /// [`DeadlineExceeded`](netpoll::DeadlineExceeded), the error of the system for the first address, or the error of the
    /// lookup.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, it leaves no socket behind.
    pub async fn connect_timeout(
        address: impl ToSocketAddrs,
        timeout: Duration,
    ) -> io::Result<Self> {
        let reactor = reactor()?;
        let connected =
            netpoll_futures::TcpStream::connect_deadline_on(&reactor, address, timeout).await;
        connected.map(Into::into).map_err(OpError::strip)
    }
}

/// Each method fails with the error of `getsockopt(2)` or `setsockopt(2)`, and after
/// [`close`](Stream::close) with [`Closed`](netpoll::Closed).
impl TcpStream {
    forward! { self.inner:
        /// `TCP_NODELAY`. It is on by default.
        fn nodelay(&self) -> io::Result<bool>;

        /// `TCP_NODELAY`.
        fn set_nodelay(&self, on: bool) -> io::Result<()>;

        /// `SO_LINGER`.
        fn linger(&self) -> io::Result<Option<Duration>>;

        /// `SO_LINGER`, rounded up to seconds. [`close`](Stream::close) lingers without blocking
        /// the thread; the drop of a stream that lingers blocks it.
        fn set_linger(&self, linger: Option<Duration>) -> io::Result<()>;

        /// `IP_TTL`.
        fn ttl(&self) -> io::Result<u32>;

        /// `IP_TTL`.
        fn set_ttl(&self, ttl: u32) -> io::Result<()>;
    }

    /// `TCP_QUICKACK`.
    pub fn quickack(&self) -> io::Result<bool> {
        self.inner.registration().while_open(|socket| sys::quick_ack(socket.as_fd()))
    }

    /// `TCP_QUICKACK`. The system may clear it at any time (`tcp(7)`).
    pub fn set_quickack(&self, on: bool) -> io::Result<()> {
        self.inner.registration().while_open(|socket| sys::set_quick_ack(socket.as_fd(), on))
    }

    /// Sets `SO_LINGER` to zero: the close resets the connection.
    pub fn set_zero_linger(&self) -> io::Result<()> {
        self.set_linger(Some(Duration::ZERO))
    }
}

impl TcpListener {
    /// Binds to the first address that can be bound, and listens.
    ///
    /// # Errors
    ///
    /// As in tokio: the error of the system for the last address, or the error of the lookup.
    pub async fn bind(address: impl ToSocketAddrs) -> io::Result<Self> {
        let reactor = reactor()?;
        let bind = |address| netpoll_futures::TcpListener::bind_as_configured_on(&reactor, address);
        let bound = try_each(address, bind).await;
        bound.map(Into::into).map_err(OpError::strip)
    }

    forward! { self.inner:
        /// `IP_TTL`.
        ///
        /// # Errors
        ///
        /// The error of `getsockopt(2)`.
        fn ttl(&self) -> io::Result<u32>;

        /// `IP_TTL`.
        ///
        /// # Errors
        ///
        /// The error of `setsockopt(2)`.
        fn set_ttl(&self, ttl: u32) -> io::Result<()>;
    }
}
