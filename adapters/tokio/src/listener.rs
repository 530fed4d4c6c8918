//! The listener, of any family, in tokio's shape.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::task::{Context, Poll};
use std::time::Instant;

use netpoll::OpError;
use netpoll_futures::ListenerSocket;

use crate::budget;
use crate::stream::Stream;

/// A socket that accepts connections: a [`TcpListener`](crate::net::TcpListener) or a
/// [`UnixListener`](crate::net::UnixListener).
pub struct Listener<L: ListenerSocket> {
    pub(crate) inner: netpoll_futures::Listener<L>,
}

type Accepted<L> = (Stream<<L as ListenerSocket>::Stream>, <L as ListenerSocket>::Address);

impl<L: ListenerSocket> Listener<L> {
    /// Waits for a connection. Any number of tasks may wait at once.
    ///
    /// # Errors
    ///
    /// [`DeadlineExceeded`](netpoll::DeadlineExceeded), [`Closed`](netpoll::Closed), or what
    /// `accept(2)` says; see [`netpoll_futures::Listener::accept`].
    ///
    /// # Cancel safety
    ///
    /// Dropped, it has accepted nothing.
    pub async fn accept(&self) -> io::Result<Accepted<L>> {
        budget::spend(self.inner.accept()).await.map(ours).map_err(OpError::strip)
    }

    /// [`accept`](Self::accept) for those who poll. Any number of tasks may: each is woken.
    pub fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<Accepted<L>>> {
        budget::poll(cx, |cx| self.inner.poll_accept(cx)).map_ok(ours).map_err(OpError::strip)
    }

    /// Sets or clears the time after which accepting fails.
    ///
    /// # Errors
    ///
    /// [`Closed`](netpoll::Closed).
    pub fn set_deadline(&self, deadline: Option<Instant>) -> io::Result<()> {
        self.inner.set_deadline(deadline)
    }

    /// The same as [`set_deadline`](Self::set_deadline).
    ///
    /// # Errors
    ///
    /// [`Closed`](netpoll::Closed).
    pub fn set_read_deadline(&self, deadline: Option<Instant>) -> io::Result<()> {
        self.inner.set_read_deadline(deadline)
    }

    /// Of no effect on accepting; there for code that treats all sockets alike.
    ///
    /// # Errors
    ///
    /// [`Closed`](netpoll::Closed).
    pub fn set_write_deadline(&self, deadline: Option<Instant>) -> io::Result<()> {
        self.inner.set_write_deadline(deadline)
    }

    /// Stops listening: pending accepts fail with [`Closed`](netpoll::Closed), and when it resolves
    /// the address can be bound again.
    ///
    /// # Errors
    ///
    /// [`Closed`](netpoll::Closed) if it was closed before.
    pub async fn close(&self) -> io::Result<()> {
        self.inner.close().await
    }

    /// The address it is bound to.
    ///
    /// # Errors
    ///
    /// What `getsockname(2)` says.
    pub fn local_addr(&self) -> io::Result<L::Address> {
        self.inner.local_addr()
    }

    /// The listener underneath, which has what tokio's has not, such as
    /// [`incoming`](netpoll_futures::Listener::incoming).
    #[must_use]
    pub fn get_ref(&self) -> &netpoll_futures::Listener<L> {
        &self.inner
    }
}

fn ours<S: netpoll_futures::StreamSocket, A>(
    (stream, peer): (netpoll_futures::Stream<S>, A),
) -> (Stream<S>, A) {
    (stream.into(), peer)
}

/// A listener in the care of another reactor than the global one, for instance.
impl<L: ListenerSocket> From<netpoll_futures::Listener<L>> for Listener<L> {
    fn from(inner: netpoll_futures::Listener<L>) -> Self {
        Self { inner }
    }
}

impl<L: ListenerSocket> From<Listener<L>> for netpoll_futures::Listener<L> {
    fn from(listener: Listener<L>) -> Self {
        listener.inner
    }
}

/// Prints the socket as the standard library does: its descriptor and its addresses.
impl<L: ListenerSocket> fmt::Debug for Listener<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

impl<L: ListenerSocket> AsFd for Listener<L> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inner.as_fd()
    }
}

impl<L: ListenerSocket> AsRawFd for Listener<L> {
    fn as_raw_fd(&self) -> RawFd {
        self.inner.as_raw_fd()
    }
}
