//! The lease: drivers, the reactor's thread, and the tasks that wake them.

use std::sync::Arc;

use loom::sync::Condvar;
use loom::thread::{self, JoinHandle};

use super::fixtures::{explore, explore_up_to};
use crate::lease::{Lease, Turn, Watch, WatchAction};
use crate::parker::{Parker, Woken};
use crate::sleep::{Announced, Sleep};
use crate::sync::{AtomicBool, AtomicU64, Mutex, Ordering, lock};

/// A reactor of two events, each of which comes once and has one waiter: the calls and their order are
/// those of `Shared::turn`, `driver` and `thread`, with a condition in place of epoll.
///
/// Only its own event ends a wait, so loom finds a waiter that is forgotten as a deadlock. Time
/// does not pass: a tick is over when others have had their chance.
struct Reactor {
    lease: Lease,
    sleep: Sleep,
    gone: AtomicBool,
    kernel: Mutex<Kernel>,
    changed: Condvar,
    /// How many turns there were, counted as the reactor counts: by the holder of the lease, which sees the count of
    /// the one before.
    turns: AtomicU64,
    /// The waiters of the events that are drivers.
    drivers: [Arc<Parker>; 2],
    /// The events that were delivered, for threads that wait for one as a whole.
    delivered: Mutex<[bool; 2]>,
    told: Condvar,
}

#[derive(Default)]
struct Kernel {
    ready: [bool; 2],
    signalled: bool,
}

impl Reactor {
    fn new(has_thread: bool) -> Arc<Self> {
        Arc::new(Self {
            lease: Lease::new(has_thread),
            sleep: Sleep::new(),
            gone: AtomicBool::new(false),
            kernel: Mutex::new(Kernel::default()),
            changed: Condvar::new(),
            turns: AtomicU64::new(0),
            drivers: [Arc::new(Parker::new()), Arc::new(Parker::new())],
            delivered: Mutex::new([false; 2]),
            told: Condvar::new(),
        })
    }

    /// A thread that does something with the reactor.
    fn spawn<R: 'static>(
        self: &Arc<Self>,
        act: impl FnOnce(&Reactor) -> R + Send + 'static,
    ) -> JoinHandle<R> {
        let reactor = self.clone();
        thread::spawn(move || act(&reactor))
    }

    /// An event comes, in the kernel.
    fn event(&self, number: usize) {
        lock(&self.kernel).ready[number] = true;
        self.changed.notify_one();
    }

    fn signal(&self) {
        lock(&self.kernel).signalled = true;
        self.changed.notify_one();
    }

    fn turn(&self, parker: Option<&Parker>) -> Turn {
        let turns = self.turns.load(Ordering::Relaxed);
        let announced = self.sleep.announce(None);
        let gone = self.gone.load(Ordering::Acquire);
        let is_woken = gone || parker.is_some_and(Parker::is_notified);
        let events = self.wait(announced == Announced::Sleep && !is_woken);
        self.sleep.awake();
        for number in [0, 1] {
            if events[number] {
                self.deliver(number);
            }
        }
        assert_eq!(self.turns.swap(turns + 1, Ordering::Relaxed), turns, "two turned at once");
        if events == [false; 2] { Turn::Idle } else { Turn::Woke }
    }

    fn wait(&self, may_sleep: bool) -> [bool; 2] {
        let mut kernel = lock(&self.kernel);
        while may_sleep && !kernel.signalled && kernel.ready == [false; 2] {
            kernel = self.changed.wait(kernel).unwrap();
        }
        kernel.signalled = false;
        std::mem::take(&mut kernel.ready)
    }

    fn deliver(&self, number: usize) {
        lock(&self.delivered)[number] = true;
        self.told.notify_all();
        self.wake(number);
    }

    fn wake(&self, driver: usize) {
        if self.drivers[driver].wake() == Woken::Driving && self.sleep.is_overslept() {
            self.signal();
        }
    }

    fn is_delivered(&self, number: usize) -> bool {
        lock(&self.delivered)[number]
    }

    /// The steps of `block_on` for a future that waits for an event.
    fn drive_until_delivered(&self, number: usize) {
        let parker = &self.drivers[number];
        while !self.is_delivered(number) {
            self.lease.wait(parker, true, || self.turn(Some(parker)), |turn| turn == Turn::Gone);
        }
    }

    /// Waits for an event with the whole thread, as a task that blocks, or one of a foreign executor.
    fn block_until_delivered(&self, number: usize) {
        let mut delivered = lock(&self.delivered);
        while !delivered[number] {
            delivered = self.told.wait(delivered).unwrap();
        }
    }

    /// The steps of the reactor's thread.
    fn attend(&self) {
        let mut watch = Watch::default();
        let thread = self.lease.thread().unwrap();
        while !self.gone.load(Ordering::Acquire) {
            match self.lease.watch(&mut watch) {
                WatchAction::Turn => loop {
                    let _ = self.turn(None);
                    if self.gone.load(Ordering::Acquire) || self.lease.hand_over() {
                        break;
                    }
                },
                WatchAction::Tick => {
                    thread::yield_now();
                    thread.end();
                }
                WatchAction::Sleep => {
                    thread.wait();
                }
            }
        }
    }

    fn shut_down(&self) {
        self.gone.store(true, Ordering::Release);
        if self.sleep.notify() {
            self.signal();
        }
        self.lease.wake_thread();
    }
}

/// A driver goes to sleep in the reactor while another thread wakes it: by no event, so only by the
/// eventfd, or before the sleep.
#[test]
fn driver_woken_by_another_thread() {
    explore(|| {
        let reactor = Reactor::new(false);
        let waker = reactor.spawn(|reactor| reactor.wake(0));
        let parker = &reactor.drivers[0];
        let turn = || reactor.turn(Some(parker));
        let woken = reactor.lease.wait(parker, true, turn, |turn| turn == Turn::Gone);
        assert!(woken);
        waker.join().unwrap();
    });
}

/// Two drivers without a thread to watch: each waits for an event of its own, and goes. Whichever
/// turns first, the other is served, by it or by being called.
#[test]
fn lease_of_two_drivers() {
    explore_up_to(3, || {
        let reactor = Reactor::new(false);
        let drivers = [0, 1].map(|number| {
            reactor.lease.register();
            reactor.spawn(move |reactor| {
                reactor.drive_until_delivered(number);
                reactor.lease.unregister();
            })
        });
        reactor.event(0);
        reactor.event(1);
        for driver in drivers {
            driver.join().unwrap();
        }
    });
}

/// A driver comes while the thread turns, or watches, and waits for two events in turn.
#[test]
fn lease_with_a_thread() {
    explore_up_to(3, || {
        let reactor = Reactor::new(true);
        let thread = reactor.spawn(Reactor::attend);
        reactor.lease.register();
        let driver = reactor.spawn(|reactor| {
            reactor.drive_until_delivered(0);
            reactor.drivers[1].end();
            reactor.drive_until_delivered(1);
            reactor.lease.unregister();
        });
        reactor.event(0);
        reactor.event(1);
        driver.join().unwrap();
        reactor.shut_down();
        thread.join().unwrap();
    });
}

/// The last driver goes, and a thread waits that does not drive: the reactor's thread turns.
#[test]
fn last_driver_goes() {
    explore_up_to(3, || {
        let reactor = Reactor::new(true);
        let thread = reactor.spawn(Reactor::attend);
        reactor.lease.register();
        let driver = reactor.spawn(|reactor| {
            reactor.drive_until_delivered(0);
            reactor.lease.unregister();
        });
        reactor.event(0);
        driver.join().unwrap();
        reactor.event(1);
        reactor.block_until_delivered(1);
        reactor.shut_down();
        thread.join().unwrap();
    });
}

/// A driver that had the lease, while the thread slept or did not yet, leaves and blocks until the
/// other event is delivered: the thread takes over.
#[test]
fn thread_asleep_when_the_driver_leaves() {
    explore_up_to(3, || {
        let reactor = Reactor::new(true);
        reactor.lease.register();
        let thread = reactor.spawn(Reactor::attend);
        let driver = reactor.spawn(|reactor| {
            reactor.drive_until_delivered(0);
            reactor.block_until_delivered(1);
            reactor.lease.unregister();
        });
        reactor.event(0);
        while !reactor.is_delivered(0) {
            thread::yield_now();
        }
        reactor.event(1);
        driver.join().unwrap();
        reactor.shut_down();
        thread.join().unwrap();
    });
}

/// A driver sleeps because another has the lease, and that one leaves and blocks: the sleeper is
/// called by the thread, or the thread turns for it.
#[test]
fn sleeper_when_the_driver_leaves() {
    explore_up_to(2, || {
        let reactor = Reactor::new(true);
        for _ in 0..2 {
            reactor.lease.register();
        }
        let blocks = reactor.spawn(|reactor| {
            reactor.drive_until_delivered(0);
            reactor.block_until_delivered(1);
        });
        let drives = reactor.spawn(|reactor| reactor.drive_until_delivered(1));
        let thread = reactor.spawn(Reactor::attend);
        reactor.event(0);
        reactor.event(1);
        blocks.join().unwrap();
        drives.join().unwrap();
        reactor.shut_down();
        thread.join().unwrap();
    });
}

/// The same without a thread that watches: a driver that leaves notifies the sleeper itself.
#[test]
fn sleeper_without_a_thread() {
    explore_up_to(3, || {
        let reactor = Reactor::new(false);
        let blocks = reactor.spawn(|reactor| {
            reactor.drive_until_delivered(0);
            reactor.block_until_delivered(1);
        });
        let drives = reactor.spawn(|reactor| reactor.drive_until_delivered(1));
        reactor.event(0);
        reactor.event(1);
        blocks.join().unwrap();
        drives.join().unwrap();
    });
}

/// An idle driver has the lease and turns for another, which waits for two events, one after the other. The idle one
/// gives the lease up, and is served when its own event comes.
#[test]
fn idle_driver_turns_for_another() {
    explore_up_to(2, || {
        let reactor = Reactor::new(false);
        for _ in 0..2 {
            reactor.lease.register();
        }
        let idle = reactor.spawn(|reactor| {
            reactor.drive_until_delivered(0);
            reactor.lease.unregister();
        });
        let works = reactor.spawn(|reactor| {
            reactor.drive_until_delivered(1);
            lock(&reactor.delivered)[1] = false;
            reactor.event(1);
            reactor.drive_until_delivered(1);
            reactor.event(0);
            reactor.lease.unregister();
        });
        reactor.event(1);
        idle.join().unwrap();
        works.join().unwrap();
    });
}
