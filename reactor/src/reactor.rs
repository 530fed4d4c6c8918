//! The reactor: what a turn does, and nothing of who turns (see [`lease`](crate::lease)).
//!
//! A turn files the deadlines that were set meanwhile, waits, delivers the events, and looks at the
//! deadlines that are due. Wakers run in between, outside of every lock but the wheel's, which whoever
//! turns has to himself and no operation of a socket ever takes.

use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use crate::arena::{Arena, OwnedSlot};
use crate::arm::ArmQueue;
use crate::error::ReactorGone;
use crate::lease::Lease;
use crate::metrics::{Counters, Metrics, Turned};
use crate::parker::Parker;
use crate::ready::Interest;
use crate::sleep::{Announced, Sleep, short_of};
use crate::slot::Slot;
use crate::sync::{Arc, AtomicBool, AtomicU32, Ordering};
use crate::sys::{self, Epoll, EventFd, Events};
use crate::time::agenda::Agenda;
use crate::time::clock::Clock;
use crate::time::wheel::{Step, Wheel, due_ns};
use crate::token::Token;

/// How many slots one turn takes from the wheel, and how many from the arm queue, before it polls for
/// events again.
const STEPS_PER_TURN: usize = 1024;

/// How many waits in a row may fail before the reactor ends. Linux has no reason to let any fail but
/// an epoll instance that was closed behind our back.
const FAILED_WAITS: u32 = 8;

/// What all handles, all registrations and the thread share.
///
/// It has no `Debug`, nor has the arena: a type that holds it would print every slot there is.
pub(crate) struct Shared {
    epoll: Epoll,
    wake_up: EventFd,
    /// What the numbers of closed descriptors stand for.
    placeholder: OwnedFd,
    arena: Arc<Arena>,
    armed: ArmQueue,
    sleep: Sleep,
    clock: Clock,
    pub(crate) lease: Lease,
    agenda: Agenda,
    /// How many waits in a row have failed. Whoever has the lease counts them.
    failed_waits: AtomicU32,
    pub(crate) counters: Counters,
    gone: AtomicBool,
    /// Where it was made: a forked child shares the epoll instance, and must not touch it.
    forks: u32,
}

impl Shared {
    pub(crate) fn new(clock: Clock, has_thread: bool) -> io::Result<Self> {
        sys::count_forks()?;
        let epoll = Epoll::new()?;
        let wake_up = EventFd::new()?;
        epoll.add(wake_up.as_fd(), Token::WAKE_UP, Interest::Readable)?;
        Ok(Self {
            epoll,
            wake_up,
            placeholder: sys::placeholder()?,
            arena: Arena::new(),
            armed: ArmQueue::new(),
            sleep: Sleep::new(),
            clock,
            lease: Lease::new(has_thread),
            agenda: Agenda::new(),
            failed_waits: AtomicU32::new(0),
            counters: Counters::default(),
            gone: AtomicBool::new(false),
            forks: sys::forks(),
        })
    }

    /// One pass: file, wait, dispatch, expire. For whoever has the lease; what has woken `parker`
    /// ends the wait. Returns how many it woke.
    pub(crate) fn turn(
        &self,
        timeout: Option<Duration>,
        parker: Option<&Parker>,
    ) -> io::Result<u64> {
        self.check_usable()?;
        let end = EndUnlessForgotten(self);
        let mut turned = Turned::default();
        self.file_armed(&mut turned);
        // Who was woken just now may be run by whoever called us.
        let timeout = if turned.wakes > 0 { Some(Duration::ZERO) } else { timeout };
        let mut events = Events::new();
        let waited = self.wait(&mut events, timeout, parker);
        self.dispatch(&events, &mut turned);
        self.note(waited.is_ok());
        self.look_at_due(&mut turned);
        self.counters.add(&turned);
        std::mem::forget(end);
        waited.map(|()| turned.wakes)
    }

    /// The same, but a reactor that cannot wait any more, however often it tries, is ended. `None` if
    /// it is, now or before.
    pub(crate) fn turn_or_end(
        &self,
        timeout: Option<Duration>,
        parker: Option<&Parker>,
    ) -> Option<u64> {
        let error = match self.turn(timeout, parker) {
            Ok(woken) => return Some(woken),
            Err(error) => error,
        };
        self.check_usable().ok()?;
        if self.failed_waits.load(Ordering::Relaxed) < FAILED_WAITS {
            return Some(0);
        }
        self.give_up("waiting", &error);
        None
    }

    /// Counts the waits that fail in a row. No read-modify-write, as for the [counters](Counters::add).
    fn note(&self, waited: bool) {
        let failed = self.failed_waits.load(Ordering::Relaxed);
        if !waited || failed > 0 {
            let failed = if waited { 0 } else { failed + 1 };
            self.failed_waits.store(failed, Ordering::Relaxed);
        }
    }

    /// Looks at the slots whose deadlines were moved to an earlier time.
    fn file_armed(&self, turned: &mut Turned) {
        if self.armed.is_empty() {
            return;
        }
        let now_ns = self.clock.now_ns();
        let slot = |index| self.arena.slot(index).expect("only slots that exist are armed");
        self.agenda.with(|wheel| {
            // The wheel first: it has not been at this time yet, and files by where it stands.
            self.step(wheel, now_ns, turned);
            self.armed.drain(STEPS_PER_TURN, slot, |index, slot| {
                look(index, slot, now_ns, wheel, turned);
            });
        });
    }

    fn look_at_due(&self, turned: &mut Turned) {
        let Some(next_ns) = self.agenda.next_ns() else { return };
        let now_ns = self.clock.now_ns();
        if next_ns <= now_ns {
            self.agenda.with(|wheel| self.step(wheel, now_ns, turned));
        }
    }

    fn step(&self, wheel: &mut Wheel, now_ns: u64, turned: &mut Turned) {
        let mut gone = false;
        for _ in 0..STEPS_PER_TURN {
            let index = match wheel.step(now_ns) {
                Step::Look(index) => index,
                // A deadline that is gone has cost a wake-up. Those that follow it and are gone as well
                // leave now, and cost none.
                Step::Done if gone => match wheel.take_next() {
                    Some(index) => index,
                    None => return,
                },
                Step::Done => return,
            };
            let slot = self.arena.slot(index).expect("only slots that exist are filed");
            gone = look(index, slot, now_ns, wheel, turned);
        }
    }

    /// Waits for events until the first deadline, or `timeout`.
    fn wait(
        &self,
        events: &mut Events,
        timeout: Option<Duration>,
        parker: Option<&Parker>,
    ) -> io::Result<()> {
        let (timeout, until_ns) = self.sleep_for(self.agenda.next_ns(), timeout);
        if timeout == Some(Duration::ZERO) {
            return self.epoll.wait(events, timeout);
        }
        let announced = self.sleep.announce(until_ns);
        let is_woken = self.is_gone() || parker.is_some_and(Parker::is_notified);
        let may_sleep = announced == Announced::Sleep && self.armed.is_empty() && !is_woken;
        let timeout = if may_sleep { timeout } else { Some(Duration::ZERO) };
        let waited = self.epoll.wait(events, timeout);
        self.sleep.awake();
        waited
    }

    /// How long to sleep, and by when that is over at the latest: a long sleep is made [short](short_of),
    /// and the next turn sleeps for the rest.
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
        // A clock that is moved by hand ends the sleep by a notification.
        let due_in = due_in.filter(|due_in| due_in.is_zero() || !self.clock.is_by_hand());
        let sleep = timeout.into_iter().chain(due_in).min();
        let until = sleep.map(|sleep| {
            now_ns.saturating_add(u64::try_from(sleep.as_nanos()).unwrap_or(u64::MAX))
        });
        (sleep.map(short_of), until)
    }

    fn dispatch(&self, events: &Events, turned: &mut Turned) {
        for (data, seen) in events.iter().filter(|(data, _)| *data != Token::WAKE_UP) {
            turned.events += 1;
            let token = Token::decode(data);
            let slot = self.arena.slot(token.index);
            match slot.and_then(|slot| slot.deliver(token.generation, seen)) {
                Some(woken) => turned.wakes += woken,
                None => turned.stale_events += 1,
            }
        }
    }

    /// A slot for a new tenant.
    pub(crate) fn allocate(&self) -> io::Result<OwnedSlot> {
        self.check_usable()?;
        self.arena.allocate()
    }

    pub(crate) fn add(
        &self,
        fd: BorrowedFd<'_>,
        token: Token,
        interest: Interest,
    ) -> io::Result<()> {
        self.epoll.add(fd, token.encode(), interest)
    }

    /// Changes what epoll is asked for, unless we are in a child of its process.
    pub(crate) fn modify(
        &self,
        fd: BorrowedFd<'_>,
        token: Token,
        interest: Interest,
    ) -> io::Result<()> {
        if self.is_ours() { self.epoll.modify(fd, token.encode(), interest) } else { Ok(()) }
    }

    /// Takes a descriptor out of epoll, unless we are in a child of its process.
    ///
    /// It fails only where there is nothing to take out: the descriptor was closed behind our back.
    pub(crate) fn deregister(&self, fd: BorrowedFd<'_>) {
        if self.is_ours() {
            let _ = self.epoll.delete(fd);
        }
    }

    /// A registration or a timer is about to go. In a child of its process its slot goes nowhere: the
    /// wakers are copies, and a lock may be held by a thread that is not here.
    pub(crate) fn leave(&self) {
        if !self.is_ours() {
            self.arena.disown();
        }
    }

    /// Ends what a descriptor stands for. See [`sys::end`].
    pub(crate) fn end(&self, fd: BorrowedFd<'_>) -> io::Result<()> {
        sys::end(fd, self.placeholder.as_fd())
    }

    /// A deadline of `slot` was set that the reactor does not know of: it is to look by `at_ns`.
    ///
    /// The wheel fires by ticks, so a deadline in the tick for which the reactor wakes anyway, or in a later
    /// one, needs no signal.
    pub(crate) fn arm(&self, slot: &Slot, index: u32, at_ns: u64) {
        let at_ns = self.armed.push(slot, index, at_ns);
        if self.sleep.needs_waking_by(due_ns(at_ns)) {
            self.signal();
        }
    }

    /// Makes the turn in progress return, or the next one not sleep.
    pub(crate) fn notify(&self) {
        if self.sleep.notify() {
            self.signal();
        }
    }

    /// A thread was woken that turns: its sleep is to end.
    pub(crate) fn rouse(&self) {
        if self.sleep.is_overslept() {
            self.signal();
        }
    }

    fn signal(&self) {
        if !self.is_ours() {
            return;
        }
        self.counters.notifies.fetch_add(1, Ordering::Relaxed);
        // Asking for its writability is an edge as well: there is always room in it.
        let ask = |_| self.epoll.modify(self.wake_up.as_fd(), Token::WAKE_UP, Interest::Both);
        if let Err(error) = self.wake_up.signal().or_else(ask) {
            self.give_up("waking it", &error);
        }
    }

    /// A reactor that has failed for good: nobody may wait for it.
    #[cold]
    fn give_up(&self, what: &str, error: &io::Error) {
        if !self.is_gone() {
            self.evict_all();
            // Where nobody reads it, `eprintln` panics.
            let _ = writeln!(io::stderr(), "netpoll: the reactor stops, {what} failed: {error}");
        }
    }

    /// Ends every operation of every registration, now and later.
    pub(crate) fn evict_all(&self) {
        self.gone.store(true, Ordering::Release);
        for index in 0..self.arena.seal() {
            if let Some(slot) = self.arena.slot(index) {
                slot.close();
            }
        }
    }

    pub(crate) fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Acquire)
    }

    pub(crate) fn is_ours(&self) -> bool {
        self.forks == sys::forks()
    }

    pub(crate) fn check_usable(&self) -> io::Result<()> {
        if self.is_gone() || !self.is_ours() { Err(ReactorGone.into()) } else { Ok(()) }
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

    /// Moves a clock that is moved by hand.
    pub(crate) fn advance(&self, by: Duration) -> bool {
        let moved = self.clock.advance(by);
        if moved {
            self.notify();
        }
        moved
    }

    pub(crate) fn metrics(&self) -> Metrics {
        // The arena's lock may be held by a thread that a forked child does not have.
        let registrations = if self.is_ours() { self.arena.tenants() } else { 0 };
        self.counters.read(registrations)
    }
}

/// A forked child keeps the slots for good: the wakers in them are copies, and what their owners do when
/// one is dropped is the parent's to do.
impl Drop for Shared {
    fn drop(&mut self) {
        if !self.is_ours() {
            std::mem::forget(self.arena.clone());
        }
    }
}

/// Ends the reactor if a turn panics. No turn does, as the wakers are caught; if one did, whoever turns next
/// would go on with half of a wheel, or nobody would, and everybody wait for ever.
struct EndUnlessForgotten<'a>(&'a Shared);

impl Drop for EndUnlessForgotten<'_> {
    fn drop(&mut self) {
        self.0.evict_all();
    }
}

/// Looks at the deadlines of a slot, expires those that are due, and files the slot for the next one to come.
/// True if the slot has no deadline that was due or is to come.
fn look(index: u32, slot: &Slot, now_ns: u64, wheel: &mut Wheel, turned: &mut Turned) -> bool {
    let looked = slot.look(now_ns);
    if let Some(at_ns) = looked.again_ns {
        wheel.file(index, at_ns);
    }
    turned.expiries += looked.expired;
    turned.wakes += looked.woken;
    looked.again_ns.is_none() && looked.expired == 0
}

#[cfg(test)]
#[cfg(not(netpoll_loom))]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::task::Waker;

    use super::*;
    use crate::ready::Direction;
    use crate::slot::Status;
    use crate::slot::waiters::Ticket;

    /// A setter compares its deadline with the announced time. The kernel may end the first part of a long
    /// sleep as late as the deadline itself, so that is the time to announce.
    #[test]
    fn a_long_sleep_is_announced_until_its_deadline() {
        let shared = Shared::new(Clock::monotonic(), false).unwrap();
        let next_ns = shared.now_ns() + 5_000_000_000;
        let (sleep, until_ns) = shared.sleep_for(Some(next_ns), None);
        assert_eq!(until_ns, Some(next_ns));
        assert!(sleep.unwrap() < Duration::from_millis(4980), "{sleep:?} is widened past it");
        let (sleep, _) = shared.sleep_for(None, Some(Duration::from_millis(100)));
        assert_eq!(sleep, Some(Duration::from_micros(99_900)));
    }

    /// The slot that is armed does not exist: there is no other way to make a turn panic.
    #[test]
    fn a_turn_that_panics_is_the_last() {
        let shared = Shared::new(Clock::by_hand(), false).unwrap();
        let slot = shared.allocate().unwrap();
        assert_eq!(slot.wait(Direction::Read, Ticket::POLL, Waker::noop()), Status::Pending);
        shared.arm(&Slot::new(0), u32::MAX - 1, 0);
        let turn = || shared.turn(Some(Duration::ZERO), None);
        assert!(catch_unwind(AssertUnwindSafe(turn)).is_err());
        assert_eq!(slot.status(Direction::Read), Status::Closed);
        assert!(shared.turn(Some(Duration::ZERO), None).is_err());
    }
}
