//! The reactors behind one handle: mostly one, on large machines several, over which descriptors are
//! spread. Each has its own epoll, slots, wheel and thread, and knows nothing of the others.
//!
//! The shards record the reactor of each descriptor, so that a second registration of it goes to the same epoll, and
//! fails with `EEXIST`.

use std::cell::Cell;
use std::collections::HashMap;
use std::io;
use std::os::fd::RawFd;
use std::sync::{PoisonError, Weak};
use std::thread::JoinHandle;

use crate::error::OpError;
use crate::helper::Affinity;
use crate::reactor::ReactorInner;
use crate::sync::{Arc, AtomicUsize, Mutex, Ordering, lock};
use crate::thread::{SchedPolicy, spawn};
use crate::time::clock::Clock;

pub(crate) struct Shards {
    shards: Vec<Shard>,
    next: AtomicUsize,
}

/// One shard, with a reference to all: each handle, registration and timer holds one, and so keeps every shard.
pub(crate) struct Member {
    pub(crate) shards: Arc<Shards>,
    pub(crate) inner: Arc<ReactorInner>,
}

struct Shard {
    inner: Arc<ReactorInner>,
    /// Weak: a member keeps the shards, so a strong reference would be a cycle.
    member: Mutex<Weak<Member>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    /// The shard where each descriptor is registered. The map is split over the shards: this part has the descriptors
    /// whose number, modulo the number of shards, is the index of this shard.
    homes: Mutex<HashMap<RawFd, usize>>,
}

thread_local! {
    /// Which shard of which reactor this thread drives.
    static SEAT: Cell<Option<(usize, usize)>> = const { Cell::new(None) };
}

/// While this lives, registrations of this thread go to the shard that it drives.
#[derive(Debug)]
pub(crate) struct Seat {
    before: Option<(usize, usize)>,
}

impl Shards {
    pub(crate) fn new(
        count: usize,
        clock: &Clock,
        thread: Option<(SchedPolicy, Affinity)>,
    ) -> io::Result<Arc<Self>> {
        // If the next shard cannot be made, dropping this list ends the shards before it.
        let mut shards = Self { shards: Vec::new(), next: AtomicUsize::new(0) };
        for _ in 0..count {
            let failed = |part| move |error| OpError::wrap("start", part, error);
            let inner =
                ReactorInner::new(clock.twin(), thread.is_some()).map_err(failed("a reactor"))?;
            let inner = Arc::new(inner);
            let thread = thread
                .map(|(sched_policy, affinity)| spawn(inner.clone(), sched_policy, affinity))
                .transpose();
            let thread = thread.map_err(failed("a reactor's thread"))?;
            let (member, homes) = (Mutex::default(), Mutex::default());
            shards.shards.push(Shard { inner, member, thread: Mutex::new(thread), homes });
        }
        Ok(Arc::new(shards))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<ReactorInner>> {
        self.shards.iter().map(|shard| &shard.inner)
    }

    pub(crate) fn member(self: &Arc<Self>, index: usize) -> Arc<Member> {
        let Shard { inner, member, .. } = &self.shards[index];
        let mut member = lock(member);
        member.upgrade().unwrap_or_else(|| {
            let made = Arc::new(Member { shards: self.clone(), inner: inner.clone() });
            *member = Arc::downgrade(&made);
            made
        })
    }

    /// A descriptor is about to be deregistered, or was not registered after all.
    pub(crate) fn forget(&self, number: RawFd) {
        if let Some(homes) = self.homes(number) {
            lock(homes).remove(&number);
        }
    }

    /// `None` with one shard, which needs no entries, and in a forked child.
    fn homes(&self, number: RawFd) -> Option<&Mutex<HashMap<RawFd, usize>>> {
        let home = number.unsigned_abs() as usize % self.shards.len();
        self.are_several().then(|| &self.shards[home].homes)
    }

    /// False in a forked child, which must not take its parent's locks.
    fn are_several(&self) -> bool {
        self.shards.len() > 1 && self.shards[0].inner.is_ours()
    }

    /// A shard for this thread to drive. Meanwhile its registrations go there.
    pub(crate) fn sit(&self) -> (Seat, &Arc<ReactorInner>) {
        let shard = self.choose();
        let seat = Seat { before: SEAT.replace(Some((self.address(), shard))) };
        (seat, &self.shards[shard].inner)
    }

    fn choose(&self) -> usize {
        match SEAT.get() {
            _ if self.shards.len() == 1 => 0,
            Some((owner, shard)) if owner == self.address() => shard,
            // Relaxed: it orders no other access.
            _ => self.next.fetch_add(1, Ordering::Relaxed) % self.shards.len(),
        }
    }

    /// Which reactor this is. A thread has a seat only while that reactor lives.
    fn address(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    /// Ends all shards, and waits for the end of their threads.
    pub(crate) fn shut_down(&self) {
        self.end();
        if !crate::thread::is_a_reactors() {
            self.shards.iter().for_each(Shard::join);
        }
    }

    /// Ends all shards, and waits for no thread.
    fn end(&self) {
        self.shards.iter().for_each(Shard::end);
    }
}

impl Member {
    /// The shard for a new timer: the one that this thread drives, else the next in turn.
    pub(crate) fn assign(self: &Arc<Self>) -> Arc<Self> {
        let several = self.shards.are_several();
        if several { self.shards.member(self.shards.choose()) } else { self.clone() }
    }

    /// The shard for a descriptor: the shard where it is registered, else as for a timer. A descriptor that was closed
    /// without being deregistered leaves its entry behind; the next descriptor of that number then goes to the same
    /// shard, without harm.
    pub(crate) fn assign_descriptor(self: &Arc<Self>, number: RawFd) -> Arc<Self> {
        let Some(homes) = self.shards.homes(number) else { return self.clone() };
        let home = *lock(homes).entry(number).or_insert_with(|| self.shards.choose());
        self.shards.member(home)
    }
}

impl Shard {
    fn end(&self) {
        if self.inner.is_ours() {
            self.inner.evict_all();
            self.inner.notify();
            self.inner.lease.wake_thread();
        }
    }

    /// Waits for the end of the thread. It holds the lock meanwhile, so that concurrent callers wait too. No
    /// reactor's own thread comes here, so no two threads wait for each other.
    fn join(&self) {
        // A forked child has the handle, but not the thread, and a thread of the parent may hold the lock.
        if !self.inner.is_ours() {
            return;
        }
        let mut thread = lock(&self.thread);
        if let Some(thread) = thread.take() {
            // If the thread panicked, the panic hook has reported it, and the reactor has ended.
            let _ = thread.join();
        }
    }
}

/// The threads end by themselves: each owns the state that it uses. The thread that drops the last handle does not
/// wait for them, since it may hold a lock that a waker on one of them takes.
impl Drop for Shards {
    fn drop(&mut self) {
        self.end();
        for shard in &mut self.shards {
            if !shard.inner.is_ours() {
                // A forked child has no thread to detach.
                let thread = shard.thread.get_mut().unwrap_or_else(PoisonError::into_inner);
                std::mem::forget(thread.take());
            }
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        SEAT.set(self.before);
    }
}
