//! The lease: drivers, the reactor's thread, and the threads that wake them.
//!
//! The reactor, its drivers and its thread are those that ship, over the kernel of [`sys`](crate::sys). A wait ends
//! by an event or a wake-up that is owed to it, so loom finds a task that is forgotten as a deadlock. A tick of the
//! thread is over when other threads have had their chance.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Poll, Wake, Waker};

use loom::sync::Condvar;
use loom::thread::{self, JoinHandle};

use super::fixtures::{explore, explore_up_to};
use crate::arena::{Arena, OwnedSlot};
use crate::driver::Driver;
use crate::reactor::ReactorInner;
use crate::ready::Direction::Read;
use crate::ready::Ready;
use crate::slot::{Status, WaiterId};
use crate::sync::{AtomicU64, Mutex, Ordering, lock};
use crate::sys;
use crate::time::clock::Clock;

/// A reactor of two descriptors. On each of them comes one event.
struct Reactor {
    inner: Arc<ReactorInner>,
    slots: [OwnedSlot; 2],
}

impl Reactor {
    #[inline(never)] // Its frame takes half of a model's stack.
    fn new(has_thread: bool) -> Arc<Self> {
        let inner = Arc::new(ReactorInner::new(Clock::by_hand(), has_thread).unwrap());
        let slots = [(); 2].map(|()| Arena::allocate(inner.arena().clone()).unwrap());
        Arc::new(Self { inner, slots })
    }

    /// A thread that does something with the reactor.
    fn spawn<R: 'static>(
        self: &Arc<Self>,
        act: impl FnOnce(&Reactor) -> R + Send + 'static,
    ) -> JoinHandle<R> {
        let reactor = self.clone();
        thread::spawn(move || act(&reactor))
    }

    fn driver(&self) -> Driver {
        Driver::new(Some(self.inner.clone()))
    }

    /// An event comes, in the kernel.
    fn event(&self, number: usize) {
        sys::event(self.slots[number].token().encode(), Ready::READABLE);
    }

    /// Resolves when the event was delivered.
    async fn delivered(&self, number: usize) {
        let (slot, mut id) = (&self.slots[number], WaiterId::NONE);
        poll_fn(|cx| match slot.wait(Read, Some(&mut id), cx.waker()) {
            Status::Pending => Poll::Pending,
            _ => Poll::Ready(()),
        })
        .await;
    }

    /// Waits for an event with the whole thread, as a task that blocks.
    fn block_until_delivered(&self, number: usize) {
        let blocked = Arc::new(Blocked { woken: Mutex::new(false), changed: Condvar::new() });
        let (waker, mut id) = (Waker::from(blocked.clone()), WaiterId::NONE);
        if self.slots[number].wait(Read, Some(&mut id), &waker) != Status::Pending {
            return;
        }
        let mut woken = lock(&blocked.woken);
        while !*woken {
            woken = blocked.changed.wait(woken).unwrap();
        }
    }

    /// The reactor's own thread.
    fn attend(&self) {
        crate::thread::attend(&self.inner);
    }

    fn shut_down(&self) {
        self.inner.evict_all();
        self.inner.notify();
        self.inner.lease.wake_thread();
    }
}

/// A thread that waits outside the reactor.
struct Blocked {
    woken: Mutex<bool>,
    changed: Condvar,
}

impl Wake for Blocked {
    fn wake(self: Arc<Self>) {
        *lock(&self.woken) = true;
        self.changed.notify_one();
    }
}

/// A driver goes to sleep in the reactor while another thread wakes it: by no event, so only by the
/// eventfd, or before the sleep.
#[test]
fn driver_woken_by_another_thread() {
    explore(|| {
        let reactor = Reactor::new(false);
        let driver = reactor.driver();
        let waker = driver.waker();
        let woken = Arc::new(AtomicU64::new(0));
        let other = {
            let woken = woken.clone();
            thread::spawn(move || {
                woken.store(1, Ordering::Release);
                waker.wake();
            })
        };
        driver.run(poll_fn(|_| match woken.load(Ordering::Acquire) {
            0 => Poll::Pending,
            _ => Poll::Ready(()),
        }));
        other.join().unwrap();
    });
}

/// Two drivers without a thread to watch: each waits for an event of its own, and goes. Whichever
/// turns first, the other is served, by it or by being called.
#[test]
fn lease_of_two_drivers() {
    explore_up_to(2, || {
        let reactor = Reactor::new(false);
        let drivers = [0, 1].map(|number| {
            let driver = reactor.driver();
            reactor.spawn(move |reactor| driver.run(reactor.delivered(number)))
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
    explore_up_to(2, || {
        let reactor = Reactor::new(true);
        let thread = reactor.spawn(Reactor::attend);
        let driver = reactor.driver();
        let driver = reactor.spawn(|reactor| {
            driver.run(async {
                reactor.delivered(0).await;
                reactor.delivered(1).await;
            });
        });
        reactor.event(0);
        reactor.event(1);
        driver.join().unwrap();
        reactor.shut_down();
        thread.join().unwrap();
    });
}

/// The last driver goes, and a task waits that does not drive: the thread turns.
#[test]
fn last_driver_goes() {
    explore_up_to(2, || {
        let reactor = Reactor::new(true);
        let thread = reactor.spawn(Reactor::attend);
        let driver = reactor.driver();
        let driver = reactor.spawn(|reactor| driver.run(reactor.delivered(0)));
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
    explore_up_to(2, || {
        let reactor = Reactor::new(true);
        let driver = reactor.driver();
        let thread = reactor.spawn(Reactor::attend);
        let driver = reactor.spawn(|reactor| {
            driver.run(async {
                reactor.delivered(0).await;
                reactor.event(1);
                reactor.block_until_delivered(1);
            });
        });
        reactor.event(0);
        driver.join().unwrap();
        reactor.shut_down();
        thread.join().unwrap();
    });
}

/// A driver sleeps because another has the lease, and that one leaves and blocks: the sleeper is
/// called by the thread, or the thread turns for it.
#[test]
fn sleeper_when_the_driver_leaves() {
    explore_up_to(1, || {
        let reactor = Reactor::new(true);
        let [blocks, drives] = [(); 2].map(|()| reactor.driver());
        let blocks = reactor.spawn(|reactor| {
            blocks.run(async {
                reactor.delivered(0).await;
                reactor.block_until_delivered(1);
            });
        });
        let drives = reactor.spawn(|reactor| drives.run(reactor.delivered(1)));
        let thread = reactor.spawn(Reactor::attend);
        reactor.event(0);
        reactor.event(1);
        blocks.join().unwrap();
        drives.join().unwrap();
        reactor.shut_down();
        thread.join().unwrap();
    });
}

/// The same without a thread that watches: the driver that leaves calls the sleeper itself.
#[test]
fn sleeper_without_a_thread() {
    explore_up_to(2, || {
        let reactor = Reactor::new(false);
        let [blocks, drives] = [(); 2].map(|()| reactor.driver());
        let blocks = reactor.spawn(|reactor| {
            blocks.run(async {
                reactor.delivered(0).await;
                reactor.block_until_delivered(1);
            });
        });
        let drives = reactor.spawn(|reactor| drives.run(reactor.delivered(1)));
        reactor.event(0);
        reactor.event(1);
        blocks.join().unwrap();
        drives.join().unwrap();
    });
}

/// An idle driver has the lease and turns for another, which waits for an event. The idle one gives the lease up, and is
/// served when its own event comes.
#[test]
fn idle_driver_turns_for_another() {
    explore_up_to(1, || {
        let reactor = Reactor::new(true);
        let [idle, works] = [(); 2].map(|()| reactor.driver());
        let thread = reactor.spawn(Reactor::attend);
        let idle = reactor.spawn(|reactor| idle.run(reactor.delivered(0)));
        let works = reactor.spawn(|reactor| {
            works.run(async {
                reactor.delivered(1).await;
                reactor.event(0);
            });
        });
        reactor.event(1);
        idle.join().unwrap();
        works.join().unwrap();
        reactor.shut_down();
        thread.join().unwrap();
    });
}
