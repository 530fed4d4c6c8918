//! tokio's io traits, for the stream and for its halves.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use netpoll::Closed;
use netpoll_futures::StreamSocket;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{OwnedReadHalf, OwnedWriteHalf, ReadHalf, Stream, WriteHalf};
use crate::{budget, uninit};

/// What the traits come to, whoever has them.
impl<S: StreamSocket> Stream<S> {
    fn fill(&self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        budget::poll(cx, |cx| uninit::poll_read(&self.inner, cx, buffer))
    }

    fn send(&self, cx: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        budget::poll(cx, |cx| self.inner.poll_write(cx, buffer))
    }

    fn send_vectored(
        &self,
        cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        budget::poll(cx, |cx| self.inner.poll_write_vectored(cx, buffers))
    }

    /// There is nothing to flush: what was written is the kernel's.
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
                (*self).as_ref().fill(cx, buffer)
            }
        }
    )+};
}

macro_rules! writes {
    ($($type:ty),+) => {$(
        /// To shut it down is to end writing. The descriptor stays open.
        impl<S: StreamSocket> AsyncWrite for $type {
            fn poll_write(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buffer: &[u8],
            ) -> Poll<io::Result<usize>> {
                (*self).as_ref().send(cx, buffer)
            }

            fn poll_write_vectored(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buffers: &[IoSlice<'_>],
            ) -> Poll<io::Result<usize>> {
                (*self).as_ref().send_vectored(cx, buffers)
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
