//! Where slots live: in chunks that are never moved and never freed while the reactor lives.
//!
//! So the lookup of an event's slot is two loads, without a lock, and an event that comes late
//! finds a slot and not freed memory. A large arena grows by at most about an eighth, so a reactor of a
//! few descriptors is small and one of many wastes little. Allocating and returning a slot takes a lock, beside
//! an `epoll_ctl` that takes several.
#![allow(unsafe_code)] // `OwnedSlot` points into a chunk; its argument is that chunks stay.

use std::io;
use std::ops::Deref;
use std::ptr::NonNull;
use std::sync::OnceLock;

use crate::error::ReactorGone;
use crate::slot::Slot;
use crate::sync::{Arc, AtomicBool, Mutex, Ordering, lock};
use crate::token::Token;

/// There are eight chunks of this many slots, then eight of twice as many, and so on.
const FIRST: u32 = 32;
const PER_DOUBLING: u32 = 8;
const CHUNKS: usize = 172;

/// The most slots there can be; far more than a process can have descriptors.
const LIMIT: u32 = 1 << 28;

type Chunk = Box<[Slot]>;

pub(crate) struct Arena {
    chunks: [OnceLock<Chunk>; CHUNKS],
    free: Mutex<Free>,
    /// The reactor has ended: the arena allocates no more slots. Set under the lock.
    is_sealed: AtomicBool,
    /// This is a copy in a forked process: a thread that does not exist here may hold its locks.
    disowned: AtomicBool,
}

#[derive(Debug)]
struct Free {
    /// Slots that had a tenant. The last one is allocated first, while it is in the processor's cache.
    returned: Vec<u32>,
    /// How many slots have ever had a tenant.
    used: u32,
}

/// The place of slot `index`: its chunk, its offset in the chunk, and the size of the chunk.
fn place(index: u32) -> (usize, usize, usize) {
    let n = index + FIRST * PER_DOUBLING;
    let doubling = n.ilog2() - (FIRST * PER_DOUBLING).ilog2();
    let size = FIRST << doubling;
    let chunk = doubling * PER_DOUBLING + (n / size - PER_DOUBLING);
    (chunk as usize, (n % size) as usize, size as usize)
}

impl Arena {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            chunks: [const { OnceLock::new() }; CHUNKS],
            free: Mutex::new(Free { returned: Vec::new(), used: 0 }),
            is_sealed: AtomicBool::new(false),
            disowned: AtomicBool::new(false),
        })
    }

    /// The slot that an event names. `None` only for a token of a slot that was never allocated.
    pub(crate) fn slot(&self, index: u32) -> Option<&Slot> {
        if index >= LIMIT {
            return None;
        }
        let (chunk, offset, _) = place(index);
        self.chunks[chunk].get().map(|slots| &slots[offset])
    }

    /// A slot for a new tenant.
    ///
    /// # Errors
    ///
    /// [`ReactorGone`] after [`seal`](Self::seal); out of memory if there are 2^28.
    pub(crate) fn allocate<K: KeepsArena>(keeper: K) -> io::Result<OwnedSlot<K>> {
        let arena = keeper.arena();
        let mut free = lock(&arena.free);
        if arena.is_sealed() {
            return Err(ReactorGone::error());
        }
        let index = free.take()?;
        let (chunk, offset, size) = place(index);
        let first = index - offset as u32;
        // Under the lock: every slot that `seal` counts exists, so the reactor can close it.
        let slots = arena.chunks[chunk]
            .get_or_init(|| (first..first + size as u32).map(Slot::new).collect::<Chunk>());
        drop(free);
        let slot = NonNull::from(&slots[offset]);
        Ok(OwnedSlot { slot, keeper })
    }

    /// How many slots have a tenant.
    pub(crate) fn tenants(&self) -> usize {
        let free = lock(&self.free);
        free.used as usize - free.returned.len()
    }

    /// How many slots have ever had a tenant.
    pub(crate) fn used(&self) -> u32 {
        lock(&self.free).used
    }

    /// From now on no slot is returned.
    pub(crate) fn disown(&self) {
        self.disowned.store(true, Ordering::Relaxed);
    }

    /// Ends the allocation. Returns how many slots have ever had a tenant: the reactor closes them.
    pub(crate) fn seal(&self) -> u32 {
        let free = lock(&self.free);
        self.is_sealed.store(true, Ordering::Release);
        free.used
    }

    pub(crate) fn is_sealed(&self) -> bool {
        self.is_sealed.load(Ordering::Acquire)
    }
}

impl Free {
    fn take(&mut self) -> io::Result<u32> {
        if let Some(index) = self.returned.pop() {
            return Ok(index);
        }
        if self.used == LIMIT {
            return Err(io::Error::new(io::ErrorKind::OutOfMemory, "reactor: too many slots"));
        }
        self.used += 1;
        Ok(self.used - 1)
    }
}

/// A handle that keeps an arena.
///
/// # Safety
///
/// While the handle lives, wherever it is moved, the arena lives, and `arena` returns that one.
pub(crate) unsafe trait KeepsArena: Send + Sync {
    fn arena(&self) -> &Arena;
}

// SAFETY: it shares the arena, and lends no `&mut Arc`.
unsafe impl KeepsArena for Arc<Arena> {
    fn arena(&self) -> &Arena {
        self
    }
}

/// One tenancy of a slot. Dropping it ends the tenancy: the generation moves on and the slot is
/// free for the next.
pub(crate) struct OwnedSlot<K: KeepsArena = Arc<Arena>> {
    slot: NonNull<Slot>,
    keeper: K,
}

// SAFETY: it is a `&Slot` and a `K`, both of which any thread may use.
unsafe impl<K: KeepsArena> Send for OwnedSlot<K> {}
// SAFETY: as above; `&OwnedSlot` gives out `&Slot` and `&K` only.
unsafe impl<K: KeepsArena> Sync for OwnedSlot<K> {}

impl<K: KeepsArena> OwnedSlot<K> {
    pub(crate) fn token(&self) -> Token {
        Token { index: self.index, generation: self.generation() }
    }

    /// The handle that keeps the arena.
    #[inline]
    pub(crate) fn keeper(&self) -> &K {
        &self.keeper
    }
}

impl<K: KeepsArena> Deref for OwnedSlot<K> {
    type Target = Slot;

    #[inline]
    fn deref(&self) -> &Slot {
        // SAFETY: the slot lies in a boxed chunk that neither moves nor goes before the arena, and
        // `self.keeper` keeps the arena; no code makes a `&mut Slot` of it.
        unsafe { self.slot.as_ref() }
    }
}

impl<K: KeepsArena> Drop for OwnedSlot<K> {
    fn drop(&mut self) {
        let arena = self.keeper.arena();
        if arena.disowned.load(Ordering::Relaxed) {
            return;
        }
        self.vacate();
        lock(&arena.free).returned.push(self.index);
    }
}

#[cfg(test)]
#[cfg(not(netpoll_loom))]
mod tests {
    use super::*;

    #[test]
    fn every_index_has_a_place_of_its_own() {
        let mut expected = (0, 0);
        for index in 0..100_000 {
            let (chunk, offset, size) = place(index);
            assert_eq!((chunk, offset), expected, "index {index}");
            expected = if offset + 1 == size { (chunk + 1, 0) } else { (chunk, offset + 1) };
        }
        assert!(place(LIMIT - 1).0 < CHUNKS);
    }

    #[test]
    fn a_slot_returned_goes_out_again_with_another_generation() {
        let arena = Arena::new();
        let first = Arena::allocate(arena.clone()).unwrap();
        let old = first.token();
        drop(first);
        let second = Arena::allocate(arena.clone()).unwrap();
        assert_eq!(second.token().index, old.index);
        assert_ne!(second.token().generation, old.generation);
        assert_eq!(arena.tenants(), 1);
    }

    #[test]
    fn a_token_that_was_never_given_out_names_no_slot() {
        let arena = Arena::new();
        assert!(arena.slot(0).is_none());
        assert!(arena.slot(u32::MAX).is_none());
    }

    #[test]
    fn a_sealed_arena_takes_no_tenants() {
        let arena = Arena::new();
        let slot = Arena::allocate(arena.clone()).unwrap();
        assert_eq!(arena.seal(), 1);
        assert!(Arena::allocate(arena.clone()).is_err());
        drop(slot);
    }
}

#[cfg(test)]
#[cfg(not(netpoll_loom))]
#[path = "arena_tests.rs"]
mod walk_tests;
