//! Unix streams and listeners: how they are made, and the credentials of a peer.

use std::io;
use std::os::unix::net::{self, SocketAddr};
use std::path::Path;
use std::time::Duration;

use netpoll::OpError;
use netpoll_futures::sys::Credentials;

use crate::listener::Listener;
use crate::runtime::reactor;
use crate::stream::Stream;

/// A connection over a Unix socket. [`Stream`] has its methods for bytes.
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// use netpoll_tokio::net::UnixStream;
/// use tokio::io::AsyncWriteExt;
///
/// let (mut near, far) = UnixStream::pair()?;
/// near.write_all(b"hello").await?;
/// let mut buffer = Vec::with_capacity(8);
/// far.readable().await?;
/// assert_eq!(far.try_read_buf(&mut buffer)?, 5);
/// assert_eq!(buffer, b"hello");
/// # Ok(()) }) }
/// ```
pub type UnixStream = Stream<net::UnixStream>;

/// A Unix socket that accepts connections. As in tokio, its file stays after it is closed.
/// [`set_unlink_on_close`](netpoll_futures::UnixListener::set_unlink_on_close) of
/// [`get_ref`](Listener::get_ref) removes it then, as Go does.
pub type UnixListener = Listener<net::UnixListener>;

/// The credentials of the peer of a Unix socket, from the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct UCred(Credentials);

impl UCred {
    /// The effective user.
    #[must_use]
    pub fn uid(&self) -> u32 {
        self.0.uid
    }

    /// The effective group.
    #[must_use]
    pub fn gid(&self) -> u32 {
        self.0.gid
    }

    /// The process, if it is visible in the namespace of this process.
    #[must_use]
    pub fn pid(&self) -> Option<i32> {
        (self.0.pid != 0).then_some(self.0.pid)
    }
}

impl UnixStream {
    /// Connects to a path, or to an abstract name if the path begins with a zero byte. While the listener's queue
    /// is full, it waits for room.
    ///
    /// # Errors
    ///
    /// The error of `connect(2)`.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, it leaves no socket behind.
    pub async fn connect(path: impl AsRef<Path>) -> io::Result<Self> {
        netpoll_futures::UnixStream::connect_on(&reactor()?, path)
            .await
            .map(Into::into)
            .map_err(OpError::strip)
    }

    /// [`connect`](Self::connect), for at most `timeout`. tokio has no such method.
    ///
    /// # Errors
    ///
    /// Also [`DeadlineExceeded`](netpoll::DeadlineExceeded).
    pub async fn connect_timeout(path: impl AsRef<Path>, timeout: Duration) -> io::Result<Self> {
        let reactor = reactor()?;
        let connected =
            netpoll_futures::UnixStream::connect_deadline_on(&reactor, path, timeout).await;
        connected.map(Into::into).map_err(OpError::strip)
    }

    /// [`connect`](Self::connect) to an address.
    ///
    /// # Errors
    ///
    /// The error of `connect(2)`.
    pub async fn connect_addr(address: &SocketAddr) -> io::Result<Self> {
        let connected = netpoll_futures::UnixStream::connect_addr_on(&reactor()?, address).await;
        connected.map(Into::into).map_err(OpError::strip)
    }

    /// Makes two streams without names that are connected to each other.
    ///
    /// # Errors
    ///
    /// The error of `socketpair(2)` or `epoll_ctl(2)`.
    pub fn pair() -> io::Result<(Self, Self)> {
        let pair = netpoll_futures::UnixStream::pair_on(&reactor()?).map_err(OpError::strip);
        pair.map(|(one, other)| (one.into(), other.into()))
    }

    /// The credentials that the peer had when the connection was made.
    ///
    /// # Errors
    ///
    /// [`Closed`](netpoll::Closed), or the error of `getsockopt(2)`.
    pub fn peer_cred(&self) -> io::Result<UCred> {
        self.inner.peer_cred().map(UCred)
    }
}

impl UnixListener {
    /// Binds to a path, or to an abstract name if the path begins with a zero byte, and listens.
    ///
    /// # Errors
    ///
    /// The error of `bind(2)`. A path that exists is in use, also if no socket listens.
    pub fn bind(path: impl AsRef<Path>) -> io::Result<Self> {
        let bound = netpoll_futures::UnixListener::bind_on(&reactor()?, path);
        bound.map(Self::with_lasting_file).map_err(OpError::strip)
    }

    /// Binds to an address, and listens.
    ///
    /// # Errors
    ///
    /// The error of `bind(2)`.
    pub fn bind_addr(address: &SocketAddr) -> io::Result<Self> {
        let bound = netpoll_futures::UnixListener::bind_addr_on(&reactor()?, address);
        bound.map(Self::with_lasting_file).map_err(OpError::strip)
    }

    /// A program for tokio removes the file itself.
    fn with_lasting_file(listener: netpoll_futures::UnixListener) -> Self {
        listener.set_unlink_on_close(false);
        listener.into()
    }
}
