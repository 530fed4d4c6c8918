//! Unix datagram sockets: how they are made and connected.

use std::io;
use std::net::Shutdown;
use std::os::unix::net::{self, SocketAddr};
use std::path::Path;
use std::task::{Context, Poll};

use netpoll::OpError;

use crate::datagram::Datagram;
use crate::forward::{forward, forward_async, forward_poll};
use crate::runtime::reactor;

/// A Unix socket for datagrams. [`Datagram`] has its methods for datagrams. As in tokio, its file stays after it is
/// closed.
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
    /// Binds to a path, at which it makes a file. No later call removes the file.
    ///
    /// # Errors
    ///
    /// The error of `bind(2)`. A path that exists is in use, also if no socket receives there.
    pub fn bind(path: impl AsRef<Path>) -> io::Result<Self> {
        netpoll_futures::UnixDatagram::bind_on(&reactor()?, path)
            .map(Into::into)
            .map_err(OpError::strip)
    }

    /// [`bind`](Self::bind) to an address: a path, or an abstract name, which is free again after the
    /// socket is closed. tokio has no such method.
    ///
    /// # Errors
    ///
    /// The error of `bind(2)`.
    pub fn bind_addr(address: &SocketAddr) -> io::Result<Self> {
        netpoll_futures::UnixDatagram::bind_addr_on(&reactor()?, address)
            .map(Into::into)
            .map_err(OpError::strip)
    }

    /// Makes two sockets without names that are connected to each other.
    ///
    /// # Errors
    ///
    /// The error of `socketpair(2)` or `epoll_ctl(2)`.
    pub fn pair() -> io::Result<(Self, Self)> {
        let pair = netpoll_futures::UnixDatagram::pair_on(&reactor()?).map_err(OpError::strip);
        pair.map(|(one, other)| (one.into(), other.into()))
    }

    /// Makes a socket without a name. It can send, and receive only from a socket to which it is connected and
    /// that is connected to it.
    ///
    /// # Errors
    ///
    /// The error of `socket(2)` or `epoll_ctl(2)`.
    pub fn unbound() -> io::Result<Self> {
        netpoll_futures::UnixDatagram::unbound_on(&reactor()?)
            .map(Into::into)
            .map_err(OpError::strip)
    }

    forward! { self.inner:
        /// Connects to the socket at a path: [`send`](Self::send) sends there, and the socket receives only from
        /// there. It may be connected again at any time.
        fn connect(&self, path: impl AsRef<Path>) -> io::Result<()>;

        /// [`connect`](Self::connect) to an address: a path, or an abstract name. tokio has no such method.
        fn connect_addr(&self, address: &SocketAddr) -> io::Result<()>;

        /// Attempts [`send_to`](Self::send_to).
        fn try_send_to(&self, datagram: &[u8], path: impl AsRef<Path>) -> io::Result<usize>;

        /// Shuts down receiving, sending or both: a send then fails with `EPIPE`. A receive that finds no datagram waits
        /// all the same; see [`netpoll_futures::UnixDatagram::shutdown`].
        fn shutdown(&self, how: Shutdown) -> io::Result<()>;
    }

    forward_async! { self.inner:
        /// Sends a datagram to the socket at a path, as soon as there is room. If that socket is slow to
        /// receive, see [`netpoll_futures::UnixDatagram::send_to`].
        async fn send_to(&self, datagram: &[u8], path: impl AsRef<Path>) -> io::Result<usize>;

        /// [`send_to`](Self::send_to) an address, for example the abstract name of a sender. tokio has no such
        /// method.
        async fn send_to_addr(&self, datagram: &[u8], to: &SocketAddr) -> io::Result<usize>;
    }

    forward_poll! { self.inner:
        /// Polls [`send_to`](Self::send_to).
        fn poll_send_to(&self, cx: &mut Context<'_>, datagram: &[u8], path: impl AsRef<Path>)
            -> Poll<io::Result<usize>>;
    }
}
