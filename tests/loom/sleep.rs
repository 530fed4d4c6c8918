//! The reactor asleep, and threads that need it earlier.
//!
//! The reactor is the one that ships, over the kernel of [`sys`](crate::sys). Time does not pass.

use std::sync::Arc;
use std::time::Duration;

use loom::thread;

use super::fixtures::{check, explore, explore_up_to};
use crate::arena::{Arena, OwnedSlot};
use crate::reactor::ReactorInner;
use crate::ready::Direction::{self, Read, Write};
use crate::ready::Ready;
use crate::slot::Status;
use crate::sync::Ordering;
use crate::sys::{self, wait_until_it_sleeps_for, wait_until_readable};
use crate::time::clock::Clock;
use crate::time::deadline::SetAction;

/// The time for which the reactor has filed a slot before a model begins: in an hour. It counts the reactor's
/// nanoseconds, and other times lie around it, some ticks of the wheel apart.
const FILED_NS: u64 = 3_600_000_000_000;

/// A second.
const SECOND: u64 = 1_000_000_000;

/// A reactor and three slots of it, the last of which is filed.
struct Reactor {
    inner: Arc<ReactorInner>,
    slots: [OwnedSlot; 3],
}

impl Reactor {
    /// One that the models turn as its thread would.
    fn new() -> Arc<Self> {
        Self::with_thread(true)
    }

    fn embedded() -> Arc<Self> {
        Self::with_thread(false)
    }

    fn with_thread(has_thread: bool) -> Arc<Self> {
        let inner = Arc::new(ReactorInner::new(Clock::monotonic(), has_thread).unwrap());
        let slots = [(); 3].map(|()| Arena::allocate(inner.arena().clone()).unwrap());
        let this = Self { inner, slots };
        let _ = this.set(2, Read, FILED_NS);
        this.turn_at_once();
        Arc::new(this)
    }

    /// A thread that does something with the reactor.
    fn spawn<R: 'static>(
        self: &Arc<Self>,
        act: impl FnOnce(&Reactor) -> R + Send + 'static,
    ) -> thread::JoinHandle<R> {
        let reactor = self.clone();
        thread::spawn(move || act(&reactor))
    }

    /// Sets a deadline as a registration does.
    fn set(&self, index: usize, direction: Direction, at_ns: u64) -> SetAction {
        let slot = &self.slots[index];
        let action = slot.set_deadline(direction, at_ns);
        if action != SetAction::Nothing {
            self.inner.arm(slot, &[direction], at_ns, None, action);
        }
        action
    }

    /// A turn that does not wait.
    fn turn_at_once(&self) {
        let _ = self.inner.turn(Some(Duration::ZERO), None).unwrap();
    }

    /// Turns until it is shut down.
    fn turn_until_gone(&self) {
        while self.inner.turn(None, None).is_ok() {}
    }

    /// A loop that sleeps on the reactor's descriptor, until the reactor is shut down.
    fn turn_when_readable(&self) {
        loop {
            wait_until_readable();
            if self.inner.turn(Some(Duration::ZERO), None).is_err() {
                return;
            }
        }
    }

    /// The reactor sleeps past none of its deadlines, of which this is the earliest. Then it is shut down.
    fn sleeps_until(&self, at_ns: u64) {
        wait_until_it_sleeps_for(Duration::from_nanos(at_ns));
        self.shut_down();
    }

    fn shut_down(&self) {
        self.inner.evict_all();
        self.inner.notify();
    }

    /// Whether the reactor knows of this deadline, by having checked it.
    fn has_filed(&self, index: usize, direction: Direction, at_ns: u64) -> bool {
        self.slots[index].set_deadline(direction, at_ns) == SetAction::Nothing
    }

    /// How often the eventfd was written.
    fn signals(&self) -> u64 {
        self.inner.counters.notifies.load(Ordering::Relaxed)
    }
}

/// The wheel rounds up to its next tick.
const TICK: u64 = 1 << 16;

/// A thread sets a deadline on a slot that is in the queue already, with another slot, while the reactor
/// takes the queue. The reactor has checked each deadline, or its slot is in the queue still.
#[test]
fn arm_queue() {
    explore(|| {
        let reactor = Reactor::new();
        let _ = reactor.set(1, Read, FILED_NS - 20 * SECOND);
        let _ = reactor.set(0, Write, FILED_NS - 10 * SECOND);
        let setter = reactor.spawn(|reactor| {
            let _ = reactor.set(0, Read, FILED_NS - 30 * SECOND);
        });
        reactor.turn_at_once();
        setter.join().unwrap();
        reactor.turn_at_once();
        assert!(!reactor.inner.has_armed());
        assert!(reactor.has_filed(0, Read, FILED_NS - 30 * SECOND));
        assert!(reactor.has_filed(1, Read, FILED_NS - 20 * SECOND));
        assert!(reactor.has_filed(0, Write, FILED_NS - 10 * SECOND));
    });
}

/// The same with two threads that set deadlines on one slot, and one of them on another as well.
#[test]
fn arm_queue_of_two_setters() {
    explore_up_to(3, || {
        let reactor = Reactor::new();
        let one = reactor.spawn(|reactor| {
            let _ = reactor.set(0, Read, FILED_NS - 30 * SECOND);
        });
        let other = reactor.spawn(|reactor| {
            let _ = reactor.set(1, Read, FILED_NS - 20 * SECOND);
            let _ = reactor.set(0, Write, FILED_NS - 10 * SECOND);
        });
        reactor.turn_at_once();
        one.join().unwrap();
        other.join().unwrap();
        reactor.turn_at_once();
        assert!(!reactor.inner.has_armed());
        assert!(reactor.has_filed(0, Read, FILED_NS - 30 * SECOND));
        assert!(reactor.has_filed(1, Read, FILED_NS - 20 * SECOND));
        assert!(reactor.has_filed(0, Write, FILED_NS - 10 * SECOND));
    });
}

/// Three setters move one deadline. The reactor files the first one's time and expires it; the second
/// sets the same time and finds that it has passed, but the third has set a later one meanwhile, and asks for
/// no check: it relies on the second. So in the end the reactor checks the deadline
/// that stands in time, or it has expired.
#[test]
fn filed_flag_against_three_setters() {
    explore_up_to(3, || {
        let reactor = Reactor::new();
        let first = reactor.spawn(|reactor| {
            let _ = reactor.set(0, Read, FILED_NS - 50 * SECOND);
        });
        reactor.turn_at_once();
        // Its time comes, for this slot alone.
        let checked = check(&reactor.slots[0], FILED_NS - 50 * SECOND);
        let second = reactor.slots[0].set_deadline(Read, FILED_NS - 50 * SECOND);
        let third = reactor.set(0, Read, FILED_NS - 40 * SECOND);
        let slot = &reactor.slots[0];
        if second != SetAction::Nothing && !slot.expire(&[Read], FILED_NS - 50 * SECOND) {
            reactor.inner.arm(slot, &[Read], FILED_NS - 50 * SECOND, None, second);
        }
        first.join().unwrap();
        reactor.turn_at_once();
        match reactor.slots[0].status(Read) {
            Status::Expired => {}
            status => {
                assert_eq!(status, Status::Pending);
                let stands_ns = check(&reactor.slots[0], 0).again_ns.unwrap();
                let next_ns = reactor.inner.next_ns().unwrap();
                assert!(next_ns <= stands_ns + TICK, "{checked:?} {second:?} {third:?}");
            }
        }
    });
}

/// The reactor goes to sleep while one thread sets an earlier deadline than the reactor knows, and
/// another sets a later one. It does not sleep past the earlier one, and the later one never wakes it.
#[test]
fn eventfd_elision() {
    explore_up_to(3, || {
        let reactor = Reactor::new();
        let turns = reactor.spawn(Reactor::turn_until_gone);
        let later = reactor.spawn(|reactor| {
            let _ = reactor.set(1, Read, FILED_NS + SECOND);
        });
        let _ = reactor.set(0, Read, FILED_NS - SECOND);
        later.join().unwrap();
        assert!(reactor.signals() <= 1, "an eventfd write that was not needed");
        reactor.sleeps_until(FILED_NS - SECOND);
        turns.join().unwrap();
    });
}

/// Two threads set deadlines earlier than the reactor's sleep: it may be woken for one of them and
/// must not then sleep past the other.
#[test]
fn eventfd_elision_of_two_earlier_ones() {
    explore_up_to(3, || {
        let reactor = Reactor::new();
        let turns = reactor.spawn(Reactor::turn_until_gone);
        let other = reactor.spawn(|reactor| {
            let _ = reactor.set(1, Read, FILED_NS - 90 * SECOND);
        });
        let _ = reactor.set(0, Read, FILED_NS - 50 * SECOND);
        other.join().unwrap();
        reactor.sleeps_until(FILED_NS - 90 * SECOND);
        turns.join().unwrap();
    });
}

/// The same with both deadlines on one slot: the thread that finds the slot in the queue asks for its own, and the
/// other is a later deadline that needs no wake-up.
#[test]
fn eventfd_elision_on_one_slot() {
    explore_up_to(3, || {
        let reactor = Reactor::new();
        let turns = reactor.spawn(Reactor::turn_until_gone);
        let later = reactor.spawn(|reactor| {
            let _ = reactor.set(0, Write, FILED_NS + SECOND);
        });
        let _ = reactor.set(0, Read, FILED_NS - SECOND);
        later.join().unwrap();
        reactor.sleeps_until(FILED_NS - SECOND);
        turns.join().unwrap();
    });
}

/// A shutdown ends the sleep that it comes upon, or prevents the next.
#[test]
fn shutdown_against_sleep() {
    explore(|| {
        let reactor = Reactor::new();
        let ender = reactor.spawn(Reactor::shut_down);
        reactor.turn_until_gone();
        ender.join().unwrap();
    });
}

/// A notification comes while a deadline is set: asking for an earlier check does not overwrite the notification,
/// nor the notification the request.
#[test]
fn notify_and_deadline_against_sleep() {
    explore_up_to(3, || {
        let reactor = Reactor::new();
        let turns = reactor.spawn(Reactor::turn_until_gone);
        let notifier = reactor.spawn(|reactor| reactor.inner.notify());
        let _ = reactor.set(0, Read, FILED_NS - SECOND);
        notifier.join().unwrap();
        reactor.sleeps_until(FILED_NS - SECOND);
        turns.join().unwrap();
    });
}

/// A loop goes to sleep on the descriptor of an embedded reactor while two threads set deadlines, both earlier than its
/// alarm. The alarm is set for the earlier one in the end.
#[test]
fn embedded_against_two_setters() {
    explore_up_to(3, || {
        let reactor = Reactor::embedded();
        let turns = reactor.spawn(Reactor::turn_when_readable);
        let other = reactor.spawn(|reactor| {
            let _ = reactor.set(1, Read, FILED_NS - 90 * SECOND);
        });
        let _ = reactor.set(0, Read, FILED_NS - 50 * SECOND);
        other.join().unwrap();
        reactor.sleeps_until(FILED_NS - 90 * SECOND);
        turns.join().unwrap();
    });
}

/// The same while an event comes and a thread sets a deadline. A later deadline than the alarm writes no eventfd.
#[test]
fn embedded_against_an_event_and_a_setter() {
    explore_up_to(3, || {
        let reactor = Reactor::embedded();
        let before = reactor.signals();
        let turns = reactor.spawn(Reactor::turn_when_readable);
        let eventful = reactor.spawn(|reactor| {
            sys::event(reactor.slots[1].token().encode(), Ready::READABLE);
            let _ = reactor.set(1, Read, FILED_NS + SECOND);
        });
        let _ = reactor.set(0, Read, FILED_NS - SECOND);
        eventful.join().unwrap();
        let signals = reactor.signals() - before;
        assert!(signals <= 3, "the earlier deadline, and two turns that find the queue filled");
        reactor.sleeps_until(FILED_NS - SECOND);
        turns.join().unwrap();
        assert!(matches!(reactor.slots[1].status(Read), Status::Closed | Status::Ready(_)));
    });
}

/// A notification ends the sleep of a loop, whenever it comes, and so does a shutdown.
#[test]
fn embedded_against_a_notification() {
    explore_up_to(3, || {
        let reactor = Reactor::embedded();
        let notifier = reactor.spawn(|reactor| reactor.inner.notify());
        reactor.turn_at_once();
        notifier.join().unwrap();
        // It came before the turn, which has used it up, or after it: then the descriptor is readable.
        let ender = reactor.spawn(Reactor::shut_down);
        reactor.turn_when_readable();
        ender.join().unwrap();
    });
}
