//! The datagram socket, of any family, in tokio's shape.

mod attempt;
mod poll;
mod udp;
mod unix;

use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::BufMut;
use netpoll::OpError;
use netpoll_futures::DatagramSocket;

use crate::interested::Cleared;
use crate::io::{Interest, Ready};
use crate::{budget, interested, uninit};

pub use udp::UdpSocket;
pub use unix::UnixDatagram;

/// A socket for datagrams: a [`UdpSocket`](crate::net::UdpSocket) or a
/// [`UnixDatagram`](crate::net::UnixDatagram).
///
/// Any number of tasks may use it at once; put it into an [`Arc`](std::sync::Arc), as tokio's. An event
/// wakes all tasks that wait in its direction; no order is promised among them.
///
/// A datagram that is longer than the buffer is cut off, and its rest is lost. One of no bytes is
/// received as 0, and is no end.
///
/// # Errors
///
/// [`Closed`](netpoll::Closed), [`DeadlineExceeded`](netpoll::DeadlineExceeded), or the system's as it is;
/// [`netpoll_futures::Datagram`] tells what they mean. A refusal (`ECONNREFUSED`) is of this operation, and not of the
/// socket, which goes on.
pub struct Datagram<S: DatagramSocket> {
    pub(crate) inner: netpoll_futures::Datagram<S>,
}

/// What they fail with is told at the [type](Datagram#errors). Dropped, a receive has taken nothing,
/// and a send has sent nothing.
impl<S: DatagramSocket> Datagram<S> {
    /// Receives a datagram: from the peer only, if the socket is connected. Returns how many bytes of
    /// it are in `buffer`.
    pub async fn recv(&self, buffer: &mut [u8]) -> io::Result<usize> {
        spend(self.inner.recv(buffer)).await
    }

    /// [`recv`](Self::recv), with the sender's address.
    pub async fn recv_from(&self, buffer: &mut [u8]) -> io::Result<(usize, S::Address)> {
        spend(self.inner.recv_from(buffer)).await
    }

    /// [`recv`](Self::recv) into the spare room of `buffer`, which it advances. Of a buffer that grows,
    /// that is the room that is reserved; a full `Vec` or `BytesMut` reserves 64 bytes.
    pub async fn recv_buf<B: BufMut>(&self, buffer: &mut B) -> io::Result<usize> {
        spend(uninit::recv(&self.inner, buffer)).await
    }

    /// [`recv_buf`](Self::recv_buf), with the sender's address.
    pub async fn recv_buf_from<B: BufMut>(
        &self,
        buffer: &mut B,
    ) -> io::Result<(usize, S::Address)> {
        spend(uninit::recv_from(&self.inner, buffer)).await
    }

    /// [`recv`](Self::recv), but leaves the datagram to be received.
    pub async fn peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        spend(self.inner.peek(buffer)).await
    }

    /// [`recv_from`](Self::recv_from), but leaves the datagram to be received.
    pub async fn peek_from(&self, buffer: &mut [u8]) -> io::Result<(usize, S::Address)> {
        spend(self.inner.peek_from(buffer)).await
    }

    /// Waits for a datagram, and says who sent it.
    pub async fn peek_sender(&self) -> io::Result<S::Address> {
        self.peek_from(&mut []).await.map(|(_, from)| from)
    }

    /// Sends a datagram to the peer that the socket is connected to, as soon as there is room.
    pub async fn send(&self, datagram: &[u8]) -> io::Result<usize> {
        spend(self.inner.send(datagram)).await
    }

    /// Waits until a direction of `interest` is ready, and tells which: a hint. To try and find
    /// nothing ([`try_recv`](Self::try_recv), [`try_io`](Self::try_io)) takes it back.
    ///
    /// There is room to send until a send has found none.
    ///
    /// # Errors
    ///
    /// [`Closed`](netpoll::Closed), or [`DeadlineExceeded`](netpoll::DeadlineExceeded) if that of one
    /// of the directions has passed.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it has changed nothing.
    pub async fn ready(&self, interest: Interest) -> io::Result<Ready> {
        interested::ready(self.inner.registration(), &Cleared::default(), interest)
            .await
            .map(|found| found.ready())
    }

    /// Waits until there may be something to receive, an error included.
    ///
    /// # Errors
    ///
    /// As for [`ready`](Self::ready).
    pub async fn readable(&self) -> io::Result<()> {
        self.ready(Interest::READABLE).await.map(drop)
    }

    /// Waits until there may be room to send.
    ///
    /// # Errors
    ///
    /// As for [`ready`](Self::ready).
    pub async fn writable(&self) -> io::Result<()> {
        self.ready(Interest::WRITABLE).await.map(drop)
    }

    /// Makes any operation on the socket, as soon as a direction of `interest` is ready, and again
    /// until it does not return `WouldBlock`.
    ///
    /// # Errors
    ///
    /// [`Closed`](netpoll::Closed), [`DeadlineExceeded`](netpoll::DeadlineExceeded), or what
    /// `operation` says.
    ///
    /// # Cancel safety
    ///
    /// Dropped, `operation` has not succeeded.
    pub async fn async_io<R>(
        &self,
        interest: Interest,
        mut operation: impl FnMut() -> io::Result<R>,
    ) -> io::Result<R> {
        interested::io(self.inner.registration(), &Cleared::default(), interest, |_| operation())
            .await
    }
}

/// Deadlines and closing, which tokio's sockets do not have.
impl<S: DatagramSocket> Datagram<S> {
    /// Sets or clears the deadline of receiving and sending; for what a deadline is, see
    /// [`Registration::set_read_deadline`](netpoll::Registration::set_read_deadline).
    ///
    /// # Errors
    ///
    /// [`Closed`](netpoll::Closed).
    #[inline]
    pub fn set_deadline(&self, deadline: Option<Instant>) -> io::Result<()> {
        self.inner.set_deadline(deadline)
    }

    /// Sets or clears the deadline of receiving. It loses no datagram.
    ///
    /// # Errors
    ///
    /// [`Closed`](netpoll::Closed).
    #[inline]
    pub fn set_read_deadline(&self, deadline: Option<Instant>) -> io::Result<()> {
        self.inner.set_read_deadline(deadline)
    }

    /// Sets or clears the deadline of sending. What fails with it was not sent.
    ///
    /// # Errors
    ///
    /// [`Closed`](netpoll::Closed).
    #[inline]
    pub fn set_write_deadline(&self, deadline: Option<Instant>) -> io::Result<()> {
        self.inner.set_write_deadline(deadline)
    }

    /// Closes the socket, Go's way: pending operations fail with [`Closed`](netpoll::Closed), and when
    /// it resolves the descriptor is closed and a port can be bound again.
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
    /// [`Closed`](netpoll::Closed), or what `getsockname(2)` says.
    pub fn local_addr(&self) -> io::Result<S::Address> {
        self.inner.local_addr()
    }

    /// The address it is connected to.
    ///
    /// # Errors
    ///
    /// [`Closed`](netpoll::Closed), or what `getpeername(2)` says: `ENOTCONN` if there is none.
    pub fn peer_addr(&self) -> io::Result<S::Address> {
        self.inner.peer_addr()
    }

    /// The socket underneath, which has what tokio's has not, such as
    /// [`recv_msg`](netpoll_futures::Datagram::recv_msg). What is awaited there takes no part in the
    /// cooperative budget.
    #[must_use]
    pub fn get_ref(&self) -> &netpoll_futures::Datagram<S> {
        &self.inner
    }
}

/// Awaits an operation within the task's budget. The error of the system comes as it is.
async fn spend<R>(operation: impl Future<Output = io::Result<R>>) -> io::Result<R> {
    budget::spend(operation).await.map_err(OpError::strip)
}

/// Polls an operation within the task's budget. The error of the system comes as it is.
fn poll<R>(
    cx: &mut Context<'_>,
    operation: impl FnOnce(&mut Context<'_>) -> Poll<io::Result<R>>,
) -> Poll<io::Result<R>> {
    budget::poll(cx, operation).map_err(OpError::strip)
}

/// A socket in the care of another reactor than the global one, for instance.
impl<S: DatagramSocket> From<netpoll_futures::Datagram<S>> for Datagram<S> {
    fn from(inner: netpoll_futures::Datagram<S>) -> Self {
        Self { inner }
    }
}

impl<S: DatagramSocket> From<Datagram<S>> for netpoll_futures::Datagram<S> {
    fn from(socket: Datagram<S>) -> Self {
        socket.inner
    }
}

/// Prints the socket as the standard library does: its descriptor and its addresses.
impl<S: DatagramSocket> fmt::Debug for Datagram<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

impl<S: DatagramSocket> AsFd for Datagram<S> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inner.as_fd()
    }
}

impl<S: DatagramSocket> AsRawFd for Datagram<S> {
    fn as_raw_fd(&self) -> RawFd {
        self.inner.as_raw_fd()
    }
}
