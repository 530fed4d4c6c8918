//! The socket of every kind, in tokio's shape: deadlines, readiness, close and conversions. Streams, listeners and
//! datagram sockets are operations on it.

use std::convert::identity;
use std::fmt;
use std::io;
use std::net;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net as unix;
use std::task::{Context, Poll, ready};

use netpoll::{Deadline, OpError, Registration};
use netpoll_futures::{PeerSocket, StdSocket};
use tokio::io::ReadBuf;

use crate::budget;
use crate::forward::{descriptor, forward, forward_async};
use crate::io::{Interest, Ready};
use crate::runtime::reactor;
use crate::select_ready::{ClearedFlags, Select};

/// A socket: a [`Stream`](crate::Stream), a [`Listener`](crate::Listener) or a [`Datagram`](crate::Datagram), over TCP,
/// UDP or Unix sockets.
pub struct Socket<S: StdSocket> {
    pub(crate) inner: netpoll_futures::Socket<S>,
}

impl<S: StdSocket> Socket<S> {
    /// Registers a socket of the standard library, and makes it non-blocking. As in tokio, its other options stay as they are, and the
    /// connections of a listener have those that they inherit.
    ///
    /// # Errors
    ///
    /// The error of `ioctl(2)` or `epoll_ctl(2)`.
    pub fn from_std(socket: S) -> io::Result<Self> {
        let fd: OwnedFd = socket.into();
        let socket = netpoll_futures::Socket::register_as_it_is_on(&reactor()?, fd);
        socket.map(Self::from).map_err(OpError::strip)
    }

    forward! { self.inner:
        /// Sets or clears the deadline of both directions. See
        /// [`set_read_deadline`](Self::set_read_deadline). tokio's sockets have no deadlines.
        #[inline]
        fn set_deadline(&self, deadline: impl Into<Deadline>) -> io::Result<()>;

        /// Sets or clears the deadline of reading, accepting or receiving. See
        /// [`Registration::set_read_deadline`](netpoll::Registration::set_read_deadline).
        ///
        /// # Errors
        ///
        /// [`Closed`](netpoll::Closed).
        #[inline]
        fn set_read_deadline(&self, deadline: impl Into<Deadline>) -> io::Result<()>;

        /// Sets or clears the deadline of writing or sending. It does not affect a listener. See
        /// [`set_read_deadline`](Self::set_read_deadline).
        #[inline]
        fn set_write_deadline(&self, deadline: impl Into<Deadline>) -> io::Result<()>;

        /// The local address.
        ///
        /// # Errors
        ///
        /// [`Closed`](netpoll::Closed), or the error of `getsockname(2)`.
        fn local_addr(&self) -> io::Result<S::Address>;

        /// `SO_ERROR`. To read it clears it.
        ///
        /// # Errors
        ///
        /// [`Closed`](netpoll::Closed), or the error of `getsockopt(2)`.
        fn take_error(&self) -> io::Result<Option<io::Error>>;
    }

    /// A handle that sets the deadlines and does not keep the socket open: for the owner of a socket that a library has
    /// taken.
    #[must_use]
    pub fn deadlines(&self) -> netpoll_futures::Deadlines {
        self.inner.deadlines()
    }

    /// The socket of `netpoll-futures`, with the methods that tokio's sockets do not have. Its `async` methods
    /// take no part in tokio's cooperative budget.
    #[must_use]
    pub fn get_ref(&self) -> &netpoll_futures::Socket<S> {
        &self.inner
    }

    /// Ends the registration and returns the socket of the standard library, which stays non-blocking.
    ///
    /// # Errors
    ///
    /// [`Closed`](netpoll::Closed).
    pub fn into_std(self) -> io::Result<S> {
        OwnedFd::try_from(self.inner).map(S::from)
    }

    /// Closes the socket, as Go's `Close` does: pending operations fail with [`Closed`](netpoll::Closed),
    /// and the future resolves when the descriptor is closed. tokio's sockets have no such method.
    ///
    /// # Errors
    ///
    /// [`Closed`](netpoll::Closed) if it was closed before.
    pub async fn close(&self) -> io::Result<()> {
        self.inner.close().await
    }
}

/// Streams and datagram sockets.
impl<S: PeerSocket> Socket<S> {
    forward! { self.inner:
        /// The address of the peer. `ENOTCONN` if there is none.
        ///
        /// # Errors
        ///
        /// [`Closed`](netpoll::Closed), or the error of `getpeername(2)`.
        fn peer_addr(&self) -> io::Result<S::Address>;
    }

    forward_async! { self.inner:
        /// Reads bytes, or receives a datagram, which stay in the socket.
        ///
        /// # Errors
        ///
        /// As for a read.
        ///
        /// # Cancel safety
        ///
        /// If the future is dropped, nothing changes.
        async fn peek(&self, buffer: &mut [u8]) -> io::Result<usize>;
    }

    pub(crate) fn poll_peek_buf(
        &self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<usize>> {
        let unfilled = buffer.initialize_unfilled();
        let peeked = budget::poll(cx, |cx| self.inner.poll_peek(cx, unfilled));
        let count = ready!(peeked).map_err(OpError::strip)?;
        buffer.advance(count);
        Poll::Ready(Ok(count))
    }

    /// Waits until the socket is ready for a part of `interest`, and returns these parts. They are a hint: an
    /// attempt that finds otherwise clears them, for example [`try_io`](Self::try_io). Room to send or write
    /// counts until an attempt has found none.
    ///
    /// # Errors
    ///
    /// [`Closed`](netpoll::Closed), or [`DeadlineExceeded`](netpoll::DeadlineExceeded) as soon as the deadline
    /// of one of the directions has passed.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, nothing changes.
    pub async fn ready(&self, interest: Interest) -> io::Result<Ready> {
        let found = self.select(interest, &ClearedFlags::default()).ready().await?;
        Ok(found.ready())
    }

    /// Waits until a read or a receive may succeed, or must fail.
    ///
    /// # Errors
    ///
    /// As for [`ready`](Self::ready).
    pub async fn readable(&self) -> io::Result<()> {
        self.ready(Interest::READABLE).await.map(drop)
    }

    /// Waits until a write or a send may succeed, or must fail.
    ///
    /// # Errors
    ///
    /// As for [`ready`](Self::ready).
    pub async fn writable(&self) -> io::Result<()> {
        self.ready(Interest::WRITABLE).await.map(drop)
    }

    /// Makes `operation` on the socket if a part of `interest` is ready. `operation` must return `WouldBlock` if
    /// and only if the socket did.
    ///
    /// With two directions, `WouldBlock` must mean both: the direction that was ready is not ready
    /// until the next event.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if none is ready, [`Closed`](netpoll::Closed),
    /// [`DeadlineExceeded`](netpoll::DeadlineExceeded), or the error of `operation`.
    pub fn try_io<R>(
        &self,
        interest: Interest,
        operation: impl FnOnce() -> io::Result<R>,
    ) -> io::Result<R> {
        self.select(interest, &ClearedFlags::default()).try_io(|_| operation())
    }

    /// Makes `operation` on the socket as soon as a part of `interest` is ready, and repeats it while it returns
    /// `WouldBlock`.
    ///
    /// # Errors
    ///
    /// [`Closed`](netpoll::Closed), [`DeadlineExceeded`](netpoll::DeadlineExceeded), or the error of
    /// `operation`.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, `operation` has not succeeded.
    pub async fn async_io<R>(
        &self,
        interest: Interest,
        mut operation: impl FnMut() -> io::Result<R>,
    ) -> io::Result<R> {
        self.select(interest, &ClearedFlags::default()).io(|_| operation()).await
    }

    fn select<'a>(
        &'a self,
        interest: Interest,
        cleared: &'a ClearedFlags,
    ) -> Select<'a, &'a Registration<S>> {
        Select { registration: self.inner.registration(), cleared, interest }
    }
}

/// A method with two results, as in tokio.
macro_rules! poll_peek {
    ($($std:ty: $result:ty = $of_count:path;)+) => {$(
        impl Socket<$std> {
            /// Polls [`peek`](Self::peek), into the unfilled part of `buffer`. For a stream, it returns the number of
            /// bytes.
            pub fn poll_peek(
                &self,
                cx: &mut Context<'_>,
                buffer: &mut ReadBuf<'_>,
            ) -> Poll<io::Result<$result>> {
                self.poll_peek_buf(cx, buffer).map_ok($of_count)
            }
        }
    )+};
}

poll_peek! {
    net::TcpStream: usize = identity;
    unix::UnixStream: usize = identity;
    net::UdpSocket: () = drop;
    unix::UnixDatagram: () = drop;
}

/// For example a socket of another reactor than the global one.
impl<S: StdSocket> From<netpoll_futures::Socket<S>> for Socket<S> {
    fn from(inner: netpoll_futures::Socket<S>) -> Self {
        Self { inner }
    }
}

impl<S: StdSocket> From<Socket<S>> for netpoll_futures::Socket<S> {
    fn from(socket: Socket<S>) -> Self {
        socket.inner
    }
}

macro_rules! try_from_std {
    ($($std:ty),+) => {$(
        impl TryFrom<$std> for Socket<$std> {
            type Error = io::Error;

            fn try_from(socket: $std) -> io::Result<Self> {
                Self::from_std(socket)
            }
        }
    )+};
}

try_from_std!(net::TcpListener, net::TcpStream, net::UdpSocket);
try_from_std!(unix::UnixDatagram, unix::UnixListener, unix::UnixStream);

/// Prints the descriptor and the addresses, as the standard library does.
impl<S: StdSocket> fmt::Debug for Socket<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

descriptor!(Socket<S>: inner, S: StdSocket);
