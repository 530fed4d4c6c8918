//! The I/O of a connection of the server, in two layers.
//!
//! [`ServedStream`] is the socket with the server's deadlines. [`ServedIo`] is hyper's, and inspects the bytes of HTTP. Between
//! the two is the stream of TLS, if the connection has one.

use std::fmt;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::io::{AsyncRead, AsyncWrite};
use hyper::rt::{Read, ReadBufCursor, Write};
use netpoll::Direction;
use netpoll_futures::peer::Expiry;
use netpoll_futures::{Stream, StreamSocket, is_deadline_exceeded};

use super::connections::ConnectionGuard;
use super::progress::ProgressTracker;
use crate::read_buf::{Window, poll_fill};

/// The connection that [`Server::serve_with`](super::Server::serve_with) passes to its handshake: a stream with the
/// server's deadlines, for a library of TLS that takes the traits of futures-io.
///
/// No operation fails because of a deadline for reading. The server ends the connection itself, after it has read the bytes
/// that have arrived. A write fails with [`DeadlineExceeded`](netpoll::DeadlineExceeded) if the peer has stalled.
pub struct ServedStream<S: StreamSocket> {
    stream: Stream<S>,
    tracker: Arc<ProgressTracker<S>>,
}

impl<S: StreamSocket> ServedStream<S> {
    pub(super) fn new(stream: Stream<S>, tracker: Arc<ProgressTracker<S>>) -> Self {
        Self { stream, tracker }
    }

    /// The stream.
    #[must_use]
    pub fn get_ref(&self) -> &Stream<S> {
        &self.stream
    }

    /// The stream, without the server's deadlines.
    #[must_use]
    pub fn into_inner(self) -> Stream<S> {
        self.tracker.stop();
        self.stream
    }

    /// Reads into memory that need not be initialised: as many bytes as it returns are initialised then, and none becomes
    /// uninitialised.
    pub(crate) fn poll_read_uninit(
        &self,
        cx: &mut Context<'_>,
        buffer: &mut [MaybeUninit<u8>],
    ) -> Poll<io::Result<usize>> {
        self.poll_reading(|| self.stream.poll_read_uninit(cx, buffer))
    }

    /// A deadline of the server does not fail a read. The tracker removes it from the socket, the read calls the
    /// kernel once more, and the connection's task decides after hyper has used the bytes.
    fn poll_reading(
        &self,
        mut read: impl FnMut() -> Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        loop {
            match read() {
                Poll::Ready(Err(error)) if is_deadline_exceeded(&error) => {
                    if self.tracker.peer.expired(Direction::Read) == Expiry::Foreign {
                        return Poll::Ready(Err(error));
                    }
                }
                read => return read,
            }
        }
    }
}

/// Prints the stream.
impl<S: StreamSocket> fmt::Debug for ServedStream<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServedStream").field("stream", &self.stream).finish_non_exhaustive()
    }
}

impl<S: StreamSocket> AsyncRead for ServedStream<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_reading(|| self.stream.poll_read(cx, buffer))
    }
}

impl<S: StreamSocket> AsyncWrite for ServedStream<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.tracker.peer.poll_write(|| self.stream.poll_write(cx, buffer))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.tracker.peer.poll_write(|| self.stream.poll_write_vectored(cx, buffers))
    }

    /// Does nothing: written bytes are already in the kernel.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// Ends writing; the descriptor stays open.
    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.stream.end_writing())
    }
}

/// Learns of the bytes of HTTP that a connection has read.
pub(super) trait Inspect: Send + Sync {
    fn bytes_read(&self, bytes: &[u8]);
}

/// The connection that a [`Server`](super::Server) gives to hyper. `T` is the stream that the handshake has returned; without
/// a handshake, it is a [`ServedStream`].
///
/// It is public for services that take over a connection: the `Upgraded` of an upgrade contains one
/// (`Upgraded::downcast`).
pub struct ServedIo<T> {
    pub(super) stream: T,
    window: Window,
    tracker: Arc<dyn Inspect>,
    /// The bytes from which the server detects the version, until hyper reads them.
    pub(super) prefix: Vec<u8>,
    /// After an upgrade, the server counts the connection while this exists.
    _guard: Arc<ConnectionGuard>,
}

impl<T> ServedIo<T> {
    pub(super) fn new(stream: T, tracker: Arc<dyn Inspect>, guard: Arc<ConnectionGuard>) -> Self {
        Self { stream, window: Window::LEAST, tracker, prefix: Vec::new(), _guard: guard }
    }

    /// The stream.
    #[must_use]
    pub fn get_ref(&self) -> &T {
        &self.stream
    }

    /// The stream. After an upgrade it has no deadlines of the server, and leaves the server, which neither counts nor closes it any
    /// more.
    #[must_use]
    pub fn into_inner(self) -> T {
        self.stream
    }
}

/// Prints the stream.
impl<T: fmt::Debug> fmt::Debug for ServedIo<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServedIo").field("stream", &self.stream).finish_non_exhaustive()
    }
}

impl<T: AsyncRead + Unpin + 'static> Read for ServedIo<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.prefix.is_empty() {
            let rest = this.prefix.split_off(this.prefix.len().min(buffer.remaining()));
            let bytes = std::mem::replace(&mut this.prefix, rest);
            buffer.put_slice(&bytes);
            this.tracker.bytes_read(&bytes);
            return Poll::Ready(Ok(()));
        }
        let inspect = |bytes: &[u8]| this.tracker.bytes_read(bytes);
        match poll_fill(&mut this.stream, &mut this.window, cx, &mut buffer, inspect) {
            // A peer that ends TLS without an alert has ended its stream: HTTP marks the end of each message itself.
            Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Poll::Ready(Ok(()))
            }
            read => read,
        }
    }
}

impl<T: AsyncWrite + Unpin> Write for ServedIo<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buffer)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

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
