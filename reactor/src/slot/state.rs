//! The state word of a slot, and every transition it can make, as pure functions.
//!
//! One `u64`, so that each handshake of the slot is a read-modify-write of a single word. The hardware
//! puts these into one order, and all threads agree on it:
//!
//! ```text
//! 63           48 47           32 31              15 14                                    0
//! |  write tick  |   read tick   |   generation     |               flags                  |
//! ```
//!
//! | flag | set | cleared | meaning |
//! | --- | --- | --- | --- |
//! | readable, writable | by an event | after `WouldBlock`, a short transfer, or a `clear_ready` of the caller, if no event of this direction has come since the operation began | an operation may succeed |
//! | hangups, error | by an event | never | a short transfer no longer shows that the descriptor is drained |
//! | priority | by an event | together with readable, after `WouldBlock` | a read stops at the urgent mark, so a short one does not show that the descriptor is drained |
//! | closed | by `close` | never (the next tenant starts anew) | every operation ends |
//! | has waiters, one flag for each [`Queue`] | by a waiter, under the slot's mutex | by the event, expiry or close that claims the waiters; by the last waiter that leaves or is taken out | the queue may hold a waiter |
//! | expired, one flag for each direction | with the first deadline that expires | never | read the deadline word as well |
//!
//! The two directions share no counter and no flag but those of the socket as a whole (error,
//! closed). A tick counts the events of its direction. It has 16 bits of its own and is compared whole,
//! because a shared one livelocks a reader (tokio-rs/tokio#8054) and one of 8 bits loses an edge to 256
//! others (tokio-rs/tokio#8331).
//!
//! 65,536 events of one direction look like none, if they come between the load of the state that begins an
//! operation and the clearing that ends it. One system call lies in between, and each event takes a turn of
//! the reactor. An operation would have to be stopped for exactly that many turns, and then find the
//! descriptor drained. Even then, the next event wakes the waiters.

use crate::ready::{Direction, Ready};
use crate::token::{GENERATION_BITS, Generation};

const CLOSED: u64 = 1 << 6;
const GENERATION_SHIFT: u32 = 15;
const READ_TICK_SHIFT: u32 = 32;
const WRITE_TICK_SHIFT: u32 = 48;
const _: () = assert!(GENERATION_SHIFT + GENERATION_BITS == READ_TICK_SHIFT);

/// One of the three lists of waiters that a slot has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Queue {
    /// Tasks that wait to read.
    Read,
    /// Tasks that wait to write.
    Write,
    /// Tasks that wait for another task to end its write. An event wakes none of them.
    WriteLock,
}

impl Queue {
    pub(crate) const ALL: [Queue; 3] = [Queue::Read, Queue::Write, Queue::WriteLock];

    const fn flag(self) -> u64 {
        match self {
            Queue::Read => 1 << 7,
            Queue::Write => 1 << 8,
            Queue::WriteLock => 1 << 9,
        }
    }

    /// The direction whose deadline ends the wait.
    #[cfg(test)]
    pub(crate) fn direction(self) -> Direction {
        match self {
            Queue::Read => Direction::Read,
            Queue::Write | Queue::WriteLock => Direction::Write,
        }
    }
}

impl From<Direction> for Queue {
    fn from(direction: Direction) -> Self {
        match direction {
            Direction::Read => Queue::Read,
            Direction::Write => Queue::Write,
        }
    }
}

/// The flags and the tick of one direction.
struct DirectionBits {
    ready: Ready,
    /// Readiness under which a short transfer does not show that the descriptor is drained.
    doubt: Ready,
    /// The readiness that `WouldBlock` clears.
    drained: Ready,
    /// The queue whose waiters an event wakes.
    waiters: u64,
    /// The queues whose waiters an expiry wakes.
    all_waiters: u64,
    expired: u64,
    /// The flags that decide how an operation finds the socket: closed, expired and ready.
    decisive: u64,
    tick_shift: u32,
}

// Constants and not statics: in other crates, where operations are compiled, their bits are in the
// instructions then, and not in memory.
const READ: DirectionBits = DirectionBits {
    ready: Ready::READABLE,
    doubt: Ready::READ_HANGUP.union(Ready::ERROR).union(Ready::PRIORITY),
    drained: Ready::READABLE.union(Ready::PRIORITY),
    waiters: Queue::Read.flag(),
    all_waiters: Queue::Read.flag(),
    expired: 1 << 10,
    decisive: CLOSED | 1 << 10 | Ready::READABLE.bits() as u64,
    tick_shift: READ_TICK_SHIFT,
};

const WRITE: DirectionBits = DirectionBits {
    ready: Ready::WRITABLE,
    doubt: Ready::WRITE_HANGUP.union(Ready::ERROR),
    drained: Ready::WRITABLE,
    waiters: Queue::Write.flag(),
    all_waiters: Queue::Write.flag() | Queue::WriteLock.flag(),
    expired: 1 << 11,
    decisive: CLOSED | 1 << 11 | Ready::WRITABLE.bits() as u64,
    tick_shift: WRITE_TICK_SHIFT,
};

#[inline]
const fn bits(direction: Direction) -> &'static DirectionBits {
    match direction {
        Direction::Read => &READ,
        Direction::Write => &WRITE,
    }
}

/// A snapshot of the word.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct State(pub(crate) u64);

/// The queues whose waiters the caller has to take out and wake: a transition took their flags away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) struct Claimed(u64);

impl Claimed {
    #[inline]
    pub(crate) fn includes(self, queue: Queue) -> bool {
        self.0 & queue.flag() != 0
    }
}

/// The outcome of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Delivery {
    /// The event was meant for an earlier tenant of the slot.
    Stale,
    /// The event is in the state, and the caller wakes these waiters.
    Delivered { next: State, claimed: Claimed },
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
        (self.0 >> bits(direction).tick_shift) as u16
    }

    #[inline]
    pub(crate) fn is_closed(self) -> bool {
        self.0 & CLOSED != 0
    }

    #[inline]
    pub(crate) fn is_ready(self, direction: Direction) -> bool {
        self.ready().contains(bits(direction).ready)
    }

    /// Whether the direction is ready. `None` if it is closed or has expired before, so that readiness alone does
    /// not decide.
    #[inline]
    pub(crate) fn is_plainly_ready(self, direction: Direction) -> Option<bool> {
        let bits = bits(direction);
        match self.0 & bits.decisive {
            0 => Some(false),
            found => (found == u64::from(bits.ready.bits())).then_some(true),
        }
    }

    /// Whether an end, an error or an urgent mark was seen: an operation may find it without another
    /// event.
    #[inline]
    pub(crate) fn is_doubtful(self, direction: Direction) -> bool {
        self.ready().intersects(bits(direction).doubt)
    }

    /// Whether a deadline of `direction` has expired before: its word is worth a load.
    #[inline]
    pub(crate) fn has_expired(self, direction: Direction) -> bool {
        self.0 & bits(direction).expired != 0
    }

    #[inline]
    pub(crate) fn has_waiter(self, queue: Queue) -> bool {
        self.0 & queue.flag() != 0
    }

    /// An event arrived: add its readiness, count it, and claim the waiters it wakes.
    #[inline]
    pub(crate) fn deliver(self, generation: Generation, seen: Ready) -> Delivery {
        if self.generation() != generation {
            return Delivery::Stale;
        }
        let mut next = State(self.0 | u64::from(seen.bits()));
        let mut woken = 0;
        for direction in [&READ, &WRITE] {
            if seen.contains(direction.ready) {
                next = next.ticked(direction);
                woken |= direction.waiters;
            }
        }
        let (next, claimed) = next.claim(woken);
        Delivery::Delivered { next, claimed }
    }

    /// Takes the right to wake these waiters from the state: of several threads that end a wait at once, one
    /// gets it.
    #[inline]
    fn claim(self, flags: u64) -> (State, Claimed) {
        (State(self.0 & !flags), Claimed(self.0 & flags))
    }

    /// Deadlines expired, in the directions that are true: from now on operations read their words.
    pub(crate) fn expire(self, read: bool, write: bool) -> (State, Claimed) {
        let (mut expired, mut woken) = (0, 0);
        for (direction, is_expired) in [(&READ, read), (&WRITE, write)] {
            if is_expired {
                expired |= direction.expired;
                woken |= direction.all_waiters;
            }
        }
        State(self.0 | expired).claim(woken)
    }

    /// A waiter is about to enter the queue.
    #[inline]
    pub(crate) fn with_waiter(self, queue: Queue) -> State {
        State(self.0 | queue.flag())
    }

    /// The last waiter has left the queue.
    #[inline]
    pub(crate) fn without_waiters(self, queue: Queue) -> State {
        State(self.0 & !queue.flag())
    }

    /// An operation that began when `before` was the state found the descriptor drained.
    ///
    /// `None` if there is nothing to clear, which includes an event since `before`.
    #[inline]
    pub(crate) fn drained(self, direction: Direction, before: State) -> Option<State> {
        let same_tenant = self.generation() == before.generation();
        let no_event_since = self.tick(direction) == before.tick(direction);
        let next = State(self.0 & !u64::from(bits(direction).drained.bits()));
        (same_tenant && no_event_since && next != self).then_some(next)
    }

    /// [`drained`](Self::drained) after a short transfer, which proves that a stream is drained unless an end, an
    /// error or an urgent mark can have cut it short.
    ///
    /// Data and FIN can arrive as one event, and the end is then found only by another read; a read
    /// stops at the urgent mark with data behind it, and no event follows (asterinas#3146).
    #[inline]
    pub(crate) fn short(self, direction: Direction, before: State) -> Option<State> {
        if self.is_doubtful(direction) { None } else { self.drained(direction, before) }
    }

    /// The socket is closed on this side. `None` if it was closed before.
    pub(crate) fn close(self) -> Option<(State, Claimed)> {
        let all = READ.all_waiters | WRITE.all_waiters;
        (!self.is_closed()).then(|| State(self.0 | CLOSED).claim(all))
    }

    /// Closed, with every waiter where it was.
    pub(crate) fn with_closed(self) -> State {
        State(self.0 | CLOSED)
    }

    /// The tenant is gone. The next one starts with the next generation and no flag.
    pub(crate) fn vacate(self) -> State {
        State(self.generation().next().bits() << GENERATION_SHIFT)
    }

    /// Adds one to the tick of a direction. An overflow does not change the other tick.
    #[inline]
    fn ticked(self, direction: &DirectionBits) -> State {
        let shift = direction.tick_shift;
        let tick = u64::from(((self.0 >> shift) as u16).wrapping_add(1));
        State(self.0 & !(0xffff << shift) | tick << shift)
    }
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State")
            .field("ready", &self.ready())
            .field("closed", &self.is_closed())
            .field("generation", &self.generation().bits())
            .field("ticks", &Direction::BOTH.map(|d| self.tick(d)))
            .field("expired", &Direction::BOTH.map(|d| self.has_expired(d)))
            .field("waiters", &Queue::ALL.map(|queue| self.has_waiter(queue)))
            .finish()
    }
}

#[cfg(test)]
#[path = "state_tests.rs"]
mod tests;
