//! Halves that are lent, for two futures of one task.

use std::io::{self, IoSlice, IoSliceMut};
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::BufMut;
use netpoll_futures::StreamSocket;
use tokio::io::ReadBuf;

use super::Stream;
use crate::io::{Interest, Ready};

/// The half that reads, lent by [`Stream::split`].
#[derive(Debug)]
pub struct ReadHalf<'a, S: StreamSocket>(pub(super) &'a Stream<S>);

/// The half that writes, lent by [`Stream::split`]. Dropping it ends nothing.
#[derive(Debug)]
pub struct WriteHalf<'a, S: StreamSocket>(pub(super) &'a Stream<S>);

/// What both kinds of halves can do is what [`Stream`] does, and told there.
macro_rules! read_half {
    ($type:ty) => {
        /// Each is the method of [`Stream`] of the same name.
        impl<S: StreamSocket> $type {
            /// Reads without taking away.
            pub async fn peek(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                self.as_ref().peek(buffer).await
            }

            /// Reads without taking away, for those who poll.
            pub fn poll_peek(
                &mut self,
                cx: &mut Context<'_>,
                buffer: &mut ReadBuf<'_>,
            ) -> Poll<io::Result<usize>> {
                self.as_ref().poll_peek(cx, buffer)
            }

            /// Waits until a direction of `interest` is ready.
            pub async fn ready(&self, interest: Interest) -> io::Result<Ready> {
                self.as_ref().ready(interest).await
            }

            /// Waits until there may be something to read.
            pub async fn readable(&self) -> io::Result<()> {
                self.as_ref().readable().await
            }

            /// Reads what there is now, or fails with `WouldBlock`.
            pub fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
                self.as_ref().try_read(buffer)
            }

            /// The same into several buffers.
            pub fn try_read_vectored(&self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
                self.as_ref().try_read_vectored(buffers)
            }

            /// The same into the spare room of `buffer`.
            pub fn try_read_buf<B: BufMut>(&self, buffer: &mut B) -> io::Result<usize> {
                self.as_ref().try_read_buf(buffer)
            }

            /// Sets or clears the deadline of reading.
            pub fn set_read_deadline(&self, deadline: Option<Instant>) -> io::Result<()> {
                self.as_ref().set_read_deadline(deadline)
            }
        }

        impl<S: StreamSocket> AsRef<Stream<S>> for $type {
            fn as_ref(&self) -> &Stream<S> {
                self.stream()
            }
        }
    };
}

macro_rules! write_half {
    ($type:ty) => {
        /// Each is the method of [`Stream`] of the same name.
        impl<S: StreamSocket> $type {
            /// Waits until a direction of `interest` is ready.
            pub async fn ready(&self, interest: Interest) -> io::Result<Ready> {
                self.as_ref().ready(interest).await
            }

            /// Waits until there may be room to write.
            pub async fn writable(&self) -> io::Result<()> {
                self.as_ref().writable().await
            }

            /// Writes what there is room for now, or fails with `WouldBlock`.
            pub fn try_write(&self, buffer: &[u8]) -> io::Result<usize> {
                self.as_ref().try_write(buffer)
            }

            /// The same from several buffers.
            pub fn try_write_vectored(&self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
                self.as_ref().try_write_vectored(buffers)
            }

            /// Sets or clears the deadline of writing.
            pub fn set_write_deadline(&self, deadline: Option<Instant>) -> io::Result<()> {
                self.as_ref().set_write_deadline(deadline)
            }
        }

        impl<S: StreamSocket> AsRef<Stream<S>> for $type {
            fn as_ref(&self) -> &Stream<S> {
                self.stream()
            }
        }
    };
}
pub(super) use {read_half, write_half};

read_half!(ReadHalf<'_, S>);
write_half!(WriteHalf<'_, S>);

impl<S: StreamSocket> ReadHalf<'_, S> {
    fn stream(&self) -> &Stream<S> {
        self.0
    }
}

impl<S: StreamSocket> WriteHalf<'_, S> {
    fn stream(&self) -> &Stream<S> {
        self.0
    }

    pub(super) fn end_writing(&self) -> io::Result<()> {
        self.0.end_writing()
    }
}
