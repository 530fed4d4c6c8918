//! The socket of every kind, in async-net's shape: deadlines, addresses, close and conversions. Streams, listeners and
//! datagram sockets are operations on it.

use std::fmt;
use std::io;
use std::net;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::net as unix;

use netpoll_futures::{Deadline, Deadlines, OpError, PeerSocket, Reactor, StdSocket};

/// A socket: a [`Stream`](super::Stream), a [`Listener`](super::Listener) or a [`Datagram`](super::Datagram), over TCP,
/// UDP or Unix sockets.
///
/// Clones are the same socket. Each method fails with the error of the system,
/// [`Closed`](netpoll_futures::Closed) or [`DeadlineExceeded`](netpoll_futures::DeadlineExceeded).
pub struct Socket<S: StdSocket>(pub(super) netpoll_futures::Socket<S>);

impl<S: StdSocket> Socket<S> {
    /// Sets or clears the deadline of both directions. smol's sockets have no deadlines.
    pub fn set_deadline(&self, deadline: impl Into<Deadline>) -> io::Result<()> {
        self.0.set_deadline(deadline)
    }

    /// Sets or clears the deadline of reading, accepting or receiving: from then on, pending and later operations fail
    /// with [`DeadlineExceeded`](netpoll_futures::DeadlineExceeded), until the deadline is moved.
    pub fn set_read_deadline(&self, deadline: impl Into<Deadline>) -> io::Result<()> {
        self.0.set_read_deadline(deadline)
    }

    /// Sets or clears the deadline of writing or sending, as
    /// [`set_read_deadline`](Self::set_read_deadline) does for reading.
    pub fn set_write_deadline(&self, deadline: impl Into<Deadline>) -> io::Result<()> {
        self.0.set_write_deadline(deadline)
    }

    /// A handle that sets the deadlines and does not keep the socket open: for the owner of a socket that a library has
    /// taken.
    #[must_use]
    pub fn deadlines(&self) -> Deadlines {
        self.0.deadlines()
    }

    /// The local address.
    pub fn local_addr(&self) -> io::Result<S::Address> {
        self.0.local_addr()
    }

    /// The socket of `netpoll-futures`, with the methods that smol's sockets do not have.
    #[must_use]
    pub fn get_ref(&self) -> &netpoll_futures::Socket<S> {
        &self.0
    }

    /// Closes the socket for all clones: pending operations fail with [`Closed`](netpoll_futures::Closed),
    /// and the future resolves when the descriptor is closed.
    ///
    /// It has a name of its own, since smol's `AsyncWriteExt::close` only shuts down writing.
    pub async fn close_socket(&self) -> io::Result<()> {
        self.0.close().await
    }
}

/// Streams and datagram sockets.
impl<S: PeerSocket> Socket<S> {
    /// The address of the peer.
    pub fn peer_addr(&self) -> io::Result<S::Address> {
        self.0.peer_addr()
    }

    /// Reads bytes, or receives a datagram, which stay in the socket.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, nothing changes.
    pub async fn peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.peek(buffer).await.map_err(OpError::strip)
    }
}

/// Prints the descriptor and the addresses, as the standard library does.
impl<S: StdSocket> fmt::Debug for Socket<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A clone is the same socket.
impl<S: StdSocket> Clone for Socket<S> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<S: StdSocket> AsFd for Socket<S> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl<S: StdSocket> AsRawFd for Socket<S> {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

impl<S: StdSocket> From<netpoll_futures::Socket<S>> for Socket<S> {
    fn from(socket: netpoll_futures::Socket<S>) -> Self {
        Self(socket)
    }
}

impl<S: StdSocket> From<Socket<S>> for netpoll_futures::Socket<S> {
    fn from(socket: Socket<S>) -> Self {
        socket.0
    }
}

/// The socket becomes non-blocking. As in smol, its other options stay as they are, and the connections of a listener have those that
/// they inherit.
impl<S: StdSocket> TryFrom<OwnedFd> for Socket<S> {
    type Error = io::Error;

    fn try_from(fd: OwnedFd) -> io::Result<Self> {
        let socket = netpoll_futures::Socket::register_as_it_is_on(Reactor::global()?, fd);
        socket.map(Self).map_err(OpError::strip)
    }
}

/// The socket itself if this is the last clone, otherwise a duplicate. It stays non-blocking.
impl<S: StdSocket> TryFrom<Socket<S>> for OwnedFd {
    type Error = io::Error;

    fn try_from(socket: Socket<S>) -> io::Result<Self> {
        socket.0.try_into()
    }
}

macro_rules! convert {
    ($($std:ty),+) => {$(
        /// The socket becomes non-blocking.
        impl TryFrom<$std> for Socket<$std> {
            type Error = io::Error;

            fn try_from(socket: $std) -> io::Result<Self> {
                OwnedFd::from(socket).try_into()
            }
        }

        /// The socket itself if this is the last clone, otherwise a duplicate. It stays non-blocking.
        impl TryFrom<Socket<$std>> for $std {
            type Error = io::Error;

            fn try_from(socket: Socket<$std>) -> io::Result<Self> {
                socket.0.try_into()
            }
        }
    )+};
}

convert!(net::TcpListener, net::TcpStream, net::UdpSocket);
convert!(unix::UnixDatagram, unix::UnixListener, unix::UnixStream);
