//! The stream, of any family: reading and writing.

use std::io::{self, IoSlice, IoSliceMut};
use std::task::{Context, Poll};

use netpoll::Direction;
use netpoll_futures::{StreamSocket, sys};

use crate::forward::{forward, forward_poll};
use crate::halves::{OwnedReadHalf, OwnedWriteHalf, ReadHalf, WriteHalf};
use crate::socket::Socket;

/// A connection: a [`TcpStream`](crate::net::TcpStream) or a [`UnixStream`](crate::net::UnixStream).
///
/// As in tokio, reading and writing are [`AsyncRead`](tokio::io::AsyncRead) and
/// [`AsyncWrite`](tokio::io::AsyncWrite), by `&mut`, with the methods of `AsyncReadExt` and `AsyncWriteExt`. Several
/// tasks may write at once through the halves of [`split`](Self::split) and [`into_split`](Self::into_split), through
/// [`try_write`](Self::try_write), or through the stream of `netpoll-futures` ([`get_ref`](Self::get_ref)), whose `read`,
/// `write` and `write_all` take `&self` and whose `write_all` is contiguous.
///
/// Deadlines, readiness, close and conversions are those of every [`Socket`].
///
/// # Errors
///
/// The methods fail with [`Closed`](netpoll::Closed), [`DeadlineExceeded`](netpoll::DeadlineExceeded) or the error of the
/// system. Those that begin with `try_` fail with `WouldBlock` where they would have to wait.
pub type Stream<S> = Socket<S>;

impl<S: StreamSocket> Stream<S> {
    forward_poll! { self.inner:
        /// Polls [`readable`](Self::readable). An event wakes every task that polled.
        fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

        /// Polls [`writable`](Self::writable). An event wakes every task that polled.
        fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;
    }

    forward! { self.inner:
        /// Reads the bytes that are available.
        fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize>;

        /// [`try_read`](Self::try_read) into several buffers.
        fn try_read_vectored(&self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize>;
    }

    /// Writes as many bytes as the socket has room for, also in the middle of another task's
    /// [`write_all`](netpoll_futures::Stream::write_all).
    ///
    /// As in tokio, the stream stays [`writable`](Self::writable) until an attempt finds no room.
    pub fn try_write(&self, buffer: &[u8]) -> io::Result<usize> {
        let write = |socket: &S| sys::send(socket.as_fd(), buffer);
        self.inner.registration().try_io(Direction::Write, write)
    }

    /// [`try_write`](Self::try_write) from several buffers.
    pub fn try_write_vectored(&self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        let (window, _) = sys::window(buffers);
        let write = |socket: &S| sys::send_vectored(socket.as_fd(), &buffers[window.clone()]);
        self.inner.registration().try_io(Direction::Write, write)
    }

    /// Lends a half for reading and a half for writing, for two futures of one task.
    pub fn split(&mut self) -> (ReadHalf<'_, S>, WriteHalf<'_, S>) {
        (ReadHalf { stream: self }, WriteHalf { stream: self })
    }

    /// Splits the stream into a half for reading and a half for writing, for two tasks. The drop of the half for writing
    /// shuts down writing.
    #[must_use]
    pub fn into_split(self) -> (OwnedReadHalf<S>, OwnedWriteHalf<S>) {
        OwnedWriteHalf::split(self)
    }

    /// Shuts down writing. It succeeds also if the stream is no longer connected.
    pub(crate) fn end_writing(&self) -> io::Result<()> {
        self.inner.end_writing()
    }
}

impl<S: StreamSocket> AsRef<Stream<S>> for Stream<S> {
    fn as_ref(&self) -> &Stream<S> {
        self
    }
}
