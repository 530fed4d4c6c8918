//! Writes of a stream: one at a time, each contiguous.
//!
//! A write takes the write lock before its first attempt, and unlocks when it is over. A future keeps it
//! while it waits for room; a `poll_*` call cannot. See [`fd_mutex`](crate::fd_mutex).

use std::io;
use std::task::{Context, Poll, Waker, ready};

use super::operation::is_short;
use super::{ReadinessWait, Registration, closed};
use crate::budget::{self, Key};
use crate::fd_mutex::Entry;
use crate::ready::Direction::Write;
use crate::slot::state::{Queue, State};
use crate::slot::{Status, WaiterId};

/// The relation of one future to the write lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WriteLock {
    /// The future neither waits for the lock nor has it.
    No,
    /// The future is in the queue, or was taken out of it and woken.
    Waits,
    Held,
}

/// How much a write has to move before it is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Amount {
    Some,
    All,
}

impl<'a, T> ReadinessWait<'a, T> {
    /// Writes up to `len` bytes, under the write lock: while other tasks write by this call or by
    /// [`poll_write_all`](Self::poll_write_all), it waits until they have ended. Like every new write, it makes
    /// one attempt at first, whether the registration is ready or not.
    ///
    /// `operation` must return `WouldBlock` if and only if the descriptor did.
    ///
    /// A write that fails while it waits, for its deadline most likely, keeps the lock, or its place in the queue,
    /// until it [leaves](Self::leave) or is dropped: polled again, it goes on where it was.
    ///
    /// # Errors
    ///
    /// As for [`Registration::io`], while it waits for the lock as well.
    #[inline]
    pub fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        len: usize,
        mut operation: impl FnMut(&T) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        let mut written = 0;
        let operation = |io: &T, _| operation(io);
        ready!(self.poll_locked(cx, Amount::Some, &mut written, len, operation))?;
        Poll::Ready(Ok(written))
    }

    /// Writes the bytes from `written` up to `len`, under the write lock, which it keeps from the first byte to
    /// the last. `operation` gets the number of bytes that were written before it, and `written` is kept up to
    /// date.
    ///
    /// # Errors
    ///
    /// As for [`poll_write`](Self::poll_write); [`WriteZero`](io::ErrorKind::WriteZero) if `operation` writes
    /// nothing.
    #[inline]
    pub fn poll_write_all(
        &mut self,
        cx: &mut Context<'_>,
        written: &mut usize,
        len: usize,
        operation: impl FnMut(&T, usize) -> io::Result<usize>,
    ) -> Poll<io::Result<()>> {
        self.poll_locked(cx, Amount::All, written, len, operation)
    }

    #[inline]
    fn poll_locked(
        &mut self,
        cx: &mut Context<'_>,
        amount: Amount,
        written: &mut usize,
        len: usize,
        mut operation: impl FnMut(&T, usize) -> io::Result<usize>,
    ) -> Poll<io::Result<()>> {
        debug_assert_eq!(self.direction, Write, "only a write takes the write lock");
        let registration = self.registration;
        loop {
            let before = match ready!(self.poll_locked_attempt(cx)) {
                Ok(before) => before,
                Err(error) => return Poll::Ready(self.fail(error)),
            };
            ready!(budget::poll_spend(cx, Key::of(registration, Write)));
            let inside = match ready!(self.poll_enter(cx)) {
                Ok(Some(inside)) => inside,
                Ok(None) => continue,
                Err(error) => return Poll::Ready(self.fail(error)),
            };
            self.is_new = false;
            let result = operation(registration.get_ref(), *written);
            registration.report(Write, before, &result, |moved| is_short(*moved, len - *written));
            match result {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Ok(0) if amount == Amount::All && *written < len => {
                    self.is_new = true;
                    return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
                }
                Ok(moved) if amount == Amount::All && *written + moved < len => *written += moved,
                done => {
                    self.is_new = true;
                    return Poll::Ready(done.map(|moved| *written += moved));
                }
            }
            inside.keep_lock();
            self.write_lock = WriteLock::Held;
        }
    }

    /// The state by which to make the next attempt. A new write makes its first one in any state.
    #[inline]
    fn poll_locked_attempt(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<State>> {
        let registration = self.registration;
        let mut status = registration.slot.status(Write);
        if status == Status::Pending {
            let attempt = self.is_new.then(|| registration.first_attempt(Write)).flatten();
            if let Some(readiness) = attempt {
                return Poll::Ready(Ok(readiness.state));
            }
            status = registration.wait(Write, Some(&mut self.id), cx.waker());
        }
        registration.waited(Write, status).map_ok(|readiness| readiness.state)
    }

    /// Enters with the write lock. `None` if the caller must try again.
    #[inline]
    fn poll_enter(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Writer<'a, T>>>> {
        let registration = self.registration;
        let entry = if self.write_lock == WriteLock::Held {
            if registration.fd_mutex.enter() { Entry::Entered } else { Entry::Closing }
        } else {
            registration.fd_mutex.lock_and_enter(self.write_lock == WriteLock::Waits)
        };
        match entry {
            Entry::Entered => {
                if self.write_lock == WriteLock::Waits {
                    // If it was polled without having been woken, its waker is still in the queue.
                    registration.slot.leave(Queue::WriteLock, self.id);
                }
                // The guard has it.
                self.write_lock = WriteLock::No;
                Poll::Ready(Ok(Some(Writer { registration, keeps_lock: false })))
            }
            Entry::Locked => self.poll_queue(cx),
            Entry::Closing => Poll::Ready(Err(closed(&registration.reactor))),
        }
    }

    #[cold]
    fn poll_queue(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Writer<'a, T>>>> {
        let status = self.registration.wait_for_write_lock(Some(&mut self.id), cx.waker());
        self.write_lock = WriteLock::Waits;
        match status {
            Status::Pending => Poll::Pending,
            Status::Ready(_) => Poll::Ready(Ok(None)),
            over => self.registration.outcome(Write, over).map_ok(|_| None),
        }
    }

    /// A write fails outside the descriptor. The future keeps its lock and its place, and may be polled again.
    #[cold]
    fn fail(&mut self, error: io::Error) -> io::Result<()> {
        self.is_new = true;
        Err(error)
    }
}

impl<T> Registration<T> {
    /// Writes up to `len` bytes now, under the write lock, or returns `WouldBlock`: also if another task has the lock. It makes the attempt whether the registration is ready or not, as
    /// [`attempt_io`](Self::attempt_io) does.
    ///
    /// # Errors
    ///
    /// As for [`io`](Self::io), `WouldBlock` included.
    pub fn try_write(
        &self,
        len: usize,
        operation: impl FnOnce(&T) -> io::Result<usize>,
    ) -> io::Result<usize> {
        let before = self.now_or_not(Write)?.state;
        match self.fd_mutex.lock_and_enter(false) {
            Entry::Entered => {
                let inside = Writer { registration: self, keeps_lock: false };
                let result = operation(self.get_ref());
                self.report(Write, before, &result, |moved| is_short(*moved, len));
                drop(inside);
                result
            }
            Entry::Locked => Err(io::ErrorKind::WouldBlock.into()),
            Entry::Closing => Err(closed(&self.reactor)),
        }
    }

    /// [`ReadinessWait::poll_write`] for a call that has no place of its own among the waiters: it does not keep the
    /// write lock between two polls.
    ///
    /// # Errors
    ///
    /// As for [`poll_io`](Self::poll_io).
    pub fn poll_write(
        &self,
        cx: &mut Context<'_>,
        len: usize,
        mut operation: impl FnMut(&T) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        let mut is_first = true;
        loop {
            let before = ready!(self.poll_attempt(cx, Write, is_first))?.state;
            ready!(budget::poll_spend(cx, Key::of(self, Write)));
            let inside = match self.fd_mutex.lock_and_enter(false) {
                Entry::Entered => Writer { registration: self, keeps_lock: false },
                Entry::Closing => return Poll::Ready(Err(closed(&self.reactor))),
                Entry::Locked => match self.wait_for_write_lock(None, cx.waker()) {
                    Status::Pending => return Poll::Pending,
                    Status::Ready(_) => continue,
                    over => return self.outcome(Write, over).map_ok(|_| 0),
                },
            };
            is_first = false;
            let result = operation(self.get_ref());
            self.report(Write, before, &result, |moved| is_short(*moved, len));
            drop(inside);
            match result {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                done => return Poll::Ready(done),
            }
        }
    }

    fn wait_for_write_lock(&self, id: Option<&mut WaiterId>, waker: &Waker) -> Status {
        if self.reactor.inner().is_ours() {
            self.fd_mutex.wait_for_lock(&self.slot, id, waker)
        } else {
            Status::Closed
        }
    }
}

/// A writer that has the lock and is inside the descriptor, until this is dropped: also when the operation
/// panics.
struct Writer<'a, T> {
    registration: &'a Registration<T>,
    keeps_lock: bool,
}

impl<T> Writer<'_, T> {
    /// Leaves the descriptor with the lock.
    #[inline]
    fn keep_lock(mut self) {
        self.keeps_lock = true;
    }
}

impl<T> Drop for Writer<'_, T> {
    #[inline]
    fn drop(&mut self) {
        let Registration { fd_mutex, slot, .. } = self.registration;
        let last = if self.keeps_lock { fd_mutex.leave() } else { fd_mutex.leave_and_unlock(slot) };
        self.registration.left(last);
    }
}
