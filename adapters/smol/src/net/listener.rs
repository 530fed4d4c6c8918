//! The listener: that of `netpoll-futures`, which accepts smol's streams.

use std::fmt;
use std::io;
use std::net;
use std::ops::Deref;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::net as unix;
use std::pin::Pin;
use std::task::{Context, Poll};

use netpoll_futures::{ListenerSocket, OpError};

use super::Stream;

/// A socket that accepts connections: a [`TcpListener`](super::TcpListener) or a
/// [`UnixListener`](super::unix::UnixListener).
pub struct Listener<L: ListenerSocket>(netpoll_futures::Listener<L>);

type Accepted<L> = (Stream<<L as ListenerSocket>::Stream>, <L as ListenerSocket>::Address);

impl<L: ListenerSocket> Listener<L> {
    /// Waits for a connection. See [`netpoll_futures::Listener::accept`].
    ///
    /// # Errors
    ///
    /// As there, but what `accept(2)` says comes as it is.
    pub async fn accept(&self) -> io::Result<Accepted<L>> {
        self.0.accept().await.map(|(stream, peer)| (stream.into(), peer)).map_err(OpError::strip)
    }

    /// The connections, as a stream that ends only with an error after `close`.
    pub fn incoming(&self) -> Incoming<'_, L> {
        Incoming { incoming: self.0.incoming() }
    }
}

/// Prints the socket as the standard library does: its descriptor and its addresses.
impl<L: ListenerSocket> fmt::Debug for Listener<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A clone is the same socket.
impl<L: ListenerSocket> Clone for Listener<L> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<L: ListenerSocket> Deref for Listener<L> {
    type Target = netpoll_futures::Listener<L>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl<L: ListenerSocket> From<netpoll_futures::Listener<L>> for Listener<L> {
    fn from(listener: netpoll_futures::Listener<L>) -> Self {
        Self(listener)
    }
}

impl<L: ListenerSocket> From<Listener<L>> for netpoll_futures::Listener<L> {
    fn from(listener: Listener<L>) -> Self {
        listener.0
    }
}

impl TryFrom<net::TcpListener> for Listener<net::TcpListener> {
    type Error = io::Error;

    fn try_from(listener: net::TcpListener) -> io::Result<Self> {
        netpoll_futures::TcpListener::try_from(listener).map(Self).map_err(OpError::strip)
    }
}

impl TryFrom<unix::UnixListener> for Listener<unix::UnixListener> {
    type Error = io::Error;

    fn try_from(listener: unix::UnixListener) -> io::Result<Self> {
        netpoll_futures::UnixListener::try_from(listener).map(Self).map_err(OpError::strip)
    }
}

impl TryFrom<OwnedFd> for Listener<net::TcpListener> {
    type Error = io::Error;

    fn try_from(fd: OwnedFd) -> io::Result<Self> {
        net::TcpListener::from(fd).try_into()
    }
}

impl TryFrom<OwnedFd> for Listener<unix::UnixListener> {
    type Error = io::Error;

    fn try_from(fd: OwnedFd) -> io::Result<Self> {
        unix::UnixListener::from(fd).try_into()
    }
}

impl<L: ListenerSocket> AsFd for Listener<L> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl<L: ListenerSocket> AsRawFd for Listener<L> {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

/// The connections of a listener. See [`Listener::incoming`].
#[derive(Debug)]
#[must_use = "a stream does nothing unless it is polled"]
pub struct Incoming<'a, L: ListenerSocket> {
    incoming: netpoll_futures::Incoming<'a, L>,
}

impl<L: ListenerSocket> futures_core::Stream for Incoming<'_, L> {
    type Item = io::Result<Stream<L::Stream>>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = Pin::new(&mut self.incoming).poll_next(cx);
        next.map_ok(Stream::from).map_err(OpError::strip)
    }
}
