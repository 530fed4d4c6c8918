//! The waiters of one slot: three queues under one small mutex.
//!
//! The first reader lies in the slot itself: an idle connection has no other waiter. All others lie in a [`Rest`], in a map
//! for each queue. It is made for the first of them and freed when the last has left. Adding, replacing and removing a
//! waiter are O(log n) in the number of waiters of the queue.
//!
//! A future has a [`WaiterId`], by which it finds its place again: its newest waker replaces the older one,
//! and its waker is removed when the future is dropped. A `poll_*` call has no id. If its waker equals one that is in
//! the queue, it replaces that one. If not, the slot cannot tell whether a new task polls, or one that has polled before
//! with another waker, and adds the waker. A task that polls with a fresh waker each time would fill the memory. So
//! each queue has a limit for the wakers of `poll_*` calls. When it is reached, the slot wakes and removes all of them;
//! the tasks that still wait poll again. The limit then doubles, so that many tasks that wait find room the next time.
//! An event takes all waiters out, and so resets the limit.
//!
//! A waiter also has the second in which its wait began, for a [snapshot](crate::Snapshot). It costs no room, and one
//! nanosecond to read ([`wall`](crate::wall)).
//!
//! No waker is cloned, woken or dropped under the mutex: the calls return them to the caller.

use std::collections::BTreeMap;
use std::io;
use std::task::Waker;

use super::state::Queue;
use crate::sync::{AtomicU32, Ordering};
use crate::wake::{catch_panic, wake};

/// The first limit for the wakers of `poll_*` calls in one queue.
pub(crate) const POLL_LIMIT: usize = 256;

/// How often the limit doubles at most.
const MAX_DOUBLINGS: u32 = 6;

/// Names a future among the waiters of one slot. The ids ascend in the order in which futures begin to wait. A future that was
/// woken and waits again gets another id; only in the queue for the write lock does it keep its id, and so its turn.
///
/// They begin anew after 2^32 waits of the slot. A future that waits, or is neither polled nor dropped after it was woken,
/// for exactly that many waits shares its id with another future, and if both are in one queue, one displaces the other. The
/// turns of the tasks that wait for the write lock at that moment are mixed up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct WaiterId(u32);

impl WaiterId {
    /// The id of a future that has not had to wait, and of every `poll_*` call.
    pub(crate) const NONE: WaiterId = WaiterId(0);

    /// Takes the id after `last`. It is not [`NONE`](Self::NONE).
    fn renew(&mut self, last: &AtomicU32) -> Self {
        // Relaxed: the mutex orders the changes.
        *self = Self(last.load(Ordering::Relaxed).wrapping_add(1).max(1));
        last.store(self.0, Ordering::Relaxed);
        *self
    }
}

/// The content of the slot's mutex.
pub(crate) struct Waiters {
    /// The first waiter of [`Queue::Read`].
    reader: Option<Waiter>,
    rest: Option<Box<Rest>>,
}

/// Every waiter but the first reader, and the values for the end of the descriptor. Not empty.
#[derive(Default)]
struct Rest {
    /// By queue.
    others: [Others; 3],
    /// Boxed: most waits have none.
    at_end: Option<Box<AtEnd>>,
}

/// The waiters of one queue. In the queue to read, the first waiter is not among them.
#[derive(Default)]
struct Others {
    waiters: BTreeMap<Key, Waiter>,
    /// How many of them are `poll_*` calls.
    polls: usize,
    /// How often their limit has doubled.
    doublings: u32,
}

/// The waker and the values that the end of a descriptor wakes and drops, for [`fd_mutex`](crate::fd_mutex).
#[derive(Default)]
pub(crate) struct AtEnd {
    /// The task in `close().await`.
    pub(crate) waker: Option<Waker>,
    /// Values that are dropped at the end.
    pub(crate) held: Vec<Box<dyn Send>>,
    /// Why the descriptor could not be ended.
    pub(crate) failure: Option<io::Error>,
}

#[derive(Debug)]
struct Waiter {
    id: WaiterId,
    /// When the wait began.
    second: u32,
    waker: Waker,
}

/// The newer waker of a key replaces the older one. The `poll_*` calls come first, by their wakers: two wakers with one key
/// wake the same task. The futures follow in the order in which they first waited.
type Key = (WaiterId, usize, usize);

const FIRST_FUTURE: Key = (WaiterId(1), 0, 0);

/// The waiters of one queue, for a snapshot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Queued {
    pub(crate) count: usize,
    /// The second in which the first of them began to wait.
    pub(crate) since: Option<u32>,
}

/// Waiters that were taken out, for the caller to wake or to drop outside the mutex.
#[derive(Default)]
#[must_use]
pub(crate) struct Taken {
    first: Option<Waiter>,
    others: Option<BTreeMap<Key, Waiter>>,
}

impl Taken {
    /// Passes each waker on.
    #[inline(always)] // A call would hand it on through memory.
    pub(crate) fn for_each(self, mut each: impl FnMut(Waker)) {
        if let Some(first) = self.first {
            each(first.waker);
        }
        if let Some(others) = self.others {
            others.into_values().for_each(|waiter| each(waiter.waker));
        }
    }

    /// Wakes each waker. A waker that panics does not keep the others from being woken.
    pub(crate) fn wake(self) {
        self.for_each(wake);
    }
}

/// The wakers that an added waiter has replaced.
#[must_use]
pub(crate) enum Displaced {
    None,
    /// The older waker of the same waiter, for the caller to drop.
    Older(Waker),
    /// The wakers above the limit, for the caller to wake.
    OverLimit(Taken),
}

impl Waiters {
    pub(crate) fn new() -> Self {
        Self { reader: None, rest: None }
    }

    /// Adds a waiter that begins to wait in this second, or replaces its waker. A future that is not in the queue is given
    /// the id after `last`.
    #[inline(always)]
    pub(crate) fn add(
        &mut self,
        queue: Queue,
        id: Option<&mut WaiterId>,
        last: &AtomicU32,
        waker: Waker,
        second: u32,
    ) -> Displaced {
        if queue == Queue::Read && self.is_empty(Queue::Read) {
            let id = id.map_or(WaiterId::NONE, |id| id.renew(last));
            self.reader = Some(Waiter { id, second, waker });
            return Displaced::None;
        }
        self.add_beside(queue, id, last, waker, second)
    }

    fn add_beside(
        &mut self,
        queue: Queue,
        id: Option<&mut WaiterId>,
        last: &AtomicU32,
        waker: Waker,
        second: u32,
    ) -> Displaced {
        let id = id.map_or(WaiterId::NONE, |id| {
            let keeps = *id != WaiterId::NONE && queue == Queue::WriteLock;
            if keeps || self.has(queue, *id) { *id } else { id.renew(last) }
        });
        let waiter = Waiter { id, second, waker };
        match &mut self.reader {
            Some(reader) if queue == Queue::Read && reader.key() == waiter.key() => {
                Displaced::Older(std::mem::replace(&mut reader.waker, waiter.waker))
            }
            _ => self.rest.get_or_insert_default().others[queue as usize].add(waiter),
        }
    }

    /// Whether the queue has the waiter of a future.
    fn has(&self, queue: Queue, id: WaiterId) -> bool {
        let is_reader = || self.reader.as_ref().is_some_and(|reader| reader.id == id);
        let others = self.rest.as_ref().map(|rest| &rest.others[queue as usize].waiters);
        id != WaiterId::NONE
            && (queue == Queue::Read && is_reader()
                || others.is_some_and(|others| others.contains_key(&(id, 0, 0))))
    }

    /// Removes the waiter of a future, and returns its waker.
    pub(crate) fn remove(&mut self, queue: Queue, id: WaiterId) -> Option<Waker> {
        let reader = self.reader.take_if(|reader| queue == Queue::Read && reader.id == id);
        let removed = reader.or_else(|| {
            let others = &mut self.rest.as_mut()?.others[queue as usize];
            others.waiters.remove(&(id, 0, 0))
        });
        self.free_rest();
        removed.map(|waiter| waiter.waker)
    }

    #[inline]
    pub(crate) fn is_empty(&self, queue: Queue) -> bool {
        (queue != Queue::Read || self.reader.is_none())
            && self.rest.as_ref().is_none_or(|rest| rest.others[queue as usize].waiters.is_empty())
    }

    /// How many waiters a queue has, and the second in which the first of them began to wait.
    pub(crate) fn queued(&self, queue: Queue) -> Queued {
        let first = self.reader.as_ref().filter(|_| queue == Queue::Read);
        let others = self.rest.iter().flat_map(|rest| rest.others[queue as usize].waiters.values());
        let seconds = first.into_iter().chain(others).map(|waiter| waiter.second);
        Queued { count: seconds.clone().count(), since: seconds.min() }
    }

    /// Takes the first reader out, if no other task waits for the slot.
    #[inline]
    pub(crate) fn take_only_reader(&mut self) -> Option<Waker> {
        let reader = if self.rest.is_none() { self.reader.take() } else { None };
        reader.map(|reader| reader.waker)
    }

    /// Takes every waiter of a queue out.
    pub(crate) fn take(&mut self, queue: Queue) -> Taken {
        let first = if queue == Queue::Read { self.reader.take() } else { None };
        let has_others =
            self.rest.as_ref().is_some_and(|rest| !rest.others[queue as usize].waiters.is_empty());
        let others = if has_others { self.take_others(queue) } else { None };
        Taken { first, others }
    }

    #[inline(never)]
    fn take_others(&mut self, queue: Queue) -> Option<BTreeMap<Key, Waiter>> {
        let others = std::mem::take(&mut self.rest.as_mut()?.others[queue as usize]);
        self.free_rest();
        Some(others.waiters)
    }

    /// Takes out the task that has waited for the write lock longest, and the `poll_*` calls, which cannot keep
    /// a place.
    pub(crate) fn take_next_for_write_lock(&mut self) -> Taken {
        let Some(rest) = &mut self.rest else { return Taken::default() };
        let others = &mut rest.others[Queue::WriteLock as usize];
        let polls = Some(others.take_polls());
        let first = others.waiters.pop_first().map(|(_, waiter)| waiter);
        self.free_rest();
        Taken { first, others: polls }
    }

    fn free_rest(&mut self) {
        self.rest.take_if(|rest| {
            rest.at_end.is_none() && rest.others.iter().all(|others| others.waiters.is_empty())
        });
    }

    pub(crate) fn at_end(&mut self) -> &mut AtEnd {
        self.rest.get_or_insert_default().at_end.get_or_insert_default()
    }

    pub(crate) fn at_end_if_any(&mut self) -> Option<&mut AtEnd> {
        self.rest.as_mut()?.at_end.as_deref_mut()
    }

    /// Drops every waker and every value, and catches their panics: one that panics does not keep the others from being
    /// dropped.
    pub(crate) fn drop_each(self) {
        if let Some(reader) = self.reader {
            catch_panic(|| drop(reader.waker));
        }
        if let Some(rest) = self.rest {
            rest.drop_each();
        }
    }
}

impl Rest {
    #[cold]
    fn drop_each(self) {
        for waiter in self.others.into_iter().flat_map(|others| others.waiters.into_values()) {
            catch_panic(|| drop(waiter.waker));
        }
        if let Some(AtEnd { waker, held, .. }) = self.at_end.map(|at_end| *at_end) {
            drop_all(held);
            catch_panic(|| drop(waker));
        }
    }
}

impl Waiter {
    fn key(&self) -> Key {
        match self.id {
            WaiterId::NONE => {
                let vtable = std::ptr::from_ref(self.waker.vtable());
                (WaiterId::NONE, self.waker.data().addr(), vtable.addr())
            }
            id => (id, 0, 0),
        }
    }
}

impl Others {
    fn add(&mut self, waiter: Waiter) -> Displaced {
        let (key, mut over) = (waiter.key(), None);
        if let Some(same) = self.waiters.get_mut(&key) {
            return Displaced::Older(std::mem::replace(&mut same.waker, waiter.waker));
        }
        if waiter.id == WaiterId::NONE {
            if self.polls >= POLL_LIMIT << self.doublings {
                self.doublings = (self.doublings + 1).min(MAX_DOUBLINGS);
                over = Some(self.take_polls());
            }
            self.polls += 1;
        }
        self.waiters.insert(key, waiter);
        over.map_or(Displaced::None, |over| {
            Displaced::OverLimit(Taken { first: None, others: Some(over) })
        })
    }

    /// Takes the `poll_*` calls out.
    fn take_polls(&mut self) -> BTreeMap<Key, Waiter> {
        self.polls = 0;
        let futures = self.waiters.split_off(&FIRST_FUTURE);
        std::mem::replace(&mut self.waiters, futures)
    }
}

/// The destructors are user code. One that panics does not keep the others from being run.
pub(super) fn drop_all(values: Vec<Box<dyn Send>>) {
    values.into_iter().for_each(|value| catch_panic(|| drop(value)));
}
