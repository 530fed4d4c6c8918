//! The write lock of a stream: one writer at a time, so that the bytes of a `write_all` are contiguous.
//!
//! # The handshake
//!
//! One word says whether a writer holds the lock, and whether another waits for it. A writer that waits
//! does so in the slot, as for room: deadline, close and shutdown end its wait.
//!
//! - **The waiter** looks at the slot's state, sets `CONTENDED`, and waits for an event after that state.
//! - **The holder** frees the word, and delivers an event if it was `CONTENDED`.
//!
//! The event comes after `CONTENDED` was set, and so after the state that the waiter looked at. The event
//! wakes all waiters: each tries again, and all but one set `CONTENDED` again.

use std::io;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, ready};

use netpoll::{Direction, OwnedWait, Registration, Waiting};

const FREE: u32 = 0;
const HELD: u32 = 1;
/// Held, and a writer may wait for it.
const CONTENDED: u32 = 2;

#[derive(Debug)]
pub(crate) struct WriteLock(AtomicU32);

/// The lock, held. Dropped, it is free.
#[derive(Debug)]
pub(crate) struct Held<'a, T>(&'a WriteLock, &'a Registration<T>);

impl WriteLock {
    pub(crate) fn new() -> Self {
        Self(AtomicU32::new(FREE))
    }

    /// The lock, if it is free.
    #[inline]
    pub(crate) fn try_lock<'a, T>(
        &'a self,
        registration: &'a Registration<T>,
    ) -> Option<Held<'a, T>> {
        self.exchange(FREE, HELD).then(|| Held(self, registration))
    }

    /// The lock, or a wake-up when it is worth trying again.
    ///
    /// # Errors
    ///
    /// [`Closed`](crate::Closed) and [`DeadlineExceeded`](crate::DeadlineExceeded), instead of waiting.
    pub(crate) fn poll_lock<'a, T>(
        &'a self,
        registration: &'a Registration<T>,
        wait: &mut OwnedWait,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Held<'a, T>>> {
        loop {
            let before = registration.seen(Direction::Write);
            if let Some(held) = self.try_lock(registration) {
                return Poll::Ready(Ok(held));
            }
            if self.exchange(HELD, CONTENDED) || self.0.load(Ordering::Relaxed) == CONTENDED {
                ready!(wait.poll_after(registration, cx, before))?;
            }
        }
    }

    /// Acquire and release: the writes of one holder come before those of the next.
    #[inline]
    fn exchange(&self, from: u32, to: u32) -> bool {
        self.0.compare_exchange(from, to, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }
}

impl<T> Drop for Held<'_, T> {
    #[inline]
    fn drop(&mut self) {
        if self.0.0.swap(FREE, Ordering::AcqRel) == CONTENDED {
            self.1.assume_ready(Direction::Write);
        }
    }
}

/// A write that is under way: it takes the lock, and then waits for room.
#[derive(Debug)]
pub(crate) struct Writing<'a, T> {
    /// Dropped before `held`: the event that frees the lock must not wake this task.
    waiting: Waiting<'a, T>,
    held: Option<Held<'a, T>>,
    lock: &'a WriteLock,
    lock_wait: OwnedWait,
}

impl<'a, T> Writing<'a, T> {
    #[inline]
    pub(crate) fn new(lock: &'a WriteLock, registration: &'a Registration<T>) -> Self {
        let direction = Direction::Write;
        let (lock_wait, waiting) = (OwnedWait::new(direction), registration.waiting(direction));
        Self { lock, held: None, lock_wait, waiting }
    }

    pub(crate) fn registration(&self) -> &'a Registration<T> {
        self.waiting.registration()
    }

    /// Ready when it holds the lock, until [`unlock`](Self::unlock) or the end of this value.
    #[inline]
    pub(crate) fn poll_lock(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.held.is_none() {
            let registration = self.waiting.registration();
            let locked = self.lock.poll_lock(registration, &mut self.lock_wait, cx);
            self.held = Some(ready!(locked)?);
            self.lock_wait.leave(registration);
        }
        Poll::Ready(Ok(()))
    }

    /// [`Registration::transfer`], with the lock held.
    #[inline]
    pub(crate) fn poll_transfer(
        &mut self,
        cx: &mut Context<'_>,
        len: usize,
        operation: impl FnMut(&T) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        self.waiting.poll_transfer(cx, len, operation)
    }

    /// Frees the lock if the write is over, though the future may be kept.
    #[inline]
    pub(crate) fn unlock_if_over<R>(&mut self, polled: Poll<R>) -> Poll<R> {
        if polled.is_ready() {
            self.waiting.leave();
            self.held = None;
        }
        polled
    }
}

impl<T> Drop for Writing<'_, T> {
    fn drop(&mut self) {
        self.lock_wait.leave(self.waiting.registration());
    }
}
