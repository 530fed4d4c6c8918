//! Operations that are served in the order in which they came: reads and accepts.
//!
//! One that finds nothing before it tries at once, and so costs no more than without an order. Who
//! has to wait takes a turn, and waits for the socket only when it has it: one at a time is woken, and
//! what it leaves is the next one's.

use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll, ready};

use netpoll::{Direction, Registration, Waiting, budget};

use crate::order::{Orders, Place};

/// One direction of a socket, with its order.
#[derive(Debug)]
pub(crate) struct InOrder<'a, T> {
    pub(crate) registration: &'a Registration<T>,
    pub(crate) orders: &'a Orders,
    pub(crate) direction: Direction,
}

impl<'a, T> InOrder<'a, T> {
    /// [`Registration::io`], in its turn.
    pub(crate) fn io<R>(
        self,
        mut operation: impl FnMut(&T) -> io::Result<R>,
    ) -> impl Future<Output = io::Result<R>> {
        // Not an `async fn`: each that awaits another keeps its arguments anew while that waits.
        let mut turn = self.turn();
        poll_fn(move |cx| turn.poll_io(cx, &mut operation))
    }

    /// [`Registration::transfer`], in its turn.
    pub(crate) fn transfer(
        self,
        len: usize,
        mut operation: impl FnMut(&T) -> io::Result<usize>,
    ) -> impl Future<Output = io::Result<usize>> {
        let mut turn = self.turn();
        poll_fn(move |cx| turn.poll_transfer(cx, len, &mut operation))
    }

    /// For a future that is written by hand.
    #[inline]
    pub(crate) fn turn(&self) -> InTurn<'a, T> {
        let waiting = self.registration.waiting(self.direction);
        InTurn { waiting, place: self.orders.place(self.direction) }
    }

    /// [`Registration::poll_io`], when nobody else has the turn.
    pub(crate) fn poll_io<R>(
        &self,
        cx: &mut Context<'_>,
        operation: impl FnMut(&T) -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        ready!(self.poll_free(cx))?;
        self.registration.poll_io(cx, self.direction, operation)
    }

    /// [`Registration::poll_transfer`], when nobody else has the turn.
    pub(crate) fn poll_transfer(
        &self,
        cx: &mut Context<'_>,
        len: usize,
        operation: impl FnMut(&T) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_free(cx))?;
        self.registration.poll_transfer(cx, self.direction, len, operation)
    }

    /// The turn of a `poll_*` call lasts for the call: it is given back before the operation, which
    /// nobody overtakes who was there before.
    fn poll_free(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.orders.is_free(self.direction) {
            return Poll::Ready(Ok(()));
        }
        self.orders.poll_take(cx, self.direction).map_ok(drop)
    }
}

/// A future's operation, which waits for its turn, and then for the socket.
#[derive(Debug)]
pub(crate) struct InTurn<'a, T> {
    // First: who is dropped waits no more before the turn is the next one's.
    waiting: Waiting<'a, T>,
    place: Place<'a>,
}

impl<T> InTurn<'_, T> {
    /// [`Registration::io`], in its turn.
    #[inline]
    pub(crate) fn poll_io<R>(
        &mut self,
        cx: &mut Context<'_>,
        mut operation: impl FnMut(&T) -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        if let Some(done) = self.at_once(|socket, way| socket.try_io(way, &mut operation)) {
            return Poll::Ready(done);
        }
        ready!(self.poll(cx))?;
        let polled = self.waiting.poll_io(cx, operation);
        self.end(polled)
    }

    /// [`Registration::transfer`], in its turn.
    #[inline]
    pub(crate) fn poll_transfer(
        &mut self,
        cx: &mut Context<'_>,
        len: usize,
        mut operation: impl FnMut(&T) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        let now = |socket: &Registration<T>, way| socket.try_transfer(way, len, &mut operation);
        if let Some(done) = self.at_once(now) {
            return Poll::Ready(done);
        }
        ready!(self.poll(cx))?;
        let polled = self.waiting.poll_transfer(cx, len, operation);
        self.end(polled)
    }

    /// Of several: what comes of this one, when it has the turn.
    #[inline]
    pub(crate) fn poll_more(
        &mut self,
        cx: &mut Context<'_>,
        len: usize,
        operation: impl FnMut(&T) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        self.waiting.poll_transfer(cx, len, operation)
    }

    #[inline]
    pub(crate) fn registration(&self) -> &Registration<T> {
        self.waiting.registration()
    }

    /// What comes of it if it need not wait, neither for the socket nor for others to run.
    ///
    /// Inline: a call would hand its result through memory, at 24 instructions a read.
    #[inline(always)]
    fn at_once<R>(
        &self,
        now: impl FnOnce(&Registration<T>, Direction) -> io::Result<R>,
    ) -> Option<io::Result<R>> {
        let (registration, direction) = (self.waiting.registration(), self.waiting.direction());
        if registration.must_wait(direction) || !self.place.is_free() || budget::is_spent() {
            return None;
        }
        match now(registration, direction) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
            done => {
                budget::spend();
                Some(done)
            }
        }
    }

    /// Ready when it has the turn, which it keeps until it is dropped or [ends](Self::end).
    #[inline]
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.place.poll(cx)
    }

    /// If that is the outcome: the turn is the next one's, though the future may be kept.
    #[inline]
    pub(crate) fn end<R>(&mut self, polled: Poll<R>) -> Poll<R> {
        if polled.is_ready() {
            self.waiting.leave();
            self.place.leave();
        }
        polled
    }
}
