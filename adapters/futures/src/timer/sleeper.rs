//! The timers without a reactor: one thread sleeps for all of them, and ends with the last.
//!
//! The pool of the [resolver](crate::blocking) does not serve them: a lookup may hold each of its
//! threads for many seconds, and timers would be late by that. A second reactor does not serve them
//! either: often there is none because the process has no descriptors left.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, PoisonError};
use std::task::Waker;
use std::time::Instant;

use netpoll::{fork_generation, spawn_helper};

use crate::per_process::{self, COPIES, PerProcess};
use crate::sync::lock;

static SLEEPERS: [PerProcess<Sleeper>; COPIES] =
    [const { PerProcess::new(Sleeper::new()) }; COPIES];

/// The thread and the tasks that it wakes.
struct Sleeper {
    state: Mutex<State>,
    /// Notified when the earliest time changes, or when no task is left.
    changed: Condvar,
}

struct State {
    runs: bool,
    /// Ordered by time; the number distinguishes tasks of the same time.
    tasks: BTreeMap<(Instant, u64), Waker>,
    next: u64,
}

/// A task that the thread wakes at a given time. Dropping the alarm cancels that.
pub(super) struct Alarm {
    key: (Instant, u64),
    generation: u32,
}

impl Alarm {
    /// `None` if no thread could be started.
    pub(super) fn new(time: Instant, waker: &Waker) -> Option<Self> {
        let (sleeper, generation) = per_process::own(&SLEEPERS).ok()?;
        let waker = waker.clone();
        let mut state = lock(&sleeper.state);
        if !state.runs {
            spawn_helper("netpoll-timer", || sleeper.serve()).ok()?;
            state.runs = true;
        }
        let key = (time, state.next);
        state.next += 1;
        state.tasks.insert(key, waker);
        if state.tasks.first_key_value().is_some_and(|(first, _)| *first == key) {
            sleeper.changed.notify_one();
        }
        Some(Self { key, generation })
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        // In a forked child, a thread of the parent may have held the lock at the fork.
        if self.generation != fork_generation() {
            return;
        }
        let Ok((sleeper, _)) = per_process::own(&SLEEPERS) else { return };
        let mut state = lock(&sleeper.state);
        let cancelled = state.tasks.remove(&self.key);
        if state.tasks.is_empty() {
            sleeper.changed.notify_one();
        }
        drop(state);
        drop(cancelled);
    }
}

impl Sleeper {
    const fn new() -> Self {
        let state = State { runs: false, tasks: BTreeMap::new(), next: 0 };
        Self { state: Mutex::new(state), changed: Condvar::new() }
    }

    /// Wakes each task at its time, until no task is left.
    fn serve(&self) {
        let mut state = lock(&self.state);
        while let Some(first) = state.tasks.first_entry() {
            let left = first.key().0.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let task = first.remove();
                drop(state);
                netpoll::wake(task);
                state = lock(&self.state);
            } else {
                let waited = self.changed.wait_timeout(state, left);
                state = waited.unwrap_or_else(PoisonError::into_inner).0;
            }
        }
        state.runs = false;
    }
}
