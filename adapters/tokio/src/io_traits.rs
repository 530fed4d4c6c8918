//! tokio's io traits, for streams and their halves.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use netpoll::{Closed, Registration};
use netpoll_futures::StreamSocket;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::budget;
use crate::halves::{OwnedReadHalf, OwnedWriteHalf, ReadHalf, WriteHalf};
use crate::stream::Stream;

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
                let stream: &Stream<S> = (*self).as_ref();
                budget::poll(cx, |cx| stream.inner.poll_write(cx, buffer))
            }

            fn poll_write_vectored(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buffers: &[IoSlice<'_>],
            ) -> Poll<io::Result<usize>> {
                let stream: &Stream<S> = (*self).as_ref();
                budget::poll(cx, |cx| stream.inner.poll_write_vectored(cx, buffers))
            }

            fn is_write_vectored(&self) -> bool {
                true
            }

            fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
                let stream: &Stream<S> = (*self).as_ref();
                Poll::Ready(flush(stream.inner.registration()))
            }

            fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
                Poll::Ready(Pin::into_inner(self).end_writing())
            }
        }
    )+};
}

/// The kernel has all bytes that were written.
pub(crate) fn flush<T>(registration: &Registration<T>) -> io::Result<()> {
    if registration.is_closed() { Err(Closed::error()) } else { Ok(()) }
}

reads!(Stream<S>, ReadHalf<'_, S>, OwnedReadHalf<S>);
writes!(Stream<S>, WriteHalf<'_, S>, OwnedWriteHalf<S>);
