//! The socket of every kind: deadlines, readiness, close and conversions. Streams, listeners and datagram
//! sockets are operations on it.

use std::fmt;
use std::io;
use std::net;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::net as unix;
use std::sync::Arc;
use std::task::{Context, Poll};

use netpoll::{Closed, Deadline, Direction, OpError, Reactor, Registration};

use crate::deadlines::{Deadlines, SetDeadlines};
use crate::linger::Lingering;
use crate::sealed::{Address, Extra, PeerSocket, StdSocket};
use crate::sys;

/// A socket: a [`Stream`](crate::Stream), a [`Listener`](crate::Listener) or a
/// [`Datagram`](crate::Datagram), over TCP, UDP or Unix sockets.
///
/// Every method takes `&self`: one task may read while another writes and a third sets their deadlines.
/// Clones share one socket; it is closed by [`close`](Self::close), or when the last clone is dropped.
pub struct Socket<S: StdSocket> {
    pub(crate) shared: Arc<Shared<S>>,
}

pub(crate) struct Shared<S: StdSocket> {
    /// Dropped before the registration, so that the file of a Unix listener is removed before its
    /// descriptor is closed.
    pub(crate) extra: S::Extra,
    pub(crate) registration: Registration<S>,
}

impl<S: StdSocket> Socket<S> {
    /// Registers a socket of the standard library, or the descriptor of one, with a reactor that the
    /// caller names: the socket uses that reactor for all that it needs, and never the global one. The
    /// connections that a listener accepts are registered with the listener's reactor.
    ///
    /// The socket is made non-blocking; its other options stay as they are. The connections of a TCP listener have
    /// `TCP_NODELAY`, as in Go: if they do not inherit it, each accept sets it, by one system call. The file of a Unix listener
    /// stays when the listener is closed, unless `set_unlink_on_close` says otherwise.
    ///
    /// ```
    /// use std::time::Duration;
    /// use netpoll_futures::{Reactor, UnixStream, is_deadline_exceeded};
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let reactor = Reactor::builder().build()?;
    /// let (near, _far) = std::os::unix::net::UnixStream::pair()?;
    /// let near = UnixStream::register_on(&reactor, near)?;
    /// near.set_read_deadline(Duration::from_millis(5))?;
    /// let late = reactor.block_on(near.read(&mut [0])).unwrap_err();
    /// assert!(is_deadline_exceeded(&late));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// An error of `ioctl(2)`, or of [registering](Registration::with). The socket is then closed.
    pub fn register_on(reactor: &Reactor, socket: impl Into<S>) -> io::Result<Self> {
        let socket = socket.into();
        sys::set_nonblocking(socket.as_fd(), true)?;
        Self::register_nonblocking(reactor, socket)
    }

    /// [`register_on`](Self::register_on) for adapters whose peers set no options: the connections of a listener have the
    /// options that they inherit.
    #[doc(hidden)]
    pub fn register_as_it_is_on(reactor: &Reactor, socket: impl Into<S>) -> io::Result<Self> {
        let socket = socket.into();
        sys::set_nonblocking(socket.as_fd(), true)?;
        let registration = Registration::with(reactor, socket, S::INTEREST)?;
        let mut extra = registration.get_ref().extra();
        extra.keep_options();
        Ok(Self::with_extra(registration, extra))
    }

    /// The address that the socket is bound to.
    ///
    /// # Errors
    ///
    /// [`Closed`], or an error of `getsockname(2)`.
    pub fn local_addr(&self) -> io::Result<S::Address> {
        self.registration().while_open(S::own_address)
    }

    /// Waits until there are bytes to read, a datagram to receive or a connection to accept; or until
    /// reading would return the end of the stream or an error.
    ///
    /// # Errors
    ///
    /// [`Closed`] or [`DeadlineExceeded`](crate::DeadlineExceeded).
    pub async fn readable(&self) -> io::Result<()> {
        self.registration().ready(Direction::Read).await.map(drop)
    }

    /// Waits until there is room to write or to send, or until writing would fail. A datagram socket or
    /// a Unix socket counts as having room until a write has blocked.
    ///
    /// # Errors
    ///
    /// [`Closed`] or [`DeadlineExceeded`](crate::DeadlineExceeded).
    pub async fn writable(&self) -> io::Result<()> {
        self.registration().ready(Direction::Write).await.map(drop)
    }

    /// Calls an operation on the socket, if the direction is ready; one that writes also if it is not, since the kernel may
    /// have room that it did not report. See [`Registration::try_io`].
    pub fn try_io<R>(
        &self,
        direction: Direction,
        operation: impl FnOnce(&S) -> io::Result<R>,
    ) -> io::Result<R> {
        self.registration().try_io(direction, operation)
    }

    /// Calls an operation on the socket when the direction is ready. See [`Registration::io`].
    pub async fn io<R>(
        &self,
        direction: Direction,
        operation: impl FnMut(&S) -> io::Result<R>,
    ) -> io::Result<R> {
        self.registration().io(direction, operation).await
    }

    /// Sets or clears the deadline of reading and writing; on a listener, that of accepting.
    /// [`Registration::set_read_deadline`] explains deadlines.
    ///
    /// # Errors
    ///
    /// [`Closed`].
    #[inline]
    pub fn set_deadline(&self, deadline: impl Into<Deadline>) -> io::Result<()> {
        self.registration().set_deadline(deadline)
    }

    /// Sets or clears the deadline of reading, receiving or accepting.
    ///
    /// # Errors
    ///
    /// [`Closed`].
    #[inline]
    pub fn set_read_deadline(&self, deadline: impl Into<Deadline>) -> io::Result<()> {
        self.registration().set_read_deadline(deadline)
    }

    /// Sets or clears the deadline of writing or sending. It has no effect on a listener.
    ///
    /// # Errors
    ///
    /// [`Closed`].
    #[inline]
    pub fn set_write_deadline(&self, deadline: impl Into<Deadline>) -> io::Result<()> {
        self.registration().set_write_deadline(deadline)
    }

    /// A handle that sets these deadlines after the socket was moved into a library. It does not keep
    /// the socket open.
    #[must_use]
    pub fn deadlines(&self) -> Deadlines {
        Deadlines::of(&self.shared)
    }

    /// `SO_ERROR`. Reading it clears it.
    ///
    /// # Errors
    ///
    /// [`Closed`], or an error of `getsockopt(2)`.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.registration().while_open(S::error)
    }

    /// The reactor that watches the socket. Deadlines follow its clock.
    #[must_use]
    pub fn reactor(&self) -> &Reactor {
        self.registration().reactor()
    }

    /// The registration of the socket, for operations that have no method here.
    #[inline]
    #[must_use]
    pub fn registration(&self) -> &Registration<S> {
        &self.shared.registration
    }

    pub(crate) fn check_open(&self) -> io::Result<()> {
        check_open(self.registration())
    }

    pub(crate) fn with_extra(registration: Registration<S>, extra: S::Extra) -> Self {
        Self { shared: Arc::new(Shared { extra, registration }) }
    }

    /// Registers a socket that is non-blocking already.
    pub(crate) fn register_nonblocking(
        reactor: &Reactor,
        socket: impl Into<S>,
    ) -> io::Result<Self> {
        Registration::with(reactor, socket.into(), S::INTEREST).map(Self::from)
    }

    fn give_back(self) -> io::Result<S> {
        match Arc::try_unwrap(self.shared) {
            Ok(last) => {
                last.extra.given_back();
                last.registration.into_inner()
            }
            Err(shared) => {
                let duplicate = |socket: &S| socket.as_fd().try_clone_to_owned();
                shared.registration.while_open(duplicate).map(S::from)
            }
        }
    }
}

/// Sockets that have a peer.
impl<S: PeerSocket> Socket<S> {
    /// The address of the peer.
    ///
    /// # Errors
    ///
    /// [`Closed`], or an error of `getpeername(2)`: `ENOTCONN` if there is none.
    pub fn peer_addr(&self) -> io::Result<S::Address> {
        self.registration().while_open(S::peer_address)
    }

    /// Reads, and leaves the bytes or the datagram in the queue. With an empty buffer, a stream returns
    /// 0 at once, and a datagram socket waits for a datagram.
    ///
    /// # Errors
    ///
    /// As for reading.
    pub async fn peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        if S::IS_STREAM && buffer.is_empty() {
            return self.nothing_to_read();
        }
        let peek = |socket: &S| sys::peek(socket.as_fd(), buffer);
        let peeked = self.registration().io(Direction::Read, peek).await;
        self.explain("peek", peeked)
    }

    /// [`peek`](Self::peek) without waiting: fails with `WouldBlock` if the queue is empty.
    pub fn try_peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        if S::IS_STREAM && buffer.is_empty() {
            return self.nothing_to_read();
        }
        let peek = |socket: &S| sys::peek(socket.as_fd(), buffer);
        self.explain("peek", self.try_io(Direction::Read, peek))
    }

    /// [`peek`](Self::peek) as a poll function.
    pub fn poll_peek(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        if S::IS_STREAM && buffer.is_empty() {
            return Poll::Ready(self.nothing_to_read());
        }
        let peek = |socket: &S| sys::peek(socket.as_fd(), buffer);
        let peeked = self.registration().poll_io(cx, Direction::Read, peek);
        peeked.map(|peeked| self.explain("peek", peeked))
    }

    pub(crate) fn nothing_to_read(&self) -> io::Result<usize> {
        self.check_open().map(|()| 0)
    }

    /// Adds the operation and an address to a system error of a datagram socket: the peer's address, or
    /// else the socket's own.
    pub(crate) fn explain<R>(&self, operation: &'static str, done: io::Result<R>) -> io::Result<R> {
        done.map_err(|error| {
            if S::IS_STREAM || !is_of_the_system(&error) {
                return error;
            }
            match self.peer_addr().or_else(|_| self.local_addr()) {
                Ok(address) => OpError::wrap(operation, address.text(), error),
                Err(_) => error,
            }
        })
    }
}

/// The end of a socket of any kind.
// Not `S`: rustdoc sorts the blocks by it on the pages of the aliases, and this one is to be the last.
impl<T: StdSocket> Socket<T> {
    /// Closes the socket as Go does: pending operations of all clones fail with [`Closed`]. Once this
    /// future resolves, the descriptor is closed and its address can be bound again. See
    /// [`Registration::close`].
    ///
    /// With `SO_LINGER`, TCP sends the end of the stream at once, behind the written bytes, and this
    /// future resolves when the peer has acknowledged all of them, or after the linger time. Only the
    /// task waits; no thread blocks. The connection ends for duplicates of the descriptor too.
    ///
    /// # Errors
    ///
    /// [`Closed`] if it was closed before.
    ///
    /// # Cancel safety
    ///
    /// The first poll closes the socket. If the future is dropped after that, the socket is closed all
    /// the same, and does not linger.
    pub async fn close(&self) -> io::Result<()> {
        let lingering = self.registration().while_open(|socket| Ok(Lingering::of(socket)))?;
        let closing = self.registration().begin_close()?;
        self.shared.extra.closing();
        let closed = closing.finish().await;
        if let Some(lingering) = lingering {
            let _ = lingering.wait(self.reactor()).await;
        }
        closed
    }
}

pub(crate) fn check_open<S>(registration: &Registration<S>) -> io::Result<()> {
    if registration.is_closed() { Err(Closed::error()) } else { Ok(()) }
}

/// Whether `error` comes from a system call and is not `WouldBlock`.
pub(crate) fn is_of_the_system(error: &io::Error) -> bool {
    error.raw_os_error().is_some() && error.kind() != io::ErrorKind::WouldBlock
}

impl<S: StdSocket> SetDeadlines for Shared<S> {
    fn set(&self, direction: Option<Direction>, deadline: Deadline) -> io::Result<()> {
        self.registration.set(direction, deadline)
    }
}

/// Prints the socket as the standard library does: its descriptor and its addresses.
impl<S: StdSocket> fmt::Debug for Socket<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.registration().get_ref().fmt(f)
    }
}

/// A clone shares the socket.
impl<S: StdSocket> Clone for Socket<S> {
    fn clone(&self) -> Self {
        Self { shared: self.shared.clone() }
    }
}

impl<S: StdSocket> AsFd for Socket<S> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.registration().as_fd()
    }
}

impl<S: StdSocket> AsRawFd for Socket<S> {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

/// For a registration that the caller has made; [`register_on`](Socket::register_on) makes the usual
/// one. The socket must be non-blocking, and registered for the directions that it is used for: a
/// stream for both, a datagram socket or a Unix stream best with
/// [`Interest::WriteOnDemand`](netpoll::Interest::WriteOnDemand).
impl<S: StdSocket> From<Registration<S>> for Socket<S> {
    fn from(registration: Registration<S>) -> Self {
        let extra = registration.get_ref().extra();
        Self::with_extra(registration, extra)
    }
}

/// [`register_on`](Socket::register_on) the global reactor.
impl<S: StdSocket> TryFrom<OwnedFd> for Socket<S> {
    type Error = io::Error;

    fn try_from(fd: OwnedFd) -> io::Result<Self> {
        Self::register_on(Reactor::global()?, fd)
    }
}

/// Returns the socket itself if this is the last clone, otherwise a duplicate. The result stays
/// non-blocking, as the flag belongs to the open file description, which duplicates share.
impl<S: StdSocket> TryFrom<Socket<S>> for OwnedFd {
    type Error = io::Error;

    fn try_from(socket: Socket<S>) -> io::Result<Self> {
        socket.give_back().map(Into::into)
    }
}

/// Conversions to and from the sockets of the standard library. The orphan rule forbids a generic
/// implementation.
macro_rules! convert {
    ($($socket:ty),+) => {$(
        /// [`register_on`](Socket::register_on) the global reactor.
        impl TryFrom<$socket> for Socket<$socket> {
            type Error = io::Error;

            fn try_from(socket: $socket) -> io::Result<Self> {
                Self::register_on(Reactor::global()?, socket)
            }
        }

        /// Returns the socket itself if this is the last clone, otherwise a duplicate. The result stays
        /// non-blocking.
        impl TryFrom<Socket<$socket>> for $socket {
            type Error = io::Error;

            fn try_from(socket: Socket<$socket>) -> io::Result<Self> {
                socket.give_back()
            }
        }
    )+};
}

convert!(net::TcpListener, net::TcpStream, net::UdpSocket);
convert!(unix::UnixDatagram, unix::UnixListener, unix::UnixStream);
