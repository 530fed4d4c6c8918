//! Writing, under the write lock of the registration.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::task::{Context, Poll};

use netpoll::{Contiguous, Direction, ReadinessWait, Registration};

use super::Stream;
use crate::sealed::StreamSocket;
use crate::{events, partial, sys};

impl<S: StreamSocket> Stream<S> {
    /// Writes as many bytes as there is room for, at least one. Like Go's, it tries before it waits, so
    /// it uses even room that is too little for the socket to be [`writable`](Self::writable).
    ///
    /// # Errors
    ///
    /// [`Closed`](crate::Closed), [`DeadlineExceeded`](crate::DeadlineExceeded), or a system error.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, no byte has been written.
    pub fn write(&self, buffer: &[u8]) -> impl Future<Output = io::Result<usize>> {
        let mut writing = self.writing();
        poll_fn(move |cx| {
            let polled = poll_write(&mut writing, cx, buffer);
            leave_if_over(&mut writing, polled)
        })
    }

    /// As [`write`](Self::write), from several buffers.
    pub fn write_vectored(
        &self,
        buffers: &[IoSlice<'_>],
    ) -> impl Future<Output = io::Result<usize>> {
        let mut writing = self.writing();
        poll_fn(move |cx| {
            let (window, len) = sys::window(buffers);
            if len == 0 {
                return Poll::Ready(nothing_to_write(writing.registration()));
            }
            let write = |socket: &S| sys::send_vectored(socket.as_fd(), &buffers[window.clone()]);
            let polled = writing.poll_io(cx, Contiguous(len), write);
            leave_if_over(&mut writing, polled)
        })
    }

    /// Writes the whole buffer. The bytes of other tasks come before or after it, never in between.
    ///
    /// # Errors
    ///
    /// As for [`write`](Self::write); [`bytes_written`](crate::bytes_written) returns the number of
    /// bytes written before the error.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, part of the buffer may have been written.
    pub fn write_all(&self, buffer: &[u8]) -> impl Future<Output = io::Result<()>> {
        let (mut writing, mut written) = (self.writing(), 0);
        poll_fn(move |cx| {
            let polled = poll_write_all(&mut writing, cx, buffer, &mut written);
            let polled = leave_if_over(&mut writing, polled);
            polled.map_err(|error| partial::after(written, error))
        })
    }

    /// [`write`](Self::write) without waiting: fails with `WouldBlock` if there is no room, or while
    /// another writer holds the write lock. It uses any room, even too little for the socket to be
    /// [`writable`](Self::writable).
    pub fn try_write(&self, buffer: &[u8]) -> io::Result<usize> {
        let write = |socket: &S| sys::send(socket.as_fd(), buffer);
        self.registration().try_io(Contiguous(buffer.len()), write)
    }

    /// [`write_vectored`](Self::write_vectored) without waiting. See [`try_write`](Self::try_write).
    pub fn try_write_vectored(&self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        let (window, len) = sys::window(buffers);
        let write = |socket: &S| sys::send_vectored(socket.as_fd(), &buffers[window.clone()]);
        self.registration().try_io(Contiguous(len), write)
    }

    /// A write that is about to begin.
    pub(crate) fn writing(&self) -> ReadinessWait<'_, S> {
        self.registration().readiness_wait(Direction::Write)
    }

    pub(crate) fn nothing_to_write(&self) -> io::Result<usize> {
        nothing_to_write(self.registration())
    }
}

/// Writes something.
#[inline]
pub(crate) fn poll_write<S: StreamSocket>(
    writing: &mut ReadinessWait<'_, S>,
    cx: &mut Context<'_>,
    buffer: &[u8],
) -> Poll<io::Result<usize>> {
    if buffer.is_empty() {
        return Poll::Ready(nothing_to_write(writing.registration()));
    }
    writing.poll_io(cx, Contiguous(buffer.len()), |socket| sys::send(socket.as_fd(), buffer))
}

/// Writes all from `written` on.
#[inline]
pub(crate) fn poll_write_all<S: StreamSocket>(
    writing: &mut ReadinessWait<'_, S>,
    cx: &mut Context<'_>,
    buffer: &[u8],
    written: &mut usize,
) -> Poll<io::Result<()>> {
    if buffer.is_empty() {
        return Poll::Ready(nothing_to_write(writing.registration()).map(drop));
    }
    let send = |socket: &S, from: usize| sys::send(socket.as_fd(), &buffer[from..]);
    writing.poll_write_all(cx, written, buffer.len(), send)
}

/// Releases the write lock and the waiter once the write is over, even if the caller keeps the future.
#[inline]
pub(crate) fn leave_if_over<S: StreamSocket, R>(
    writing: &mut ReadinessWait<'_, S>,
    polled: Poll<io::Result<R>>,
) -> Poll<io::Result<R>> {
    if polled.is_ready() {
        writing.leave();
    }
    events::polled(writing.registration(), Direction::Write, polled)
}

/// Writing an empty buffer needs no room, but fails after the deadline (as in Go).
fn nothing_to_write<S: StreamSocket>(registration: &Registration<S>) -> io::Result<usize> {
    registration.try_io(Direction::Write, |_| Ok(0))
}
