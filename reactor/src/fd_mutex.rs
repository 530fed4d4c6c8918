//! The operations inside a descriptor, its write lock, and its end. Go's `fdMutex`
//! (`internal/poll/fd_mutex.go`).
//!
//! Every operation enters before its system call and leaves after it. Closing lets no operation enter any more,
//! and the last one to leave, the closing task or an operation, ends the descriptor. So `close` never takes a
//! number away under a running call. A writer also takes the write lock, in the same step in which it enters,
//! and keeps it while it waits for room: its bytes are contiguous.
//!
//! One word, moved by read-modify-write only. The task in `close`, and the values that are dropped at the end, are in the
//! slot, beside its waiters.
//!
//! # The write lock
//!
//! A task that finds the lock taken waits in the slot, in a [queue](crate::slot::state::Queue::WriteLock) of
//! its own, so that the write deadline, closing and shutdown wake it as they wake any other waiter.
//!
//! - **The waiter** adds itself to the queue, *then* sets `WAITED` beside `LOCKED`. If it finds no `LOCKED` in that
//!   step, it sets nothing and tries to take the lock again.
//! - **The holder** takes both flags away in one step. If `WAITED` was among them, it *then* takes the next
//!   waiter out of the queue and wakes it.
//!
//! Both are changes of one word. If the waiter's comes first, the holder sees the flag and finds the waiter in
//! the queue. If it comes second, the waiter finds no `LOCKED`.
//!
//! A future that was taken out and then takes the lock sets `WAITED` again, since others may be in the queue.
//! If it is dropped instead, it passes the wake-up on: it sets `WAITED` if another task has the lock, or else
//! wakes the next waiter. So while tasks wait, the lock is held with `WAITED`, or a task that was woken has still to
//! take it. (Model: `tests/loom/write_lock.rs`.)

use std::io;
use std::task::{Context, Poll, Waker};

use crate::slot::state::Queue;
use crate::slot::{Slot, Status, WaiterId};
use crate::sync::{AtomicU32, LoadToSwap, Ordering};
use crate::wake::wake;

/// No operation enters any more: the count can only fall.
const CLOSING: u32 = 1 << 31;
/// The descriptor is gone.
const ENDED: u32 = 1 << 30;
/// A task has the write lock.
const LOCKED: u32 = 1 << 29;
/// Tasks may be waiting for the write lock.
const WAITED: u32 = 1 << 28;
/// The bits below count the operations inside.
const COUNT: u32 = WAITED - 1;

pub(crate) struct FdMutex(AtomicU32);

/// Whether the caller has to end the descriptor, and then to call [`FdMutex::ended`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Last {
    Yes,
    No,
}

/// The outcome of an attempt to enter with the write lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Entry {
    Entered,
    /// Another task has the lock.
    Locked,
    Closing,
}

impl FdMutex {
    pub(crate) fn new() -> Self {
        Self(AtomicU32::new(0))
    }

    /// An operation enters; [`leave`](Self::leave) must follow. False if the descriptor is being closed.
    #[inline]
    #[must_use]
    pub(crate) fn enter(&self) -> bool {
        self.update(|word| (word & CLOSING == 0).then_some(word + 1)).is_ok()
    }

    /// A writer takes the lock and enters. `has_waited` is true if it has been in the queue.
    #[inline]
    pub(crate) fn lock_and_enter(&self, has_waited: bool) -> Entry {
        let flags = if has_waited { LOCKED | WAITED } else { LOCKED };
        match self.update(|word| (word & (CLOSING | LOCKED) == 0).then_some((word | flags) + 1)) {
            Ok(_) => Entry::Entered,
            Err(word) if word & CLOSING != 0 => Entry::Closing,
            Err(_) => Entry::Locked,
        }
    }

    /// An operation leaves after its system call.
    #[inline]
    pub(crate) fn leave(&self) -> Last {
        let before = self.0.fetch_sub(1, Ordering::AcqRel);
        debug_assert!(before & COUNT > 0, "left a descriptor without having entered it");
        if before & (CLOSING | COUNT) == CLOSING | 1 { Last::Yes } else { Last::No }
    }

    /// A writer leaves and unlocks, in one step.
    #[inline]
    pub(crate) fn leave_and_unlock(&self, slot: &Slot) -> Last {
        let left = self.update(|word| Some((word & !(LOCKED | WAITED)) - 1));
        let before = left.unwrap_or_else(|word| word);
        debug_assert!(before & LOCKED != 0 && before & COUNT > 0, "unlocked without the lock");
        if before & WAITED != 0 {
            slot.wake_next_for_write_lock();
        }
        if before & (CLOSING | COUNT) == CLOSING | 1 { Last::Yes } else { Last::No }
    }

    /// A writer that is not inside unlocks.
    pub(crate) fn unlock(&self, slot: &Slot) {
        let before = self.0.fetch_and(!(LOCKED | WAITED), Ordering::AcqRel);
        debug_assert!(before & LOCKED != 0, "unlocked without the lock");
        if before & WAITED != 0 {
            slot.wake_next_for_write_lock();
        }
    }

    /// Waits for the lock, which was [`Locked`](Entry::Locked). [`Status::Ready`] means that it may be free now.
    pub(crate) fn wait_for_lock(
        &self,
        slot: &Slot,
        id: Option<&mut WaiterId>,
        waker: &Waker,
    ) -> Status {
        let status = slot.wait_for_write_lock(id, waker);
        if status == Status::Pending && !self.mark_waited() {
            return Status::Ready(slot.state());
        }
        status
    }

    /// A waiter that does not have the lock stops waiting for it.
    pub(crate) fn leave_queue(&self, slot: &Slot, id: WaiterId) {
        let was_woken = !slot.leave(Queue::WriteLock, id);
        if was_woken && !self.mark_waited() {
            slot.wake_next_for_write_lock();
        }
    }

    /// Has the holder of the lock wake a waiter. False if no task has the lock.
    fn mark_waited(&self) -> bool {
        self.update(|word| (word & LOCKED != 0).then_some(word | WAITED)).is_ok()
    }

    /// Closes the descriptor to new operations. The caller is inside then: it takes the descriptor out of
    /// epoll and [leaves](Self::leave) like every operation. False if it was closed before.
    #[must_use]
    pub(crate) fn close(&self) -> bool {
        self.update(|word| (word & CLOSING == 0).then_some((word | CLOSING) + 1)).is_ok()
    }

    /// Changes the word to `next`. Returns the old word, or as an error the word for which `next` is `None`.
    ///
    /// Acquire and release: a task that has the lock, and the thread that ends the descriptor, see all writes of the
    /// operations that left before.
    #[inline]
    fn update(&self, next: impl Fn(u32) -> Option<u32>) -> Result<u32, u32> {
        let mut seen = self.0.load_to_swap(Ordering::Relaxed);
        while let Some(next) = next(seen) {
            match self.0.compare_exchange_weak(seen, next, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return Ok(seen),
                Err(changed) => seen = changed,
            }
        }
        Err(seen)
    }

    /// The descriptor is gone, or could not be ended: drops the values that were held until then, then wakes
    /// the waiter.
    ///
    /// In this order: a task that sees the end finds them dropped, and the result.
    pub(crate) fn ended(&self, slot: &Slot, ended: io::Result<()>) {
        slot.drop_held();
        if let Err(failure) = ended {
            slot.change_at_end(|at_end| at_end.failure = Some(failure));
        }
        self.0.fetch_or(ENDED, Ordering::AcqRel);
        slot.drop_held();
        if let Some(waker) = slot.take_at_end(|at_end| at_end.waker.take()) {
            wake(waker);
        }
    }

    /// Holds a value until the descriptor is gone, or drops it at once if it is.
    ///
    /// The caller stores the value, *then* reads `ENDED`. The closing thread sets `ENDED`, *then* takes the stored
    /// values. One of the two finds the value.
    pub(crate) fn hold(&self, slot: &Slot, value: Box<dyn Send>) {
        slot.change_at_end(|at_end| at_end.held.push(value));
        if self.is_ended() {
            slot.drop_held();
        }
    }

    /// Ready when the descriptor is gone, with the result of its end, once.
    pub(crate) fn poll_ended(&self, slot: &Slot, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.is_ended() {
            let waker = cx.waker().clone();
            drop(slot.change_at_end(|at_end| at_end.waker.replace(waker)));
        }
        if self.is_ended() {
            Poll::Ready(slot.take_at_end(|at_end| at_end.failure.take()).map_or(Ok(()), Err))
        } else {
            Poll::Pending
        }
    }

    fn is_ended(&self) -> bool {
        self.0.load(Ordering::Acquire) & ENDED != 0
    }
}
