//! hyper's I/O traits for a connection of the server.

use std::fmt;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use hyper::rt::{Read, ReadBufCursor, Write};
use netpoll::Direction;
use netpoll_futures::peer::Expiry;
use netpoll_futures::{Stream, StreamSocket, is_deadline_exceeded};

use super::connections::ConnectionGuard;
use super::progress::ProgressTracker;
use crate::read_buf::poll_fill;

/// The connection that a [`Server`](super::Server) gives to hyper: an [`Io`](crate::Io) with the server's
/// deadlines.
///
/// It is public for services that take over a connection: the `Upgraded` of an upgrade contains one
/// (`Upgraded::downcast`).
pub struct ServedIo<S: StreamSocket> {
    stream: Stream<S>,
    tracker: Arc<ProgressTracker<S>>,
    /// After an upgrade, the server counts the connection while this exists.
    _guard: Arc<ConnectionGuard>,
}

impl<S: StreamSocket> ServedIo<S> {
    pub(super) fn new(
        stream: Stream<S>,
        tracker: Arc<ProgressTracker<S>>,
        guard: Arc<ConnectionGuard>,
    ) -> Self {
        Self { stream, tracker, _guard: guard }
    }

    /// The stream.
    #[must_use]
    pub fn get_ref(&self) -> &Stream<S> {
        &self.stream
    }

    /// The stream, without the server's deadlines. It leaves the server, which neither counts nor closes it any more.
    #[must_use]
    pub fn into_inner(self) -> Stream<S> {
        self.tracker.stop();
        self.stream
    }
}

/// Prints the stream.
impl<S: StreamSocket> fmt::Debug for ServedIo<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServedIo").field("stream", &self.stream).finish_non_exhaustive()
    }
}

impl<S: StreamSocket> Read for ServedIo<S> {
    /// A deadline of the server does not fail a read. The tracker removes it from the socket, the read calls the
    /// kernel once more, and the connection's task decides after hyper has used the bytes.
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            match poll_fill(&self.stream, cx, &mut buffer, |bytes| self.tracker.bytes_read(bytes)) {
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

impl<S: StreamSocket> Write for ServedIo<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.tracker.peer.poll_write(|| self.stream.poll_write(cx, buffer))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

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
        self.tracker.peer.poll_write(|| self.stream.poll_write_vectored(cx, buffers))
    }
}
