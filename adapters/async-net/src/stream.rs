//! Streams: reading and writing, with the traits of futures-io.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::Shutdown;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::io::{AsyncRead, AsyncWrite};
use netpoll::{Direction, Eager, Transfer};
use netpoll_futures::{StreamSocket, sys};

use crate::Socket;

impl<S: StreamSocket> Socket<S> {
    /// A read of at most `len` bytes. A TCP socket causes an event for each change, so a read waits for one, and makes no
    /// attempt before it. A Unix socket may end a read early, so each poll makes an attempt, as in async-net.
    fn poll_read_by(
        &self,
        cx: &mut Context<'_>,
        len: usize,
        read: impl FnMut(&S) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        let registration = self.0.registration();
        if S::SHORT_READ_DRAINS {
            registration.poll_io(cx, Transfer(Direction::Read, len), read)
        } else {
            registration.poll_io(cx, Eager(Direction::Read), read)
        }
    }

    /// A write of at most `len` bytes. As in async-net, each poll makes an attempt, and uses any room.
    fn poll_write_by(
        &self,
        cx: &mut Context<'_>,
        len: usize,
        write: impl FnMut(&S) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        let rule = Eager(Transfer(Direction::Write, len));
        self.0.registration().poll_io(cx, rule, write)
    }
}

impl<S: StreamSocket> AsyncRead for Socket<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_read_by(cx, buffer.len(), |socket| sys::recv(socket.as_fd(), buffer))
    }

    fn poll_read_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        let (window, len) = sys::window(buffers);
        self.poll_read_by(cx, len, |socket| {
            sys::recv_vectored(socket.as_fd(), &mut buffers[window.clone()])
        })
    }
}

impl<S: StreamSocket> AsyncWrite for Socket<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_by(cx, buffer.len(), |socket| sys::send(socket.as_fd(), buffer))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let (window, len) = sys::window(buffers);
        self.poll_write_by(cx, len, |socket| {
            sys::send_vectored(socket.as_fd(), &buffers[window.clone()])
        })
    }

    /// Ready: a socket keeps no bytes back.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// Shuts down writing. The descriptor stays open.
    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.shutdown(Shutdown::Write))
    }
}
