//! Halves that are owned, for two tasks.

use std::error::Error;
use std::fmt;
use std::io::{self, IoSlice, IoSliceMut};
use std::ptr;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::BufMut;
use netpoll_futures::StreamSocket;
use tokio::io::ReadBuf;

use super::Stream;
use super::halves::{read_half, write_half};
use crate::io::{Interest, Ready};

/// The half that reads, of [`Stream::into_split`].
#[derive(Debug)]
pub struct OwnedReadHalf<S: StreamSocket> {
    stream: Stream<S>,
}

/// The half that writes, of [`Stream::into_split`]. Dropped, it ends writing, unless
/// [forgotten](Self::forget).
#[derive(Debug)]
pub struct OwnedWriteHalf<S: StreamSocket> {
    stream: Stream<S>,
    ends_when_dropped: bool,
}

/// Two halves that are not of the same stream. They are given back.
#[derive(Debug)]
pub struct ReuniteError<S: StreamSocket>(pub OwnedReadHalf<S>, pub OwnedWriteHalf<S>);

pub(super) fn divide<S: StreamSocket>(stream: Stream<S>) -> (OwnedReadHalf<S>, OwnedWriteHalf<S>) {
    let reader = OwnedReadHalf { stream: stream.inner.clone().into() };
    (reader, OwnedWriteHalf { stream, ends_when_dropped: true })
}

fn reunite<S: StreamSocket>(
    reader: OwnedReadHalf<S>,
    writer: OwnedWriteHalf<S>,
) -> Result<Stream<S>, ReuniteError<S>> {
    let [read, write] = [&reader.stream, &writer.stream].map(|half| half.inner.registration());
    if !ptr::eq(read, write) {
        return Err(ReuniteError(reader, writer));
    }
    writer.forget();
    Ok(reader.stream)
}

read_half!(OwnedReadHalf<S>);
write_half!(OwnedWriteHalf<S>);

impl<S: StreamSocket> OwnedReadHalf<S> {
    /// Makes the two halves of a stream one again.
    ///
    /// # Errors
    ///
    /// Both halves, if they are not of the same stream.
    pub fn reunite(self, other: OwnedWriteHalf<S>) -> Result<Stream<S>, ReuniteError<S>> {
        reunite(self, other)
    }

    fn stream(&self) -> &Stream<S> {
        &self.stream
    }
}

impl<S: StreamSocket> OwnedWriteHalf<S> {
    /// Makes the two halves of a stream one again.
    ///
    /// # Errors
    ///
    /// Both halves, if they are not of the same stream.
    pub fn reunite(self, other: OwnedReadHalf<S>) -> Result<Stream<S>, ReuniteError<S>> {
        reunite(other, self)
    }

    /// Drops it without an end to writing.
    pub fn forget(mut self) {
        self.ends_when_dropped = false;
    }

    fn stream(&self) -> &Stream<S> {
        &self.stream
    }

    pub(super) fn end_writing(&mut self) -> io::Result<()> {
        self.stream.end_writing()?;
        self.ends_when_dropped = false;
        Ok(())
    }
}

impl<S: StreamSocket> Drop for OwnedWriteHalf<S> {
    fn drop(&mut self) {
        if self.ends_when_dropped {
            // Closed or reset, it has ended.
            let _ = self.stream.end_writing();
        }
    }
}

impl<S: StreamSocket> fmt::Display for ReuniteError<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("reunite: the halves are not of the same stream")
    }
}

impl<S: StreamSocket> Error for ReuniteError<S> {}
