//! TCP: how connections and listeners are made, and what is told of them.

mod halves;
mod socket;

use std::io;
use std::net::{self, SocketAddr};
use std::os::fd::AsFd;
use std::time::Duration;

use netpoll::OpError;
use netpoll_futures::sys;
use netpoll_futures::{ToSocketAddrs, try_each};

use crate::listener::Listener;
use crate::stream::Stream;

pub use socket::TcpSocket;

/// A TCP connection, with the defaults of [`netpoll_futures::TcpStream`]: `TCP_NODELAY` is on, and so
/// are keep-alive probes. What it can do with its bytes is in [`Stream`].
///
/// ```
/// # fn main() -> std::io::Result<()> { futures_block_on(async {
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
/// # fn futures_block_on<F: Future>(future: F) -> F::Output {
/// #     tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
/// # }
/// ```
pub type TcpStream = Stream<net::TcpStream>;

/// A TCP socket that accepts connections, with the defaults of [`netpoll_futures::TcpListener`].
pub type TcpListener = Listener<net::TcpListener>;

impl TcpStream {
    /// Connects to the first address that answers.
    ///
    /// # Errors
    ///
    /// As in tokio: the error of the system for the last address, or that the name could not be looked up.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it leaves no socket behind.
    pub async fn connect(address: impl ToSocketAddrs) -> io::Result<Self> {
        try_each(address, netpoll_futures::TcpStream::connect)
            .await
            .map(Into::into)
            .map_err(OpError::strip)
    }

    /// A stream of the standard library's, which is made non-blocking.
    ///
    /// # Errors
    ///
    /// What `fcntl(2)` or `epoll_ctl(2)` says.
    pub fn from_std(stream: net::TcpStream) -> io::Result<Self> {
        netpoll_futures::TcpStream::try_from(stream).map(Into::into).map_err(OpError::strip)
    }

    /// The stream for the standard library: non-blocking, until that is changed.
    ///
    /// # Errors
    ///
    /// [`Closed`](netpoll::Closed).
    pub fn into_std(self) -> io::Result<net::TcpStream> {
        self.inner.try_into()
    }
}

/// Each fails with what `getsockname(2)`, `getpeername(2)`, `getsockopt(2)` or `setsockopt(2)` says,
/// and after [`close`](Stream::close) with [`Closed`](netpoll::Closed).
impl TcpStream {
    /// Our address.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.local_addr()
    }

    /// The peer's address.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.inner.peer_addr()
    }

    /// `SO_ERROR`, which reading it clears.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.inner.take_error()
    }

    /// `TCP_NODELAY`: on, unless it was turned off.
    pub fn nodelay(&self) -> io::Result<bool> {
        self.inner.nodelay()
    }

    /// `TCP_NODELAY`
    pub fn set_nodelay(&self, on: bool) -> io::Result<()> {
        self.inner.set_nodelay(on)
    }

    /// `TCP_QUICKACK`
    pub fn quickack(&self) -> io::Result<bool> {
        self.inner.registration().while_open(|socket| sys::quick_ack(socket.as_fd()))
    }

    /// `TCP_QUICKACK`, which the system takes back when it thinks fit (`tcp(7)`).
    pub fn set_quickack(&self, on: bool) -> io::Result<()> {
        self.inner.registration().while_open(|socket| sys::set_quick_ack(socket.as_fd(), on))
    }

    /// `SO_LINGER`
    pub fn linger(&self) -> io::Result<Option<Duration>> {
        self.inner.linger()
    }

    /// `SO_LINGER`, rounded up to seconds. [`close`](Stream::close) lingers without blocking
    /// the thread; dropping a stream that lingers blocks it.
    pub fn set_linger(&self, linger: Option<Duration>) -> io::Result<()> {
        self.inner.set_linger(linger)
    }

    /// Has closing reset the connection, without lingering.
    pub fn set_zero_linger(&self) -> io::Result<()> {
        self.inner.set_linger(Some(Duration::ZERO))
    }

    /// `IP_TTL`
    pub fn ttl(&self) -> io::Result<u32> {
        self.inner.ttl()
    }

    /// `IP_TTL`
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        self.inner.set_ttl(ttl)
    }
}

impl TcpListener {
    /// Binds to the first address that can be bound, and listens.
    ///
    /// # Errors
    ///
    /// As in tokio: the error of the system for the last address, or that the name could not be looked up.
    pub async fn bind(address: impl ToSocketAddrs) -> io::Result<Self> {
        try_each(address, netpoll_futures::TcpListener::bind_as_configured)
            .await
            .map(Into::into)
            .map_err(OpError::strip)
    }

    /// A listener of the standard library's, which is made non-blocking.
    ///
    /// # Errors
    ///
    /// What `fcntl(2)` or `epoll_ctl(2)` says.
    pub fn from_std(listener: net::TcpListener) -> io::Result<Self> {
        netpoll_futures::TcpListener::try_from(listener).map(Into::into).map_err(OpError::strip)
    }

    /// The listener for the standard library: non-blocking, until that is changed.
    ///
    /// # Errors
    ///
    /// [`Closed`](netpoll::Closed).
    pub fn into_std(self) -> io::Result<net::TcpListener> {
        self.inner.try_into()
    }

    /// `IP_TTL`
    ///
    /// # Errors
    ///
    /// What `getsockopt(2)` says.
    pub fn ttl(&self) -> io::Result<u32> {
        self.inner.ttl()
    }

    /// `IP_TTL`
    ///
    /// # Errors
    ///
    /// What `setsockopt(2)` says.
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        self.inner.set_ttl(ttl)
    }
}

impl TryFrom<net::TcpStream> for TcpStream {
    type Error = io::Error;

    fn try_from(stream: net::TcpStream) -> io::Result<Self> {
        Self::from_std(stream)
    }
}

impl TryFrom<net::TcpListener> for TcpListener {
    type Error = io::Error;

    fn try_from(listener: net::TcpListener) -> io::Result<Self> {
        Self::from_std(listener)
    }
}
