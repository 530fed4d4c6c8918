//! The slot: the reactor's state for one descriptor, or for one timer.
//!
//! A slot holds readiness, a deadline and waiters for each direction. It makes no system call and
//! keeps a descriptor's number only for a snapshot. It never moves and is never freed while the reactor lives, so an event may
//! reach it at any time, and the generation tells whether the event is for its present tenant.
//!
//! # How an event meets a waiter
//!
//! Readiness and the flags that say which queues have waiters are in one word, the state (see [`state`]), and
//! every change of it is a read-modify-write. The waiters themselves lie under a mutex.
//!
//! - **The waiter** locks the mutex, *then* sets the flag of its queue, by a change of the state that returns the state
//!   before it. If that state is not ready, the waiter adds its waker to the queue. Then it unlocks.
//! - **The waker side** (an event, an expiry, a close) puts its change into the state and clears the flags of
//!   the queues that it wakes, in one step. For each flag that it cleared it locks the mutex, takes the queue's
//!   waiters out, unlocks, and wakes them.
//!
//! The state has one order of changes. If the waiter's came first, the waker side clears its flag, waits for
//! the mutex, and finds the waker in the queue. If it came second, the waiter sees the change and does not
//! wait.
//!
//! A waiter that leaves (a future that is dropped) takes its waker out under the mutex, and clears the flag if
//! the queue is empty then. A flag without waiters is harmless: the next event finds an empty queue.
//!
//! A deadline lies in a word of its own. An expiry changes that word, *then* sets the flag "expired" in the state. So a
//! thread that sees the flag sees the expired word, and the argument above holds for expiries too.
//!
//! # Whether epoll reports room
//!
//! For [`Interest::WriteOnDemand`](crate::Interest::WriteOnDemand), epoll reports room (`EPOLLOUT`) only while a writer
//! waits. A flag, changed under the mutex, says whether `EPOLLOUT` is enabled.
//!
//! - **A writer that must wait** is among the waiters, as above. *Then* it locks the mutex, reads the state, and has epoll
//!   report room, unless the flag says that it does.
//! - **A writer that has written** and finds the flag set locks the mutex, reads the state, and has epoll stop, unless a
//!   writer waits.
//!
//! If the waiter's lock came first, the other writer sees it waiting and changes nothing. If it came second, the
//! waiter finds the flag cleared. `epoll_ctl` reports existing room as an edge, so it wakes a waiter that comes after
//! the room. A writer reads the flag without the lock. If it misses that a waiter has just set the flag, that waiter
//! clears the flag after its own write, or a later writer does.
//!
//! # Invariants
//!
//! | | holds | held by |
//! | --- | --- | --- |
//! | I1 | an event changes only the tenant for whose generation it was reported | loom `late_event_after_reuse`, `tests/regressions/reuse.rs` |
//! | I2 | closed is final for a tenant | `state::tests::closed_is_final` |
//! | I3 | the directions share no counter and no flag but error and closed | `state::tests::directions_are_independent` |
//! | I4 | readiness that came after an operation began survives the clearing that follows it | loom `event_between_operation_and_clear` |
//! | I5 | the next event, expiry or close wakes a task that waits | loom `event_against_waiter`, `deadline_against_waiter`, `close_against_waiter`, `two_waiters` |
//! | I6 | no waker is woken, cloned or dropped under a lock | `tests/regressions/wakers.rs` |
//! | I7 | a waker that panics, when it is woken or dropped, suppresses no other wake-up | `tests/regressions/wakers.rs` |
//! | I8 | an expiry for a deadline that was moved changes nothing | loom `deadline_set_against_firing` |
//! | I9 | an event wakes every task that waited before it, even if the readiness is cleared at once | loom `second_waiter_against_event_that_is_cleared`, `leaving_against_event_that_is_cleared`, `event_against_waiter_for_an_event` |
//! | I10 | a snapshot has a row only if its calls on the number reached that descriptor | loom `snapshot_against_a_number_that_changes_hands`, `snapshot_tests.rs` |

pub(crate) mod state;
pub(crate) mod waiters;

use std::task::Waker;

use crate::ready::{Direction, Ready};
use crate::sync::{AtomicBool, AtomicU32, AtomicU64, LoadToSwap, Mutex, Ordering, fence, lock};
use crate::time::deadline::{DeadlineWord, Expiry, SetAction};
use crate::token::Generation;
use crate::wake::{catch_panic, wake};
use crate::wall;
use state::{Claimed, Delivery, Queue, State};
use waiters::{AtEnd, Displaced, Waiters, drop_all};

pub(crate) use waiters::{Queued, WaiterId};

/// 80 bytes. Two neighbours share a cache line, at a cost that is below the noise of two threads (`cargo bench -p netpoll-tests -- threads`).
pub(crate) struct Slot {
    state: AtomicU64,
    deadlines: [DeadlineWord; 2],
    waiters: Mutex<Waiters>,
    /// The number of the last future that was given a [`WaiterId`]. Changed under the mutex.
    last_id: AtomicU32,
    pub(crate) index: u32, // Its place in the arena.
    /// The number of the tenant's descriptor, or [`NO_NUMBER`]. For a snapshot alone: no operation reads it.
    number: AtomicU32,
    /// Whether the slot is in the arm queue.
    pub(crate) queued: AtomicBool,
    /// Whether epoll reports room, where it does on demand.
    reports_room: AtomicBool,
}

/// The number of a slot that is free or has a timer.
const NO_NUMBER: u32 = u32::MAX;

/// A slot at one moment, for a snapshot.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View {
    pub(crate) state: State,
    pub(crate) number: Option<u32>,
    /// By direction: a time to come, or 0 for a deadline that has passed.
    pub(crate) deadlines_ns: [Option<u64>; 2],
    /// By queue. Empty where an event, an expiry or a close has claimed the waiters and is about to wake them.
    pub(crate) queues: [Queued; 3],
}

/// The answer of the slot to an operation that is about to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Status {
    /// The operation may begin. Clearing the readiness later compares the tick with that of this state.
    Ready(State),
    /// The direction is not ready.
    Pending,
    /// The deadline has passed.
    Expired,
    /// The socket is closed.
    Closed,
}

/// The result of the reactor's check of a slot's deadlines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use]
pub(crate) struct Checked {
    /// When the reactor must check again.
    pub(crate) again_ns: Option<u64>,
    pub(crate) expired: u64,
}

impl Slot {
    pub(crate) fn new(index: u32) -> Self {
        Self {
            state: AtomicU64::new(State::VACANT.0),
            deadlines: [DeadlineWord::new(), DeadlineWord::new()],
            waiters: Mutex::new(Waiters::new()),
            last_id: AtomicU32::new(0),
            queued: AtomicBool::new(false),
            reports_room: AtomicBool::new(false),
            index,
            number: AtomicU32::new(NO_NUMBER),
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
    /// One load; a second one only on a slot on which a deadline has expired before.
    #[inline]
    pub(crate) fn status(&self, direction: Direction) -> Status {
        self.status_in(self.state(), direction)
    }

    #[inline]
    fn status_in(&self, state: State, direction: Direction) -> Status {
        match state.is_plainly_ready(direction) {
            Some(true) => Status::Ready(state),
            Some(false) => Status::Pending,
            None => self.status_otherwise(state, direction),
        }
    }

    /// [`status_in`](Self::status_in) where the socket is closed, or a deadline has expired before.
    #[cold]
    fn status_otherwise(&self, state: State, direction: Direction) -> Status {
        if state.is_closed() {
            Status::Closed
        } else if state.has_expired(direction) && self.deadline(direction).is_expired() {
            Status::Expired
        } else if state.is_ready(direction) {
            Status::Ready(state)
        } else {
            Status::Pending
        }
    }

    /// The status of a wait for the next event after `before`. [`Status::Ready`] means that the event has come, whether or
    /// not the direction is ready now. As elsewhere, a close or an expiry ends the wait.
    pub(crate) fn status_after(&self, direction: Direction, before: State) -> Status {
        self.status_after_in(self.state(), direction, before)
    }

    fn status_after_in(&self, state: State, direction: Direction, before: State) -> Status {
        match self.status_in(state, direction) {
            Status::Ready(_) | Status::Pending
                if state.tick(direction) == before.tick(direction) =>
            {
                Status::Pending
            }
            Status::Ready(_) | Status::Pending => Status::Ready(state),
            over => over,
        }
    }

    /// As [`status`](Self::status). If the status is pending, its next change wakes `waker`.
    ///
    /// A future passes its id, and a `poll_*` call has none.
    pub(crate) fn wait(
        &self,
        direction: Direction,
        id: Option<&mut WaiterId>,
        waker: &Waker,
    ) -> Status {
        self.enter(direction.into(), id, waker, |state| self.status_in(state, direction))
    }

    /// As [`status_after`](Self::status_after). If the status is pending, its next change wakes `waker`.
    pub(crate) fn wait_after(
        &self,
        direction: Direction,
        before: State,
        id: Option<&mut WaiterId>,
        waker: &Waker,
    ) -> Status {
        let status = |state| self.status_after_in(state, direction, before);
        self.enter(direction.into(), id, waker, status)
    }

    /// Waits for [`wake_next_for_write_lock`](Self::wake_next_for_write_lock), or for the expiry or close that ends
    /// all writes. The status is never ready.
    pub(crate) fn wait_for_write_lock(&self, id: Option<&mut WaiterId>, waker: &Waker) -> Status {
        self.enter(Queue::WriteLock, id, waker, |state| {
            match self.status_in(state, Direction::Write) {
                Status::Ready(_) => Status::Pending,
                status => status,
            }
        })
    }

    /// Sets the flag of the queue. If `status` of the state before that change is pending, adds the waiter.
    fn enter(
        &self,
        queue: Queue,
        id: Option<&mut WaiterId>,
        waker: &Waker,
        status: impl FnOnce(State) -> Status,
    ) -> Status {
        let (waker, second) = (waker.clone(), wall::second());
        let mut waiters = lock(&self.waiters);
        let found = self.update_with(|state| (state.with_waiter(queue), state));
        let status = status(found);
        if status != Status::Pending {
            self.clear_flag_if_empty(queue, &waiters);
            drop(waiters);
            drop(waker);
            return status;
        }
        let displaced = waiters.add(queue, id, &self.last_id, waker, second);
        drop(waiters);
        match displaced {
            Displaced::None => {}
            Displaced::Older(older) => catch_panic(|| drop(older)),
            Displaced::OverLimit(polls) => polls.wake(),
        }
        status
    }

    /// Removes the waiter with this id. False if the queue does not have it: an event, an expiry or a close has taken
    /// it out.
    #[inline]
    pub(crate) fn leave(&self, queue: Queue, id: WaiterId) -> bool {
        id != WaiterId::NONE && self.state().has_waiter(queue) && self.remove(queue, id)
    }

    fn remove(&self, queue: Queue, id: WaiterId) -> bool {
        let removed = {
            let mut waiters = lock(&self.waiters);
            let removed = waiters.remove(queue, id);
            self.clear_flag_if_empty(queue, &waiters);
            removed
        };
        removed.map(|waker| catch_panic(|| drop(waker))).is_some()
    }

    /// The caller has the mutex, under which waiters also set the flag.
    fn clear_flag_if_empty(&self, queue: Queue, waiters: &Waiters) {
        if waiters.is_empty(queue) {
            self.update_with(|state| (state.without_waiters(queue), ()));
        }
    }

    /// Wakes the task that has waited for the write lock longest, and every `poll_*` call that waits for it.
    pub(crate) fn wake_next_for_write_lock(&self) {
        let next = {
            let mut waiters = lock(&self.waiters);
            let next = waiters.take_next_for_write_lock();
            self.clear_flag_if_empty(Queue::WriteLock, &waiters);
            next
        };
        next.wake();
    }

    /// Delivers an event, and passes each waker that it claims on to `each`, outside the mutex. False if the event
    /// was for another tenant.
    #[inline]
    pub(crate) fn deliver(
        &self,
        generation: Generation,
        seen: Ready,
        mut each: impl FnMut(Waker),
    ) -> bool {
        let mut before = self.state.load_to_swap(Ordering::Relaxed);
        loop {
            let Delivery::Delivered { next, claimed } = State(before).deliver(generation, seen)
            else {
                return false;
            };
            match self.compare_exchange(before, next) {
                Ok(_) => {
                    self.take_queue(Queue::Read, claimed, &mut each);
                    self.take_queue(Queue::Write, claimed, &mut each);
                    return true;
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
    #[inline]
    pub(crate) fn short(&self, direction: Direction, before: State) {
        self.update_if(|state| state.short(direction, before));
    }

    /// Whether epoll reports room, where it does on demand. Relaxed: a stale answer costs an event at most.
    #[inline]
    pub(crate) fn reports_room(&self) -> bool {
        self.reports_room.load(Ordering::Relaxed)
    }

    /// Has epoll report room if a writer waits, and not otherwise. `change` makes the change, and runs no user code: it is
    /// called under the mutex.
    pub(crate) fn report_room_on_demand<E>(
        &self,
        change: impl FnOnce(bool) -> Result<(), E>,
    ) -> Result<(), E> {
        let _waiters = lock(&self.waiters);
        let is_wanted = self.state().has_waiter(Queue::Write);
        if is_wanted != self.reports_room() {
            change(is_wanted)?;
            self.reports_room.store(is_wanted, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Stores a new deadline, in the reactor's time. The caller checks afterwards whether it has passed
    /// ([`ReactorInner::arm`](crate::reactor::ReactorInner::arm)).
    #[inline]
    pub(crate) fn set_deadline(&self, direction: Direction, time_ns: u64) -> SetAction {
        self.deadline(direction).set(time_ns)
    }

    #[inline(never)]
    pub(crate) fn clear_deadline(&self, direction: Direction) {
        self.deadline(direction).clear();
    }

    /// The setter finds that the deadline it has just stored has passed: pending operations fail now, and later ones
    /// before they begin. If another setter has stored another deadline meanwhile, that one stays, and it returns false.
    #[must_use]
    pub(crate) fn expire(&self, directions: &[Direction], time_ns: u64) -> bool {
        let expire =
            |direction| directions.contains(&direction) && self.deadline(direction).expire(time_ns);
        let write = expire(Direction::Write);
        let read = expire(Direction::Read);
        self.mark_expired(read, write, wake);
        usize::from(read) + usize::from(write) == directions.len()
    }

    /// The reactor checks whether deadlines are due. Passes each waker that an expiry wakes on to `each`.
    pub(crate) fn check_deadlines(&self, now_ns: u64, each: impl FnMut(Waker)) -> Checked {
        let write = self.deadline(Direction::Write).check(now_ns);
        let read = self.deadline(Direction::Read).check(now_ns);
        let again_ns = match (read.again_ns(), write.again_ns()) {
            (Some(read), Some(write)) => Some(read.min(write)),
            (read, write) => read.or(write),
        };
        let (read, write) = (read == Expiry::Expired, write == Expiry::Expired);
        self.mark_expired(read, write, each);
        Checked { again_ns, expired: u64::from(read) + u64::from(write) }
    }

    /// Ends every operation, now and later. False if the slot was closed before.
    pub(crate) fn close(&self) -> bool {
        let claimed = self.update_with(|state| match state.close() {
            None => (state, None),
            Some((next, claimed)) => (next, Some(claimed)),
        });
        claimed.map(|claimed| self.take_claimed(claimed, wake)).is_some()
    }

    /// [`close`](Self::close) in a forked child, whose wakers are copies: wakes none of them.
    pub(crate) fn close_and_wake_none(&self) {
        self.update_with(|state| (state.with_closed(), ()));
    }

    /// Changes the values that are kept for the end of the descriptor. `change` runs under the mutex.
    pub(crate) fn change_at_end<R>(&self, change: impl FnOnce(&mut AtEnd) -> R) -> R {
        change(lock(&self.waiters).at_end())
    }

    /// Takes one of these values, if there are any. `take` runs under the mutex.
    pub(crate) fn take_at_end<R: Default>(&self, take: impl FnOnce(&mut AtEnd) -> R) -> R {
        lock(&self.waiters).at_end_if_any().map(take).unwrap_or_default()
    }

    /// Drops the values that were held until the end.
    pub(crate) fn drop_held(&self) {
        drop_all(self.take_at_end(|at_end| std::mem::take(&mut at_end.held)));
    }

    /// Ends the tenancy. Drops the wakers that `poll_*` calls have left behind, and the values held until the end.
    pub(crate) fn vacate(&self) {
        self.update_with(|state| (state.vacate(), ()));
        self.deadlines.iter().for_each(DeadlineWord::clear);
        self.reports_room.store(false, Ordering::Relaxed);
        self.number.store(NO_NUMBER, Ordering::Relaxed);
        let left = std::mem::replace(&mut *lock(&self.waiters), Waiters::new());
        left.drop_each();
    }

    /// The tenant has this descriptor: a snapshot lists it from now on.
    pub(crate) fn set_number(&self, number: u32) {
        self.number.store(number, Ordering::Release);
    }

    /// The tenant is about to give its descriptor up. The caller does this before the number is free, so a snapshot that
    /// has made calls on the next descriptor of that number [finds out](Self::is_still).
    pub(crate) fn forget_number(&self) {
        self.number.store(NO_NUMBER, Ordering::Release);
    }

    /// The slot at one moment: one load of the state, and the waiters under their mutex. So a queue of this view has
    /// waiters only if no event had come for them.
    pub(crate) fn view(&self) -> View {
        let waiters = lock(&self.waiters);
        let state = self.state();
        let queued = |queue| {
            if state.has_waiter(queue) { waiters.queued(queue) } else { Queued::default() }
        };
        let queues = Queue::ALL.map(queued);
        drop(waiters);
        View {
            state,
            number: Some(self.number.load(Ordering::Acquire)).filter(|number| *number != NO_NUMBER),
            deadlines_ns: Direction::BOTH.map(|direction| self.deadline(direction).seen_ns()),
            queues,
        }
    }

    /// Whether the slot still has the tenant of `view`, with its descriptor. Then the descriptor's number stood for that
    /// descriptor, or for the placeholder of one that was closed, in every call that the caller has made since.
    pub(crate) fn is_still(&self, view: &View) -> bool {
        // The calls on the number come before these loads.
        fence(Ordering::SeqCst);
        let number = self.number.load(Ordering::Acquire);
        view.number == Some(number) && self.generation() == view.state.generation()
    }

    #[inline]
    fn deadline(&self, direction: Direction) -> &DeadlineWord {
        &self.deadlines[direction as usize]
    }

    /// Marks expired deadlines of these directions in the state: both in one change, before any task is woken. So a
    /// reader that is woken by a deadline of both directions finds that writing has expired too.
    ///
    /// The callers have expired the deadline words before, that of writing first. If the "expired" flags are still set
    /// from an earlier deadline, a thread that was not woken can see one word expired and the other not yet.
    fn mark_expired(&self, read: bool, write: bool, each: impl FnMut(Waker)) {
        if read || write {
            self.take_claimed(self.update_with(|state| state.expire(read, write)), each);
        }
    }

    /// Takes out the waiters that the caller has claimed.
    #[inline]
    fn take_claimed(&self, claimed: Claimed, mut each: impl FnMut(Waker)) {
        self.take_queue(Queue::Read, claimed, &mut each);
        self.take_queue(Queue::Write, claimed, &mut each);
        self.take_queue(Queue::WriteLock, claimed, &mut each);
    }

    #[inline(always)] // A call would cost as much as the rest.
    fn take_queue(&self, queue: Queue, claimed: Claimed, mut each: impl FnMut(Waker)) {
        if !claimed.includes(queue) {
            return;
        }
        let mut waiters = lock(&self.waiters);
        // Mostly a reader waits alone. On this way its waker stays in registers.
        if queue == Queue::Read
            && let Some(reader) = waiters.take_only_reader()
        {
            drop(waiters);
            return each(reader);
        }
        let taken = waiters.take(queue);
        drop(waiters);
        taken.for_each(each);
    }

    #[inline]
    fn update_if(&self, transition: impl Fn(State) -> Option<State>) {
        let mut seen = self.state.load_to_swap(Ordering::Acquire);
        while let Some(next) = transition(State(seen)) {
            match self.compare_exchange(seen, next) {
                Ok(_) => return,
                Err(changed) => seen = changed,
            }
        }
    }

    /// Changes the word, and writes it even if the value stays the same: the handshakes rely on the order of all
    /// changes, and a load is not one of them.
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

    /// Acquire and release, always: a thread that sees a change of the word sees all earlier writes of the thread
    /// that changed it.
    fn compare_exchange(&self, seen: u64, next: State) -> Result<u64, u64> {
        self.state.compare_exchange_weak(seen, next.0, Ordering::AcqRel, Ordering::Acquire)
    }
}

const _: () = assert!(cfg!(netpoll_loom) || size_of::<Slot>() <= 80);

#[cfg(test)]
#[cfg(not(netpoll_loom))]
mod walk_tests;
