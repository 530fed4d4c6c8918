//! The arm queue: slots whose deadlines the reactor must check earlier than it had filed them.
//!
//! # The handshake
//!
//! - **The setter** stores the deadline, *then* locks the queue, marks the slot as queued and pushes its index,
//!   unless it has the mark. *Then* it asks the reactor to wake up by its deadline.
//! - **The reactor** locks the queue, takes slots out and takes their marks off. *Then* it unlocks, and checks
//!   their deadlines.
//!
//! If the setter's lock comes first, the slot is in the queue and the reactor's check sees the deadline. If it
//! comes second, the setter finds no mark and pushes the slot again.
//!
//! Before it sleeps, the reactor reads without the lock whether the queue is empty. That is part of the
//! handshake of [`sleep`](crate::sleep): a setter's push comes before its request.

use crate::slot::Slot;
use crate::sync::{AtomicBool, Mutex, Ordering, lock};

#[derive(Debug)]
pub(crate) struct ArmQueue {
    indices: Mutex<Vec<u32>>,
    /// Changed under the lock.
    has_slots: AtomicBool,
}

impl ArmQueue {
    pub(crate) fn new() -> Self {
        Self { indices: Mutex::new(Vec::new()), has_slots: AtomicBool::new(false) }
    }

    /// Puts a slot into the queue, unless it is in it.
    pub(crate) fn push(&self, slot: &Slot) {
        let mut indices = lock(&self.indices);
        // Relaxed: the lock orders the changes of the mark.
        if !slot.queued.load(Ordering::Relaxed) {
            slot.queued.store(true, Ordering::Relaxed);
            indices.push(slot.index);
            self.has_slots.store(true, Ordering::Release);
        }
    }

    /// Acquire, so that a sleeper that saw a setter's request sees its push as well.
    pub(crate) fn is_empty(&self) -> bool {
        !self.has_slots.load(Ordering::Acquire)
    }

    /// Moves up to `most` slots to `taken`; the others stay for the next call. The caller checks their deadlines
    /// afterwards.
    pub(crate) fn take<'a>(
        &self,
        most: usize,
        slot: impl Fn(u32) -> &'a Slot,
        taken: &mut Vec<u32>,
    ) {
        let mut indices = lock(&self.indices);
        let rest = indices.len().saturating_sub(most);
        for index in indices.drain(rest..) {
            slot(index).queued.store(false, Ordering::Relaxed);
            taken.push(index);
        }
        self.has_slots.store(!indices.is_empty(), Ordering::Release);
    }
}
