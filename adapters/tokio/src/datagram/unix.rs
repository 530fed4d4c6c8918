//! Datagrams over Unix sockets: how sockets are made and connected.

use std::io;
use std::net::Shutdown;
use std::os::unix::net::{self, SocketAddr};
use std::path::Path;
use std::task::{Context, Poll};

use netpoll::OpError;

use super::{Datagram, poll, spend};

/// A Unix socket for datagrams. What it can do with them is in [`Datagram`]. As in tokio, its file stays
/// when it is closed.
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// use netpoll_tokio::net::UnixDatagram;
///
/// let (near, far) = UnixDatagram::pair()?;
/// near.send(b"hello").await?;
/// near.send(b"again").await?;
/// let mut buffer = Vec::with_capacity(64);
/// assert_eq!(far.recv_buf(&mut buffer).await?, 5);
/// assert_eq!(buffer, b"hello");
/// # Ok(()) }) }
/// ```
pub type UnixDatagram = Datagram<net::UnixDatagram>;

impl UnixDatagram {
    /// Binds to a path, at which a socket is made. Nobody removes it.
    ///
    /// # Errors
    ///
    /// What `bind(2)` says. A path that exists is in use, also where no socket receives.
    pub fn bind(path: impl AsRef<Path>) -> io::Result<Self> {
        netpoll_futures::UnixDatagram::bind(path).map(Into::into).map_err(OpError::strip)
    }

    /// Two without names that are connected to each other.
    ///
    /// # Errors
    ///
    /// What `socketpair(2)` says, or `epoll_ctl(2)`.
    pub fn pair() -> io::Result<(Self, Self)> {
        let pair = netpoll_futures::UnixDatagram::pair().map_err(OpError::strip);
        pair.map(|(one, other)| (one.into(), other.into()))
    }

    /// One without a name: it can send, and receive from whom it is connected to if that is so
    /// mutually.
    ///
    /// # Errors
    ///
    /// What `socket(2)` says, or `epoll_ctl(2)`.
    pub fn unbound() -> io::Result<Self> {
        netpoll_futures::UnixDatagram::unbound().map(Into::into).map_err(OpError::strip)
    }

    /// Connects to the socket at a path: [`send`](Self::send) sends there, and only what comes from
    /// there is received. It may be connected anew at any time.
    ///
    /// # Errors
    ///
    /// [`Closed`](netpoll::Closed), or what `connect(2)` says.
    pub fn connect(&self, path: impl AsRef<Path>) -> io::Result<()> {
        self.inner.connect(path).map_err(OpError::strip)
    }

    /// Sends a datagram to the socket at a path, as soon as there is room. Where that socket is slow to
    /// receive, see [`netpoll_futures::UnixDatagram::send_to`].
    ///
    /// # Errors
    ///
    /// As for every [datagram](Datagram#errors), or that there is no such path.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it has sent nothing.
    pub async fn send_to(&self, datagram: &[u8], path: impl AsRef<Path>) -> io::Result<usize> {
        spend(self.inner.send_to(datagram, path)).await
    }

    /// [`send_to`](Self::send_to) now, or `WouldBlock`.
    ///
    /// # Errors
    ///
    /// `WouldBlock`, and as for [`send_to`](Self::send_to).
    pub fn try_send_to(&self, datagram: &[u8], path: impl AsRef<Path>) -> io::Result<usize> {
        self.inner.try_send_to(datagram, path).map_err(OpError::strip)
    }

    /// [`send_to`](Self::send_to) for those who poll.
    ///
    /// # Errors
    ///
    /// As for [`send_to`](Self::send_to).
    pub fn poll_send_to(
        &self,
        cx: &mut Context<'_>,
        datagram: &[u8],
        path: impl AsRef<Path>,
    ) -> Poll<io::Result<usize>> {
        poll(cx, |cx| self.inner.poll_send_to(cx, datagram, path))
    }

    /// Ends receiving, sending or both: what is sent then fails with `EPIPE`. A receive that finds
    /// nothing waits all the same; see [`netpoll_futures::UnixDatagram::shutdown`].
    ///
    /// # Errors
    ///
    /// [`Closed`](netpoll::Closed), or what `shutdown(2)` says.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.inner.shutdown(how)
    }

    /// `SO_ERROR`, which reading it clears.
    ///
    /// # Errors
    ///
    /// [`Closed`](netpoll::Closed), or what `getsockopt(2)` says.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.inner.take_error()
    }

    /// A socket of the standard library's, which is made non-blocking.
    ///
    /// # Errors
    ///
    /// What `fcntl(2)` or `epoll_ctl(2)` says.
    pub fn from_std(socket: net::UnixDatagram) -> io::Result<Self> {
        netpoll_futures::UnixDatagram::try_from(socket).map(Into::into).map_err(OpError::strip)
    }

    /// The socket for the standard library: non-blocking, until that is changed.
    ///
    /// # Errors
    ///
    /// [`Closed`](netpoll::Closed).
    pub fn into_std(self) -> io::Result<net::UnixDatagram> {
        self.inner.try_into()
    }
}

/// Addresses that are no paths, for which tokio has no methods.
impl UnixDatagram {
    /// [`bind`](Self::bind) to an address: a path, or an abstract name, which is free again when the
    /// socket is closed.
    ///
    /// # Errors
    ///
    /// What `bind(2)` says.
    pub fn bind_addr(address: &SocketAddr) -> io::Result<Self> {
        netpoll_futures::UnixDatagram::bind_addr(address).map(Into::into).map_err(OpError::strip)
    }

    /// [`connect`](Self::connect) to an address: a path, or an abstract name.
    ///
    /// # Errors
    ///
    /// [`Closed`](netpoll::Closed), or what `connect(2)` says.
    pub fn connect_addr(&self, address: &SocketAddr) -> io::Result<()> {
        self.inner.connect_addr(address).map_err(OpError::strip)
    }

    /// [`send_to`](Self::send_to) an address: what answers one who has an abstract name.
    ///
    /// # Errors
    ///
    /// As for every [datagram](Datagram#errors).
    ///
    /// # Cancel safety
    ///
    /// Dropped, it has sent nothing.
    pub async fn send_to_addr(&self, datagram: &[u8], to: &SocketAddr) -> io::Result<usize> {
        spend(self.inner.send_to_addr(datagram, to)).await
    }
}

impl TryFrom<net::UnixDatagram> for UnixDatagram {
    type Error = io::Error;

    fn try_from(socket: net::UnixDatagram) -> io::Result<Self> {
        Self::from_std(socket)
    }
}
