//! The stream: that of `netpoll-futures`, with smol's meaning of `close`.

use std::fmt;
use std::io::{self, IoSlice, IoSliceMut};
use std::net;
use std::ops::Deref;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::net as unix;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_lite::io::{AsyncRead, AsyncWrite};
use netpoll_futures::{OpError, StreamSocket};

/// A connection: a [`TcpStream`](super::TcpStream) or a [`UnixStream`](super::unix::UnixStream).
///
/// Everything that [`netpoll_futures::Stream`] can do is there, deadlines first of all. It is another
/// type only so that `close` of `AsyncWriteExt` is not hidden by its `close`.
pub struct Stream<S: StreamSocket>(netpoll_futures::Stream<S>);

/// Prints the socket as the standard library does: its descriptor and its addresses.
impl<S: StreamSocket> fmt::Debug for Stream<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A clone is the same socket.
impl<S: StreamSocket> Clone for Stream<S> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<S: StreamSocket> Deref for Stream<S> {
    type Target = netpoll_futures::Stream<S>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl<S: StreamSocket> From<netpoll_futures::Stream<S>> for Stream<S> {
    fn from(stream: netpoll_futures::Stream<S>) -> Self {
        Self(stream)
    }
}

impl<S: StreamSocket> From<Stream<S>> for netpoll_futures::Stream<S> {
    fn from(stream: Stream<S>) -> Self {
        stream.0
    }
}

impl TryFrom<net::TcpStream> for Stream<net::TcpStream> {
    type Error = io::Error;

    fn try_from(stream: net::TcpStream) -> io::Result<Self> {
        netpoll_futures::TcpStream::try_from(stream).map(Self).map_err(OpError::strip)
    }
}

impl TryFrom<unix::UnixStream> for Stream<unix::UnixStream> {
    type Error = io::Error;

    fn try_from(stream: unix::UnixStream) -> io::Result<Self> {
        netpoll_futures::UnixStream::try_from(stream).map(Self).map_err(OpError::strip)
    }
}

impl TryFrom<OwnedFd> for Stream<net::TcpStream> {
    type Error = io::Error;

    fn try_from(fd: OwnedFd) -> io::Result<Self> {
        net::TcpStream::from(fd).try_into()
    }
}

impl TryFrom<OwnedFd> for Stream<unix::UnixStream> {
    type Error = io::Error;

    fn try_from(fd: OwnedFd) -> io::Result<Self> {
        unix::UnixStream::from(fd).try_into()
    }
}

impl<S: StreamSocket> AsFd for Stream<S> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl<S: StreamSocket> AsRawFd for Stream<S> {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

impl<S: StreamSocket> AsyncRead for Stream<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        self.0.poll_read(cx, buffer)
    }

    fn poll_read_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        self.0.poll_read_vectored(cx, buffers)
    }
}

impl<S: StreamSocket> AsyncWrite for Stream<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.0.poll_write(cx, buffer)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.0.poll_write_vectored(cx, buffers)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    /// Ends writing.
    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_close(cx)
    }
}
