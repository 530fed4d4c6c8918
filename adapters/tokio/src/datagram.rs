//! The datagram socket, of any family: receiving and sending.

use std::io;
use std::net;
use std::os::unix::net as unix;
use std::task::{Context, Poll, ready};

use bytes::BufMut;
use netpoll::OpError;
use netpoll_futures::DatagramSocket;
use tokio::io::ReadBuf;

use crate::forward::{forward, forward_async, forward_poll};
use crate::socket::Socket;
use crate::{budget, read_buf};

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

    /// [`recv`](Self::recv) into the spare room of `buffer`, which it advances. The spare room of a full `Vec` or
    /// `BytesMut` is 64 bytes.
    pub async fn recv_buf<B: BufMut>(&self, buffer: &mut B) -> io::Result<usize> {
        budget::spend(read_buf::recv(&self.inner, buffer)).await.map_err(OpError::strip)
    }

    /// [`recv_buf`](Self::recv_buf), with the sender's address.
    pub async fn recv_buf_from<B: BufMut>(
        &self,
        buffer: &mut B,
    ) -> io::Result<(usize, S::Address)> {
        budget::spend(read_buf::recv_from(&self.inner, buffer)).await.map_err(OpError::strip)
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

    /// Attempts [`recv_buf`](Self::recv_buf).
    pub fn try_recv_buf<B: BufMut>(&self, buffer: &mut B) -> io::Result<usize> {
        read_buf::try_recv(&self.inner, buffer).map_err(OpError::strip)
    }

    /// Attempts [`recv_buf_from`](Self::recv_buf_from).
    pub fn try_recv_buf_from<B: BufMut>(&self, buffer: &mut B) -> io::Result<(usize, S::Address)> {
        read_buf::try_recv_from(&self.inner, buffer).map_err(OpError::strip)
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

    /// Polls [`recv`](Self::recv), into the unfilled part of `buffer`.
    pub fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        budget::poll(cx, |cx| read_buf::poll_recv(&self.inner, cx, buffer)).map_err(OpError::strip)
    }

    /// Polls [`recv_from`](Self::recv_from), into the unfilled part of `buffer`. Returns the sender's address.
    pub fn poll_recv_from(
        &self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<S::Address>> {
        let received = budget::poll(cx, |cx| read_buf::poll_recv_from(&self.inner, cx, buffer));
        received.map_err(OpError::strip)
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

macro_rules! poll_peek {
    ($($std:ty),+) => {$(
        impl Datagram<$std> {
            /// Polls [`peek`](Self::peek), into the unfilled part of `buffer`.
            pub fn poll_peek(
                &self,
                cx: &mut Context<'_>,
                buffer: &mut ReadBuf<'_>,
            ) -> Poll<io::Result<()>> {
                self.poll_peek_from(cx, buffer).map_ok(drop)
            }
        }
    )+};
}

// For each type: `poll_peek` of a stream returns another type, as in tokio.
poll_peek!(net::UdpSocket, unix::UnixDatagram);
