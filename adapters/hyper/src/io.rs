//! hyper's I/O traits for a stream.

use std::fmt;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::io::{AsyncRead, AsyncWrite};
use hyper::rt::{Read, ReadBufCursor, Write};

use crate::read_buf::{Window, poll_fill};

/// A connection for hyper, client or server: a [`TcpStream`](netpoll_futures::TcpStream), a
/// [`UnixStream`](netpoll_futures::UnixStream), or any other stream with the traits of futures-io, such as one of TLS.
///
/// A write from several buffers is one system call, if the stream makes it one. A read from a `TcpStream` or a
/// `UnixStream` goes straight into hyper's uninitialised buffer. For another stream, a part of the buffer is cleared
/// first: four times as many bytes as the last read has returned, at least 1 KiB and at most 16.
///
/// The deadlines of the stream are yours: keep a clone of the socket, and set them from any task. A deadline
/// that passes ends the connection, since hyper does not repeat a read or write that failed.
pub struct Io<T> {
    stream: T,
    window: Window,
}

/// Prints the stream.
impl<T: fmt::Debug> fmt::Debug for Io<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Io").field("stream", &self.stream).finish_non_exhaustive()
    }
}

impl<T> Io<T> {
    /// Wraps a stream.
    #[must_use]
    pub fn new(stream: T) -> Self {
        Self { stream, window: Window::LEAST }
    }

    /// The stream, for example to set its deadlines.
    #[must_use]
    pub fn get_ref(&self) -> &T {
        &self.stream
    }

    /// The stream.
    #[must_use]
    pub fn into_inner(self) -> T {
        self.stream
    }
}

impl<T> From<T> for Io<T> {
    fn from(stream: T) -> Self {
        Self::new(stream)
    }
}

impl<T: AsyncRead + Unpin + 'static> Read for Io<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let Self { stream, window } = &mut *self;
        poll_fill(stream, window, cx, &mut buffer, |_| {})
    }
}

impl<T: AsyncWrite + Unpin> Write for Io<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buffer)
    }

    /// Flushes the stream. A socket has nothing to flush: the kernel has all bytes that were written.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    /// Ends writing: the peer reads the bytes that were written, and then the end.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_close(cx)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, buffers)
    }
}
