//! The write lock: writes of a stream are made one at a time, each contiguous.
//!
//! A write takes the lock in the step in which it enters the descriptor, and unlocks when it is over. A future
//! keeps it while it waits for room; a `poll_*` call cannot. See [`fd_mutex`](crate::fd_mutex).

use std::io;
use std::task::{Context, Poll, ready};

use super::close::OpGuard;
use super::operation::{Part, Place};
use super::rule::Contiguous;
use super::{Registration, closed};
use crate::fd_mutex::Entry;
use crate::ready::Direction;
use crate::slot::Status;
use crate::slot::state::Queue;

/// The relation of one write to the write lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WriteLock {
    /// The write neither waits for the lock nor has it.
    No,
    /// The write is in the queue, or was taken out of it and woken.
    Waits,
    Held,
}

impl<T> Registration<T> {
    /// Enters with the write lock. `None` if the caller must try again.
    #[inline]
    pub(super) fn poll_lock(
        &self,
        cx: &mut Context<'_>,
        place: &mut Place,
    ) -> Poll<io::Result<Option<OpGuard<'_, T>>>> {
        let entry = match place.write_lock {
            WriteLock::Held if self.fd_mutex.enter() => Entry::Entered,
            WriteLock::Held => Entry::Closing,
            lock => self.fd_mutex.lock_and_enter(lock == WriteLock::Waits),
        };
        match entry {
            Entry::Entered => {
                if place.write_lock == WriteLock::Waits {
                    // If it was polled without having been woken, its waker is still in the queue.
                    self.slot.leave(Queue::WriteLock, place.id);
                }
                // The guard has it.
                place.write_lock = WriteLock::No;
                Poll::Ready(Ok(Some(OpGuard { registration: self, unlocks: true })))
            }
            Entry::Locked => self.poll_queue(cx, place),
            Entry::Closing => Poll::Ready(Err(closed(self.reactor()))),
        }
    }

    #[cold]
    fn poll_queue(
        &self,
        cx: &mut Context<'_>,
        place: &mut Place,
    ) -> Poll<io::Result<Option<OpGuard<'_, T>>>> {
        let status = if self.reactor().inner().is_ours() {
            self.fd_mutex.wait_for_lock(&self.slot, place.id(), cx.waker())
        } else {
            Status::Closed
        };
        if place.is_kept {
            place.write_lock = WriteLock::Waits;
        }
        match status {
            Status::Pending => Poll::Pending,
            Status::Ready(_) => Poll::Ready(Ok(None)),
            over => self.outcome(Direction::Write, over).map_ok(|_| None),
        }
    }

    /// Enters with the write lock now, or fails with `WouldBlock`.
    pub(super) fn try_lock(&self) -> io::Result<OpGuard<'_, T>> {
        match self.fd_mutex.lock_and_enter(false) {
            Entry::Entered => Ok(OpGuard { registration: self, unlocks: true }),
            Entry::Locked => Err(io::ErrorKind::WouldBlock.into()),
            Entry::Closing => Err(closed(self.reactor())),
        }
    }

    #[inline]
    pub(super) fn poll_write_all_at(
        &self,
        cx: &mut Context<'_>,
        place: &mut Place,
        written: &mut usize,
        len: usize,
        operation: &mut impl FnMut(&T, usize) -> io::Result<usize>,
    ) -> Poll<io::Result<()>> {
        loop {
            let (from, rest) = (*written, Contiguous(len - *written));
            let moved =
                self.poll_operation(cx, rest, Part::OfMany, place, |io| operation(io, from));
            *written += match ready!(moved)? {
                0 if from < len => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                moved => moved,
            };
            if *written >= len {
                return Poll::Ready(Ok(()));
            }
        }
    }

    /// Takes the waker of `place` out of its queue, and unlocks if it has the lock.
    #[cold]
    pub(super) fn leave(&self, place: &Place) {
        // A forked child leaves the waker where it is: see `wait`.
        if !self.reactor().inner().is_ours() {
            return;
        }
        match place.write_lock {
            WriteLock::Waits => return self.fd_mutex.leave_queue(&self.slot, place.id),
            WriteLock::Held => self.fd_mutex.unlock(&self.slot),
            WriteLock::No => {}
        }
        self.slot.leave(place.direction.into(), place.id);
    }
}
