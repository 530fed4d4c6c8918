//! The lease: who turns the reactor.
//!
//! One thread turns at a time. It may be the reactor's own thread (below: *the thread*), or a
//! *driver*: a thread that is in `block_on`, or an executor's that has nothing to do. A driver that
//! turns needs no hop from the reactor to the task: what it wakes is its own. Go does the same: an idle
//! thread of its scheduler waits in epoll (`findRunnable` in `runtime/proc.go`), and `sysmon` looks
//! after epoll when nobody has for 10 ms.
//!
//! # The rules
//!
//! - A driver that has to wait takes the lease if nobody has it, turns until it was woken, and leaves.
//!   If another has it, it sleeps, and is woken by its own waker as on any executor.
//! - A driver that leaves in order to run its tasks wakes nobody to turn in its place: it will be
//!   back, mostly within microseconds. The thread *watches*: every [`TICK`] it looks whether the lease
//!   lies where it lay at the last look. If nobody has taken it since, it calls a sleeping driver, and
//!   if that does not come either, takes it itself. If a driver has had it all along, all is idle, and
//!   the thread sleeps without ticking, until that driver leaves.
//! - The thread turns when there are no drivers at all, and when it has taken over. It goes back to
//!   watching after a turn that woke a driver which wants the lease: it will be there at once.
//! - A driver wants the lease from its second wait on. So whoever blocks on one operation at a time
//!   does not drag the lease from the thread and back again each time.
//! - The last driver to go wakes the thread, and one that goes before calls a sleeping one: else they
//!   would be there only after a tick or two.
//! - A reactor without a thread has nobody who watches: there, who leaves calls a sleeping driver.
//!
//! # The handshake
//!
//! Holder, `asleep` and `wanted` are one word (see [`state`]), moved by read-modify-writes only.
//!
//! - **The thread** goes to sleep by setting `asleep`, which it can only while a driver has the lease.
//!   **That driver** leaves by one change that takes `asleep` away and tells it whom to wake. So there is
//!   no moment at which nobody holds the lease and the thread sleeps unwoken.
//! - **A driver** that must sleep puts itself among the sleepers, *then* tries once more to take the
//!   lease. **Who leaves** without a thread to watch gives the lease back, *then* looks for sleepers.
//!   If its change of the word came first, the driver takes the lease; if second, it sees the sleeper.
//!
//! # Invariants
//!
//! | | holds | held by |
//! | --- | --- | --- |
//! | L1 | one thread turns at a time, and sees what the one before did | loom `lease_of_two_drivers`, `lease_with_a_thread` |
//! | L2 | while somebody waits for an event, somebody turns, or the thread ticks, or a driver is awake that will be back | loom `lease_of_two_drivers`, `lease_with_a_thread`, `last_driver_goes`, `sleeper_when_the_driver_leaves`, `sleeper_without_a_thread` |
//! | L3 | the thread sleeps only while a driver turns | `state::tests::the_thread_sleeps_only_on_the_stay_that_it_saw`, loom `thread_asleep_when_the_driver_leaves` |
//! | L4 | a task that blocks its thread holds up nobody else's events for more than three ticks | `tests/driver/blocked.rs` |

pub(crate) mod state;

use std::time::Duration;

use crate::parker::Parker;
use crate::sync::{Arc, AtomicU64, LoadToSwap, Mutex, Ordering, lock};
use state::{Coming, Holder, State};

/// How often the thread looks, while there is anything to look after.
pub(crate) const TICK: Duration = Duration::from_millis(4);

#[derive(Debug)]
pub(crate) struct Lease {
    word: AtomicU64,
    crew: Mutex<Crew>,
    /// What the reactor's thread sleeps on. `None` for a reactor without one.
    thread: Option<Parker>,
}

/// The drivers there are.
#[derive(Debug, Default)]
struct Crew {
    drivers: usize,
    /// Those that sleep, or have just been woken.
    asleep: Vec<Arc<Parker>>,
}

/// What the thread remembers from one look to the next.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    seen: Option<State>,
    called: bool,
}

/// What the thread is to do after a look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Duty {
    /// The lease is the thread's now: turn.
    Turn,
    /// Look again after a [`TICK`].
    Tick,
    /// Sleep until woken.
    Sleep,
}

/// Whether a driver has more to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Turning {
    GoOn,
    Stop,
}

impl Lease {
    pub(crate) fn new(has_thread: bool) -> Self {
        Self {
            word: AtomicU64::new(State::NEW.0),
            crew: Mutex::new(Crew::default()),
            thread: has_thread.then(Parker::new),
        }
    }

    /// A driver joins. [`resign`](Self::resign) must follow.
    pub(crate) fn join(&self) {
        lock(&self.crew).drivers += 1;
    }

    /// A driver goes for good.
    pub(crate) fn resign(&self) {
        let others = {
            let mut crew = lock(&self.crew);
            crew.drivers -= 1;
            crew.drivers > 0
        };
        let unattended = others && self.state().holder() == Holder::Nobody;
        if !others || (unattended && !self.call()) {
            self.wake_thread();
        }
    }

    /// A driver waits until it is woken, and turns meanwhile if nobody else does; until `turn` stops
    /// it, too. It may also return for no reason. True if it was woken.
    pub(crate) fn wait(
        &self,
        parker: &Arc<Parker>,
        wants: bool,
        turn: impl FnMut() -> Turning,
    ) -> bool {
        if self.take(Holder::Driver) {
            return self.drive(parker, turn);
        }
        if !parker.begin_sleep() {
            return parker.end();
        }
        lock(&self.crew).asleep.push(parker.clone());
        let taken = self.come(wants);
        if !taken {
            parker.sleep();
        }
        lock(&self.crew).asleep.retain(|other| !Arc::ptr_eq(other, parker));
        let woken = parker.end();
        match taken {
            true if woken => self.leave(),
            true => return self.drive(parker, turn),
            false => {}
        }
        woken
    }

    /// Turns once if nobody else does.
    pub(crate) fn look(&self, turn: impl FnOnce()) -> bool {
        let taken = self.take(Holder::Driver);
        if taken {
            turn();
            self.leave();
        }
        taken
    }

    /// Turns until the driver is woken, and leaves.
    fn drive(&self, parker: &Parker, mut turn: impl FnMut() -> Turning) -> bool {
        let drive = parker.drive();
        while !drive.is_woken() && turn() == Turning::GoOn {}
        let woken = drive.end();
        self.leave();
        woken
    }

    /// The thread looks after the lease.
    pub(crate) fn watch(&self, watch: &mut Watch) -> Duty {
        let now = self.state();
        let stands = watch.seen.replace(now) == Some(now);
        watch.called &= stands;
        let abandoned = lock(&self.crew).drivers == 0;
        match now.holder() {
            Holder::Nobody if abandoned => self.take_over(),
            Holder::Nobody if stands && !watch.called && self.call() => {
                watch.called = true;
                Duty::Tick
            }
            Holder::Nobody if stands => self.take_over(),
            Holder::Driver if stands && self.update(|state| state.sleep(now)).is_some() => {
                Duty::Sleep
            }
            _ => Duty::Tick,
        }
    }

    fn take_over(&self) -> Duty {
        if self.take(Holder::Thread) { Duty::Turn } else { Duty::Tick }
    }

    /// The thread has turned: should it leave the next turn to a driver? If so, it has left.
    pub(crate) fn hand_over(&self) -> bool {
        let wanted = self.state().is_wanted();
        let handed = wanted && lock(&self.crew).asleep.iter().any(|driver| driver.is_notified());
        if handed {
            self.leave();
        }
        handed
    }

    /// What the reactor's thread sleeps on.
    pub(crate) fn thread(&self) -> Option<&Parker> {
        self.thread.as_ref()
    }

    /// Has the thread look again, at once.
    pub(crate) fn wake_thread(&self) {
        if let Some(thread) = &self.thread {
            // Nobody drives on behalf of the thread, so there is nothing more to do.
            let _ = thread.wake();
        }
    }

    /// The lease is given back.
    fn leave(&self) {
        let left = self.update(|state| Some(state.leave())).expect("always allowed");
        if left.is_asleep() {
            self.wake_thread();
        } else if self.thread.is_none() {
            self.call();
        }
    }

    /// Takes the lease if nobody has it; if the thread has, it is told that it is wanted.
    fn come(&self, wants: bool) -> bool {
        if !wants {
            return self.take(Holder::Driver);
        }
        let before = self.update(|state| match state.come() {
            Coming::Taken(next) | Coming::Wanted(next) => Some(next),
            Coming::Refused => None,
        });
        before.is_some_and(|before| before.holder() == Holder::Nobody)
    }

    /// Has a driver that sleeps look whether it can drive.
    fn call(&self) -> bool {
        lock(&self.crew).asleep.iter().any(|driver| driver.call())
    }

    #[must_use]
    fn take(&self, holder: Holder) -> bool {
        self.update(|state| state.take(holder)).is_some()
    }

    fn state(&self) -> State {
        State(self.word.load(Ordering::Acquire))
    }

    /// Moves the word, and returns what it was; `None` if there was nothing to move.
    ///
    /// Acquire and release, always: what either side did before its change of the word, it did before
    /// the other's later change.
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
