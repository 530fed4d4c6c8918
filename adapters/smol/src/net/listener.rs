//! The listener, in async-net's shape: accepting.

use std::io;
use std::net;
use std::pin::Pin;
use std::task::{Context, Poll};

use netpoll_futures::{ListenerSocket, OpError, StdSocket};

use super::{Socket, Stream};

/// A socket that accepts connections: a [`TcpListener`](super::TcpListener) or a
/// [`UnixListener`](super::unix::UnixListener). Deadlines, addresses, close and conversions are those of every
/// [`Socket`].
pub type Listener<L> = Socket<L>;

type Accepted<L> = (Stream<<L as ListenerSocket>::Stream>, <L as StdSocket>::Address);

impl<L: ListenerSocket> Listener<L> {
    /// Waits for a connection. See [`netpoll_futures::Listener::accept`].
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, it has accepted no connection.
    pub async fn accept(&self) -> io::Result<Accepted<L>> {
        self.0.accept().await.map(|(stream, peer)| (stream.into(), peer)).map_err(OpError::strip)
    }

    /// A stream of connections. It does not end: each item after the close of the listener is an error.
    pub fn incoming(&self) -> Incoming<'_, L> {
        Incoming { incoming: self.0.incoming() }
    }

    /// A stream of connections that owns the listener. See [`netpoll_futures::Listener::into_incoming`]: while
    /// descriptors have run out it pauses, and any other error ends it.
    pub fn into_incoming(self) -> IntoIncoming<L> {
        IntoIncoming { incoming: self.0.into_incoming() }
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

/// The connections of a listener that it owns. See [`Listener::into_incoming`].
#[derive(Debug)]
#[must_use = "a stream does nothing unless it is polled"]
pub struct IntoIncoming<L: ListenerSocket> {
    incoming: netpoll_futures::IntoIncoming<L>,
}

impl<L: ListenerSocket> futures_core::Stream for IntoIncoming<L> {
    type Item = io::Result<Stream<L::Stream>>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = Pin::new(&mut self.incoming).poll_next(cx);
        next.map_ok(Stream::from).map_err(OpError::strip)
    }
}
