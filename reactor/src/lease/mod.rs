//! The lease: the exclusive right to make a turn of the reactor.
//!
//! One thread makes turns at a time. It may be the reactor's own thread (below: *the thread*), or a
//! *driver*: a thread that is in `block_on`, or an executor's thread that has no task to run. A turn of a driver
//! wakes the driver's own tasks without a switch between threads. Go does the same: an idle
//! thread of its scheduler waits in epoll (`findRunnable` in `runtime/proc.go`), and `sysmon` polls
//! epoll when no thread has for 10 ms.
//!
//! # The rules
//!
//! - A driver that has to wait takes the lease if it is free, makes turns until it is woken, and releases it.
//!   If another thread has the lease, the driver sleeps, and its own waker wakes it, as on any executor.
//! - A driver that releases the lease to run its tasks wakes no other driver: it will be
//!   back, mostly within microseconds. The thread *watches*: it samples the lease every [`TICK`]. If the lease is free and
//!   untouched since the last sample, the thread nudges a sleeping driver, and at the next sample
//!   takes the lease itself. If the same driver has held the lease since the last sample, it runs no
//!   tasks: it waits in epoll or makes turns. So the thread sleeps without ticking until that driver releases the lease.
//! - The thread makes turns when there are no drivers, and when it has taken over. It goes back to
//!   watching after a turn that woke a driver, if a driver has requested the lease.
//! - A driver that finds the lease with the thread requests it, from its second wait on. So a `block_on` that waits
//!   only once does not move the lease away from the thread and back again.
//! - A driver that makes turns for others gives the lease up: after two turns of one stay that woke another driver and
//!   not itself, it sleeps. The other driver has work, will have to wait again, and makes turns then. So of two drivers
//!   of which one is idle, the busy one has the lease, and no event costs a switch. If the other driver does not come
//!   back, the thread finds the lease free. (So in a reactor without a thread, no driver gives the lease up.)
//! - A driver that unregisters while the lease is free nudges a sleeping driver, or wakes the thread if none sleeps.
//!   Otherwise they would find the lease only after a tick or two.
//! - In a reactor without a thread, a driver that releases the lease nudges a sleeping driver.
//!
//! # The handshake
//!
//! Holder, `asleep` and `wanted` are one word (see [`state`]), changed by read-modify-writes only.
//!
//! - **The thread** goes to sleep by setting `asleep`, which it can only while a driver has the lease.
//!   **That driver** releases the lease by one change that clears `asleep`, and then wakes the thread. So the thread
//!   never sleeps while the lease is free.
//! - **A driver** that must sleep adds itself to the sleepers, *then* reads the word, by a read-modify-write, and does
//!   not sleep if the lease is free. **A driver that releases the lease** of a reactor without a thread changes the word,
//!   *then* looks for sleepers. If the release came first, the driver that must sleep sees a free lease and tries again. If
//!   the release came second, the releasing driver sees the sleeper.
//!
//! A waker runs on the thread that makes the turn, while that thread has the lease. If the waker waits in
//! `block_on`, the thread makes turns for it, and keeps the lease.
//!
//! # Invariants
//!
//! | | holds | held by |
//! | --- | --- | --- |
//! | L1 | one thread makes turns at a time, and sees the changes of the one before | loom `lease_of_two_drivers`, `lease_with_a_thread` |
//! | L2 | while a task waits for an event, a thread makes turns, or the thread ticks, or a driver is awake that will be back | loom `lease_of_two_drivers`, `lease_with_a_thread`, `last_driver_goes`, `sleeper_when_the_driver_leaves`, `sleeper_without_a_thread`, `idle_driver_turns_for_another` |
//! | L3 | the thread sleeps only while a driver makes turns | `state::tests::the_thread_sleeps_only_on_the_stay_that_it_saw`, loom `thread_asleep_when_the_driver_leaves` |
//! | L4 | a task that blocks its thread delays the events of other threads by three ticks at most | `tests/driver/blocked.rs` |

pub(crate) mod state;

use std::time::Duration;

use crate::parker::Parker;
use crate::sync::{Arc, AtomicU64, AtomicUsize, LoadToSwap, Mutex, Ordering, lock, this_thread};
use state::{Holder, State};

/// After how many turns of one stay that woke another driver, and not itself, a driver gives the lease up. (In the
/// models after one, which is as good and shorter.)
const TURNS_FOR_OTHERS: u32 = if cfg!(netpoll_loom) { 1 } else { 2 };

/// The interval between two samples of the lease by the thread.
pub(crate) const TICK: Duration = Duration::from_millis(4);

#[derive(Debug)]
pub(crate) struct Lease {
    word: AtomicU64,
    drivers: Mutex<Drivers>,
    /// The thread that has the lease, by [`this_thread`]; 0 if none has it. Relaxed: a thread only asks whether
    /// it has the lease itself, and so looks for its own store.
    holder: AtomicUsize,
    /// The parker of the reactor's thread. `None` for a reactor without one.
    thread: Option<Parker>,
}

/// The registered drivers.
#[derive(Debug, Default)]
struct Drivers {
    count: usize,
    /// The drivers that sleep, or have just been woken.
    asleep: Vec<Arc<Parker>>,
}

/// The thread's memory of its last sample.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    seen: Option<State>,
    nudged: bool,
}

/// The next step of the thread after a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum WatchAction {
    /// The thread has taken the lease: make turns.
    Turn,
    /// Sample again after a [`TICK`].
    Tick,
    /// Sleep until woken.
    Sleep,
}

/// The outcome of a driver's turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Turn {
    /// It has woken no task.
    Idle,
    /// It has woken tasks.
    Woke,
    /// The reactor has ended, or a waker has forked and this is the child. The lease is kept: no thread needs it, and
    /// in the child a thread of the parent may hold the lock that a release takes.
    Gone,
}

impl Lease {
    pub(crate) fn new(has_thread: bool) -> Self {
        Self {
            word: AtomicU64::new(State::NEW.0),
            drivers: Mutex::new(Drivers::default()),
            holder: AtomicUsize::new(0),
            thread: has_thread.then(Parker::new),
        }
    }

    /// Registers a driver. [`unregister`](Self::unregister) must follow.
    pub(crate) fn register(&self) {
        lock(&self.drivers).count += 1;
    }

    /// Removes a driver.
    pub(crate) fn unregister(&self) {
        let others = {
            let mut drivers = lock(&self.drivers);
            drivers.count -= 1;
            drivers.count > 0
        };
        let unattended = others && self.state().holder() == Holder::Free;
        if !others || (unattended && !self.nudge_driver()) {
            self.wake_thread();
        }
    }

    /// A driver waits until it is woken. It turns meanwhile if no other thread does, and returns early after a
    /// turn for which `stops` is true. It may also return for no reason. True if it was woken.
    ///
    /// In a waker that runs in a turn of the calling thread, that thread has the lease already, and turns.
    pub(crate) fn wait(
        &self,
        parker: &Arc<Parker>,
        wants: bool,
        turn: impl FnMut() -> Turn,
        stops: impl Fn(Turn) -> bool,
    ) -> bool {
        let has_lease = self.is_held_here();
        let mut gives_up = false;
        if has_lease || self.take(Holder::Driver) {
            let (woken, last) = self.drive(parker, turn, &stops, has_lease);
            if !has_lease && last != Turn::Gone {
                self.release();
            }
            if woken || has_lease || last == Turn::Gone || stops(last) {
                return woken;
            }
            gives_up = true;
        }
        if !parker.begin_sleep() {
            return parker.end();
        }
        lock(&self.drivers).asleep.push(parker.clone());
        if gives_up || !self.is_free_or_requested(wants) {
            parker.sleep();
        }
        lock(&self.drivers).asleep.retain(|other| !Arc::ptr_eq(other, parker));
        parker.end()
    }

    /// Whether a sleeping driver was woken, and so will soon make turns. False in a reactor without a thread: if that
    /// driver made none, no thread would take over.
    fn turns_for_others(&self) -> bool {
        self.thread.is_some()
            && lock(&self.drivers).asleep.iter().any(|driver| driver.is_notified())
    }

    /// Turns once if no other thread does.
    pub(crate) fn turn_once(&self, turn: impl FnOnce() -> Turn) {
        if self.is_held_here() {
            let _ = turn();
        } else if self.take(Holder::Driver) && turn() != Turn::Gone {
            self.release();
        }
    }

    /// Turns until the driver is woken, a turn stops it, or, unless it `keeps` the lease, it has made turns for others.
    /// Returns whether the driver was woken, and its last turn.
    fn drive(
        &self,
        parker: &Parker,
        mut turn: impl FnMut() -> Turn,
        stops: impl Fn(Turn) -> bool,
        keeps: bool,
    ) -> (bool, Turn) {
        let drive = parker.drive();
        let (mut last, mut for_others) = (Turn::Idle, 0);
        let mut is_woken = drive.is_woken();
        while !is_woken && for_others < TURNS_FOR_OTHERS {
            last = turn();
            if last == Turn::Gone || stops(last) {
                break;
            }
            is_woken = drive.is_woken();
            let woke_another = last == Turn::Woke && !is_woken && !keeps && self.turns_for_others();
            for_others += u32::from(woke_another);
        }
        (drive.end(), last)
    }

    /// Samples the lease, for the thread.
    pub(crate) fn watch(&self, watch: &mut Watch) -> WatchAction {
        let now = self.state();
        let stands = watch.seen.replace(now) == Some(now);
        watch.nudged &= stands;
        let abandoned = lock(&self.drivers).count == 0;
        match now.holder() {
            Holder::Free if abandoned => self.take_over(),
            Holder::Free if stands && !watch.nudged && self.nudge_driver() => {
                watch.nudged = true;
                WatchAction::Tick
            }
            Holder::Free if stands => self.take_over(),
            Holder::Driver if stands && self.update(|state| state.sleep(now)).is_some() => {
                WatchAction::Sleep
            }
            _ => WatchAction::Tick,
        }
    }

    fn take_over(&self) -> WatchAction {
        if self.take(Holder::Thread) { WatchAction::Turn } else { WatchAction::Tick }
    }

    /// After a turn of the thread: releases the lease if a driver was woken and one has requested it. True if it did.
    pub(crate) fn release_if_requested(&self) -> bool {
        let wanted = self.state().is_wanted();
        let handed = wanted && lock(&self.drivers).asleep.iter().any(|driver| driver.is_notified());
        if handed {
            self.release();
        }
        handed
    }

    /// The parker of the reactor's thread.
    pub(crate) fn thread(&self) -> Option<&Parker> {
        self.thread.as_ref()
    }

    /// Has the thread sample the lease at once.
    pub(crate) fn wake_thread(&self) {
        if let Some(thread) = &self.thread {
            // The thread uses its parker only while it watches, never in epoll. So this wake-up has no sleep in epoll to end.
            let _ = thread.wake();
        }
    }

    /// Releases the lease, and wakes the thread, if it sleeps, to watch. Without a thread, nudges a sleeping driver.
    fn release(&self) {
        self.holder.store(0, Ordering::Relaxed);
        let left = self.update(|state| Some(state.released())).expect("always allowed");
        if self.thread.is_none() {
            self.nudge_driver();
        } else if left.is_asleep() {
            self.wake_thread();
        }
    }

    /// For a driver that is about to sleep: whether the lease is free. If the thread has it, and the driver `wants` it,
    /// requests it.
    fn is_free_or_requested(&self, wants: bool) -> bool {
        let request = |state: State| Some(if wants { state.requested() } else { state });
        self.update(request).is_some_and(|state| state.holder() == Holder::Free)
    }

    /// Has a sleeping driver try to take the lease. False if none sleeps.
    fn nudge_driver(&self) -> bool {
        lock(&self.drivers).asleep.iter().any(|driver| driver.nudge())
    }

    #[must_use]
    fn take(&self, holder: Holder) -> bool {
        let taken = self.update(|state| state.take(holder)).is_some();
        if taken {
            self.holder.store(this_thread(), Ordering::Relaxed);
        }
        taken
    }

    /// Whether the calling thread has the lease: it is in a waker that its turn has woken.
    fn is_held_here(&self) -> bool {
        self.holder.load(Ordering::Relaxed) == this_thread()
    }

    fn state(&self) -> State {
        State(self.word.load(Ordering::Acquire))
    }

    /// Changes the word, and returns the old one; `None` if `next` refuses it.
    ///
    /// Acquire and release, always: a thread that sees a change of the word sees the changes that the other thread made
    /// before it.
    fn update(&self, next: impl Fn(State) -> Option<State>) -> Option<State> {
        let mut seen = State(self.word.load_to_swap(Ordering::Acquire));
        while let Some(next) = next(seen) {
            let (order, failed) = (Ordering::AcqRel, Ordering::Acquire);
            match self.word.compare_exchange(seen.0, next.0, order, failed) {
                Ok(_) => return Some(seen),
                Err(changed) => seen = State(changed),
            }
        }
        None
    }
}
