//! A stream as hyper reads and writes it.

use std::io::{self, IoSlice};
use std::net::Shutdown;
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::rt::{Read, ReadBufCursor, Write};
use netpoll_futures::{Stream, StreamSocket, is_closed};

use crate::fill::poll_fill;

/// A connection for hyper, client or server: a [`TcpStream`](netpoll_futures::TcpStream) or a
/// [`UnixStream`](netpoll_futures::UnixStream).
///
/// What is read goes into hyper's buffer, which is neither cleared before nor copied to; what is
/// written from several buffers is one system call. The deadlines of the stream are the user's: keep a
/// clone of it, and set them from any task. A deadline that passes ends the connection, as hyper
/// takes no failed read or write back.
#[derive(Debug)]
pub struct Io<S: StreamSocket> {
    stream: Stream<S>,
}

impl<S: StreamSocket> Io<S> {
    /// A stream for hyper.
    #[must_use]
    pub fn new(stream: Stream<S>) -> Self {
        Self { stream }
    }

    /// The stream, to set its deadlines for example.
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

    /// There is nothing to flush: what was written is the kernel's.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// Ends writing; the peer reads what was written, and then the end.
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
        self.stream.poll_write_vectored(cx, buffers)
    }
}

pub(crate) fn end_writing<S: StreamSocket>(stream: &Stream<S>) -> io::Result<()> {
    match stream.shutdown(Shutdown::Write) {
        // The peer has reset it, or it was ended before.
        Err(error) if error.kind() == io::ErrorKind::NotConnected && !is_closed(&error) => Ok(()),
        done => done,
    }
}
