//! The listener, in async-net's shape.

use std::fmt;
use std::io;
use std::net;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::net as unix;
use std::pin::Pin;
use std::task::{Context, Poll};

use netpoll_futures::{ListenerSocket, OpError, StdSocket};

use super::Stream;
use super::wrapper::{convert, wrapper};

/// A socket that accepts connections: a [`TcpListener`](super::TcpListener) or a
/// [`UnixListener`](super::unix::UnixListener).
///
/// It has the methods of async-net's listeners, and deadlines. Each method fails with the error of the system,
/// [`Closed`](netpoll_futures::Closed) or [`DeadlineExceeded`](netpoll_futures::DeadlineExceeded).
pub struct Listener<L: ListenerSocket>(netpoll_futures::Listener<L>);

type Accepted<L> = (Stream<<L as ListenerSocket>::Stream>, <L as StdSocket>::Address);

wrapper!(Listener<ListenerSocket>);
convert!(Listener<net::TcpListener>);
convert!(Listener<unix::UnixListener>);

impl<L: ListenerSocket> Listener<L> {
    /// Waits for a connection. See [`netpoll_futures::Listener::accept`].
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, it has accepted no connection.
    pub async fn accept(&self) -> io::Result<Accepted<L>> {
        self.0.accept().await.map(|(stream, peer)| (stream.into(), peer)).map_err(OpError::strip)
    }

    /// A stream of connections. It ends after the listener is closed, with an error.
    pub fn incoming(&self) -> Incoming<'_, L> {
        Incoming { incoming: self.0.incoming() }
    }

    /// The local address.
    pub fn local_addr(&self) -> io::Result<L::Address> {
        self.0.local_addr()
    }

    /// Closes the socket for all clones: pending operations fail with [`Closed`](netpoll_futures::Closed),
    /// and the future resolves when the descriptor is closed.
    pub async fn close(&self) -> io::Result<()> {
        self.0.close().await
    }
}

impl Listener<net::TcpListener> {
    /// `IP_TTL`.
    pub fn ttl(&self) -> io::Result<u32> {
        self.0.ttl()
    }

    /// `IP_TTL`.
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        self.0.set_ttl(ttl)
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
