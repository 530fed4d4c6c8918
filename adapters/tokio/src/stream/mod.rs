//! The stream, of any family, in tokio's shape.

mod halves;
mod io_traits;
mod owned_halves;

use std::fmt;
use std::io::{self, IoSlice, IoSliceMut};
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::task::{Context, Poll, ready};
use std::time::Instant;

use bytes::BufMut;
use netpoll_futures::StreamSocket;
use tokio::io::ReadBuf;

use crate::interested::Cleared;
use crate::io::{Interest, Ready};
use crate::{budget, interested, uninit};

pub use halves::{ReadHalf, WriteHalf};
pub use owned_halves::{OwnedReadHalf, OwnedWriteHalf, ReuniteError};

/// A connection: a [`TcpStream`](crate::net::TcpStream) or a [`UnixStream`](crate::net::UnixStream).
///
/// As in tokio, reading and writing are [`AsyncRead`](tokio::io::AsyncRead) and
/// [`AsyncWrite`](tokio::io::AsyncWrite), by `&mut`, with the methods of `AsyncReadExt` and `AsyncWriteExt`. Several
/// tasks may write at once by way of the halves of [`split`](Self::split) and [`into_split`](Self::into_split), by
/// [`try_write`](Self::try_write), or by the stream underneath ([`get_ref`](Self::get_ref)), whose `read`, `write` and
/// `write_all` take `&self` and whose `write_all` is contiguous.
pub struct Stream<S: StreamSocket> {
    pub(crate) inner: netpoll_futures::Stream<S>,
}

impl<S: StreamSocket> Stream<S> {
    /// Reads without taking away: what it returns stays to be read.
    ///
    /// # Errors
    ///
    /// [`Closed`](netpoll::Closed), [`DeadlineExceeded`](netpoll::DeadlineExceeded), or the system's.
    pub async fn peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        budget::spend(self.inner.peek(buffer)).await
    }

    /// [`peek`](Self::peek) for those who poll. Returns by how much it has filled `buffer`.
    pub fn poll_peek(
        &self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<usize>> {
        let unfilled = buffer.initialize_unfilled();
        let seen = ready!(budget::poll(cx, |cx| self.inner.poll_peek(cx, unfilled)))?;
        buffer.advance(seen);
        Poll::Ready(Ok(seen))
    }

    /// Waits until a direction of `interest` is ready, and tells which: a hint. To try and find
    /// nothing ([`try_read`](Self::try_read), [`try_io`](Self::try_io)) takes it back.
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

    /// Waits until there may be something to read, the end included.
    ///
    /// # Errors
    ///
    /// As for [`ready`](Self::ready).
    pub async fn readable(&self) -> io::Result<()> {
        self.ready(Interest::READABLE).await.map(drop)
    }

    /// Waits until there may be room to write, or writing must fail.
    ///
    /// # Errors
    ///
    /// As for [`ready`](Self::ready).
    pub async fn writable(&self) -> io::Result<()> {
        self.ready(Interest::WRITABLE).await.map(drop)
    }

    /// [`readable`](Self::readable) for those who poll. Any number of tasks may: each is woken.
    pub fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        budget::poll(cx, |cx| self.inner.poll_read_ready(cx))
    }

    /// [`writable`](Self::writable) for those who poll. Any number of tasks may: each is woken.
    pub fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        budget::poll(cx, |cx| self.inner.poll_write_ready(cx))
    }

    /// Reads what there is now, or fails with `WouldBlock`.
    ///
    /// # Errors
    ///
    /// `WouldBlock`, [`Closed`](netpoll::Closed), [`DeadlineExceeded`](netpoll::DeadlineExceeded), or the
    /// system's.
    pub fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.inner.try_read(buffer)
    }

    /// [`try_read`](Self::try_read) into several buffers.
    pub fn try_read_vectored(&self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        self.inner.try_read_vectored(buffers)
    }

    /// [`try_read`](Self::try_read) into the spare room of `buffer`, which it advances.
    pub fn try_read_buf<B: BufMut>(&self, buffer: &mut B) -> io::Result<usize> {
        uninit::try_read(&self.inner, buffer)
    }

    /// Writes what there is room for now, or fails with `WouldBlock`: also in the middle of another's
    /// [`write_all`](netpoll_futures::Stream::write_all).
    ///
    /// # Errors
    ///
    /// `WouldBlock`, [`Closed`](netpoll::Closed), [`DeadlineExceeded`](netpoll::DeadlineExceeded), or the
    /// system's.
    pub fn try_write(&self, buffer: &[u8]) -> io::Result<usize> {
        self.inner.try_write(buffer)
    }

    /// [`try_write`](Self::try_write) from several buffers.
    pub fn try_write_vectored(&self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        self.inner.try_write_vectored(buffers)
    }

    /// Makes any operation on the socket, if a direction of `interest` is ready. It must return
    /// `WouldBlock` if and only if the socket did.
    ///
    /// With two directions, `WouldBlock` must mean both: the one that was thought to be ready is taken
    /// for not ready, until the next event.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if none is ready, [`Closed`](netpoll::Closed),
    /// [`DeadlineExceeded`](netpoll::DeadlineExceeded), or what `operation` says.
    pub fn try_io<R>(
        &self,
        interest: Interest,
        operation: impl FnOnce() -> io::Result<R>,
    ) -> io::Result<R> {
        interested::try_io(self.inner.registration(), &Cleared::default(), interest, |_| {
            operation()
        })
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

    /// Sets or clears the deadline of reading and writing; for what a deadline is, see
    /// [`Registration::set_read_deadline`](netpoll::Registration::set_read_deadline).
    ///
    /// # Errors
    ///
    /// [`Closed`](netpoll::Closed).
    #[inline]
    pub fn set_deadline(&self, deadline: Option<Instant>) -> io::Result<()> {
        self.inner.set_deadline(deadline)
    }

    /// Sets or clears the deadline of reading.
    ///
    /// # Errors
    ///
    /// [`Closed`](netpoll::Closed).
    #[inline]
    pub fn set_read_deadline(&self, deadline: Option<Instant>) -> io::Result<()> {
        self.inner.set_read_deadline(deadline)
    }

    /// Sets or clears the deadline of writing.
    ///
    /// # Errors
    ///
    /// [`Closed`](netpoll::Closed).
    #[inline]
    pub fn set_write_deadline(&self, deadline: Option<Instant>) -> io::Result<()> {
        self.inner.set_write_deadline(deadline)
    }

    /// Closes the connection, Go's way: pending operations fail with [`Closed`](netpoll::Closed), and
    /// when it resolves the descriptor is closed. See [`netpoll_futures::Stream::close`].
    ///
    /// # Errors
    ///
    /// [`Closed`](netpoll::Closed) if it was closed before.
    pub async fn close(&self) -> io::Result<()> {
        self.inner.close().await
    }

    /// Lends a half to read and a half to write, for two futures of one task.
    pub fn split(&mut self) -> (ReadHalf<'_, S>, WriteHalf<'_, S>) {
        (ReadHalf(self), WriteHalf(self))
    }

    /// Divides it into a half to read and a half to write, for two tasks. Dropping the latter ends
    /// writing.
    #[must_use]
    pub fn into_split(self) -> (OwnedReadHalf<S>, OwnedWriteHalf<S>) {
        owned_halves::divide(self)
    }

    /// The stream underneath, which has what tokio's has not, such as
    /// [`shutdown`](netpoll_futures::Stream::shutdown) of either direction. What is awaited there
    /// takes no part in the cooperative budget.
    #[must_use]
    pub fn get_ref(&self) -> &netpoll_futures::Stream<S> {
        &self.inner
    }

    /// Ends writing. One that is not connected any more has ended.
    fn end_writing(&self) -> io::Result<()> {
        match self.inner.shutdown(Shutdown::Write) {
            Err(error)
                if error.kind() == io::ErrorKind::NotConnected && !netpoll::is_closed(&error) =>
            {
                Ok(())
            }
            done => done,
        }
    }
}

/// A stream in the care of another reactor than the global one, for instance.
impl<S: StreamSocket> From<netpoll_futures::Stream<S>> for Stream<S> {
    fn from(inner: netpoll_futures::Stream<S>) -> Self {
        Self { inner }
    }
}

impl<S: StreamSocket> From<Stream<S>> for netpoll_futures::Stream<S> {
    fn from(stream: Stream<S>) -> Self {
        stream.inner
    }
}

impl<S: StreamSocket> AsRef<Stream<S>> for Stream<S> {
    fn as_ref(&self) -> &Stream<S> {
        self
    }
}

/// Prints the socket as the standard library does: its descriptor and its addresses.
impl<S: StreamSocket> fmt::Debug for Stream<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

impl<S: StreamSocket> AsFd for Stream<S> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inner.as_fd()
    }
}

impl<S: StreamSocket> AsRawFd for Stream<S> {
    fn as_raw_fd(&self) -> RawFd {
        self.inner.as_raw_fd()
    }
}
