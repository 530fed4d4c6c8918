//! The stream, in async-net's shape.

use std::fmt;
use std::io::{self, IoSlice, IoSliceMut};
use std::net::{self, Shutdown};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::net as unix;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_lite::io::{AsyncRead, AsyncWrite};
use netpoll_futures::{OpError, StreamSocket};

use super::wrapper::{convert, wrapper};

/// A connection: a [`TcpStream`](super::TcpStream) or a [`UnixStream`](super::unix::UnixStream).
///
/// It has the methods of async-net's streams, and deadlines. Each method fails with the error of the system,
/// [`Closed`](netpoll_futures::Closed) or [`DeadlineExceeded`](netpoll_futures::DeadlineExceeded).
pub struct Stream<S: StreamSocket>(netpoll_futures::Stream<S>);

wrapper!(Stream<StreamSocket>);
convert!(Stream<net::TcpStream>);
convert!(Stream<unix::UnixStream>);

impl<S: StreamSocket> Stream<S> {
    /// Shuts down reading, writing or both, for all clones.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.0.shutdown(how)
    }

    /// Reads bytes that stay in the socket.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, nothing changes.
    pub async fn peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.peek(buffer).await
    }

    /// Closes the socket for all clones: pending operations fail with [`Closed`](netpoll_futures::Closed),
    /// and the future resolves when the descriptor is closed. See [`netpoll_futures::Stream::close`].
    ///
    /// It has a name of its own, since smol's `AsyncWriteExt::close` shuts down writing only.
    pub async fn close_socket(&self) -> io::Result<()> {
        self.0.close().await
    }
}

impl Stream<net::TcpStream> {
    /// The local address.
    pub fn local_addr(&self) -> io::Result<net::SocketAddr> {
        self.0.local_addr()
    }

    /// The peer's address.
    pub fn peer_addr(&self) -> io::Result<net::SocketAddr> {
        self.0.peer_addr()
    }

    /// `TCP_NODELAY`, which is set by default.
    pub fn nodelay(&self) -> io::Result<bool> {
        self.0.nodelay()
    }

    /// `TCP_NODELAY`.
    pub fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        self.0.set_nodelay(nodelay)
    }

    /// `IP_TTL`.
    pub fn ttl(&self) -> io::Result<u32> {
        self.0.ttl()
    }

    /// `IP_TTL`.
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        self.0.set_ttl(ttl)
    }
}

impl Stream<unix::UnixStream> {
    /// The local address.
    pub fn local_addr(&self) -> io::Result<unix::SocketAddr> {
        self.0.local_addr()
    }

    /// The peer's address.
    pub fn peer_addr(&self) -> io::Result<unix::SocketAddr> {
        self.0.peer_addr()
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

    /// Shuts down writing. The descriptor stays open.
    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_close(cx)
    }
}
