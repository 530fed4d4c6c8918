//! A served connection as hyper reads and writes it.

use std::fmt;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use hyper::rt::{Read, ReadBufCursor, Write};
use netpoll_futures::{Stream, StreamSocket, is_deadline_exceeded};

use super::watch::Watch;
use crate::fill::poll_fill;
use crate::io::end_writing;

/// The connection that a [`Server`](super::Server) has hyper serve: as [`Io`](crate::Io), and it
/// sees to the deadlines.
///
/// It is public for who takes a connection over: the `Upgraded` of an upgrade is one
/// (`Upgraded::downcast`).
pub struct ServedIo<S: StreamSocket> {
    stream: Stream<S>,
    watch: Arc<Watch<S>>,
}

impl<S: StreamSocket> ServedIo<S> {
    pub(super) fn new(stream: Stream<S>, watch: Arc<Watch<S>>) -> Self {
        Self { stream, watch }
    }

    /// The stream.
    #[must_use]
    pub fn get_ref(&self) -> &Stream<S> {
        &self.stream
    }

    /// The stream, without the server's deadlines.
    #[must_use]
    pub fn into_inner(self) -> Stream<S> {
        self.watch.end();
        self.stream
    }

    /// Whether it failed for a deadline that has been moved meanwhile.
    fn goes_on(&self, error: &io::Error, is_late: impl FnOnce(&Watch<S>) -> bool) -> bool {
        is_deadline_exceeded(error) && !is_late(&self.watch)
    }

    fn poll_written(
        &self,
        mut poll: impl FnMut() -> Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        loop {
            let written = poll();
            match &written {
                Poll::Ready(Ok(1..)) => self.watch.has_written(),
                Poll::Pending => self.watch.is_blocked(),
                Poll::Ready(Err(error)) if self.goes_on(error, Watch::is_late_to_write) => continue,
                Poll::Ready(_) => {}
            }
            return written;
        }
    }
}

/// Prints the stream.
impl<S: StreamSocket> fmt::Debug for ServedIo<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServedIo").field("stream", &self.stream).finish_non_exhaustive()
    }
}

impl<S: StreamSocket> Read for ServedIo<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            let read = poll_fill(&self.stream, cx, &mut buffer);
            match &read {
                Poll::Ready(Ok(1..)) => self.watch.has_read(),
                Poll::Ready(Err(error)) if self.goes_on(error, Watch::is_late_to_read) => continue,
                _ => {}
            }
            return read.map_ok(drop);
        }
    }
}

impl<S: StreamSocket> Write for ServedIo<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_written(|| self.stream.poll_write(cx, buffer))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(end_writing(&self.stream))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_written(|| self.stream.poll_write_vectored(cx, buffers))
    }
}
