//! The timers without a reactor: one thread sleeps for all of them, and ends with the last.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use netpoll::{fork_generation, spawn_helper};

use crate::per_process::{self, COPIES, PerProcess};
use crate::sync::lock;

static SLEEPERS: [PerProcess<Thread>; COPIES] = [const { PerProcess::new(Thread::new()) }; COPIES];

/// The thread and the tasks that it wakes.
struct Thread {
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

/// The state of one timer that the thread serves.
#[derive(Debug, Default)]
pub(super) struct Sleeper {
    /// The task that polled last, kept even if no time is set.
    waiter: Option<Waker>,
    entry: Option<Entry>,
}

impl Sleeper {
    /// Resolves to the time once that has come. If no thread can be started, each poll wakes its own
    /// task: that keeps the thread busy, but is not late.
    pub(super) fn poll_reached(
        &mut self,
        cx: &mut Context<'_>,
        time: Option<Instant>,
    ) -> Poll<Instant> {
        let entry = self.entry.take();
        match time {
            Some(time) if time <= Instant::now() => return Poll::Ready(time),
            Some(time) => {
                let kept = entry.filter(|entry| entry.renew(time, cx.waker()));
                self.entry = kept.or_else(|| Entry::new(time, cx.waker()));
                if self.entry.is_none() {
                    cx.waker().wake_by_ref();
                }
            }
            None => {}
        }
        self.waiter = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Drops the entry and wakes the task, which polls again for the timer's new time.
    pub(super) fn forget(&mut self) {
        self.entry = None;
        if let Some(waiter) = self.waiter.take() {
            waiter.wake();
        }
    }
}

/// A task that the thread wakes at a given time. Dropping the entry cancels that.
#[derive(Debug)]
struct Entry {
    key: (Instant, u64),
    generation: u32,
}

impl Entry {
    /// `None` if no thread could be started.
    fn new(time: Instant, waker: &Waker) -> Option<Self> {
        let (thread, generation) = per_process::own(&SLEEPERS).ok()?;
        let waker = waker.clone();
        let mut state = lock(&thread.state);
        let key = (time, state.next);
        state.next += 1;
        state.tasks.insert(key, waker);
        let starts = !std::mem::replace(&mut state.runs, true);
        let is_first = state.tasks.first_key_value().is_some_and(|(first, _)| *first == key);
        drop(state);
        let entry = Self { key, generation };
        if starts && spawn_helper("netpoll-timer", || thread.serve()).is_err() {
            thread.fail();
            return None;
        }
        if is_first {
            thread.changed.notify_one();
        }
        Some(entry)
    }

    /// Replaces the waker, if the entry is for this time and has not woken its task yet.
    fn renew(&self, time: Instant, waker: &Waker) -> bool {
        let Ok((thread, generation)) = per_process::own(&SLEEPERS) else { return false };
        if self.key.0 != time || self.generation != generation {
            return false;
        }
        let waker = waker.clone();
        let before =
            lock(&thread.state).tasks.get_mut(&self.key).map(|task| std::mem::replace(task, waker));
        before.is_some()
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        // In a forked child, a thread of the parent may have held the lock at the fork.
        if self.generation != fork_generation() {
            return;
        }
        let Ok((thread, _)) = per_process::own(&SLEEPERS) else { return };
        let mut state = lock(&thread.state);
        let cancelled = state.tasks.remove(&self.key);
        let is_last = state.tasks.is_empty();
        drop(state);
        drop(cancelled);
        if is_last {
            thread.changed.notify_one();
        }
    }
}

impl Thread {
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

    /// No thread could be started: wakes all tasks, which poll again and try to start one themselves.
    fn fail(&self) {
        let mut state = lock(&self.state);
        state.runs = false;
        let tasks = std::mem::take(&mut state.tasks);
        drop(state);
        tasks.into_values().for_each(netpoll::wake);
    }
}
