//! The arm queue: slots whose deadlines the reactor must look at earlier than it had filed them.
//!
//! An intrusive stack of slot indices. Any thread pushes a slot; the thread that turns the reactor takes
//! the whole stack, and looks at a share of it in each turn. A slot is in the queue once at most, so the
//! queue never allocates.
//!
//! # The handshake
//!
//! - **The setter** stores the deadline, *then* marks the slot as queued. If the slot had no mark, the setter
//!   pushes it, *then* reads the slot's deadlines once more, by read-modify-write, and asks the reactor to
//!   look by the earliest of them. If the slot had a mark, it asks the reactor to look by its own deadline.
//! - **The reactor** takes the mark off a slot of the queue, *then* looks at its deadlines.
//!
//! Both changes of the mark are read-modify-writes. If the setter's comes first, the reactor's look sees the
//! deadline. If it comes second, the setter finds no mark and pushes the slot again.
//!
//! Two setters of one slot: the first has marked the slot and not pushed it yet. The second finds the mark
//! and asks the reactor, which may find the queue empty and sleep. If the second stored its deadline before
//! the first read the deadlines once more, the first asks the reactor on its behalf. If it stored it after
//! that, the slot had been pushed, and the reactor that sees the request sees the push.

use crate::slot::Slot;
use crate::sync::{AtomicU32, LoadToSwap, Ordering};

/// No slot: the end of the stack. The arena's limit is far below.
const END: u32 = u32::MAX;

#[derive(Debug)]
pub(crate) struct ArmQueue {
    head: AtomicU32,
    /// The slots that were taken and not looked at yet. Relaxed: only the holder of the lease reads and
    /// writes it, and the lease orders one holder after the other.
    taken: AtomicU32,
}

impl ArmQueue {
    pub(crate) fn new() -> Self {
        Self { head: AtomicU32::new(END), taken: AtomicU32::new(END) }
    }

    /// Puts a slot into the queue, unless it is there, for a deadline at `at_ns`. Returns by when
    /// the caller must ask the reactor to take the queue.
    pub(crate) fn push(&self, slot: &Slot, index: u32, at_ns: u64) -> u64 {
        if slot.queued.swap(true, Ordering::AcqRel) {
            return at_ns;
        }
        // From here to the exchange the link is ours: we turned the mark from false to true.
        let mut head = self.head.load_to_swap(Ordering::Relaxed);
        loop {
            // Relaxed: the exchange releases it.
            slot.next_armed.store(head, Ordering::Relaxed);
            match self.head.compare_exchange_weak(head, index, Ordering::AcqRel, Ordering::Relaxed)
            {
                Ok(_) => break,
                Err(changed) => head = changed,
            }
        }
        slot.earliest_deadline().map_or(at_ns, |earliest| earliest.min(at_ns))
    }

    /// Whether there is nothing to take. Acquire, so that a sleeper that saw a setter's request for
    /// an earlier turn sees its push as well.
    pub(crate) fn is_empty(&self) -> bool {
        self.head.load(Ordering::Acquire) == END && self.taken.load(Ordering::Relaxed) == END
    }

    /// Calls `look` with each slot, after its mark is gone, but with `most` slots at most: the others stay
    /// for the next call.
    pub(crate) fn drain<'a>(
        &self,
        most: usize,
        slot: impl Fn(u32) -> &'a Slot,
        mut look: impl FnMut(u32, &'a Slot),
    ) {
        let mut index = match self.taken.load(Ordering::Relaxed) {
            END => self.head.swap(END, Ordering::AcqRel),
            rest => rest,
        };
        for _ in 0..most {
            if index == END {
                break;
            }
            let armed = slot(index);
            // Before the mark goes: after it, the link may be the next pusher's.
            let next = armed.next_armed.load(Ordering::Relaxed);
            armed.queued.swap(false, Ordering::AcqRel);
            look(index, armed);
            index = next;
        }
        self.taken.store(index, Ordering::Relaxed);
    }
}
