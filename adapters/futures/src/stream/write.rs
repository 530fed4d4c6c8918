//! Writing: who writes has the turn from the first byte to the last.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::task::{Context, Poll, ready};

use netpoll::{Direction, Registration, socket};

use super::{Shared, Stream, StreamSocket};
use crate::in_order::{InOrder, InTurn};
use crate::partial;

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
        let mut turn = self.writing().turn();
        poll_fn(move |cx| {
            ready!(turn.poll(cx))?;
            let polled = poll_write_some(&mut turn, cx, buffer);
            turn.end(polled)
        })
    }

    /// As [`write`](Self::write), from several buffers.
    pub async fn write_vectored(&self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        let _turn = self.shared.orders.take(Direction::Write).await?;
        let (window, len) = socket::window(buffers);
        if len == 0 {
            return self.nothing_to_write();
        }
        let write = |socket: &S| socket::send_vectored(socket.as_fd(), &buffers[window.clone()]);
        self.registration().transfer(Direction::Write, len, write).await
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
        let (mut turn, mut written) = (self.writing().turn(), 0);
        poll_fn(move |cx| {
            ready!(turn.poll(cx))?;
            let polled = poll_write_rest(&mut turn, cx, buffer, &mut written);
            turn.end(polled)
        })
    }

    pub(crate) fn nothing_to_write(&self) -> io::Result<usize> {
        nothing_to_write(self.registration())
    }

    fn writing(&self) -> InOrder<'_, S> {
        let Shared { registration, orders, .. } = &*self.shared;
        InOrder { registration, orders, direction: Direction::Write }
    }
}

/// Who has the turn writes something.
#[inline]
fn poll_write_some<S: StreamSocket>(
    turn: &mut InTurn<'_, S>,
    cx: &mut Context<'_>,
    buffer: &[u8],
) -> Poll<io::Result<usize>> {
    if buffer.is_empty() {
        return Poll::Ready(nothing_to_write(turn.registration()));
    }
    turn.poll_more(cx, buffer.len(), |socket| socket::send(socket.as_fd(), buffer))
}

/// Who has the turn writes all from `written` on.
#[inline]
fn poll_write_rest<S: StreamSocket>(
    turn: &mut InTurn<'_, S>,
    cx: &mut Context<'_>,
    buffer: &[u8],
    written: &mut usize,
) -> Poll<io::Result<()>> {
    loop {
        let more = ready!(poll_write_some(turn, cx, &buffer[*written..]));
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
