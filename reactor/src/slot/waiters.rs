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
//! An id also holds the second in which the wait began, for a [snapshot](crate::Snapshot). It costs no room, and the second
//! costs one nanosecond to read ([`wall`](crate::wall)).
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

/// Names a waiter of one slot. Two futures of a slot have the same only if 2^32 futures begin to wait in one second.
///
/// The upper half is the number of the future, and 0 for a `poll_*` call. The lower half is the second in which the wait
/// began. So ids ascend, until the numbers begin anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct WaiterId(u64);

impl WaiterId {
    /// The id of a future that has not had to wait.
    pub(crate) const NONE: WaiterId = WaiterId(0);

    fn new(number: u32, second: u32) -> Self {
        Self(u64::from(number) << 32 | u64::from(second))
    }

    fn is_poll(self) -> bool {
        self.0 >> 32 == 0
    }

    fn second(self) -> u32 {
        self.0 as u32
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
            None => WaiterId::new(0, second),
            Some(id) => {
                if *id == WaiterId::NONE {
                    // Relaxed: the mutex orders the changes.
                    let number = last.load(Ordering::Relaxed).wrapping_add(1).max(1);
                    last.store(number, Ordering::Relaxed);
                    *id = WaiterId::new(number, second);
                }
                *id
            }
        };
        if queue == Queue::Read && self.is_empty(Queue::Read) {
            self.reader = Some(Waiter { id, waker });
            return Displaced::None;
        }
        self.add_beside(queue, id, waker)
    }

    fn add_beside(&mut self, queue: Queue, id: WaiterId, waker: Waker) -> Displaced {
        if let Some(first) = self.first_mut(queue).filter(|first| first.is(id, &waker)) {
            return Displaced::Older(std::mem::replace(&mut first.waker, waker));
        }
        let rest = self.rest.get_or_insert_default();
        if queue == Queue::Write && rest.is_empty(Queue::Write) {
            rest.writer = Some(Waiter { id, waker });
            return Displaced::None;
        }
        rest.others[queue as usize].get_or_insert_default().add(id, waker)
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
        removed
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
        let ids = first.map(|first| first.id).into_iter();
        let ids = ids.chain(others.into_iter().flat_map(Others::ids));
        ids.fold(Queued::default(), |queued, id| Queued {
            count: queued.count + 1,
            since: Some(queued.since.map_or(id.second(), |since| since.min(id.second()))),
        })
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

    pub(crate) fn forget_at_end(&mut self) -> Option<Box<AtEnd>> {
        let at_end = self.rest.as_mut()?.at_end.take();
        self.free_rest();
        at_end
    }

    /// Takes out the task that has waited for the write lock longest, and the `poll_*` calls, which cannot keep
    /// a place.
    pub(crate) fn take_next_for_write_lock(&mut self) -> Taken {
        let place = self.rest.as_mut().map(|rest| &mut rest.others[Queue::WriteLock as usize]);
        let Some(place @ Some(_)) = place else { return Taken::default() };
        let next = place.as_mut().map(|others| {
            Box::new(Others {
                futures: others.futures.pop_first().into_iter().collect(),
                polls: std::mem::take(&mut others.polls),
                poll_limit: POLL_LIMIT,
            })
        });
        place.take_if(|others| others.is_empty());
        self.free_rest();
        Taken { first: None, others: next }
    }
}

impl Rest {
    fn is_empty(&self, queue: Queue) -> bool {
        (queue != Queue::Write || self.writer.is_none()) && self.others[queue as usize].is_none()
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
