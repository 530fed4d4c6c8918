//! Unix sockets.

use std::io;
use std::os::unix::net;
use std::path::Path;

#[doc(no_inline)]
pub use std::net::Shutdown;
#[doc(no_inline)]
pub use std::os::unix::net::SocketAddr;

use netpoll_futures::OpError;

use super::{Datagram, Listener, Stream};

/// A Unix socket for datagrams.
pub type UnixDatagram = Datagram<net::UnixDatagram>;

/// A connection over a Unix socket.
pub type UnixStream = Stream<net::UnixStream>;

/// A Unix socket that accepts connections. As in smol, its file stays after it is closed.
/// [`set_unlink_on_close`](netpoll_futures::UnixListener::set_unlink_on_close) of
/// [`get_ref`](Listener::get_ref) removes it then, as Go does.
pub type UnixListener = Listener<net::UnixListener>;

impl UnixStream {
    /// Connects to the socket at `path`. See [`netpoll_futures::UnixStream::connect`].
    ///
    /// # Errors
    ///
    /// The error of `connect(2)`.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, it leaves no socket behind.
    pub async fn connect(path: impl AsRef<Path>) -> io::Result<Self> {
        netpoll_futures::UnixStream::connect(path).await.map(Self::from).map_err(OpError::strip)
    }

    /// Makes two sockets that are connected to each other.
    ///
    /// # Errors
    ///
    /// The error of `socketpair(2)`.
    pub fn pair() -> io::Result<(Self, Self)> {
        let pair = netpoll_futures::UnixStream::pair().map_err(OpError::strip);
        pair.map(|(one, other)| (one.into(), other.into()))
    }
}

impl UnixListener {
    /// Binds to `path`. See [`netpoll_futures::UnixListener::bind`].
    ///
    /// # Errors
    ///
    /// The error of `bind(2)` or `listen(2)`.
    pub fn bind(path: impl AsRef<Path>) -> io::Result<Self> {
        let listener = netpoll_futures::UnixListener::bind(path).map_err(OpError::strip)?;
        // A program for smol removes the file itself, and may bind another socket to it by then.
        listener.set_unlink_on_close(false);
        Ok(listener.into())
    }
}
