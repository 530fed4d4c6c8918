//! The datagram socket, of any family: receiving and sending.

use std::io;
use std::task::{Context, Poll, ready};

use netpoll::OpError;
use netpoll_futures::DatagramSocket;
use tokio::io::ReadBuf;

use crate::budget;
use crate::forward::{forward, forward_async, forward_poll};
use crate::socket::Socket;

/// A socket for datagrams: a [`UdpSocket`](crate::net::UdpSocket) or a
/// [`UnixDatagram`](crate::net::UnixDatagram).
///
/// Any number of tasks may use it at once, for example through an [`Arc`](std::sync::Arc), as with tokio's. An event
/// wakes all tasks that wait in its direction; no order is promised among them.
///
/// The rest of a datagram that is longer than the buffer is lost. A datagram of no bytes is received as 0, and is no
/// end.
///
/// Deadlines, readiness, close and conversions are those of every [`Socket`].
///
/// # Errors
///
/// The methods fail with [`Closed`](netpoll::Closed), [`DeadlineExceeded`](netpoll::DeadlineExceeded) or the error of the
/// system, which [`netpoll_futures::Datagram`] explains. Those that begin with `try_` fail with `WouldBlock` where they
/// would have to wait. A refusal (`ECONNREFUSED`) concerns one operation, and the socket remains usable.
///
/// # Cancel safety
///
/// If a future is dropped, it has received or sent no datagram.
pub type Datagram<S> = Socket<S>;

impl<S: DatagramSocket> Datagram<S> {
    forward_async! { self.inner:
        /// Receives a datagram: of the connected peer only, if there is one. Returns the number of its bytes in
        /// `buffer`.
        async fn recv(&self, buffer: &mut [u8]) -> io::Result<usize>;

        /// [`recv`](Self::recv), with the sender's address.
        async fn recv_from(&self, buffer: &mut [u8]) -> io::Result<(usize, S::Address)>;

        /// [`recv_from`](Self::recv_from), but the datagram stays in the socket.
        async fn peek_from(&self, buffer: &mut [u8]) -> io::Result<(usize, S::Address)>;

        /// Sends a datagram to the connected peer, as soon as there is room.
        async fn send(&self, datagram: &[u8]) -> io::Result<usize>;
    }

    /// Waits for a datagram and returns its sender. The datagram stays in the socket.
    pub async fn peek_sender(&self) -> io::Result<S::Address> {
        self.peek_from(&mut []).await.map(|(_, from)| from)
    }
}

/// Attempts that do not wait. See [errors](Datagram#errors).
impl<S: DatagramSocket> Datagram<S> {
    forward! { self.inner:
        /// Attempts [`recv`](Self::recv).
        fn try_recv(&self, buffer: &mut [u8]) -> io::Result<usize>;

        /// Attempts [`recv_from`](Self::recv_from).
        fn try_recv_from(&self, buffer: &mut [u8]) -> io::Result<(usize, S::Address)>;

        /// Attempts [`peek`](Self::peek).
        fn try_peek(&self, buffer: &mut [u8]) -> io::Result<usize>;

        /// Attempts [`peek_from`](Self::peek_from).
        fn try_peek_from(&self, buffer: &mut [u8]) -> io::Result<(usize, S::Address)>;

        /// Attempts [`send`](Self::send).
        fn try_send(&self, datagram: &[u8]) -> io::Result<usize>;
    }

    /// Attempts [`peek_sender`](Self::peek_sender).
    pub fn try_peek_sender(&self) -> io::Result<S::Address> {
        self.try_peek_from(&mut []).map(|(_, from)| from)
    }
}

/// Polls. An event wakes every task that polled. See [errors](Datagram#errors).
impl<S: DatagramSocket> Datagram<S> {
    forward_poll! { self.inner:
        /// Polls [`send`](Self::send).
        fn poll_send(&self, cx: &mut Context<'_>, datagram: &[u8]) -> Poll<io::Result<usize>>;

        /// Polls [`readable`](Self::readable).
        fn poll_recv_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

        /// Polls [`writable`](Self::writable).
        fn poll_send_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;
    }

    /// Polls [`peek_from`](Self::peek_from), into the unfilled part of `buffer`. Returns the sender's address.
    pub fn poll_peek_from(
        &self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<S::Address>> {
        let (count, from) = ready!(self.poll_peek_into(cx, buffer.initialize_unfilled()))?;
        buffer.advance(count);
        Poll::Ready(Ok(from))
    }

    /// Polls [`peek_sender`](Self::peek_sender).
    pub fn poll_peek_sender(&self, cx: &mut Context<'_>) -> Poll<io::Result<S::Address>> {
        self.poll_peek_into(cx, &mut []).map_ok(|(_, from)| from)
    }

    fn poll_peek_into(
        &self,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<(usize, S::Address)>> {
        budget::poll(cx, |cx| self.inner.poll_peek_from(cx, buffer)).map_err(OpError::strip)
    }
}
