//! Unix sockets: how connections and listeners are made, and what is told of them.

use std::io;
use std::os::unix::net::{self, SocketAddr};
use std::path::Path;

use netpoll::OpError;
use netpoll_futures::sys::Credentials;

use crate::listener::Listener;
use crate::stream::{OwnedReadHalf, OwnedWriteHalf, ReadHalf, Stream, WriteHalf};

/// A connection over a Unix socket. What it can do with its bytes is in [`Stream`].
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

/// A Unix socket that accepts connections. As in tokio, its file stays when it is closed; with
/// [`set_unlink_on_close`](netpoll_futures::UnixListener::set_unlink_on_close), Go's way, it goes.
pub type UnixListener = Listener<net::UnixListener>;

/// Who is at the other end of a Unix socket: the kernel vouches for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct UCred(Credentials);

impl UCred {
    /// Its effective user.
    #[must_use]
    pub fn uid(&self) -> u32 {
        self.0.uid
    }

    /// Its effective group.
    #[must_use]
    pub fn gid(&self) -> u32 {
        self.0.gid
    }

    /// The process, where it is one of our namespace.
    #[must_use]
    pub fn pid(&self) -> Option<i32> {
        (self.0.pid != 0).then_some(self.0.pid)
    }
}

impl UnixStream {
    /// Connects to a path, or to an abstract name if it begins with a zero. Where the listener's queue
    /// is full, it waits for room.
    ///
    /// # Errors
    ///
    /// What `connect(2)` says.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it leaves no socket behind.
    pub async fn connect(path: impl AsRef<Path>) -> io::Result<Self> {
        netpoll_futures::UnixStream::connect(path).await.map(Into::into).map_err(OpError::strip)
    }

    /// [`connect`](Self::connect), to an address.
    ///
    /// # Errors
    ///
    /// What `connect(2)` says.
    pub async fn connect_addr(address: &SocketAddr) -> io::Result<Self> {
        netpoll_futures::UnixStream::connect_addr(address)
            .await
            .map(Into::into)
            .map_err(OpError::strip)
    }

    /// Two streams that are connected to each other and have no names.
    ///
    /// # Errors
    ///
    /// What `socketpair(2)` says, or `epoll_ctl(2)`.
    pub fn pair() -> io::Result<(Self, Self)> {
        let pair = netpoll_futures::UnixStream::pair().map_err(OpError::strip);
        pair.map(|(one, other)| (one.into(), other.into()))
    }

    /// A stream of the standard library's, which is made non-blocking.
    ///
    /// # Errors
    ///
    /// What `fcntl(2)` or `epoll_ctl(2)` says.
    pub fn from_std(stream: net::UnixStream) -> io::Result<Self> {
        netpoll_futures::UnixStream::try_from(stream).map(Into::into).map_err(OpError::strip)
    }

    /// The stream for the standard library: non-blocking, until that is changed.
    ///
    /// # Errors
    ///
    /// [`Closed`](netpoll::Closed).
    pub fn into_std(self) -> io::Result<net::UnixStream> {
        self.inner.try_into()
    }
}

/// Each fails with what `getsockname(2)`, `getpeername(2)` or `getsockopt(2)` says, and after
/// [`close`](Stream::close).
impl UnixStream {
    /// Our address.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.local_addr()
    }

    /// The peer's address.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.inner.peer_addr()
    }

    /// Who the peer is: what the kernel noted when the connection was made.
    pub fn peer_cred(&self) -> io::Result<UCred> {
        self.inner.peer_cred().map(UCred)
    }

    /// `SO_ERROR`, which reading it clears.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.inner.take_error()
    }
}

impl UnixListener {
    /// Binds to a path, or to an abstract name if it begins with a zero, and listens.
    ///
    /// # Errors
    ///
    /// What `bind(2)` says. A path that exists is in use, also where no socket listens.
    pub fn bind(path: impl AsRef<Path>) -> io::Result<Self> {
        netpoll_futures::UnixListener::bind(path)
            .map(Self::with_lasting_file)
            .map_err(OpError::strip)
    }

    /// Binds to an address, and listens.
    ///
    /// # Errors
    ///
    /// What `bind(2)` says.
    pub fn bind_addr(address: &SocketAddr) -> io::Result<Self> {
        netpoll_futures::UnixListener::bind_addr(address)
            .map(Self::with_lasting_file)
            .map_err(OpError::strip)
    }

    /// tokio's way. Programs that are written for it remove the file themselves.
    fn with_lasting_file(listener: netpoll_futures::UnixListener) -> Self {
        listener.set_unlink_on_close(false);
        listener.into()
    }

    /// A listener of the standard library's, which is made non-blocking.
    ///
    /// # Errors
    ///
    /// What `fcntl(2)` or `epoll_ctl(2)` says.
    pub fn from_std(listener: net::UnixListener) -> io::Result<Self> {
        netpoll_futures::UnixListener::try_from(listener).map(Into::into).map_err(OpError::strip)
    }

    /// The listener for the standard library: non-blocking, until that is changed.
    ///
    /// # Errors
    ///
    /// [`Closed`](netpoll::Closed).
    pub fn into_std(self) -> io::Result<net::UnixListener> {
        self.inner.try_into()
    }

    /// `SO_ERROR`, which reading it clears.
    ///
    /// # Errors
    ///
    /// What `getsockopt(2)` says.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.inner.registration().while_open(net::UnixListener::take_error)
    }
}

impl TryFrom<net::UnixStream> for UnixStream {
    type Error = io::Error;

    fn try_from(stream: net::UnixStream) -> io::Result<Self> {
        Self::from_std(stream)
    }
}

impl TryFrom<net::UnixListener> for UnixListener {
    type Error = io::Error;

    fn try_from(listener: net::UnixListener) -> io::Result<Self> {
        Self::from_std(listener)
    }
}

macro_rules! addresses {
    ($($half:ty),+) => {$(
        impl $half {
            /// Our address.
            ///
            /// # Errors
            ///
            /// What `getsockname(2)` says.
            pub fn local_addr(&self) -> io::Result<SocketAddr> {
                self.as_ref().local_addr()
            }

            /// The peer's address.
            ///
            /// # Errors
            ///
            /// What `getpeername(2)` says.
            pub fn peer_addr(&self) -> io::Result<SocketAddr> {
                self.as_ref().peer_addr()
            }
        }
    )+};
}

addresses!(
    ReadHalf<'_, net::UnixStream>,
    WriteHalf<'_, net::UnixStream>,
    OwnedReadHalf<net::UnixStream>,
    OwnedWriteHalf<net::UnixStream>
);
