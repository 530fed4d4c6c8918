//! A wait that keeps its place among the waiters between polls.

use std::fmt;
use std::io;
use std::task::{Context, Poll};

use super::Registration;
use super::operation::{Readiness, is_short};
use super::write::WriteLock;
use crate::arena::OwnedSlot;
use crate::ready::Direction;
use crate::slot::{Status, WaiterId};
use crate::token::Token;

impl<T> Registration<T> {
    /// A wait of this direction, which has not begun. See [`ReadinessWait`].
    #[inline]
    #[must_use]
    pub fn readiness_wait(&self, direction: Direction) -> ReadinessWait<'_, T> {
        ReadinessWait {
            registration: self,
            id: WaiterId::NONE,
            direction,
            is_new: true,
            write_lock: WriteLock::No,
        }
    }
}

/// A wait of one direction, with a place of its own among the waiters, which it leaves when it is
/// dropped. [`Registration::io`] and [`Registration::transfer`] use it. Use it in a future that is written by hand: an
/// `async fn` around those calls keeps its arguments twice.
///
/// Its first operation, if it writes, makes one attempt even where the direction is not ready; the later operations
/// wait. After [`leave`](Self::leave), or after an operation that failed, the next operation is the first again.
///
/// It belongs to one task at a time: an event wakes the task that polled it last.
pub struct ReadinessWait<'a, T> {
    pub(super) registration: &'a Registration<T>,
    /// [`WaiterId::NONE`] while it has not had to wait.
    pub(super) id: WaiterId,
    pub(super) direction: Direction,
    /// It has made no attempt yet.
    pub(super) is_new: bool,
    pub(super) write_lock: WriteLock,
}

/// Prints the registration and the direction.
impl<T: fmt::Debug> fmt::Debug for ReadinessWait<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadinessWait")
            .field("io", self.registration.get_ref())
            .field("direction", &self.direction)
            .finish_non_exhaustive()
    }
}

impl<'a, T> ReadinessWait<'a, T> {
    /// The registration that it waits for.
    #[inline]
    #[must_use]
    pub fn registration(&self) -> &'a Registration<T> {
        self.registration
    }

    /// The direction that it waits for.
    #[inline]
    #[must_use]
    pub fn direction(&self) -> Direction {
        self.direction
    }

    /// As [`Registration::io`].
    #[inline]
    pub fn poll_io<R>(
        &mut self,
        cx: &mut Context<'_>,
        operation: impl FnMut(&T) -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        self.poll_attempts(cx, operation, |_| false)
    }

    /// As [`Registration::transfer`].
    #[inline]
    pub fn poll_transfer(
        &mut self,
        cx: &mut Context<'_>,
        len: usize,
        operation: impl FnMut(&T) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        self.poll_attempts(cx, operation, |moved| is_short(*moved, len))
    }

    /// As [`Registration::ready_level_triggered`].
    pub fn poll_ready_level_triggered(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let (registration, direction) = (self.registration, self.direction);
        registration.confirm_ready(direction, || self.poll_ready(cx))
    }

    /// Leaves the waiters, until it is polled again.
    #[inline]
    pub fn leave(&mut self) {
        // Usually an event has taken its waker out.
        let is_queued = self.id != WaiterId::NONE
            && self.registration.slot.state().has_waiter(self.direction.into());
        if is_queued || self.write_lock != WriteLock::No {
            self.leave_slot();
        }
        self.id = WaiterId::NONE;
        self.write_lock = WriteLock::No;
        self.is_new = true;
    }

    #[cold]
    fn leave_slot(&self) {
        let Registration { slot, fd_mutex, reactor, .. } = self.registration;
        // A forked child leaves the waker where it is: see `Registration::wait`.
        if !reactor.inner().is_ours() {
            return;
        }
        match self.write_lock {
            WriteLock::Waits => return fd_mutex.leave_queue(slot, self.id),
            WriteLock::Held => fd_mutex.unlock(slot),
            WriteLock::No => {}
        }
        slot.leave(self.direction.into(), self.id);
    }

    #[inline]
    fn poll_attempts<R>(
        &mut self,
        cx: &mut Context<'_>,
        operation: impl FnMut(&T) -> io::Result<R>,
        short: impl Fn(&R) -> bool,
    ) -> Poll<io::Result<R>> {
        let (registration, direction) = (self.registration, self.direction);
        let mut is_new = self.is_new;
        let ready = |cx: &mut Context<'_>, is_new| self.poll_attempt(cx, is_new);
        let polled =
            registration.poll_attempts(cx, direction, &mut is_new, ready, operation, short);
        // An operation that has failed is over: the next one is new.
        self.is_new = is_new || matches!(polled, Poll::Ready(Err(_)));
        polled
    }

    /// As [`poll_ready`](Self::poll_ready), and for the first attempt of a new operation.
    #[inline]
    fn poll_attempt(&mut self, cx: &mut Context<'_>, is_new: bool) -> Poll<io::Result<Readiness>> {
        let (registration, direction) = (self.registration, self.direction);
        let mut status = registration.slot.status(direction);
        if status == Status::Pending {
            if let Some(readiness) = is_new.then(|| registration.first_attempt(direction)).flatten()
            {
                return Poll::Ready(Ok(readiness));
            }
            status = self.wait(cx);
        }
        registration.waited(direction, status)
    }

    #[inline]
    pub(super) fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Readiness>> {
        let status = self.registration.slot.status(self.direction);
        let status = if status == Status::Pending { self.wait(cx) } else { status };
        self.registration.waited(self.direction, status)
    }

    fn poll_after(
        &mut self,
        cx: &mut Context<'_>,
        before: Readiness,
    ) -> Poll<io::Result<Readiness>> {
        let (registration, direction) = (self.registration, self.direction);
        let mut status = registration.slot.status_after(direction, before.state);
        if status == Status::Pending {
            status = registration.wait_after(direction, before.state, &mut self.id, cx.waker());
        }
        if status == Status::Pending {
            Poll::Pending
        } else {
            registration.waited(direction, status)
        }
    }

    fn wait(&mut self, cx: &mut Context<'_>) -> Status {
        self.registration.wait(self.direction, Some(&mut self.id), cx.waker())
    }
}

/// A wait of one direction that borrows nothing between two polls: for futures that own the registration, or
/// have it by `&mut`. It is a [`ReadinessWait`] otherwise.
///
/// It must be polled with the same registration each time, and [left](Self::leave) before it is dropped;
/// otherwise the next event wakes its task once in vain.
#[derive(Debug)]
pub struct OwnedReadinessWait {
    /// The slot that gave it its id: in another slot, another waiter may have that id.
    place: Option<(Token, WaiterId)>,
    direction: Direction,
}

impl OwnedReadinessWait {
    /// A wait that has not begun.
    #[must_use]
    pub fn new(direction: Direction) -> Self {
        Self { place: None, direction }
    }

    /// As [`Registration::ready`].
    pub fn poll_ready<T>(
        &mut self,
        registration: &Registration<T>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Readiness>> {
        self.with(registration, |waiting| waiting.poll_ready(cx))
    }

    /// Waits for an event of the direction that comes after `before` was [seen](Registration::seen), whether the
    /// direction is ready or not. Urgent data and errors are events of reading as well.
    ///
    /// # Errors
    ///
    /// [`Closed`](crate::Closed) and [`DeadlineExceeded`](crate::DeadlineExceeded).
    pub fn poll_after<T>(
        &mut self,
        registration: &Registration<T>,
        cx: &mut Context<'_>,
        before: Readiness,
    ) -> Poll<io::Result<Readiness>> {
        self.with(registration, |waiting| waiting.poll_after(cx, before))
    }

    /// As [`Registration::ready_level_triggered`].
    pub fn poll_ready_level_triggered<T>(
        &mut self,
        registration: &Registration<T>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        self.with(registration, |waiting| waiting.poll_ready_level_triggered(cx))
    }

    /// Leaves the waiters, until it is polled again.
    pub fn leave<T>(&mut self, registration: &Registration<T>) {
        self.with(registration, ReadinessWait::leave);
    }

    fn with<'a, T, R>(
        &mut self,
        registration: &'a Registration<T>,
        act: impl FnOnce(&mut ReadinessWait<'a, T>) -> R,
    ) -> R {
        let (slot, direction) = (OwnedSlot::token(&registration.slot), self.direction);
        let id =
            self.place.filter(|(token, _)| *token == slot).map_or(WaiterId::NONE, |(_, id)| id);
        // It makes no attempts, so it is new all the time.
        let mut waiting =
            ReadinessWait { registration, id, direction, is_new: true, write_lock: WriteLock::No };
        let done = act(&mut waiting);
        self.place = (waiting.id != WaiterId::NONE).then_some((slot, waiting.id));
        // Its destructor would leave the waiters.
        std::mem::forget(waiting);
        done
    }
}

impl<T> Drop for ReadinessWait<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.leave();
    }
}
