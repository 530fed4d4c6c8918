//! The halves of a stream: borrowed, for two futures of one task, and owned, for two tasks.

use std::error::Error;
use std::fmt;
use std::io::{self, IoSlice, IoSliceMut};
use std::ptr;
use std::task::{Context, Poll};

use bytes::BufMut;
use netpoll::Deadline;
use netpoll_futures::StreamSocket;
use tokio::io::ReadBuf;

use crate::forward::forward;
use crate::io::{Interest, Ready};
use crate::stream::Stream;

/// The half for reading, of [`Stream::split`].
#[derive(Debug)]
pub struct ReadHalf<'a, S: StreamSocket> {
    pub(crate) stream: &'a Stream<S>,
}

/// The half for writing, of [`Stream::split`]. Its drop changes nothing.
#[derive(Debug)]
pub struct WriteHalf<'a, S: StreamSocket> {
    pub(crate) stream: &'a Stream<S>,
}

/// The half for reading, of [`Stream::into_split`].
#[derive(Debug)]
pub struct OwnedReadHalf<S: StreamSocket> {
    stream: Stream<S>,
}

/// The half for writing, of [`Stream::into_split`]. Its drop shuts down writing, unless it was
/// [forgotten](Self::forget).
#[derive(Debug)]
pub struct OwnedWriteHalf<S: StreamSocket> {
    stream: Stream<S>,
    ends_when_dropped: bool,
}

/// The two halves do not belong to the same stream. The error returns them.
#[derive(Debug)]
pub struct ReuniteError<S: StreamSocket>(pub OwnedReadHalf<S>, pub OwnedWriteHalf<S>);

macro_rules! read_half {
    ($type:ty) => {
        /// Each method is the method of [`Stream`] with the same name.
        impl<S: StreamSocket> $type {
            /// Reads bytes that stay in the socket.
            pub async fn peek(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                self.stream.peek(buffer).await
            }

            /// Polls [`peek`](Self::peek).
            pub fn poll_peek(
                &mut self,
                cx: &mut Context<'_>,
                buffer: &mut ReadBuf<'_>,
            ) -> Poll<io::Result<usize>> {
                self.stream.poll_peek_buf(cx, buffer)
            }

            /// Waits until a read may succeed, or must fail.
            pub async fn readable(&self) -> io::Result<()> {
                self.stream.readable().await
            }

            /// Reads available bytes into the spare room of `buffer`.
            pub fn try_read_buf<B: BufMut>(&self, buffer: &mut B) -> io::Result<usize> {
                self.stream.try_read_buf(buffer)
            }

            forward! { self.stream:
                /// Reads the bytes that are available.
                fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize>;

                /// Reads available bytes into several buffers.
                fn try_read_vectored(&self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize>;

                /// Sets or clears the deadline of reading.
                fn set_read_deadline(&self, deadline: impl Into<Deadline>) -> io::Result<()>;
            }
        }

        half!($type);
    };
}

macro_rules! write_half {
    ($type:ty) => {
        /// Each method is the method of [`Stream`] with the same name.
        impl<S: StreamSocket> $type {
            /// Waits until a write may succeed, or must fail.
            pub async fn writable(&self) -> io::Result<()> {
                self.stream.writable().await
            }

            forward! { self.stream:
                /// Writes as many bytes as the socket has room for.
                fn try_write(&self, buffer: &[u8]) -> io::Result<usize>;

                /// Writes from several buffers.
                fn try_write_vectored(&self, buffers: &[IoSlice<'_>]) -> io::Result<usize>;

                /// Sets or clears the deadline of writing.
                fn set_write_deadline(&self, deadline: impl Into<Deadline>) -> io::Result<()>;
            }
        }

        half!($type);
    };
}

macro_rules! half {
    ($type:ty) => {
        impl<S: StreamSocket> $type {
            /// Waits until the stream is ready for a part of `interest`.
            pub async fn ready(&self, interest: Interest) -> io::Result<Ready> {
                self.stream.ready(interest).await
            }

            forward! { self.stream:
                /// The local address.
                fn local_addr(&self) -> io::Result<S::Address>;

                /// The peer's address.
                fn peer_addr(&self) -> io::Result<S::Address>;
            }
        }

        impl<S: StreamSocket> AsRef<Stream<S>> for $type {
            fn as_ref(&self) -> &Stream<S> {
                &self.stream
            }
        }
    };
}

read_half!(ReadHalf<'_, S>);
read_half!(OwnedReadHalf<S>);
write_half!(WriteHalf<'_, S>);
write_half!(OwnedWriteHalf<S>);

impl<S: StreamSocket> WriteHalf<'_, S> {
    pub(crate) fn end_writing(&self) -> io::Result<()> {
        self.stream.end_writing()
    }
}

impl<S: StreamSocket> OwnedReadHalf<S> {
    /// Makes a stream of its two halves.
    ///
    /// # Errors
    ///
    /// The halves, if they do not belong to the same stream.
    pub fn reunite(self, other: OwnedWriteHalf<S>) -> Result<Stream<S>, ReuniteError<S>> {
        let [read, write] = [&self.stream, &other.stream].map(|half| half.inner.registration());
        if !ptr::eq(read, write) {
            return Err(ReuniteError(self, other));
        }
        other.forget();
        Ok(self.stream)
    }
}

impl<S: StreamSocket> OwnedWriteHalf<S> {
    pub(crate) fn split(stream: Stream<S>) -> (OwnedReadHalf<S>, Self) {
        let reader = OwnedReadHalf { stream: stream.inner.clone().into() };
        (reader, Self { stream, ends_when_dropped: true })
    }

    /// Makes a stream of its two halves.
    ///
    /// # Errors
    ///
    /// The halves, if they do not belong to the same stream.
    pub fn reunite(self, other: OwnedReadHalf<S>) -> Result<Stream<S>, ReuniteError<S>> {
        other.reunite(self)
    }

    /// Drops the half and does not shut down writing.
    pub fn forget(mut self) {
        self.ends_when_dropped = false;
    }

    pub(crate) fn end_writing(&mut self) -> io::Result<()> {
        self.stream.end_writing()?;
        self.ends_when_dropped = false;
        Ok(())
    }
}

impl<S: StreamSocket> Drop for OwnedWriteHalf<S> {
    fn drop(&mut self) {
        if self.ends_when_dropped {
            // An error means that the stream was closed or reset.
            let _ = self.stream.end_writing();
        }
    }
}

impl<S: StreamSocket> fmt::Display for ReuniteError<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("reunite: the halves do not belong to the same stream")
    }
}

impl<S: StreamSocket> Error for ReuniteError<S> {}
