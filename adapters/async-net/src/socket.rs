//! The socket of every kind: one [`Async`] that clones share.

use std::fmt;
use std::io;
use std::net::{self, Shutdown};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::net as unix;
use std::sync::Arc;

use async_io::{Async, Deadline};
use netpoll_futures::{Deadlines, PeerSocket, StdSocket};

/// A socket: a [`TcpStream`](crate::TcpStream), a [`TcpListener`](crate::TcpListener), a
/// [`UdpSocket`](crate::UdpSocket), or one of [`unix`](crate::unix).
///
/// A clone is the same socket, which is closed when the last one is dropped. Each method fails with the error of the
/// system, and after [`close_socket`](Self::close_socket) with [`Closed`](crate::Closed). Each that waits also fails with
/// [`DeadlineExceeded`](crate::DeadlineExceeded).
pub struct Socket<S>(pub(crate) Arc<Async<S>>);

impl<S: StdSocket> Socket<S> {
    /// The local address.
    pub fn local_addr(&self) -> io::Result<S::Address> {
        self.while_open(S::own_address)
    }

    /// Sets or clears the deadline of both directions. async-net's sockets have no deadlines.
    pub fn set_deadline(&self, deadline: impl Into<Deadline>) -> io::Result<()> {
        self.0.set_deadline(deadline)
    }

    /// Sets or clears the deadline of reading, accepting or receiving: from then on, pending and later operations fail
    /// with [`DeadlineExceeded`](crate::DeadlineExceeded), until the deadline is moved.
    pub fn set_read_deadline(&self, deadline: impl Into<Deadline>) -> io::Result<()> {
        self.0.set_read_deadline(deadline)
    }

    /// Sets or clears the deadline of writing or sending, as [`set_read_deadline`](Self::set_read_deadline) does for
    /// reading.
    pub fn set_write_deadline(&self, deadline: impl Into<Deadline>) -> io::Result<()> {
        self.0.set_write_deadline(deadline)
    }

    /// A handle that sets the deadlines and does not keep the socket open: for the owner of a socket that a library has
    /// taken.
    #[must_use]
    pub fn deadlines(&self) -> Deadlines {
        self.0.deadlines()
    }

    /// Closes the socket for all clones: pending operations fail with [`Closed`](crate::Closed), and the future resolves
    /// when the descriptor is closed. It has a name of its own, since `AsyncWriteExt::close` only shuts down writing.
    ///
    /// # Errors
    ///
    /// [`Closed`](crate::Closed) if it was closed before.
    ///
    /// # Cancel safety
    ///
    /// The first poll begins the close. Dropped after that, it still closes the descriptor.
    pub async fn close_socket(&self) -> io::Result<()> {
        Async::close(&self.0).await
    }

    /// Calls the socket of the standard library.
    pub(crate) fn while_open<R>(&self, call: impl FnOnce(&S) -> io::Result<R>) -> io::Result<R> {
        self.0.registration().while_open(call)
    }
}

/// Streams and datagram sockets.
impl<S: PeerSocket> Socket<S> {
    /// The address of the peer.
    pub fn peer_addr(&self) -> io::Result<S::Address> {
        self.while_open(S::peer_address)
    }

    /// Shuts down reading, writing or both, for all clones: a pending read returns the end of the stream, and a pending
    /// write fails.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        netpoll_futures::shutdown(self.0.registration(), how)
    }
}

/// Prints the socket as the standard library does.
impl<S: fmt::Debug> fmt::Debug for Socket<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A clone is the same socket.
impl<S> Clone for Socket<S> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<S: AsFd> AsFd for Socket<S> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl<S: AsRawFd> AsRawFd for Socket<S> {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

impl<S> From<Async<S>> for Socket<S> {
    fn from(object: Async<S>) -> Self {
        Self(object.into())
    }
}

/// The `Async` that this clone and the others share.
impl<S> From<Socket<S>> for Arc<Async<S>> {
    fn from(socket: Socket<S>) -> Self {
        socket.0
    }
}

/// [`Async::new`]
impl<S: StdSocket> TryFrom<OwnedFd> for Socket<S> {
    type Error = io::Error;

    fn try_from(fd: OwnedFd) -> io::Result<Self> {
        Async::new(S::from(fd)).map(Self::from)
    }
}

macro_rules! try_from_std {
    ($($socket:ty),+) => {$(
        /// [`Async::new`]
        impl TryFrom<$socket> for Socket<$socket> {
            type Error = io::Error;

            fn try_from(socket: $socket) -> io::Result<Self> {
                Async::new(socket).map(Self::from)
            }
        }
    )+};
}
try_from_std!(net::TcpListener, net::TcpStream, net::UdpSocket);
try_from_std!(unix::UnixDatagram, unix::UnixListener, unix::UnixStream);
