//! The slot: what the reactor knows of one descriptor, or of one timer.
//!
//! A slot holds readiness, a deadline and waiters for each direction. It makes no system call and
//! knows no descriptor; it never moves and is never freed while the reactor lives, so an event may
//! reach it at any time and finds out by the generation whether it is meant.
//!
//! # How an event meets a waiter
//!
//! Everything both sides must agree on is in the state word (see [`state`]), and both move it by
//! read-modify-write only:
//!
//! - **The waiter** puts its waker where wakers are taken from (the cell or the list), *then* says
//!   so in the word (`waits`, `listed`), *then* looks at the word again.
//! - **The waker side** (an event, an expiry, a close) puts what happened into the word and takes the
//!   right to wake from it, in one step, *then* takes the waker.
//!
//! The word has one order of changes. If the waiter's came first, the waker side sees it and wakes.
//! If it came second, the waiter's second look sees what happened, and it does not wait. A waiter
//! that is inside the cell at that moment hides it from the waker side, and whom it holds; so after
//! its second look it wakes everybody, if there is anything to be woken for.
//!
//! A deadline lies in a word of its own. Expiring it is a change there, *then* a change of the state
//! (`lapsed`), so whoever sees the second sees the first, and the argument above holds for it too.
//!
//! # Invariants
//!
//! | | holds | held by |
//! | --- | --- | --- |
//! | I1 | an event acts only on the generation it was meant for | loom `late_event_after_reuse`, `tests/regressions/reuse.rs` |
//! | I2 | closed is final for a tenant | `state::tests::closed_is_final` |
//! | I3 | the directions share no counter and no flag but error and closed | `state::tests::directions_are_independent` |
//! | I4 | readiness that came after an operation began survives the clearing that follows it | loom `event_between_operation_and_clear` |
//! | I5 | whoever waits while something is there to wake it is woken | loom `event_against_waiter`, `deadline_against_waiter`, `close_against_waiter`, `two_waiters` |
//! | I6 | no waker is woken, cloned or dropped under a lock or inside a cell | `tests/regressions/wakers.rs` |
//! | I7 | a waker that panics loses no other wake-up | `tests/regressions/wakers.rs` |
//! | I8 | an expiry for a deadline that was moved changes nothing | loom `deadline_set_against_firing` |
//! | I9 | an event wakes every task that waited before it, even if the readiness is cleared at once | loom `second_waiter_against_event_that_is_cleared`, `leaving_against_event_that_is_cleared`, `event_against_waiter_for_an_event` |

mod found;
pub(crate) mod state;
pub(crate) mod waiters;

use std::task::Waker;

use crate::ready::{Direction, Ready};
use crate::sync::{AtomicBool, AtomicU32, AtomicU64, LoadToSwap, Ordering};
use crate::time::deadline::{Deadline, Look, SetAction};
use crate::token::Generation;
use crate::wake::wake;
pub(crate) use found::{Looked, Status};
use state::{Closing, Delivery, Entry, Owed, State};
use waiters::{Cell, Joined, List, Placed, Ticket, Waiter};

/// Two cache lines: a task that reads and one that writes touch one each, and the word.
#[derive(Debug)]
#[repr(C, align(128))]
pub(crate) struct Slot {
    state: AtomicU64,
    read: Side,
    /// The slot's place in the arm queue.
    pub(crate) queued: AtomicBool,
    pub(crate) next_armed: AtomicU32,
    pub(crate) index: u32, // Its place in the arena.
    list: List,
    write: Side,
}

#[derive(Debug)]
struct Side {
    deadline: Deadline,
    cell: Cell,
}

impl Slot {
    pub(crate) fn new(index: u32) -> Self {
        let side = || Side { deadline: Deadline::new(), cell: Cell::new() };
        Self {
            state: AtomicU64::new(State::VACANT.0),
            read: side(),
            queued: AtomicBool::new(false),
            next_armed: AtomicU32::new(0),
            index,
            list: List::new(),
            write: side(),
        }
    }

    pub(crate) fn generation(&self) -> Generation {
        self.state().generation()
    }

    #[inline]
    pub(crate) fn state(&self) -> State {
        State(self.state.load(Ordering::Acquire))
    }

    /// Whether an operation of this direction may begin, in Go's order: closed, deadline, ready.
    ///
    /// One load; a second one only on a slot on which a deadline has passed before.
    #[inline]
    pub(crate) fn status(&self, direction: Direction) -> Status {
        let state = self.state();
        match state.is_plainly_ready(direction) {
            Some(true) => Status::Ready(state),
            Some(false) => Status::Pending,
            None => self.status_of(state, direction),
        }
    }

    /// The same where the socket is closed, or a deadline has passed before.
    #[cold]
    fn status_of(&self, state: State, direction: Direction) -> Status {
        if state.is_closed() {
            Status::Closed
        } else if state.has_lapsed(direction) && self.side(direction).deadline.is_expired() {
            Status::Expired
        } else if state.is_ready(direction) {
            Status::Ready(state)
        } else {
            Status::Pending
        }
    }

    /// As [`status`](Self::status); if that is pending, `waker` is woken when it changes.
    #[cfg(any(test, netpoll_loom))]
    pub(crate) fn wait(&self, direction: Direction, ticket: Ticket, waker: &Waker) -> Status {
        match self.status(direction) {
            Status::Pending => self.begin_wait(direction, ticket, waker),
            status => status,
        }
    }

    /// The same for who has just seen that it is pending.
    pub(crate) fn begin_wait(&self, direction: Direction, ticket: Ticket, waker: &Waker) -> Status {
        let before = self.state();
        self.seat(direction, Waiter { ticket, waker: waker.clone() });
        let status = self.status(direction);
        if status != Status::Pending || self.status_after(direction, before) != Status::Pending {
            self.wake_all(direction);
        }
        status
    }

    /// Whether a wait for an event after `before` is over, be the direction ready or not: it is when the event
    /// has come, and when the slot is closed or its deadline has passed.
    pub(crate) fn status_after(&self, direction: Direction, before: State) -> Status {
        let state = self.state();
        match self.status(direction) {
            Status::Ready(_) | Status::Pending
                if state.tick(direction) == before.tick(direction) =>
            {
                Status::Pending
            }
            Status::Ready(_) | Status::Pending => Status::Ready(state),
            over => over,
        }
    }

    /// Waits for an event after `before`: `waker` is woken when [`status_after`](Self::status_after) changes.
    ///
    /// The handshake is that of [`begin_wait`](Self::begin_wait), with the tick in place of the readiness. An
    /// event moves the tick in the same step in which it takes the right to wake. A thread that was inside the
    /// cell meanwhile compares the tick as well, and wakes the waiter in the event's place.
    pub(crate) fn begin_wait_after(
        &self,
        direction: Direction,
        before: State,
        ticket: Ticket,
        waker: &Waker,
    ) -> Status {
        self.seat(direction, Waiter { ticket, waker: waker.clone() });
        let status = self.status_after(direction, before);
        if status != Status::Pending {
            self.wake_all(direction);
        }
        status
    }

    /// The waiter with this ticket waits no more.
    #[inline]
    pub(crate) fn leave(&self, direction: Direction, ticket: Ticket) {
        if self.state().has_waiter(direction) {
            self.unseat(direction, ticket);
        }
    }

    fn unseat(&self, direction: Direction, ticket: Ticket) {
        let before = self.state();
        let mut seated = None;
        if self.enter(direction) {
            let mut inside = self.side(direction).cell.enter();
            seated = inside.take_if(ticket);
            let occupied = inside.is_occupied();
            self.update(|state| state.leave_cell(direction, occupied));
        }
        let listed = self.list.leave(direction, ticket);
        if self.status(direction) != Status::Pending
            || self.status_after(direction, before) != Status::Pending
        {
            self.wake_all(direction);
        }
        drop((seated, listed));
    }

    /// An event. Returns how many waiters it woke, or `None` if it was for another tenant.
    pub(crate) fn deliver(&self, generation: Generation, seen: Ready) -> Option<u64> {
        let mut before = self.state.load_to_swap(Ordering::Relaxed);
        loop {
            let Delivery::Delivered { next, read, write } = State(before).deliver(generation, seen)
            else {
                return None;
            };
            match self.compare_exchange(before, next) {
                Ok(_) => {
                    let read = self.settle(Direction::Read, read);
                    return Some(read + self.settle(Direction::Write, write));
                }
                Err(changed) => before = changed,
            }
        }
    }

    /// An operation that began at `before` found the descriptor drained (`WouldBlock`).
    pub(crate) fn drained(&self, direction: Direction, before: State) {
        self.update_if(|state| state.drained(direction, before));
    }

    /// An operation that began at `before` moved less than it could have, on a stream.
    pub(crate) fn short(&self, direction: Direction, before: State) {
        self.update_if(|state| state.short(direction, before));
    }

    /// A new deadline, in the reactor's time. The caller has seen that it is to come.
    #[inline]
    pub(crate) fn set_deadline(&self, direction: Direction, time_ns: u64) -> SetAction {
        self.side(direction).deadline.set(time_ns)
    }

    #[inline(never)]
    pub(crate) fn clear_deadline(&self, direction: Direction) {
        self.side(direction).deadline.clear();
    }

    /// The deadline just set for these directions has passed already: pending operations fail now,
    /// later ones before they begin. Unless somebody else has set another meanwhile, which is then the
    /// one that counts.
    pub(crate) fn expire(&self, directions: &[Direction], time_ns: u64) {
        let expire = |direction| {
            directions.contains(&direction) && self.side(direction).deadline.expire(time_ns)
        };
        let write = expire(Direction::Write);
        self.lapse(expire(Direction::Read), write);
    }

    /// The earliest of its deadlines to come. See [`Deadline::pending_ns`].
    pub(crate) fn earliest_deadline(&self) -> Option<u64> {
        Direction::BOTH.iter().filter_map(|d| self.side(*d).deadline.pending_ns()).min()
    }

    /// The reactor looks whether deadlines are due.
    pub(crate) fn look(&self, now_ns: u64) -> Looked {
        let write = self.write.deadline.look(now_ns);
        let read = self.read.deadline.look(now_ns);
        let again = [read, write].into_iter().filter_map(Look::again_ns);
        let (read, write) = (read == Look::Expired, write == Look::Expired);
        Looked {
            again_ns: again.min(),
            expired: u64::from(read) + u64::from(write),
            woken: self.lapse(read, write),
        }
    }

    /// Ends every operation, now and later. False if that had been done.
    pub(crate) fn close(&self) -> bool {
        let closing = self.update_with(|state| match state.close() {
            Closing::Already => (state, Closing::Already),
            closed @ Closing::Closed { next, .. } => (next, closed),
        });
        let Closing::Closed { read, write, .. } = closing else { return false };
        self.settle(Direction::Read, read);
        self.settle(Direction::Write, write);
        true
    }

    /// The same in a forked child, whose waiters are copies.
    pub(crate) fn close_and_wake_none(&self) {
        self.update(State::with_closed);
    }

    /// The tenant goes. Wakers that were left behind by `poll_*` calls are woken a last time.
    pub(crate) fn vacate(&self) {
        let (read, write) = self.update_with(|state| {
            let (next, read, write) = state.vacate();
            (next, (read, write))
        });
        Direction::BOTH.iter().for_each(|direction| self.side(*direction).deadline.reset());
        self.settle(Direction::Read, read);
        self.settle(Direction::Write, write);
    }

    #[inline]
    fn side(&self, direction: Direction) -> &Side {
        match direction {
            Direction::Read => &self.read,
            Direction::Write => &self.write,
        }
    }

    /// Puts a waiter where wakers are taken from: into the cell, or onto the list.
    fn seat(&self, direction: Direction, waiter: Waiter) {
        if !self.enter(direction) {
            return self.join(direction, waiter);
        }
        let placed = self.side(direction).cell.enter().place(waiter);
        self.update(|state| state.leave_cell(direction, true));
        match placed {
            Placed::Seated(older) => drop(older),
            Placed::Taken(waiter) => self.join(direction, waiter),
        }
    }

    fn join(&self, direction: Direction, waiter: Waiter) {
        let joined = self.list.join(direction, waiter);
        self.update(|state| state.list(direction));
        match joined {
            Joined::Added => {}
            Joined::Replaced(older) => drop(older),
            Joined::Overflowed(oldest) => wake(oldest.waker),
        }
    }

    /// Whether the cell is ours now. If so, `leave_cell` must follow.
    fn enter(&self, direction: Direction) -> bool {
        self.update_with(|state| match state.enter_cell(direction) {
            Entry::Busy => (state, false),
            Entry::Entered(next) => (next, true),
        })
    }

    /// Deadlines have expired, in these directions. All of it is in the state before anybody is woken:
    /// who reads too late does not find that it may still write. (Who asks unprompted could, in the
    /// instant between the two words, but that of writing comes first.)
    fn lapse(&self, read: bool, write: bool) -> u64 {
        if !read && !write {
            return 0;
        }
        let (read, write) = self.update_with(|state| {
            let lapse = |state: State, direction, expired| {
                if expired { state.lapse(direction) } else { (state, Owed::NOBODY) }
            };
            let (state, read) = lapse(state, Direction::Read, read);
            let (state, write) = lapse(state, Direction::Write, write);
            (state, (read, write))
        });
        self.settle(Direction::Read, read) + self.settle(Direction::Write, write)
    }

    fn wake_all(&self, direction: Direction) -> u64 {
        self.settle(direction, self.update_with(|state| state.claim_waiters(direction)))
    }

    /// Wakes whom a transition gave us to wake.
    #[inline]
    fn settle(&self, direction: Direction, owed: Owed) -> u64 {
        if owed == Owed::NOBODY { 0 } else { self.wake_owed(direction, owed) }
    }

    /// The cell's first, as it came first.
    fn wake_owed(&self, direction: Direction, owed: Owed) -> u64 {
        let mut woken = 0;
        if owed.cell {
            let waiter = self.side(direction).cell.enter().take();
            self.update(|state| state.leave_cell(direction, false));
            woken += u64::from(waiter.map(|waiter| wake(waiter.waker)).is_some());
        }
        if owed.list {
            for waiter in self.list.drain(direction) {
                wake(waiter.waker);
                woken += 1;
            }
        }
        woken
    }

    #[inline]
    fn update(&self, transition: impl Fn(State) -> State) {
        self.update_with(|state| (transition(state), ()));
    }

    fn update_if(&self, transition: impl Fn(State) -> Option<State>) {
        let mut seen = self.state.load_to_swap(Ordering::Acquire);
        while let Some(next) = transition(State(seen)) {
            match self.compare_exchange(seen, next) {
                Ok(_) => return,
                Err(changed) => seen = changed,
            }
        }
    }

    /// Moves the word. It is written even where nothing changes: a second look relies on this
    /// change coming before or after the other side's, which a mere load would not settle.
    fn update_with<R>(&self, transition: impl Fn(State) -> (State, R)) -> R {
        let mut seen = self.state.load_to_swap(Ordering::Relaxed);
        loop {
            let (next, result) = transition(State(seen));
            match self.compare_exchange(seen, next) {
                Ok(_) => return result,
                Err(changed) => seen = changed,
            }
        }
    }

    /// Acquire and release, always: what either side did before its change of the word, it did
    /// before the other's later change.
    fn compare_exchange(&self, seen: u64, next: State) -> Result<u64, u64> {
        self.state.compare_exchange_weak(seen, next.0, Ordering::AcqRel, Ordering::Acquire)
    }
}

const _: () = assert!(cfg!(netpoll_loom) || size_of::<Slot>() <= 128);

#[cfg(test)]
#[cfg(not(netpoll_loom))]
mod walk_tests;
