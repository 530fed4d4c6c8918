//! The reactor asleep, and threads that need it earlier.

use std::sync::Arc;

use loom::sync::Condvar;
use loom::thread;

use super::fixtures::{check, explore, explore_up_to};
use crate::arm::ArmQueue;
use crate::ready::Direction::{self, Read, Write};
use crate::sleep::{Announced, Sleep};
use crate::slot::{Slot, Status};
use crate::sync::{AtomicBool, Mutex, Ordering, lock};
use crate::time::deadline::SetAction;

/// The time until which the reactor would sleep for the deadlines that it has filed before a model begins.
const FILED_NS: u64 = 100;

/// The part of the reactor that sleeps: the calls and their order are those of `Shared` (`arm`,
/// `notify`, `turn`), with a condition in place of the eventfd, and one time in place of the wheel.
///
/// Time stands still, so a sleep ends by a write to the eventfd or never. Loom finds a reactor that
/// oversleeps as a deadlock.
struct Reactor {
    slots: [Slot; 2],
    armed: ArmQueue,
    sleep: Sleep,
    gone: AtomicBool,
    wake_up: EventFd,
}

struct EventFd {
    edge: Mutex<bool>,
    changed: Condvar,
}

impl EventFd {
    fn signal(&self) {
        *lock(&self.edge) = true;
        self.changed.notify_one();
    }

    fn wait(&self) {
        let mut edge = lock(&self.edge);
        while !*edge {
            edge = self.changed.wait(edge).unwrap();
        }
        *edge = false;
    }
}

impl Reactor {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            slots: [Slot::new(0), Slot::new(1)],
            armed: ArmQueue::new(),
            sleep: Sleep::new(),
            gone: AtomicBool::new(false),
            wake_up: EventFd { edge: Mutex::new(false), changed: Condvar::new() },
        })
    }

    /// A thread that does something with the reactor.
    fn spawn<R: 'static>(
        self: &Arc<Self>,
        act: impl FnOnce(&Reactor) -> R + Send + 'static,
    ) -> thread::JoinHandle<R> {
        let reactor = self.clone();
        thread::spawn(move || act(&reactor))
    }

    /// Sets a deadline. True if that wrote the eventfd.
    fn set(&self, index: usize, direction: Direction, at_ns: u64) -> bool {
        let slot = &self.slots[index];
        let SetAction::Arm(at_ns) = slot.set_deadline(direction, at_ns) else { return false };
        self.arm(index, at_ns)
    }

    fn arm(&self, index: usize, at_ns: u64) -> bool {
        self.armed.push(&self.slots[index]);
        let write = self.sleep.needs_waking_by(at_ns);
        if write {
            self.wake_up.signal();
        }
        write
    }

    fn notify(&self) {
        if self.sleep.notify() {
            self.wake_up.signal();
        }
    }

    /// Checks the slots of the arm queue, and returns the earliest time it found.
    fn file_armed(&self) -> Option<u64> {
        let mut taken = Vec::new();
        self.armed.take(usize::MAX, |index| &self.slots[index as usize], &mut taken);
        let check = |index: u32| {
            let checked = check(&self.slots[index as usize], 0);
            assert_eq!(checked.expired, 0);
            checked.again_ns
        };
        taken.into_iter().filter_map(check).min()
    }

    /// Sleeps until `until_ns`, which does not come.
    fn wait(&self, until_ns: Option<u64>) {
        let announced = self.sleep.announce(until_ns);
        let gone = self.gone.load(Ordering::Acquire);
        if announced == Announced::Sleep && self.armed.is_empty() && !gone {
            self.wake_up.wait();
        }
        self.sleep.awake();
    }

    /// Turns until it has filed a time as early as this.
    fn turn_until_filed(&self, at_ns: u64) {
        let mut filed_ns = FILED_NS;
        loop {
            filed_ns = self.file_armed().map_or(filed_ns, |found_ns| found_ns.min(filed_ns));
            if filed_ns <= at_ns {
                return;
            }
            self.wait(Some(filed_ns));
        }
    }

    /// Turns, with nothing filed, until it is shut down.
    fn turn_until_gone(&self) {
        while !self.gone.load(Ordering::Acquire) {
            self.wait(None);
        }
    }

    /// Whether the reactor knows of this deadline, by having checked it.
    fn has_filed(&self, index: usize, direction: Direction, at_ns: u64) -> bool {
        self.slots[index].set_deadline(direction, at_ns) == SetAction::Nothing
    }
}

/// Sets a deadline as a registration does, and asks for the reactor's check.
fn arm(reactor: &Reactor, index: usize, direction: Direction, at_ns: u64) {
    assert_eq!(reactor.slots[index].set_deadline(direction, at_ns), SetAction::Arm(at_ns));
    let _ = reactor.arm(index, at_ns);
}

/// A thread sets a deadline on a slot that is in the queue already, with another slot, while the reactor
/// takes the queue. The reactor has checked each deadline, or its slot is in the queue still.
#[test]
fn arm_queue() {
    explore(|| {
        let reactor = Reactor::new();
        arm(&reactor, 1, Read, 20);
        arm(&reactor, 0, Write, 30);
        let setter = reactor.spawn(|reactor| arm(reactor, 0, Read, 10));
        let _ = reactor.file_armed();
        setter.join().unwrap();
        let _ = reactor.file_armed();
        assert!(reactor.armed.is_empty());
        assert!(reactor.has_filed(0, Read, 10));
        assert!(reactor.has_filed(1, Read, 20));
        assert!(reactor.has_filed(0, Write, 30));
    });
}

/// The same with two threads that set deadlines on one slot, and one of them on another as well.
#[test]
fn arm_queue_of_two_setters() {
    explore_up_to(3, || {
        let reactor = Reactor::new();
        let one = reactor.spawn(|reactor| arm(reactor, 0, Read, 10));
        let other = reactor.spawn(|reactor| {
            arm(reactor, 1, Read, 20);
            arm(reactor, 0, Write, 30);
        });
        let _ = reactor.file_armed();
        one.join().unwrap();
        other.join().unwrap();
        let _ = reactor.file_armed();
        assert!(reactor.armed.is_empty());
        assert!(reactor.has_filed(0, Read, 10));
        assert!(reactor.has_filed(1, Read, 20));
        assert!(reactor.has_filed(0, Write, 30));
    });
}

/// Three setters move one deadline. The reactor files the first one's time and expires it; the second
/// sets the same time and finds that it has passed, but the third has set a later one meanwhile. A
/// setter that finds the filed flag asks for no check. So in the end the reactor checks the deadline
/// that stands in time, or it has expired.
#[test]
fn filed_flag_against_three_setters() {
    explore(|| {
        let reactor = Reactor::new();
        let first = reactor.spawn(|reactor| reactor.set(0, Read, 50));
        let mut filed_ns = reactor.file_armed();
        if let Some(now_ns) = filed_ns {
            filed_ns = check(&reactor.slots[0], now_ns).again_ns;
        }
        let second = reactor.slots[0].set_deadline(Read, 50);
        let _ = reactor.set(0, Read, 60);
        if second != SetAction::Nothing {
            reactor.slots[0].expire(&[Read], 50);
        }
        let _ = first.join().unwrap();
        filed_ns = [filed_ns, reactor.file_armed()].into_iter().flatten().min();
        match reactor.slots[0].status(Read) {
            Status::Expired => {}
            status => {
                let stands_ns = check(&reactor.slots[0], 0).again_ns.unwrap();
                assert_eq!(status, Status::Pending);
                assert!(filed_ns.is_some_and(|at_ns| at_ns <= stands_ns), "{filed_ns:?}");
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
        let earlier = reactor.spawn(|reactor| reactor.set(0, Read, FILED_NS - 50));
        let later = reactor.spawn(|reactor| reactor.set(1, Read, FILED_NS + 50));
        reactor.turn_until_filed(FILED_NS - 50);
        let _ = earlier.join().unwrap();
        assert!(!later.join().unwrap(), "an eventfd write that was not needed");
    });
}

/// Two threads set deadlines earlier than the reactor's sleep: it may be woken for one of them and
/// must not then sleep past the other.
#[test]
fn eventfd_elision_of_two_earlier_ones() {
    explore_up_to(3, || {
        let reactor = Reactor::new();
        let setters = [(0, 50), (1, 10)]
            .map(|(index, at_ns)| reactor.spawn(move |reactor| reactor.set(index, Read, at_ns)));
        reactor.turn_until_filed(10);
        for setter in setters {
            let _ = setter.join().unwrap();
        }
    });
}

/// The same with both deadlines on one slot: the thread that finds the slot in the queue asks for its own, and the
/// other is a later deadline that needs no wake-up.
#[test]
fn eventfd_elision_on_one_slot() {
    explore_up_to(3, || {
        let reactor = Reactor::new();
        let earlier = reactor.spawn(|reactor| reactor.set(0, Read, FILED_NS - 50));
        let later = reactor.spawn(|reactor| reactor.set(0, Write, FILED_NS + 50));
        reactor.turn_until_filed(FILED_NS - 50);
        let _ = earlier.join().unwrap();
        let _ = later.join().unwrap();
    });
}

/// A notification ends the sleep that it comes upon, or prevents the next: the reactor learns of
/// its shutdown, though nothing was to end its sleep.
#[test]
fn notify_against_announce() {
    explore(|| {
        let reactor = Reactor::new();
        let notifier = reactor.spawn(|reactor| {
            reactor.gone.store(true, Ordering::Release);
            reactor.notify();
        });
        reactor.turn_until_gone();
        notifier.join().unwrap();
    });
}

/// The same with a deadline set meanwhile: asking for an earlier look does not overwrite the
/// notification, nor the notification the request.
#[test]
fn notify_and_deadline_against_announce() {
    explore_up_to(3, || {
        let reactor = Reactor::new();
        let setter = reactor.spawn(|reactor| reactor.set(0, Read, FILED_NS - 50));
        let notifier = reactor.spawn(Reactor::notify);
        reactor.turn_until_filed(FILED_NS - 50);
        let _ = setter.join().unwrap();
        notifier.join().unwrap();
    });
}
