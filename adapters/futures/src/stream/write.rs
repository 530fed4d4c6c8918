//! Writing: a writer holds the write lock from its first byte to its last.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::task::{Context, Poll, ready};

use crate::sys;
use netpoll::{Direction, Registration};

use super::{Stream, StreamSocket};
use crate::partial;
use crate::write_lock::Writing;

impl<S: StreamSocket> Stream<S> {
    /// Writes as much as there is room for, at least something. It tries before it waits, as Go's does,
    /// and so uses room that is too little for the socket to be [`writable`](Self::writable).
    ///
    /// # Errors
    ///
    /// [`Closed`](crate::Closed), [`DeadlineExceeded`](crate::DeadlineExceeded), or the system's.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it has written nothing.
    pub fn write(&self, buffer: &[u8]) -> impl Future<Output = io::Result<usize>> {
        let mut writing = self.writing();
        poll_fn(move |cx| {
            ready!(writing.poll_lock(cx))?;
            let polled = poll_write_some(&mut writing, cx, buffer);
            writing.unlock_if_over(polled)
        })
    }

    /// As [`write`](Self::write), from several buffers.
    pub async fn write_vectored(&self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut writing = self.writing();
        poll_fn(|cx| writing.poll_lock(cx)).await?;
        let (window, len) = sys::window(buffers);
        if len == 0 {
            return self.nothing_to_write();
        }
        let write = |socket: &S| sys::send_vectored(socket.as_fd(), &buffers[window.clone()]);
        poll_fn(|cx| writing.poll_transfer(cx, len, write)).await
    }

    /// Writes all of it. Nothing that others write comes in between.
    ///
    /// # Errors
    ///
    /// As for [`write`](Self::write); [`bytes_written`](crate::bytes_written) says how many came
    /// before it.
    ///
    /// # Cancel safety
    ///
    /// Dropped, part of it may have been written.
    pub fn write_all(&self, buffer: &[u8]) -> impl Future<Output = io::Result<()>> {
        let (mut writing, mut written) = (self.writing(), 0);
        poll_fn(move |cx| {
            ready!(writing.poll_lock(cx))?;
            let polled = poll_write_rest(&mut writing, cx, buffer, &mut written);
            writing.unlock_if_over(polled)
        })
    }

    pub(crate) fn nothing_to_write(&self) -> io::Result<usize> {
        nothing_to_write(self.registration())
    }
}

/// Writes something, with the lock held.
#[inline]
fn poll_write_some<S: StreamSocket>(
    writing: &mut Writing<'_, S>,
    cx: &mut Context<'_>,
    buffer: &[u8],
) -> Poll<io::Result<usize>> {
    if buffer.is_empty() {
        return Poll::Ready(nothing_to_write(writing.registration()));
    }
    writing.poll_transfer(cx, buffer.len(), |socket| sys::send(socket.as_fd(), buffer))
}

/// Writes all from `written` on, with the lock held.
#[inline]
fn poll_write_rest<S: StreamSocket>(
    writing: &mut Writing<'_, S>,
    cx: &mut Context<'_>,
    buffer: &[u8],
    written: &mut usize,
) -> Poll<io::Result<()>> {
    loop {
        let more = ready!(poll_write_some(writing, cx, &buffer[*written..]));
        *written += more.map_err(|error| partial::after(*written, error))?;
        if *written == buffer.len() {
            return Poll::Ready(Ok(()));
        }
    }
}

/// Writing nothing needs no room, but must be in time (as in Go).
fn nothing_to_write<S: StreamSocket>(registration: &Registration<S>) -> io::Result<usize> {
    match registration.try_io(Direction::Write, |_| Ok(0)) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
        done => done,
    }
}
