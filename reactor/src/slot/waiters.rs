//! Who waits: one waiter in the cell of its direction, the others on a list beside the slot.
//!
//! The cell is a plain cell, guarded by two flags of the state word. **Busy** is a lock of one bit
//! that nobody ever waits for: who finds it set goes to the list (a waiter) or leaves the duty to
//! whoever is inside (a waker). **Waits** says that the cell holds a waiter. Every access to the
//! cell lies between the transition that set busy and the one that cleared it, by the same thread.
//!
//! The list is touched only when a second waiter comes. Its mutex is never held while a waker is
//! woken, cloned or dropped.
#![allow(unsafe_code)] // The cell: its argument is the paragraph above, checked by loom.

use std::collections::VecDeque;
// Not loom's: a number is no handshake.
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Waker;

use crate::ready::Direction;
use crate::sync::{Mutex, UnsafeCell, lock};

/// How many wakers of `poll_*` calls one direction of one slot keeps. One more wakes the oldest:
/// a task that polls with a new waker each time must not make the list grow for ever.
pub(crate) const LIST_BOUND: usize = 256;

/// Tells the waiters of one slot apart.
///
/// A future has a ticket of its own, by which it leaves when it is dropped. The `poll_*` calls have
/// none, and are told apart by their wakers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ticket(pub(crate) u64);

/// How many tickets a thread takes at once: a number of its own for each of them would be a
/// read-modify-write for each wait.
const TICKETS: u64 = 1 << 16;

/// How many times a thread has taken some. It never wraps.
static TAKEN: AtomicU64 = AtomicU64::new(0);

thread_local! {
    /// The last one that was drawn; none are left if it is a multiple of [`TICKETS`].
    static LAST: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

impl Ticket {
    pub(crate) const POLL: Ticket = Ticket(0);

    /// One that nobody else has or will have.
    #[inline]
    pub(crate) fn draw() -> Ticket {
        let last = match LAST.get() {
            last if last % TICKETS == 0 => take_tickets(),
            last => last,
        };
        LAST.set(last + 1);
        Ticket(last + 1)
    }
}

/// Returns the number before the first. Relaxed: only that the numbers differ matters.
#[cold]
fn take_tickets() -> u64 {
    TAKEN.fetch_add(1, Ordering::Relaxed) * TICKETS
}

/// Somebody to wake.
#[derive(Debug)]
pub(crate) struct Waiter {
    pub(crate) ticket: Ticket,
    pub(crate) waker: Waker,
}

impl Waiter {
    /// Whether the two are one, so that the later may stand in for the earlier.
    fn is(&self, other: &Waiter) -> bool {
        self.ticket == other.ticket
            && (self.ticket != Ticket::POLL || self.waker.will_wake(&other.waker))
    }
}

/// The place of one direction's first waiter.
#[derive(Debug)]
pub(crate) struct Cell(UnsafeCell<Option<Waiter>>);

// SAFETY: the flags of the state word let one thread at a time inside (see the module), and what it
// finds there, a `Waker`, may be used from any thread.
unsafe impl Sync for Cell {}

/// A panic leaves it whole: no waker is cloned, woken or dropped while a thread is inside.
impl std::panic::RefUnwindSafe for Cell {}

/// Permission to touch a [`Cell`]: this thread made the transition that set its busy flag.
#[derive(Debug)]
pub(crate) struct Inside<'a>(&'a Cell);

impl Cell {
    pub(crate) fn new() -> Self {
        Self(UnsafeCell::new(None))
    }

    /// Call only between `enter_cell` or a claim that owes the cell, and `leave_cell`.
    pub(crate) fn enter(&self) -> Inside<'_> {
        Inside(self)
    }
}

/// What a waiter found in the cell.
pub(crate) enum Placed {
    /// It is in; what it replaced, if anything, was an older waker of its own.
    Seated(Option<Waiter>),
    /// Another waiter has the cell, and keeps it.
    Taken(Waiter),
}

impl Inside<'_> {
    pub(crate) fn take(&mut self) -> Option<Waiter> {
        // SAFETY: `Inside` is made by the one thread that set busy and has not cleared it.
        self.0.0.with_mut(|cell| unsafe { (*cell).take() })
    }

    /// Takes the seat if it is free or our own.
    pub(crate) fn place(&mut self, waiter: Waiter) -> Placed {
        self.0.0.with_mut(|cell| {
            // SAFETY: as in `take`.
            let seat = unsafe { &mut *cell };
            match seat {
                Some(other) if !other.is(&waiter) => Placed::Taken(waiter),
                _ => Placed::Seated(seat.replace(waiter)),
            }
        })
    }

    /// Takes the waiter out if it has this ticket.
    pub(crate) fn take_if(&mut self, ticket: Ticket) -> Option<Waiter> {
        self.0.0.with_mut(|cell| {
            // SAFETY: as in `take`.
            unsafe { (*cell).take_if(|waiter| waiter.ticket == ticket) }
        })
    }

    pub(crate) fn is_occupied(&mut self) -> bool {
        // SAFETY: as in `take`.
        self.0.0.with_mut(|cell| unsafe { (*cell).is_some() })
    }
}

/// The waiters of both directions that found no seat, oldest first.
#[derive(Debug)]
pub(crate) struct List(Mutex<Option<Box<[VecDeque<Waiter>; 2]>>>);

impl List {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(None))
    }

    /// Adds a waiter, in place of itself if it is there. Returns who has to go: drop a waiter that
    /// was replaced, wake one that fell over the bound.
    pub(crate) fn join(&self, direction: Direction, waiter: Waiter) -> Joined {
        let mut lists = lock(&self.0);
        let list = &mut lists.get_or_insert_default()[direction as usize];
        if let Some(old) = list.iter_mut().find(|old| old.is(&waiter)) {
            return Joined::Replaced(std::mem::replace(old, waiter));
        }
        let polls = list.iter().filter(|old| old.ticket == Ticket::POLL).count();
        let full = waiter.ticket == Ticket::POLL && polls >= LIST_BOUND;
        list.push_back(waiter);
        let oldest = list.iter().position(|old| old.ticket == Ticket::POLL).filter(|_| full);
        match oldest.and_then(|index| list.remove(index)) {
            Some(oldest) => Joined::Overflowed(oldest),
            None => Joined::Added,
        }
    }

    /// Everybody, to be woken in order.
    pub(crate) fn drain(&self, direction: Direction) -> VecDeque<Waiter> {
        let mut lists = lock(&self.0);
        lists
            .as_mut()
            .map(|lists| std::mem::take(&mut lists[direction as usize]))
            .unwrap_or_default()
    }

    /// A future that is dropped leaves.
    pub(crate) fn leave(&self, direction: Direction, ticket: Ticket) -> Option<Waiter> {
        let mut lists = lock(&self.0);
        let list = &mut lists.as_mut()?[direction as usize];
        let index = list.iter().position(|waiter| waiter.ticket == ticket)?;
        list.remove(index)
    }
}

/// What [`List::join`] did.
#[must_use]
pub(crate) enum Joined {
    Added,
    Replaced(Waiter),
    Overflowed(Waiter),
}
