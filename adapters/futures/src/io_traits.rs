//! The traits of futures-io for the streams, and for references to them, of which several tasks may
//! each have one.

use std::io::{self, IoSlice, IoSliceMut};
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::io::{AsyncRead, AsyncWrite};

use crate::sealed::StreamSocket;
use crate::socket::Socket;
use crate::timeout::TimeoutStream;

/// Implements the traits by the methods of the same names, which take `&self`.
macro_rules! io_traits {
    ($($stream:ty: $methods:ident),+) => {$(
        impl<S: StreamSocket> AsyncRead for $stream {
            fn poll_read(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buffer: &mut [u8],
            ) -> Poll<io::Result<usize>> {
                $methods::poll_read(&self, cx, buffer)
            }

            fn poll_read_vectored(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buffers: &mut [IoSliceMut<'_>],
            ) -> Poll<io::Result<usize>> {
                $methods::poll_read_vectored(&self, cx, buffers)
            }
        }

        impl<S: StreamSocket> AsyncWrite for $stream {
            fn poll_write(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buffer: &[u8],
            ) -> Poll<io::Result<usize>> {
                $methods::poll_write(&self, cx, buffer)
            }

            fn poll_write_vectored(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buffers: &[IoSlice<'_>],
            ) -> Poll<io::Result<usize>> {
                $methods::poll_write_vectored(&self, cx, buffers)
            }

            /// Does nothing: written bytes are already in the kernel.
            fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
                Poll::Ready($methods::check_open(&self))
            }

            /// Ends writing, as async-net and tokio do; the descriptor stays open.
            fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
                Poll::Ready($methods::end_writing(&self))
            }
        }
    )+};
}

io_traits! {
    Socket<S>: Socket,
    &Socket<S>: Socket,
    TimeoutStream<S>: TimeoutStream,
    &TimeoutStream<S>: TimeoutStream
}
