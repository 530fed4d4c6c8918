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
//! - A driver that turns for others gives the lease up: after two turns in a row that woke another driver and
//!   not itself, it sleeps. The other driver has work, will have to wait again, and turns then. So two drivers
//!   of which one is idle do not pay a hop for each event.
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
//! - **A driver that gives the lease up** puts itself among the sleepers, and sees under the same lock whether
//!   another driver is awake. If one is, it sleeps: that driver will take the lease when it waits, or finds the
//!   sleeper when it goes. If none is, it takes the lease back.
//!
//! A waker runs on the thread that makes the turn, while that thread has the lease. If the waker waits in
//! `block_on`, the thread turns for it, and keeps the lease.
//!
//! # Invariants
//!
//! | | holds | held by |
//! | --- | --- | --- |
//! | L1 | one thread turns at a time, and sees what the one before did | loom `lease_of_two_drivers`, `lease_with_a_thread` |
//! | L2 | while somebody waits for an event, somebody turns, or the thread ticks, or a driver is awake that will be back | loom `lease_of_two_drivers`, `lease_with_a_thread`, `last_driver_goes`, `sleeper_when_the_driver_leaves`, `sleeper_without_a_thread`, `idle_driver_turns_for_another` |
//! | L3 | the thread sleeps only while a driver turns | `state::tests::the_thread_sleeps_only_on_the_stay_that_it_saw`, loom `thread_asleep_when_the_driver_leaves` |
//! | L4 | a task that blocks its thread holds up nobody else's events for more than three ticks | `tests/driver/blocked.rs` |

pub(crate) mod state;

use std::time::Duration;

use crate::parker::{Parker, this_thread};
use crate::sync::{Arc, AtomicU64, AtomicUsize, LoadToSwap, Mutex, Ordering, lock};
use state::{Coming, Holder, State};

/// After how many turns in a row that woke another driver, and not itself, a driver gives the lease up. (In the
/// models after one, which is as good and shorter.)
const TURNS_FOR_OTHERS: u32 = if cfg!(netpoll_loom) { 1 } else { 2 };

/// How often the thread looks, while there is anything to look after.
pub(crate) const TICK: Duration = Duration::from_millis(4);

#[derive(Debug)]
pub(crate) struct Lease {
    word: AtomicU64,
    crew: Mutex<Crew>,
    /// The thread that has the lease, by [`this_thread`]; 0 if none has it. Relaxed: a thread only asks whether
    /// it has the lease itself, and so looks for its own store.
    holder: AtomicUsize,
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

/// The outcome of a driver's turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Turn {
    /// It has woken no task.
    Idle,
    /// It has woken tasks.
    Woke,
    /// The reactor has ended.
    Gone,
}

impl Lease {
    pub(crate) fn new(has_thread: bool) -> Self {
        Self {
            word: AtomicU64::new(State::NEW.0),
            crew: Mutex::new(Crew::default()),
            holder: AtomicUsize::new(0),
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

    /// A driver waits until it is woken. It turns meanwhile if no other thread does, and returns early after a
    /// turn for which `stops` is true. It may also return for no reason. True if it was woken.
    ///
    /// In a waker that runs in a turn of the calling thread, that thread has the lease already, and turns.
    pub(crate) fn wait(
        &self,
        parker: &Arc<Parker>,
        wants: bool,
        mut turn: impl FnMut() -> Turn,
        stops: impl Fn(Turn) -> bool,
    ) -> bool {
        if self.is_held_here() {
            return self.drive(parker, &mut turn, stops, |_| false).0;
        }
        let mut taken = self.take(Holder::Driver);
        // A driver that had the lease and gave it up sleeps next. It takes the lease back only where no other
        // driver is awake.
        let mut gave_up = false;
        loop {
            if taken {
                let mut for_others = 0;
                let serves_others = |turn| {
                    for_others += u32::from(turn == Turn::Woke && self.has_woken_sleeper());
                    for_others >= TURNS_FOR_OTHERS
                };
                let (woken, left_to_others) = self.drive(parker, &mut turn, &stops, serves_others);
                if !left_to_others {
                    self.leave();
                    return woken;
                }
                self.give_back();
                gave_up = true;
            }
            if !parker.begin_sleep() {
                return parker.end();
            }
            let others_awake = self.enter_sleepers(parker);
            taken = !(gave_up && others_awake) && self.come(wants);
            if !taken {
                parker.sleep();
            }
            lock(&self.crew).asleep.retain(|other| !Arc::ptr_eq(other, parker));
            let woken = parker.end();
            if !taken || woken {
                if taken {
                    self.leave();
                }
                return woken;
            }
        }
    }

    /// Puts a driver among the sleepers. True if another driver is awake: it will wait, and turn, or go.
    fn enter_sleepers(&self, parker: &Arc<Parker>) -> bool {
        let mut crew = lock(&self.crew);
        let asleep = crew.asleep.iter().filter(|driver| !driver.is_notified()).count();
        let others_awake = asleep + 1 < crew.drivers;
        crew.asleep.push(parker.clone());
        others_awake
    }

    /// Whether a driver that sleeps was woken, and will be back to turn.
    fn has_woken_sleeper(&self) -> bool {
        lock(&self.crew).asleep.iter().any(|driver| driver.is_notified())
    }

    /// Turns once if no other thread does.
    pub(crate) fn look(&self, turn: impl FnOnce()) -> bool {
        if self.is_held_here() {
            turn();
            return true;
        }
        let taken = self.take(Holder::Driver);
        if taken {
            turn();
            self.leave();
        }
        taken
    }

    /// Turns until the driver is woken, or a turn ends it. Returns whether the driver was woken, and whether
    /// `serves_others` has ended it.
    fn drive(
        &self,
        parker: &Parker,
        turn: &mut impl FnMut() -> Turn,
        stops: impl Fn(Turn) -> bool,
        mut serves_others: impl FnMut(Turn) -> bool,
    ) -> (bool, bool) {
        let drive = parker.drive();
        let mut left_to_others = false;
        while !drive.is_woken() && !left_to_others {
            let turn = turn();
            if stops(turn) {
                break;
            }
            left_to_others = !drive.is_woken() && serves_others(turn);
        }
        let woken = drive.end();
        (woken, left_to_others && !woken)
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

    /// The holder leaves. Without a thread that watches, it calls a sleeping driver.
    fn leave(&self) {
        self.give_back();
        if self.thread.is_none() {
            self.call();
        }
    }

    /// The lease is free. The thread, if it sleeps, wakes up to watch.
    fn give_back(&self) {
        self.holder.store(0, Ordering::Relaxed);
        let left = self.update(|state| Some(state.leave())).expect("always allowed");
        if left.is_asleep() {
            self.wake_thread();
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
        self.note_holder(before.is_some_and(|before| before.holder() == Holder::Nobody))
    }

    /// Has a driver that sleeps look whether it can drive.
    fn call(&self) -> bool {
        lock(&self.crew).asleep.iter().any(|driver| driver.call())
    }

    #[must_use]
    fn take(&self, holder: Holder) -> bool {
        self.note_holder(self.update(|state| state.take(holder)).is_some())
    }

    /// The calling thread has taken the lease, if this is true.
    fn note_holder(&self, taken: bool) -> bool {
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
