//! A served connection as hyper reads and writes it.

use std::fmt;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use hyper::rt::{Read, ReadBufCursor, Write};
use netpoll_futures::{Stream, StreamSocket, is_deadline_exceeded};

use super::watch::{Expiry, Watch};
use crate::fill::poll_fill;
use crate::io::end_writing;

/// The connection that a [`Server`](super::Server) has hyper serve: an [`Io`](crate::Io) with the
/// server's deadlines.
///
/// It is public for code that takes a connection over: the `Upgraded` of an upgrade contains one
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

    fn poll_written(
        &self,
        mut poll: impl FnMut() -> Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        loop {
            match poll() {
                Poll::Ready(Err(error)) if is_deadline_exceeded(&error) => {
                    match self.watch.write_expired() {
                        Expiry::Moved => {}
                        Expiry::Foreign => return Poll::Ready(Err(error)),
                        Expiry::Passed => {
                            let last = self.note_written(poll());
                            let stalled = last.is_pending() && !self.watch.has_taken();
                            return if stalled { Poll::Ready(Err(error)) } else { last };
                        }
                    }
                }
                written => return self.note_written(written),
            }
        }
    }

    fn note_written(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match &written {
            Poll::Ready(Ok(1..)) => self.watch.has_written(),
            Poll::Pending => self.watch.is_blocked(),
            Poll::Ready(_) => {}
        }
        written
    }
}

/// Prints the stream.
impl<S: StreamSocket> fmt::Debug for ServedIo<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServedIo").field("stream", &self.stream).finish_non_exhaustive()
    }
}

impl<S: StreamSocket> Read for ServedIo<S> {
    /// A deadline that has passed fails no read. The watch notes it and clears it, the read looks once more
    /// whether bytes are there, and the connection's task judges when hyper has used them.
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            match poll_fill(&self.stream, cx, &mut buffer, |bytes| self.watch.has_read(bytes)) {
                Poll::Ready(Err(error)) if is_deadline_exceeded(&error) => {
                    if self.watch.read_expired() == Expiry::Foreign {
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
