//! One turn of the reactor: file the armed deadlines, wait in epoll, dispatch the events, expire the deadlines
//! that are due. Which thread makes the turn is decided in [`lease`](crate::lease).
//!
//! A turn collects the wakers of its tasks and wakes them when it is over: no lock is held then, every event is
//! in its slot, and the wheel is in order. So a waker may call anything, and may wait in
//! [`block_on`](crate::block_on): the thread that makes the turn has the lease, and makes turns inside the
//! waker. The inner turn does not sleep while the outer turn has tasks to wake. After it, this thread wakes the tasks that the outer turn has still to wake, and then
//! those of the inner turn.

use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use crate::arena::Arena;
use crate::error::ReactorGone;
use crate::lease::{Lease, Turn};
use crate::metrics::{Counters, Metrics};
use crate::parker::Parker;
use crate::ready::{Direction, Interest};
use crate::sleep::{Sleep, short_of};
use crate::slot::Slot;
use crate::sync::{Arc, Mutex, Ordering, lock};
use crate::sys::{self, Epoll, EventFd, Events, TimerFd};
use crate::time::clock::Clock;
use crate::time::deadline::SetAction;
use crate::time::wheel::{Step, Wheel, due_ns};
use crate::token::Token;
use crate::wake::{Wakers, collect_and_wake};

/// How many slots one turn takes from the wheel, and how many from the arm queue, before it polls for
/// events again.
const STEPS_PER_TURN: usize = 1024;

/// How many tasks a turn wakes for the deadlines that it takes from the wheel, before it polls for events again. If a turn wakes more
/// than an executor runs between two turns (async-executor runs 200), a task that an event wakes waits for all of them. With 20,000
/// timers of one time, the 99th percentile of an echo is 0.2 ms with this bound, and 5 ms with 1,024
/// (`cargo bench -p netpoll-tests -- expiry`).
const WAKES_PER_TURN: usize = 128;

/// How many waits in a row may fail before the reactor ends. Under Linux a wait fails only if the program has closed
/// the epoll instance by its number.
const FAILED_WAITS: u32 = 8;

/// One reactor. All its handles, its registrations and its thread share it.
///
/// It has no `Debug`, nor has the arena: a type that holds it would print every slot there is.
pub(crate) struct ReactorInner {
    epoll: Epoll,
    wake_up: EventFd,
    /// In an embedded reactor: it fires for the first deadline of the wheel.
    alarm: Option<TimerFd>,
    /// A close puts this descriptor under the number of the closed one, until the registration is dropped.
    placeholder: OwnedFd,
    arena: Arc<Arena>,
    sleep: Sleep,
    clock: Clock,
    pub(crate) lease: Lease,
    turn: Mutex<TurnState>,
    pub(crate) counters: Counters,
    /// Set before the end, if the one that ends the reactor gives a reason.
    reason: OnceLock<&'static str>,
    /// The process that made it, by its count of forks: a forked child shares the epoll instance, and must not
    /// touch it.
    forks: u32,
}

/// The part of the reactor that belongs to the thread that makes a turn. That thread has the lease, so it never
/// waits for the mutex.
struct TurnState {
    wheel: Wheel,
    /// The slots that a turn has taken from the arm queue.
    armed: Vec<u32>,
    /// How many waits in a row have failed.
    failed_waits: u32,
    /// The time for which the alarm was set, until it has fired.
    alarm_ns: Option<u64>,
}

impl ReactorInner {
    pub(crate) fn new(clock: Clock, has_thread: bool) -> io::Result<Self> {
        sys::count_forks()?;
        let epoll = Epoll::new()?;
        let wake_up = EventFd::new()?;
        epoll.add(wake_up.as_fd(), Token::WAKE_UP, Interest::Readable)?;
        let sleep = Sleep::new();
        let alarm = if has_thread { None } else { Some(TimerFd::new()?) };
        if let Some(alarm) = &alarm {
            epoll.add(alarm.as_fd(), Token::ALARM, Interest::Readable)?;
            // A system that refuses this call refuses to make the reactor.
            alarm.set(None)?;
            // The loop sleeps before it makes the first turn.
            let _ = sleep.announce(None);
        }
        Ok(Self {
            epoll,
            wake_up,
            alarm,
            placeholder: sys::placeholder()?,
            arena: Arena::new(),
            sleep,
            clock,
            lease: Lease::new(has_thread),
            turn: Mutex::new(TurnState {
                wheel: Wheel::new(),
                armed: Vec::new(),
                failed_waits: 0,
                alarm_ns: None,
            }),
            counters: Counters::default(),
            reason: OnceLock::new(),
            forks: sys::forks(),
        })
    }

    /// One pass: file, wait, dispatch, expire, wake. The caller has the lease; a wake-up of `parker` ends the
    /// wait.
    pub(crate) fn turn(
        &self,
        timeout: Option<Duration>,
        parker: Option<&Parker>,
    ) -> io::Result<Turn> {
        self.check_usable()?;
        let end = EndUnlessForgotten(self);
        let turned = collect_and_wake(|wakers| {
            let before = wakers.len();
            let waited = self.turn_locked(&mut lock(&self.turn), timeout, parker, wakers);
            let woken = wakers.len() - before;
            self.counters.turns.add(1);
            self.counters.wakes.add(woken as u64);
            waited.map(|()| if woken == 0 { Turn::Idle } else { Turn::Woke })
        });
        std::mem::forget(end);
        turned
    }

    fn turn_locked(
        &self,
        state: &mut TurnState,
        timeout: Option<Duration>,
        parker: Option<&Parker>,
        wakers: &mut Wakers,
    ) -> io::Result<()> {
        if self.alarm.is_some() {
            self.sleep.awake();
        }
        let has_filed = self.file_armed(state, wakers);
        // This turn must not sleep while tasks are still to be woken: those of an outer turn, or of deadlines that were due.
        let timeout = if wakers.is_empty() { timeout } else { Some(Duration::ZERO) };
        let mut events = Events::new();
        let waited = self.wait(&mut events, &state.wheel, timeout, parker);
        self.dispatch(&events, state, wakers);
        self.expire_due(&mut state.wheel, wakers);
        if self.alarm.is_some() {
            // Files the deadlines that were set during the wait: otherwise they would cause another turn.
            let _ = has_filed || self.file_armed(state, wakers);
            self.leave_to_loop(state, events.is_full());
        }
        state.failed_waits = if waited.is_ok() { 0 } else { state.failed_waits + 1 };
        waited
    }

    /// Takes the lease for one turn. `None` if another thread has it.
    pub(crate) fn turn_if_free(&self, timeout: Option<Duration>) -> Option<io::Result<()>> {
        let mut turned = None;
        self.lease.turn_once(|| {
            turned = Some(self.turn(timeout, None).map(drop));
            if self.check_usable().is_ok() { Turn::Idle } else { Turn::Gone }
        });
        turned
    }

    /// As [`turn`](Self::turn), but ends the reactor if [`FAILED_WAITS`] waits in a row have failed.
    pub(crate) fn turn_or_end(&self, timeout: Option<Duration>, parker: Option<&Parker>) -> Turn {
        let error = match self.turn(timeout, parker) {
            Ok(turn) if self.is_ours() => return turn,
            Ok(_) => return Turn::Gone,
            Err(error) => error,
        };
        if self.check_usable().is_err() {
            return Turn::Gone;
        }
        if lock(&self.turn).failed_waits < FAILED_WAITS {
            return Turn::Idle;
        }
        self.give_up("the wait", &error);
        Turn::Gone
    }

    /// Checks the slots whose deadlines were moved to an earlier time, if there are any.
    #[inline]
    fn file_armed(&self, state: &mut TurnState, wakers: &mut Wakers) -> bool {
        let has_armed = self.sleep.has_armed();
        if has_armed {
            self.check_armed(state, wakers);
        }
        has_armed
    }

    fn check_armed(&self, state: &mut TurnState, wakers: &mut Wakers) {
        let now_ns = self.clock.now_ns();
        // The wheel steps first, because it files a key relative to its present tick, and only a step moves that tick.
        self.step(&mut state.wheel, now_ns, wakers);
        self.sleep.take_armed(STEPS_PER_TURN, |index| self.known_slot(index), &mut state.armed);
        for index in state.armed.drain(..) {
            self.check(index, now_ns, &mut state.wheel, wakers);
        }
    }

    fn expire_due(&self, wheel: &mut Wheel, wakers: &mut Wakers) {
        let Some(next_ns) = wheel.next_ns() else { return };
        let now_ns = self.clock.now_ns();
        if next_ns <= now_ns {
            self.step(wheel, now_ns, wakers);
        }
    }

    fn step(&self, wheel: &mut Wheel, now_ns: u64, wakers: &mut Wakers) {
        let mut gone = false;
        let most_wakers = wakers.len() + WAKES_PER_TURN;
        for _ in 0..STEPS_PER_TURN {
            if wakers.len() >= most_wakers {
                return;
            }
            let index = match wheel.step(now_ns) {
                Step::Check(index) => index,
                // A deadline that was cleared has cost a wake-up. The wheel also gives up the cleared deadlines
                // that follow it, so that they cost none.
                Step::Done if gone => match wheel.take_next() {
                    Some(index) => index,
                    None => return,
                },
                Step::Done => return,
            };
            gone = self.check(index, now_ns, wheel, wakers);
        }
    }

    /// Checks the deadlines of a slot, expires those that are due, and files the slot for the next one to come.
    /// True if the slot has no deadline that was due or is to come.
    fn check(&self, index: u32, now_ns: u64, wheel: &mut Wheel, wakers: &mut Wakers) -> bool {
        let wake = |waker| wakers.push_back(waker);
        let checked = self.known_slot(index).check_deadlines(now_ns, wake);
        if let Some(at_ns) = checked.again_ns {
            wheel.file(index, at_ns);
        }
        self.counters.expiries.add(checked.expired);
        checked.again_ns.is_none() && checked.expired == 0
    }

    fn known_slot(&self, index: u32) -> &Slot {
        self.arena.slot(index).expect("only slots that exist are armed and filed")
    }

    /// Waits for events until the first deadline, or `timeout`.
    fn wait(
        &self,
        events: &mut Events,
        wheel: &Wheel,
        timeout: Option<Duration>,
        parker: Option<&Parker>,
    ) -> io::Result<()> {
        let (timeout, until_ns) = self.sleep_for(wheel.next_ns(), timeout);
        if timeout == Some(Duration::ZERO) {
            return self.epoll.wait(events, timeout);
        }
        let may_sleep = self.sleep.announce(until_ns)
            && !self.is_gone()
            && !parker.is_some_and(Parker::is_notified);
        let timeout = if may_sleep { timeout } else { Some(Duration::ZERO) };
        let waited = self.epoll.wait(events, timeout);
        self.sleep.awake();
        waited
    }

    /// How long to sleep in this turn, and when the whole sleep is over: a turn sleeps [short of](short_of) a long
    /// time, and the next turn sleeps for the rest.
    fn sleep_for(
        &self,
        next_ns: Option<u64>,
        timeout: Option<Duration>,
    ) -> (Option<Duration>, Option<u64>) {
        if next_ns.is_none() && timeout.is_none_or(|timeout| timeout.is_zero()) {
            return (timeout, None);
        }
        let now_ns = self.clock.now_ns();
        let due_in = next_ns.map(|next| Duration::from_nanos(next.saturating_sub(now_ns)));
        // When a test moves its clock by hand, a notification ends the sleep.
        let due_in = due_in.filter(|due_in| due_in.is_zero() || !self.clock.is_by_hand());
        let sleep = timeout.into_iter().chain(due_in).min();
        let until = sleep.map(|sleep| {
            now_ns.saturating_add(u64::try_from(sleep.as_nanos()).unwrap_or(u64::MAX))
        });
        (sleep.map(short_of), until)
    }

    /// The end of a turn of an embedded reactor: its descriptor becomes readable when the next turn has something to
    /// do.
    fn leave_to_loop(&self, state: &mut TurnState, has_more_events: bool) {
        let Some(alarm) = &self.alarm else { return };
        // No alarm is set on a clock that is moved by hand: each move is a notification, and so causes a turn.
        let concerns_the_loop = |next: &u64| !self.clock.is_by_hand() || *next <= self.now_ns();
        let next_ns = state.wheel.next_ns().filter(concerns_the_loop);
        let mut is_set = next_ns == state.alarm_ns;
        if !is_set {
            let now_ns = self.clock.now_ns();
            let after = next_ns.map(|next| Duration::from_nanos(next.saturating_sub(now_ns)));
            // A deadline that is due already needs no alarm, which would cost an interrupt: the signal causes the next turn.
            if after != Some(Duration::ZERO) {
                is_set = alarm.set(after).is_ok();
                state.alarm_ns = next_ns.filter(|_| is_set);
            }
        }
        // An edge-triggered loop needs a new edge in two cases. Events are left, and the loop has already seen their edge.
        // Or the reactor is gone, and this turn may have consumed the edge of the shutdown: the next turn reports it. If
        // the system has refused to set the alarm, the next turn tries again.
        let is_silent = self.sleep.announce(next_ns) && !has_more_events && !self.is_gone();
        if !(is_silent && is_set) {
            self.signal();
        }
    }

    fn dispatch(&self, events: &Events, state: &mut TurnState, wakers: &mut Wakers) {
        for (data, seen) in events.iter() {
            if Token::is_of_the_reactor(data) {
                if data == Token::ALARM {
                    state.alarm_ns = None;
                }
                continue;
            }
            self.counters.events.add(1);
            let token = Token::decode(data);
            let wake = |waker| wakers.push_back(waker);
            let slot = self.arena.slot(token.index);
            if !slot.is_some_and(|slot| slot.deliver(token.generation, seen, wake)) {
                self.counters.stale_events.add(1);
            }
        }
    }

    pub(crate) fn arena(&self) -> &Arc<Arena> {
        &self.arena
    }

    pub(crate) fn add(
        &self,
        fd: BorrowedFd<'_>,
        token: Token,
        interest: Interest,
    ) -> io::Result<()> {
        self.epoll.add(fd, token.encode(), interest)
    }

    /// Changes the interest of a descriptor in epoll. In a forked child it does nothing.
    pub(crate) fn modify(
        &self,
        fd: BorrowedFd<'_>,
        token: Token,
        interest: Interest,
    ) -> io::Result<()> {
        if self.is_ours() { self.epoll.modify(fd, token.encode(), interest) } else { Ok(()) }
    }

    /// Takes a descriptor out of epoll. In a forked child it does nothing.
    ///
    /// `epoll_ctl` fails only if the program has closed the descriptor by its number: then epoll has dropped it.
    pub(crate) fn deregister(&self, fd: BorrowedFd<'_>) {
        if self.is_ours() {
            let _ = self.epoll.delete(fd);
        }
    }

    /// A registration or a timer is about to be dropped. In a forked child the arena keeps its slot: the wakers are
    /// copies, and a thread that the child does not have may hold a lock.
    pub(crate) fn disown_if_forked(&self) {
        if !self.is_ours() {
            self.arena.disown();
        }
    }

    /// Ends the descriptor behind a number that stays in use. See [`sys::end`].
    pub(crate) fn end(&self, fd: BorrowedFd<'_>) -> io::Result<()> {
        sys::end(fd, self.placeholder.as_fd())
    }

    /// A setter has stored a deadline, and `action` is its next step; `now_ns` is the time, if it has read the clock. Expires the
    /// deadline if it has passed already. The setter asks the reactor to check the slot by `at_ns` in two cases: the deadline is
    /// still to come and the action is to [arm](SetAction::Arm), or it has passed and another setter has moved or cleared it
    /// meanwhile.
    ///
    /// The wheel fires by ticks, so a deadline in the tick for which the reactor wakes anyway, or in a later
    /// one, needs no signal.
    #[cold]
    pub(crate) fn arm(
        &self,
        slot: &Slot,
        directions: &[Direction],
        at_ns: u64,
        now_ns: Option<u64>,
        action: SetAction,
    ) {
        let has_passed = at_ns <= now_ns.unwrap_or_else(|| self.now_ns());
        if has_passed && slot.expire(directions, at_ns) {
            return;
        }
        // If the time has passed and the word did not expire, another setter has moved it later or cleared it, and the next
        // one relies on this one.
        if action != SetAction::Arm && !has_passed {
            return;
        }
        if self.sleep.arm(slot, due_ns(at_ns)) {
            self.signal();
        }
    }

    /// Makes the turn in progress return, or the next one not sleep.
    pub(crate) fn notify(&self) {
        if self.sleep.notify() {
            self.signal();
        }
    }

    /// A waker has woken the driver that makes the turn: ends its sleep in epoll, if it sleeps.
    pub(crate) fn wake_if_asleep(&self) {
        if self.sleep.must_be_signalled() {
            self.signal();
        }
    }

    fn signal(&self) {
        if !self.is_ours() {
            return;
        }
        self.counters.notifies.fetch_add(1, Ordering::Relaxed);
        // Enabling `EPOLLOUT` for the eventfd is an edge as well: it always has room.
        let enable = |_| self.epoll.modify(self.wake_up.as_fd(), Token::WAKE_UP, Interest::Both);
        if let Err(error) = self.wake_up.signal().or_else(enable) {
            self.give_up("the wake-up", &error);
        }
    }

    /// Ends a reactor that has failed for good, so that no task waits for it for ever.
    #[cold]
    fn give_up(&self, step: &str, error: &io::Error) {
        if !self.is_gone() {
            self.evict_all();
            // `eprintln` would panic if standard error is a pipe that no process reads.
            let _ = writeln!(io::stderr(), "netpoll: the reactor stops, {step} failed: {error}");
        }
    }

    /// The text of [`ReactorGone`] from now on, unless it was set before.
    pub(crate) fn set_reason(&self, reason: &'static str) {
        // In a forked child, a thread of the parent may be about to set it.
        if self.is_ours() {
            let _ = self.reason.set(reason);
        }
    }

    /// Ends every operation of every registration, now and later.
    pub(crate) fn evict_all(&self) {
        for index in 0..self.arena.seal() {
            if let Some(slot) = self.arena.slot(index) {
                slot.close();
            }
        }
    }

    pub(crate) fn is_gone(&self) -> bool {
        self.arena.is_sealed()
    }

    pub(crate) fn is_ours(&self) -> bool {
        self.forks == sys::forks()
    }

    #[inline]
    pub(crate) fn check_usable(&self) -> io::Result<()> {
        if self.is_ours() && !self.is_gone() { Ok(()) } else { Err(self.gone()) }
    }

    #[cold]
    fn gone(&self) -> io::Error {
        match self.reason.get().filter(|_| self.is_ours()) {
            Some(reason) => ReactorGone::because(reason).into(),
            None => ReactorGone::error(),
        }
    }

    /// When the wheel comes to its next slot. For the loom models.
    #[cfg(netpoll_loom)]
    pub(crate) fn next_ns(&self) -> Option<u64> {
        lock(&self.turn).wheel.next_ns()
    }

    /// Whether the arm queue has slots. For the loom models.
    #[cfg(netpoll_loom)]
    pub(crate) fn has_armed(&self) -> bool {
        self.sleep.has_armed()
    }

    /// The descriptor that becomes readable when a turn has something to do.
    pub(crate) fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }

    /// When an embedded reactor needs its next turn for a deadline: now, if it needs one already.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.alarm.as_ref()?;
        let at_ns = self.sleep.needed_at()?;
        Some(self.clock.instant_at(at_ns.max(self.now_ns())))
    }

    pub(crate) fn now_ns(&self) -> u64 {
        self.clock.now_ns()
    }

    #[inline]
    pub(crate) fn ns_at(&self, instant: Instant) -> u64 {
        self.clock.ns_at(instant)
    }

    pub(crate) fn now(&self) -> Instant {
        self.clock.now()
    }

    /// Moves a manual clock. False if the clock is not manual.
    pub(crate) fn advance(&self, by: Duration) -> bool {
        let moved = self.clock.advance(by);
        if moved {
            self.notify();
        }
        moved
    }

    /// Every slot that has ever had a tenant, for a snapshot.
    pub(crate) fn slots(&self) -> impl Iterator<Item = &Slot> {
        (0..self.arena.used()).filter_map(|index| self.arena.slot(index))
    }

    pub(crate) fn metrics(&self) -> Metrics {
        // A thread that a forked child does not have may hold the arena's lock.
        let registrations = if self.is_ours() { self.arena.tenants() } else { 0 };
        self.counters.read(registrations)
    }
}

/// A forked child keeps the slots for good: the wakers in them are copies, and only the parent may run their
/// destructors.
impl Drop for ReactorInner {
    fn drop(&mut self) {
        if !self.is_ours() {
            std::mem::forget(self.arena.clone());
        }
    }
}

/// Ends the reactor if a turn panics. No turn does, since panics of wakers are caught. If one did, the next turn
/// would find half of a wheel, and tasks would wait for ever.
struct EndUnlessForgotten<'a>(&'a ReactorInner);

impl Drop for EndUnlessForgotten<'_> {
    fn drop(&mut self) {
        self.0.evict_all();
    }
}

#[cfg(test)]
#[cfg(not(netpoll_loom))]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::task::Waker;

    use super::*;
    use crate::slot::Status;

    /// A setter compares its deadline with the announced time. The kernel may end the first part of a long
    /// sleep as late as the deadline itself, so that is the time to announce.
    #[test]
    fn a_long_sleep_is_announced_until_its_deadline() {
        let inner = ReactorInner::new(Clock::monotonic(), false).unwrap();
        let next_ns = inner.now_ns() + 5_000_000_000;
        let (sleep, until_ns) = inner.sleep_for(Some(next_ns), None);
        assert_eq!(until_ns, Some(next_ns));
        assert!(sleep.unwrap() < Duration::from_millis(4980), "{sleep:?} is widened past it");
        let (sleep, _) = inner.sleep_for(None, Some(Duration::from_millis(100)));
        assert_eq!(sleep, Some(Duration::from_micros(99_900)));
    }

    /// The slot that is armed does not exist: there is no other way to make a turn panic.
    #[test]
    fn a_turn_that_panics_is_the_last() {
        let inner = ReactorInner::new(Clock::by_hand(), false).unwrap();
        let slot = Arena::allocate(inner.arena.clone()).unwrap();
        assert_eq!(slot.wait(Direction::Read, None, Waker::noop()), Status::Pending);
        inner.arm(&Slot::new(u32::MAX - 1), &[Direction::Read], 1, None, SetAction::Arm);
        let turn = || inner.turn(Some(Duration::ZERO), None);
        assert!(catch_unwind(AssertUnwindSafe(turn)).is_err());
        assert_eq!(slot.status(Direction::Read), Status::Closed);
        assert!(inner.turn(Some(Duration::ZERO), None).is_err());
    }
}
