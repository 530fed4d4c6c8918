//! Operations that are served in the order in which they came: reads and accepts.
//!
//! One that finds nothing before it tries at once, and so costs no more than without an order. Who
//! has to wait takes a turn, and waits for the socket only when it has it: one at a time is woken, and
//! what it leaves is the next one's.

use std::io;
use std::os::fd::AsFd;
use std::task::{Context, Poll, ready};

use netpoll::{Direction, Registration, budget};

use crate::order::Order;

/// One direction of a socket, with its order.
#[derive(Debug)]
pub(crate) struct InOrder<'a, T: AsFd> {
    pub(crate) registration: &'a Registration<T>,
    pub(crate) order: &'a Order,
    pub(crate) direction: Direction,
}

// No `async fn`s: those keep their arguments twice, and move them when they are polled first.
#[allow(clippy::manual_async_fn)]
impl<T: AsFd> InOrder<'_, T> {
    /// [`Registration::io`], in its turn.
    pub(crate) fn io<R>(
        self,
        mut operation: impl FnMut(&T) -> io::Result<R>,
    ) -> impl Future<Output = io::Result<R>> {
        async move {
            let now = |this: &Self| this.registration.try_io(this.direction, &mut operation);
            if let Some(done) = self.at_once(now) {
                return done;
            }
            let _turn = self.order.take().await?;
            self.registration.io(self.direction, &mut operation).await
        }
    }

    /// [`Registration::transfer`], in its turn.
    pub(crate) fn transfer(
        self,
        len: usize,
        mut operation: impl FnMut(&T) -> io::Result<usize>,
    ) -> impl Future<Output = io::Result<usize>> {
        async move {
            let now =
                |this: &Self| this.registration.try_transfer(this.direction, len, &mut operation);
            if let Some(done) = self.at_once(now) {
                return done;
            }
            let _turn = self.order.take().await?;
            self.registration.transfer(self.direction, len, &mut operation).await
        }
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

    /// What comes of it if it need not wait, nor others are before it.
    ///
    /// Inline: a call would hand its result through memory, at 24 instructions a read.
    #[inline(always)]
    fn at_once<R>(&self, now: impl FnOnce(&Self) -> io::Result<R>) -> Option<io::Result<R>> {
        let (waits, taken) = (self.registration.must_wait(self.direction), !self.order.is_free());
        if waits || taken { None } else { crate::in_order::now(|| now(self)) }
    }

    /// The turn of a `poll_*` call lasts for the call: it is given back before the operation, which
    /// nobody overtakes who was there before.
    fn poll_free(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.order.is_free() {
            return Poll::Ready(Ok(()));
        }
        self.order.poll_take(cx).map_ok(drop)
    }
}

/// What comes of an operation if it need not wait, neither for the socket nor for others to run.
#[inline(always)]
pub(crate) fn now<R>(operation: impl FnOnce() -> io::Result<R>) -> Option<io::Result<R>> {
    if budget::is_spent() {
        return None;
    }
    match operation() {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
        done => {
            budget::spend();
            Some(done)
        }
    }
}
