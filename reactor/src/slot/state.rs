//! The state word of a slot, and every transition it can make, as pure functions.
//!
//! One `u64`, so that each handshake of the slot is read-modify-writes of a single word, which the
//! hardware puts into one order that all threads agree on:
//!
//! ```text
//! 63           48 47           32 31              15 14                                    0
//! |  write tick  |   read tick   |   generation     |               flags                  |
//! ```
//!
//! | flag | set | cleared | meaning |
//! | --- | --- | --- | --- |
//! | readable, writable | by an event | after `WouldBlock` or a short transfer, if its own tick stands still | an operation may succeed |
//! | hangups, error | by an event | never | a short transfer proves nothing any more |
//! | priority | by an event | together with readable, after `WouldBlock` | a read stops at the urgent mark: a short one proves nothing |
//! | closed | by `close` | never (the next tenant starts anew) | every operation ends |
//! | waits | by the waiter | by who takes the waiter | the cell of the direction holds a waiter |
//! | busy | by who enters the cell | by the same | nobody else touches the cell |
//! | listed | by the waiter | by who drains the list | the list beside the slot has waiters of this direction |
//! | lapsed | with the first deadline that expires | never | look at the deadline word as well |
//!
//! The two directions share no counter and no flag but those of the socket as a whole (error,
//! closed). A tick counts the events of its direction: 16 bits of its own, compared whole, because
//! a shared one livelocks a reader (tokio-rs/tokio#8054) and one of 8 bits loses an edge to 256
//! others (tokio-rs/tokio#8331).

use crate::ready::{Direction, Ready};
use crate::token::{GENERATION_BITS, Generation};

const CLOSED: u64 = 1 << 6;
const GENERATION_SHIFT: u32 = 15;
const READ_TICK_SHIFT: u32 = 32;
const WRITE_TICK_SHIFT: u32 = 48;
const _: () = assert!(GENERATION_SHIFT + GENERATION_BITS == READ_TICK_SHIFT);

/// The flags and the tick of one direction.
struct Side {
    ready: Ready,
    /// Readiness that makes a short transfer prove nothing.
    doubt: Ready,
    /// What `WouldBlock` clears.
    drained: Ready,
    waits: u64,
    busy: u64,
    listed: u64,
    lapsed: u64,
    /// What decides how an operation finds the socket: closed, lapsed and ready.
    decisive: u64,
    tick_shift: u32,
}

// Constants and not statics: in other crates, where operations are compiled, their bits are in the
// instructions then, and not in memory.
const READ: Side = Side {
    ready: Ready::READABLE,
    doubt: Ready::READ_HANGUP.union(Ready::ERROR).union(Ready::PRIORITY),
    drained: Ready::READABLE.union(Ready::PRIORITY),
    waits: 1 << 7,
    busy: 1 << 8,
    listed: 1 << 9,
    lapsed: 1 << 10,
    decisive: CLOSED | 1 << 10 | Ready::READABLE.bits() as u64,
    tick_shift: READ_TICK_SHIFT,
};

const WRITE: Side = Side {
    ready: Ready::WRITABLE,
    doubt: Ready::WRITE_HANGUP.union(Ready::ERROR),
    drained: Ready::WRITABLE,
    waits: 1 << 11,
    busy: 1 << 12,
    listed: 1 << 13,
    lapsed: 1 << 14,
    decisive: CLOSED | 1 << 14 | Ready::WRITABLE.bits() as u64,
    tick_shift: WRITE_TICK_SHIFT,
};

#[inline]
const fn side(direction: Direction) -> &'static Side {
    match direction {
        Direction::Read => &READ,
        Direction::Write => &WRITE,
    }
}

/// A snapshot of the word.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct State(pub(crate) u64);

/// What whoever ends a wait has to do: the transition gave it the cell, the list, both or neither.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) struct Owed {
    /// Take the waiter out of the cell, then [`State::leave_cell`].
    pub(crate) cell: bool,
    /// Drain this direction's waiters from the list.
    pub(crate) list: bool,
}

impl Owed {
    /// Nobody is to be woken.
    pub(crate) const NOBODY: Owed = Owed { cell: false, list: false };
}

/// What became of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Delivery {
    /// It was meant for an earlier tenant of the slot.
    Stale,
    /// It is in the state, and these waiters are to be woken.
    Delivered { next: State, read: Owed, write: Owed },
}

/// How a waiter gets to the cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Entry {
    /// Somebody is inside: wait on the list instead.
    Busy,
    /// The cell is ours until [`State::leave_cell`].
    Entered(State),
}

/// What became of an attempt to close.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Closing {
    /// Somebody did it before.
    Already,
    /// Closed now, and these waiters are to be woken.
    Closed { next: State, read: Owed, write: Owed },
}

impl State {
    /// A slot that has never had a tenant.
    pub(crate) const VACANT: State = State(0);

    #[inline]
    pub(crate) fn ready(self) -> Ready {
        Ready::from_bits(self.0 as u8)
    }

    #[inline]
    pub(crate) fn generation(self) -> Generation {
        Generation::from_bits(self.0 >> GENERATION_SHIFT)
    }

    #[inline]
    pub(crate) fn tick(self, direction: Direction) -> u16 {
        (self.0 >> side(direction).tick_shift) as u16
    }

    #[inline]
    pub(crate) fn is_closed(self) -> bool {
        self.0 & CLOSED != 0
    }

    #[inline]
    pub(crate) fn is_ready(self, direction: Direction) -> bool {
        self.ready().contains(side(direction).ready)
    }

    /// Whether it is ready and nothing else, or not ready and nothing else, as it mostly is.
    #[inline]
    pub(crate) fn is_plainly_ready(self, direction: Direction) -> Option<bool> {
        let side = side(direction);
        match self.0 & side.decisive {
            0 => Some(false),
            bits => (bits == u64::from(side.ready.bits())).then_some(true),
        }
    }

    /// Whether an end, an error or an urgent mark was seen: an operation may find it without another
    /// event.
    #[inline]
    pub(crate) fn is_doubtful(self, direction: Direction) -> bool {
        self.ready().intersects(side(direction).doubt)
    }

    #[inline]
    pub(crate) fn has_lapsed(self, direction: Direction) -> bool {
        self.0 & side(direction).lapsed != 0
    }

    #[inline]
    pub(crate) fn has_waiter(self, direction: Direction) -> bool {
        self.0 & (side(direction).waits | side(direction).listed) != 0
    }

    /// An event arrived: add what it says, count it, and claim the waiters it wakes.
    #[inline]
    pub(crate) fn deliver(self, generation: Generation, seen: Ready) -> Delivery {
        if self.generation() != generation {
            return Delivery::Stale;
        }
        let (next, read) = self.with(seen).deliver_to(Direction::Read, seen);
        let (next, write) = next.deliver_to(Direction::Write, seen);
        Delivery::Delivered { next, read, write }
    }

    #[inline]
    fn deliver_to(self, direction: Direction, seen: Ready) -> (State, Owed) {
        if !seen.contains(side(direction).ready) {
            return (self, Owed::NOBODY);
        }
        self.ticked(direction).claim_waiters(direction)
    }

    /// Takes the right to wake from the state: of several who end a wait at once, one gets it.
    ///
    /// A busy cell is left to whoever is inside. A waiter inside looks at the state again when it
    /// is out, and then wakes on our behalf; anybody else inside is waking already.
    #[inline]
    pub(crate) fn claim_waiters(self, direction: Direction) -> (State, Owed) {
        let side = side(direction);
        let list = self.0 & side.listed != 0;
        let cell = self.0 & side.waits != 0 && self.0 & side.busy == 0;
        let mut next = self.0 & !side.listed;
        if cell {
            next = next & !side.waits | side.busy;
        }
        (State(next), Owed { cell, list })
    }

    /// A deadline of `direction` expired: from now on its word is worth a look.
    pub(crate) fn lapse(self, direction: Direction) -> (State, Owed) {
        State(self.0 | side(direction).lapsed).claim_waiters(direction)
    }

    /// A waiter wants to look into the cell, empty or not.
    #[inline]
    pub(crate) fn enter_cell(self, direction: Direction) -> Entry {
        let busy = side(direction).busy;
        if self.0 & busy != 0 { Entry::Busy } else { Entry::Entered(State(self.0 | busy)) }
    }

    /// Whoever is inside the cell goes, and says whether a waiter stays in it.
    #[inline]
    pub(crate) fn leave_cell(self, direction: Direction, occupied: bool) -> State {
        let side = side(direction);
        debug_assert!(self.0 & side.busy != 0, "left a cell that nobody had entered");
        let rest = self.0 & !(side.busy | side.waits);
        State(if occupied { rest | side.waits } else { rest })
    }

    /// A waiter is on the list.
    pub(crate) fn list(self, direction: Direction) -> State {
        State(self.0 | side(direction).listed)
    }

    /// An operation that began when `before` was the state found the descriptor drained.
    ///
    /// `None` if there is nothing to clear, which includes an event since `before`.
    #[inline]
    pub(crate) fn drained(self, direction: Direction, before: State) -> Option<State> {
        let same_tenant = self.generation() == before.generation();
        let no_event_since = self.tick(direction) == before.tick(direction);
        let next = self.without(side(direction).drained);
        (same_tenant && no_event_since && next != self).then_some(next)
    }

    /// The same after a short transfer, which proves that a stream is drained unless an end, an
    /// error or an urgent mark can have cut it short.
    ///
    /// Data and FIN can arrive as one event, and the end is then found only by another read; a read
    /// stops at the urgent mark with data behind it, and no event follows (asterinas#3146).
    #[inline]
    pub(crate) fn short(self, direction: Direction, before: State) -> Option<State> {
        if self.is_doubtful(direction) { None } else { self.drained(direction, before) }
    }

    /// Closed, with every waiter where it was.
    pub(crate) fn with_closed(self) -> State {
        State(self.0 | CLOSED)
    }

    /// The socket is closed on this side.
    pub(crate) fn close(self) -> Closing {
        if self.is_closed() {
            return Closing::Already;
        }
        let (next, read) = State(self.0 | CLOSED).claim_waiters(Direction::Read);
        let (next, write) = next.claim_waiters(Direction::Write);
        Closing::Closed { next, read, write }
    }

    /// The tenant is gone. The next one differs in its generation, and starts with nothing but the
    /// cells that somebody is still inside.
    pub(crate) fn vacate(self) -> (State, Owed, Owed) {
        let (cleared, read) = self.claim_waiters(Direction::Read);
        let (cleared, write) = cleared.claim_waiters(Direction::Write);
        let busy = cleared.0 & (READ.busy | WRITE.busy);
        (State(busy | self.generation().next().bits() << GENERATION_SHIFT), read, write)
    }

    #[inline]
    fn with(self, seen: Ready) -> State {
        State(self.0 | u64::from(seen.bits()))
    }

    #[inline]
    fn without(self, ready: Ready) -> State {
        State(self.0 & !u64::from(ready.bits()))
    }

    /// One more event of `direction`; the other tick is not carried into.
    #[inline]
    fn ticked(self, direction: Direction) -> State {
        let shift = side(direction).tick_shift;
        let tick = u64::from(self.tick(direction).wrapping_add(1));
        State(self.0 & !(0xffff << shift) | tick << shift)
    }
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let flags = |d| {
            let s = side(d);
            [s.waits, s.busy, s.listed, s.lapsed].map(|flag| u8::from(self.0 & flag != 0))
        };
        f.debug_struct("State")
            .field("ready", &self.ready())
            .field("closed", &self.is_closed())
            .field("generation", &self.generation().bits())
            .field("ticks", &Direction::BOTH.map(|d| self.tick(d)))
            .field("waits_busy_listed_lapsed", &Direction::BOTH.map(flags))
            .finish()
    }
}

#[cfg(test)]
#[path = "state_tests.rs"]
mod tests;
