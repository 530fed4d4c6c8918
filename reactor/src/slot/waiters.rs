//! The waiters of one slot: three queues under one small mutex.
//!
//! The first reader lies in the slot itself: an idle connection has no other waiter. All others lie in a [`Rest`], which
//! is made for the first of them and freed when the last has left: the first writer in a place of its own, and the second
//! and later waiters of a queue in maps. Adding, replacing and removing a waiter are O(log n) in the number of waiters of
//! the queue.
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
use crate::wake::wake;

/// The first limit for the wakers of `poll_*` calls in one queue.
pub(crate) const POLL_LIMIT: usize = 256;

/// The last limit, which no longer doubles.
const MAX_POLL_LIMIT: usize = 1 << 14;

/// Names a future among the waiters of one slot. The ids ascend in the order in which futures first wait.
///
/// They begin anew after 2^32 futures. A future would have to wait, or to be neither polled nor dropped after it was woken,
/// for exactly that many waits of one slot: then it would share its place with another future.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct WaiterId(u32);

impl WaiterId {
    /// The id of a future that has not had to wait, and of every `poll_*` call.
    pub(crate) const NONE: WaiterId = WaiterId(0);

    /// The id of the next future, where this is the last number that was given. It is not [`NONE`](Self::NONE).
    fn next(last: u32) -> Self {
        Self(last.wrapping_add(1).max(1))
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
    /// The first waiter of [`Queue::Write`].
    writer: Option<Waiter>,
    /// By queue; `None` if the maps would be empty.
    others: [Option<Box<Others>>; 3],
    /// Boxed: most closes have none.
    at_end: Option<Box<AtEnd>>,
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

/// The waiters of one queue, for a snapshot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Queued {
    pub(crate) count: usize,
    /// The second in which the first of them began to wait.
    pub(crate) since: Option<u32>,
}

/// The waiters of one queue that are not its first.
#[derive(Debug)]
struct Others {
    /// In the order in which they began to wait.
    futures: BTreeMap<WaiterId, Waiter>,
    polls: BTreeMap<PollKey, Waiter>,
    poll_limit: usize,
}

/// Two wakers with one key wake the same task.
type PollKey = (usize, usize);

fn key(waker: &Waker) -> PollKey {
    (waker.data().addr(), std::ptr::from_ref(waker.vtable()).addr())
}

/// Wakers that were taken out, for the caller to wake or to drop outside the mutex.
#[derive(Debug, Default)]
#[must_use]
pub(crate) struct Taken {
    first: Option<Waiter>,
    others: Option<Box<Others>>,
}

impl Taken {
    /// Passes each waker on: the one that has waited longest first.
    #[inline(always)] // A call would hand it on through memory.
    pub(crate) fn for_each(self, mut each: impl FnMut(Waker)) {
        if let Some(first) = self.first {
            each(first.waker);
        }
        if let Some(others) = self.others {
            others.for_each(each);
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

    /// Adds a waiter that begins to wait in this second, or replaces its waker. A future that has no id is given one, with
    /// the number after `last`.
    #[inline(always)]
    pub(crate) fn add(
        &mut self,
        queue: Queue,
        id: Option<&mut WaiterId>,
        last: &AtomicU32,
        waker: Waker,
        second: u32,
    ) -> Displaced {
        let id = match id {
            None => WaiterId::NONE,
            Some(id) => {
                if *id == WaiterId::NONE {
                    // Relaxed: the mutex orders the changes.
                    *id = WaiterId::next(last.load(Ordering::Relaxed));
                    last.store(id.0, Ordering::Relaxed);
                }
                *id
            }
        };
        let waiter = Waiter { id, second, waker };
        if queue == Queue::Read && self.is_empty(Queue::Read) {
            self.reader = Some(waiter);
            return Displaced::None;
        }
        self.add_beside(queue, waiter)
    }

    fn add_beside(&mut self, queue: Queue, waiter: Waiter) -> Displaced {
        if let Some(first) = self.first_mut(queue).filter(|first| first.is(&waiter)) {
            return Displaced::Older(std::mem::replace(&mut first.waker, waiter.waker));
        }
        let rest = self.rest.get_or_insert_default();
        if queue == Queue::Write && rest.is_empty(Queue::Write) {
            rest.writer = Some(waiter);
            return Displaced::None;
        }
        rest.others[queue as usize].get_or_insert_default().add(waiter)
    }

    fn first_mut(&mut self, queue: Queue) -> Option<&mut Waiter> {
        match queue {
            Queue::Read => self.reader.as_mut(),
            Queue::Write => self.rest.as_mut()?.writer.as_mut(),
            Queue::WriteLock => None,
        }
    }

    /// Removes the waiter of a future, and returns its waker.
    pub(crate) fn remove(&mut self, queue: Queue, id: WaiterId) -> Option<Waker> {
        if self.first_mut(queue).is_some_and(|first| first.id == id) {
            return self.take_first(queue).map(|first| first.waker);
        }
        let place = &mut self.rest.as_mut()?.others[queue as usize];
        let removed = place.as_mut()?.futures.remove(&id);
        place.take_if(|others| others.is_empty());
        self.free_rest();
        removed.map(|waiter| waiter.waker)
    }

    #[inline]
    pub(crate) fn is_empty(&self, queue: Queue) -> bool {
        (queue != Queue::Read || self.reader.is_none())
            && self.rest.as_ref().is_none_or(|rest| rest.is_empty(queue))
    }

    /// How many waiters a queue has, and the second in which the first of them began to wait.
    pub(crate) fn queued(&self, queue: Queue) -> Queued {
        let rest = self.rest.as_deref();
        let first = match queue {
            Queue::Read => self.reader.as_ref(),
            Queue::Write => rest.and_then(|rest| rest.writer.as_ref()),
            Queue::WriteLock => None,
        };
        let others = rest.and_then(|rest| rest.others[queue as usize].as_deref());
        let all = first.into_iter().chain(others.into_iter().flat_map(Others::iter));
        let seconds = all.map(|waiter| waiter.second);
        Queued { count: seconds.clone().count(), since: seconds.min() }
    }

    /// Takes every waiter of a queue out.
    #[inline]
    pub(crate) fn take(&mut self, queue: Queue) -> Taken {
        if self.rest.is_none() {
            let first = if queue == Queue::Read { self.reader.take() } else { None };
            return Taken { first, others: None };
        }
        self.take_with_rest(queue)
    }

    fn take_with_rest(&mut self, queue: Queue) -> Taken {
        let others = self.rest.as_mut().and_then(|rest| rest.others[queue as usize].take());
        Taken { first: self.take_first(queue), others }
    }

    fn take_first(&mut self, queue: Queue) -> Option<Waiter> {
        let first = match queue {
            Queue::Read => self.reader.take(),
            Queue::Write => self.rest.as_mut().and_then(|rest| rest.writer.take()),
            Queue::WriteLock => None,
        };
        self.free_rest();
        first
    }

    fn free_rest(&mut self) {
        let is_empty = |rest: &Rest| {
            Queue::ALL.iter().all(|queue| rest.is_empty(*queue)) && rest.at_end.is_none()
        };
        self.rest.take_if(|rest| is_empty(rest));
    }

    pub(crate) fn at_end(&mut self) -> &mut AtEnd {
        self.rest.get_or_insert_default().at_end.get_or_insert_default()
    }

    pub(crate) fn at_end_if_any(&mut self) -> Option<&mut AtEnd> {
        self.rest.as_mut()?.at_end.as_deref_mut()
    }

    pub(crate) fn forget_at_end(&mut self) -> AtEnd {
        let at_end = self.rest.as_mut().and_then(|rest| rest.at_end.take());
        self.free_rest();
        at_end.map_or_else(AtEnd::default, |at_end| *at_end)
    }

    /// Takes out the task that has waited for the write lock longest, and the `poll_*` calls, which cannot keep
    /// a place.
    pub(crate) fn take_next_for_write_lock(&mut self) -> Taken {
        let place = self.rest.as_mut().map(|rest| &mut rest.others[Queue::WriteLock as usize]);
        let Some(place @ Some(_)) = place else { return Taken::default() };
        let mut next = Taken::default();
        if let Some(others) = place {
            next.first = others.futures.pop_first().map(|(_, waiter)| waiter);
            let polls = std::mem::take(&mut others.polls);
            next.others = Some(Box::new(Others { polls, ..Others::default() }));
        }
        place.take_if(|others| others.is_empty());
        self.free_rest();
        next
    }
}

impl Rest {
    fn is_empty(&self, queue: Queue) -> bool {
        (queue != Queue::Write || self.writer.is_none()) && self.others[queue as usize].is_none()
    }
}

impl Waiter {
    /// Whether the same future or the same task waits, so that the newer waker replaces the older.
    fn is(&self, newer: &Waiter) -> bool {
        self.id == newer.id && (self.id != WaiterId::NONE || self.waker.will_wake(&newer.waker))
    }
}

impl Default for Others {
    fn default() -> Self {
        Self { futures: BTreeMap::new(), polls: BTreeMap::new(), poll_limit: POLL_LIMIT }
    }
}

impl Others {
    fn is_empty(&self) -> bool {
        self.futures.is_empty() && self.polls.is_empty()
    }

    fn iter(&self) -> impl Iterator<Item = &Waiter> + Clone {
        self.futures.values().chain(self.polls.values())
    }

    #[inline(never)]
    fn for_each(self, mut each: impl FnMut(Waker)) {
        let all = self.futures.into_values().chain(self.polls.into_values());
        all.for_each(|waiter| each(waiter.waker));
    }

    fn add(&mut self, waiter: Waiter) -> Displaced {
        if waiter.id == WaiterId::NONE {
            let key = key(&waiter.waker);
            if let Some(same) = self.polls.get_mut(&key) {
                return Displaced::Older(std::mem::replace(&mut same.waker, waiter.waker));
            }
            if self.polls.len() >= self.poll_limit {
                self.poll_limit = (self.poll_limit * 2).min(MAX_POLL_LIMIT);
                let polls = std::mem::replace(&mut self.polls, BTreeMap::from([(key, waiter)]));
                let others = Some(Box::new(Others { polls, ..Others::default() }));
                return Displaced::OverLimit(Taken { first: None, others });
            }
            self.polls.insert(key, waiter);
            return Displaced::None;
        }
        let older = self.futures.insert(waiter.id, waiter);
        older.map_or(Displaced::None, |older| Displaced::Older(older.waker))
    }
}
