//! Who is connected, and until when they may stay.
//!
//! Everybody who must hear of the end has a place with a waker of its own: it registers, *then* asks
//! for the stage. Whoever changes the stage stores it, *then* wakes all places. A place that is taken
//! while that happens asks for the stage when it is first polled.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use futures_util::task::AtomicWaker;

/// How far the end has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    Open,
    /// What is in flight is finished, and nothing else begins.
    Leaving,
    /// Everybody is to go at once.
    Closed,
}

#[derive(Debug, Default)]
pub(super) struct Crowd {
    stage: AtomicU8,
    places: Mutex<Places>,
}

#[derive(Debug, Default)]
struct Places {
    last: u64,
    connections: HashMap<u64, Arc<AtomicWaker>>,
    /// Those who accept, or wait for the end.
    watchers: HashMap<u64, Arc<AtomicWaker>>,
    /// A watcher waits for the last connection to leave.
    awaited: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Connection,
    Watcher,
}

/// A place in the crowd. Dropped, it is left.
#[derive(Debug)]
pub(super) struct Place {
    crowd: Arc<Crowd>,
    role: Role,
    number: u64,
    waker: Arc<AtomicWaker>,
}

impl Crowd {
    pub(super) fn stage(&self) -> Stage {
        match self.stage.load(Ordering::SeqCst) {
            0 => Stage::Open,
            1 => Stage::Leaving,
            _ => Stage::Closed,
        }
    }

    /// Goes on to a stage, if it is a later one.
    pub(super) fn advance(&self, stage: Stage) {
        self.stage.fetch_max(stage as u8, Ordering::SeqCst);
        let places = self.lock();
        let wakers: Vec<_> =
            places.connections.values().chain(places.watchers.values()).cloned().collect();
        drop(places);
        wake_all(&wakers);
    }

    pub(super) fn enter(self: &Arc<Self>, role: Role) -> Place {
        let waker = Arc::new(AtomicWaker::new());
        let number = self.lock().enter(role, waker.clone());
        Place { crowd: self.clone(), role, number, waker }
    }

    pub(super) fn connections(&self) -> usize {
        self.lock().connections.len()
    }

    fn lock(&self) -> MutexGuard<'_, Places> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Places {
    fn enter(&mut self, role: Role, waker: Arc<AtomicWaker>) -> u64 {
        self.last += 1;
        let number = self.last;
        self.of(role).insert(number, waker);
        number
    }

    fn of(&mut self, role: Role) -> &mut HashMap<u64, Arc<AtomicWaker>> {
        match role {
            Role::Connection => &mut self.connections,
            Role::Watcher => &mut self.watchers,
        }
    }
}

impl Place {
    pub(super) fn stage(&self) -> Stage {
        self.crowd.stage()
    }

    /// The stage; a later one wakes the task.
    pub(super) fn poll_stage(&self, cx: &mut Context<'_>) -> Stage {
        self.waker.register(cx.waker());
        self.crowd.stage()
    }

    /// Ready when there are no connections.
    pub(super) fn poll_alone(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.waker.register(cx.waker());
        let mut places = self.crowd.lock();
        if places.connections.is_empty() {
            return Poll::Ready(());
        }
        places.awaited = true;
        Poll::Pending
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut places = self.crowd.lock();
        places.of(self.role).remove(&self.number);
        let is_last = self.role == Role::Connection && places.connections.is_empty();
        if !is_last || !std::mem::take(&mut places.awaited) {
            return;
        }
        let watchers: Vec<_> = places.watchers.values().cloned().collect();
        drop(places);
        wake_all(&watchers);
    }
}

/// All of them, also where one panics: they are different tasks'.
fn wake_all(wakers: &[Arc<AtomicWaker>]) {
    wakers.iter().filter_map(|waker| waker.take()).for_each(netpoll::wake);
}
