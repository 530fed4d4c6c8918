//! The listener, of any family: accepting.

use std::io;
use std::task::{Context, Poll};

use netpoll::OpError;
use netpoll_futures::ListenerSocket;

use crate::budget;
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
}
