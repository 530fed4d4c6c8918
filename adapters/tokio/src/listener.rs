//! The listener, of any family: accepting.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use netpoll::OpError;
use netpoll_futures::{Limit, ListenerSocket};

use crate::budget;
use crate::forward::forward;
use crate::socket::Socket;
use crate::stream::Stream;

/// A socket that accepts connections: a [`TcpListener`](crate::net::TcpListener) or a
/// [`UnixListener`](crate::net::UnixListener). Deadlines, close and conversions are those of every [`Socket`].
pub type Listener<S> = Socket<S>;

type Accepted<S> =
    (Stream<<S as ListenerSocket>::Stream>, <S as netpoll_futures::StdSocket>::Address);

impl<S: ListenerSocket> Listener<S> {
    /// Waits for a connection. Any number of tasks may wait at once.
    ///
    /// # Errors
    ///
    /// [`DeadlineExceeded`](netpoll::DeadlineExceeded), [`Closed`](netpoll::Closed), or the error of
    /// `accept(2)`; see [`netpoll_futures::Listener::accept`].
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, it has accepted no connection.
    pub async fn accept(&self) -> io::Result<Accepted<S>> {
        let (stream, peer) = budget::spend(self.inner.accept()).await.map_err(OpError::strip)?;
        Ok((stream.into(), peer))
    }

    /// Polls [`accept`](Self::accept). An event wakes every task that polled.
    pub fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<Accepted<S>>> {
        let accepted = budget::poll(cx, |cx| self.inner.poll_accept(cx)).map_err(OpError::strip);
        accepted.map_ok(|(stream, peer)| (stream.into(), peer))
    }

    /// A stream of the connections that owns the listener, for libraries that take such a stream, such as tonic. While
    /// the process is out of descriptors or memory, it pauses and tries again, as it does after an error of a single
    /// connection ([`Backoff`](crate::Backoff)). The [limit](Self::set_limit) of the listener holds.
    ///
    /// Any other error ends it: the stream yields the error, and then its end. That is so after a close
    /// ([`get_ref`](Self::get_ref) returns a socket that can be cloned and closed), after the listener's deadline
    /// ([`deadlines`](Self::deadlines)), and after the end of the runtime. tokio has no such method.
    pub fn into_incoming(self) -> IntoIncoming<S> {
        IntoIncoming { incoming: self.inner.into_incoming() }
    }

    forward! { self.inner:
        /// Sets or clears the limit of connections that are open at once. At the limit, accepting waits until one is closed
        /// or dropped. Several listeners may share a limit. tokio's listeners have none.
        ///
        /// # Errors
        ///
        /// [`Closed`](netpoll::Closed), or [`ReactorGone`](netpoll::ReactorGone).
        fn set_limit(&self, limit: Option<&Limit>) -> io::Result<()>;
    }
}

/// The connections of a listener that it owns. See [`Listener::into_incoming`].
#[derive(Debug)]
#[must_use = "a stream does nothing unless it is polled"]
pub struct IntoIncoming<S: ListenerSocket> {
    incoming: netpoll_futures::IntoIncoming<S>,
}

impl<S: ListenerSocket> IntoIncoming<S> {
    /// The listener of `netpoll-futures`, for example to close it.
    #[must_use]
    pub fn get_ref(&self) -> &netpoll_futures::Listener<S> {
        self.incoming.get_ref()
    }
}

impl<S: ListenerSocket> futures_core::Stream for IntoIncoming<S> {
    type Item = io::Result<Stream<S::Stream>>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = budget::poll(cx, |cx| Pin::new(&mut self.incoming).poll_next(cx));
        next.map_ok(Stream::from).map_err(OpError::strip)
    }
}
