//! tokio's io traits, for streams and their halves.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use netpoll::Closed;
use netpoll_futures::StreamSocket;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::halves::{OwnedReadHalf, OwnedWriteHalf, ReadHalf, WriteHalf};
use crate::stream::Stream;
use crate::{budget, read_buf};

/// Reading and writing by `&self`, which the halves of a stream share.
impl<S: StreamSocket> Stream<S> {
    fn poll_read_into(&self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        budget::poll(cx, |cx| read_buf::poll_read(&self.inner, cx, buf))
    }

    fn poll_write_from(&self, cx: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        budget::poll(cx, |cx| self.inner.poll_write(cx, buffer))
    }

    fn poll_write_from_all(
        &self,
        cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        budget::poll(cx, |cx| self.inner.poll_write_vectored(cx, buffers))
    }

    /// The kernel has all bytes that were written.
    fn flush(&self) -> io::Result<()> {
        if self.inner.registration().is_closed() { Err(Closed::error()) } else { Ok(()) }
    }
}

macro_rules! reads {
    ($($type:ty),+) => {$(
        /// Reads straight into the buffer, initialised or not.
        impl<S: StreamSocket> AsyncRead for $type {
            fn poll_read(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buffer: &mut ReadBuf<'_>,
            ) -> Poll<io::Result<()>> {
                (*self).as_ref().poll_read_into(cx, buffer)
            }
        }
    )+};
}

macro_rules! writes {
    ($($type:ty),+) => {$(
        /// `poll_shutdown` shuts down writing. The descriptor stays open.
        impl<S: StreamSocket> AsyncWrite for $type {
            fn poll_write(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buffer: &[u8],
            ) -> Poll<io::Result<usize>> {
                (*self).as_ref().poll_write_from(cx, buffer)
            }

            fn poll_write_vectored(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buffers: &[IoSlice<'_>],
            ) -> Poll<io::Result<usize>> {
                (*self).as_ref().poll_write_from_all(cx, buffers)
            }

            fn is_write_vectored(&self) -> bool {
                true
            }

            fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
                Poll::Ready((*self).as_ref().flush())
            }

            fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
                Poll::Ready(Pin::into_inner(self).end_writing())
            }
        }
    )+};
}

reads!(Stream<S>, ReadHalf<'_, S>, OwnedReadHalf<S>);
writes!(Stream<S>, WriteHalf<'_, S>, OwnedWriteHalf<S>);
