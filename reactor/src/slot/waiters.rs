//! The waiters of one slot: three queues under one small mutex.
//!
//! The first waiter of each direction lies in the slot itself; the others lie in maps beside it, which are
//! made when a second waiter comes. Adding, replacing and removing a waiter are O(log n) in the number of
//! waiters of the queue.
//!
//! A future has a [`WaiterId`], by which it finds its place again: its newest waker replaces the older one,
//! and its waker is removed when the future is dropped. A `poll_*` call has no id. If its waker equals one that is in
//! the queue, it replaces that one. If not, the slot cannot tell whether a new task polls, or one that has polled before
//! with another waker, and adds the waker. A task that polls with a fresh waker each time would fill the memory. So
//! each queue has a limit for the wakers of `poll_*` calls. When it is reached, the slot wakes and removes all of them;
//! the tasks that still wait poll again. The limit then doubles, so that many tasks that wait find room the next time.
//! An event takes all waiters out, and so resets the limit.
//!
//! An id also holds the second in which the wait began, for a [snapshot](crate::Snapshot). It costs no room, and the second
//! costs one nanosecond to read ([`wall`](crate::wall)).
//!
//! No waker is cloned, woken or dropped under the mutex: the calls return them to the caller.

use std::collections::BTreeMap;
use std::task::Waker;

use super::state::Queue;
use crate::wake::wake;

/// The first limit for the wakers of `poll_*` calls in one queue.
pub(crate) const POLL_LIMIT: usize = 256;

/// The last limit, which no longer doubles.
const MAX_POLL_LIMIT: usize = 1 << 14;

/// Names a waiter of one slot. No two futures of a slot ever have the same.
///
/// The upper half is the second in which the wait began. The lower half is odd for a future, whose ids ascend even if the
/// system's clock is set back. For a `poll_*` call it is zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct WaiterId(u64);

impl WaiterId {
    /// The id of a future that has not had to wait.
    pub(crate) const NONE: WaiterId = WaiterId(0);

    /// The id of a `poll_*` call that begins to wait in this second.
    fn of_poll(second: u32) -> Self {
        Self(u64::from(second) << 32)
    }

    /// The id of the next future, which begins to wait in this second.
    fn next(self, second: u32) -> Self {
        Self((self.0 + 2).max(u64::from(second) << 32) | 1)
    }

    fn is_poll(self) -> bool {
        self.0 & 1 == 0
    }

    fn second(self) -> u32 {
        (self.0 >> 32) as u32
    }
}

/// The content of the slot's mutex.
#[derive(Debug)]
pub(crate) struct Waiters {
    /// By direction. A task that waits for the write lock is among the others.
    first: [Option<Waiter>; 2],
    /// By queue; `None` if the map would be empty.
    others: [Option<Box<Others>>; 3],
    last_id: WaiterId,
}

#[derive(Debug)]
struct Waiter {
    id: WaiterId,
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
    futures: BTreeMap<WaiterId, Waker>,
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
        Self { first: [None, None], others: [None, None, None], last_id: WaiterId::NONE }
    }

    /// Adds a waiter that begins to wait in this second, or replaces its waker. A future that has no id is given one.
    #[inline(always)]
    pub(crate) fn add(
        &mut self,
        queue: Queue,
        id: Option<&mut WaiterId>,
        waker: Waker,
        second: u32,
    ) -> Displaced {
        let id = match id {
            None => WaiterId::of_poll(second),
            Some(id) => {
                if *id == WaiterId::NONE {
                    self.last_id = self.last_id.next(second);
                    *id = self.last_id;
                }
                *id
            }
        };
        match self.first.get_mut(queue as usize) {
            Some(place @ None) if self.others[queue as usize].is_none() => {
                *place = Some(Waiter { id, waker });
                Displaced::None
            }
            _ => self.add_beside(queue, id, waker),
        }
    }

    fn add_beside(&mut self, queue: Queue, id: WaiterId, waker: Waker) -> Displaced {
        match self.first.get_mut(queue as usize) {
            Some(Some(first)) if first.is(id, &waker) => {
                Displaced::Older(std::mem::replace(&mut first.waker, waker))
            }
            _ => self.others[queue as usize].get_or_insert_default().add(id, waker),
        }
    }

    /// Removes the waiter of a future, and returns its waker.
    pub(crate) fn remove(&mut self, queue: Queue, id: WaiterId) -> Option<Waker> {
        let first = self.first.get_mut(queue as usize);
        if let Some(first) = first.and_then(|place| place.take_if(|first| first.id == id)) {
            return Some(first.waker);
        }
        let place = &mut self.others[queue as usize];
        let removed = place.as_mut()?.futures.remove(&id);
        place.take_if(|others| others.is_empty());
        removed
    }

    pub(crate) fn is_empty(&self, queue: Queue) -> bool {
        let no_first = self.first.get(queue as usize).is_none_or(Option::is_none);
        no_first && self.others[queue as usize].is_none()
    }

    /// How many waiters a queue has, and the second in which the first of them began to wait.
    pub(crate) fn queued(&self, queue: Queue) -> Queued {
        let first = self.first.get(queue as usize).and_then(Option::as_ref).map(|first| first.id);
        let others = self.others[queue as usize].as_deref();
        let ids = first.into_iter().chain(others.into_iter().flat_map(Others::ids));
        ids.fold(Queued::default(), |queued, id| Queued {
            count: queued.count + 1,
            since: Some(queued.since.map_or(id.second(), |since| since.min(id.second()))),
        })
    }

    /// Takes every waiter of a queue out.
    #[inline]
    pub(crate) fn take(&mut self, queue: Queue) -> Taken {
        let first = self.first.get_mut(queue as usize).and_then(Option::take);
        Taken { first, others: self.others[queue as usize].take() }
    }

    /// Takes out the task that has waited for the write lock longest, and the `poll_*` calls, which cannot keep
    /// a place.
    pub(crate) fn take_next_for_write_lock(&mut self) -> Taken {
        let place = &mut self.others[Queue::WriteLock as usize];
        let Some(others) = place else { return Taken::default() };
        let next = Others {
            futures: others.futures.pop_first().into_iter().collect(),
            polls: std::mem::take(&mut others.polls),
            poll_limit: POLL_LIMIT,
        };
        place.take_if(|others| others.is_empty());
        Taken { first: None, others: Some(Box::new(next)) }
    }
}

impl Waiter {
    /// Whether a waiter with this id and this waker is this one, so that the newer waker replaces the older.
    fn is(&self, id: WaiterId, waker: &Waker) -> bool {
        if id.is_poll() { self.id.is_poll() && self.waker.will_wake(waker) } else { self.id == id }
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

    fn ids(&self) -> impl Iterator<Item = WaiterId> {
        self.futures.keys().copied().chain(self.polls.values().map(|poll| poll.id))
    }

    #[inline(never)]
    fn for_each(self, each: impl FnMut(Waker)) {
        let polls = self.polls.into_values().map(|poll| poll.waker);
        self.futures.into_values().chain(polls).for_each(each);
    }

    fn add(&mut self, id: WaiterId, waker: Waker) -> Displaced {
        if id.is_poll() {
            let key = key(&waker);
            if let Some(same) = self.polls.get_mut(&key) {
                return Displaced::Older(std::mem::replace(&mut same.waker, waker));
            }
            let poll = Waiter { id, waker };
            if self.polls.len() >= self.poll_limit {
                self.poll_limit = (self.poll_limit * 2).min(MAX_POLL_LIMIT);
                let polls = std::mem::replace(&mut self.polls, BTreeMap::from([(key, poll)]));
                let others = Some(Box::new(Others { polls, ..Others::default() }));
                return Displaced::OverLimit(Taken { first: None, others });
            }
            self.polls.insert(key, poll);
            return Displaced::None;
        }
        let older = self.futures.insert(id, waker);
        older.map_or(Displaced::None, Displaced::Older)
    }
}
