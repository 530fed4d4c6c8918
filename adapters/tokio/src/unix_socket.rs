//! A Unix socket that is not connected and does not listen yet.

use std::io;
use std::os::fd::{AsFd, IntoRawFd, OwnedFd, RawFd};
use std::os::unix::net;
use std::path::Path;

use netpoll::OpError;
use netpoll_futures::sys;

use crate::forward::unregistered;
use crate::runtime::reactor;
use crate::unix::{UnixListener, UnixStream};
use crate::unix_datagram::UnixDatagram;

/// A Unix socket for a stream or for datagrams that is not connected and does not listen yet: to bind a stream before
/// it connects, or to choose the length of a listener's queue.
///
/// It is not registered with the reactor until it becomes a [`UnixListener`], a [`UnixStream`] or a
/// [`UnixDatagram`].
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// use netpoll_tokio::net::UnixSocket;
///
/// let path = std::env::temp_dir().join(format!("netpoll-tokio-socket-{}", std::process::id()));
/// let socket = UnixSocket::new_stream()?;
/// socket.bind(&path)?;
/// let listener = socket.listen(16)?;
/// let client = UnixSocket::new_stream()?.connect(&path).await?;
/// listener.accept().await?;
/// # drop(client);
/// std::fs::remove_file(path)
/// # }) }
/// ```
#[derive(Debug)]
pub struct UnixSocket {
    socket: OwnedFd,
}

unregistered!(UnixSocket);

impl UnixSocket {
    /// Makes a socket for a stream.
    ///
    /// # Errors
    ///
    /// The error of `socket(2)`.
    pub fn new_stream() -> io::Result<Self> {
        sys::unix_stream().map(Self::from)
    }

    /// Makes a socket for datagrams.
    ///
    /// # Errors
    ///
    /// The error of `socket(2)`.
    pub fn new_datagram() -> io::Result<Self> {
        let socket = net::UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        Ok(OwnedFd::from(socket).into())
    }

    /// Binds the socket to a path, where this makes a file, or to an abstract name if the path begins with a zero
    /// byte. No later call removes the file.
    ///
    /// # Errors
    ///
    /// The error of `bind(2)`. A path that exists is in use, also if no socket listens.
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) for a path that is too long.
    pub fn bind(&self, path: impl AsRef<Path>) -> io::Result<()> {
        sys::bind_unix(self.as_fd(), &sys::unix_address(path.as_ref())?)
    }

    /// Makes the socket listen, with a queue for `backlog` connections.
    ///
    /// # Errors
    ///
    /// The error of `listen(2)` or of `epoll_ctl(2)`; an error of the kind [`Other`](io::ErrorKind::Other) for a
    /// socket of datagrams.
    pub fn listen(self, backlog: u32) -> io::Result<UnixListener> {
        self.refuse_datagrams("listen")?;
        sys::listen_with_backlog(self.as_fd(), backlog)?;
        UnixListener::from_std(self.socket.into())
    }

    /// Connects the socket to the listener at a path, or at an abstract name if the path begins with a zero byte.
    /// While the listener's queue is full, it waits for room; tokio fails with `WouldBlock` then.
    ///
    /// # Errors
    ///
    /// The error of `connect(2)`; an error of the kind [`Other`](io::ErrorKind::Other) for a socket of datagrams.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, it closes the socket.
    pub async fn connect(self, path: impl AsRef<Path>) -> io::Result<UnixStream> {
        self.refuse_datagrams("connect")?;
        let address = sys::unix_address(path.as_ref())?;
        let connected =
            netpoll_futures::UnixStream::connect_with_on(&reactor()?, self.socket, &address).await;
        connected.map(Into::into).map_err(OpError::strip)
    }

    /// Registers the socket, to send and receive datagrams.
    ///
    /// # Errors
    ///
    /// The error of `epoll_ctl(2)`; an error of the kind [`Other`](io::ErrorKind::Other) for a socket of streams.
    pub fn datagram(self) -> io::Result<UnixDatagram> {
        if sys::is_stream(self.as_fd()) {
            return Err(io::Error::other("datagram cannot be called on a stream socket"));
        }
        UnixDatagram::from_std(self.socket.into())
    }

    fn refuse_datagrams(&self, operation: &str) -> io::Result<()> {
        if sys::is_datagram(self.as_fd()) {
            let message = format!("{operation} cannot be called on a datagram socket");
            return Err(io::Error::other(message));
        }
        Ok(())
    }
}
