//! hyper's I/O traits for a stream.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::rt::{Read, ReadBufCursor, Write};
use netpoll_futures::{Stream, StreamSocket};

use crate::read_buf::poll_fill;

/// A connection for hyper, client or server: a [`TcpStream`](netpoll_futures::TcpStream) or a
/// [`UnixStream`](netpoll_futures::UnixStream).
///
/// A read goes straight into hyper's uninitialised buffer, and a write from several buffers is one system call.
/// The deadlines of the stream are yours: keep a clone of the stream, and set them from any task. A deadline
/// that passes ends the connection, since hyper does not repeat a read or write that failed.
#[derive(Debug)]
pub struct Io<S: StreamSocket> {
    stream: Stream<S>,
}

impl<S: StreamSocket> Io<S> {
    /// Wraps a stream.
    #[must_use]
    pub fn new(stream: Stream<S>) -> Self {
        Self { stream }
    }

    /// The stream, for example to set its deadlines.
    #[must_use]
    pub fn get_ref(&self) -> &Stream<S> {
        &self.stream
    }

    /// The stream.
    #[must_use]
    pub fn into_inner(self) -> Stream<S> {
        self.stream
    }
}

impl<S: StreamSocket> From<Stream<S>> for Io<S> {
    fn from(stream: Stream<S>) -> Self {
        Self::new(stream)
    }
}

impl<S: StreamSocket> Read for Io<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        poll_fill(&self.stream, cx, &mut buffer, |_| {})
    }
}

impl<S: StreamSocket> Write for Io<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.stream.poll_write(cx, buffer)
    }

    /// Does nothing: the kernel has all bytes that were written.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// Shuts down writing: the peer reads the bytes that were written, and then the end.
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.stream.end_writing())
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.stream.poll_write_vectored(cx, buffers)
    }
}
