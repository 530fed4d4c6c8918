//! The fixtures of the models: the search, a task that waits, and a registration.
#![allow(unsafe_code)] // `OwnsFd` of the object that is registered.

use std::future::Future;
use std::os::fd::{AsFd, BorrowedFd};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use loom::model::Builder;
use loom::thread::{self, JoinHandle};
use netpoll_tests::CountingWaker;

use crate::budget;
use crate::handle::Reactor;
use crate::ready::{Direction, Interest, Ready};
use crate::registration::Registration;
use crate::slot::state::{Queue, State};
use crate::slot::{Checked, Slot, Status, WaiterId};
use crate::sys::OwnsFd;
use crate::wake::wake;

/// Explores all of a model.
pub(crate) fn explore(model: impl Fn() + Send + Sync + 'static) {
    search(None, model);
}

/// Explores the states of a model within so many preemptions: with three threads, the whole
/// is too much. A thread that blocks or ends is not preempted, so each still runs to its end.
///
/// `LOOM_MAX_PREEMPTIONS` may say more (and `LOOM_MAX_DURATION` for how many seconds of each model).
pub(crate) fn explore_up_to(preemptions: usize, model: impl Fn() + Send + Sync + 'static) {
    search(Some(preemptions), model);
}

fn search(preemptions: Option<usize>, model: impl Fn() + Send + Sync + 'static) {
    let mut builder = Builder::new();
    let more = builder.preemption_bound.unwrap_or(0);
    builder.preemption_bound = preemptions.map(|least| least.max(more));
    builder.check(move || {
        // Each execution begins with a full budget: it is the same in all of them.
        budget::refill();
        model();
    });
}

/// A task that waits in a slot, and remembers how that went.
///
/// Its wakes are counted outside the model: they are read when every thread has ended.
#[derive(Debug)]
pub(crate) struct Task {
    wakes: Arc<CountingWaker>,
    pub(crate) waker: Waker,
    /// `None` for one that waits as the `poll_*` calls do.
    pub(crate) id: Option<WaiterId>,
    last: Option<Status>,
}

impl Task {
    /// One that waits as a future does, and can leave.
    pub(crate) fn future() -> Self {
        Self::new(Some(WaiterId::NONE))
    }

    /// One that waits as the `poll_*` calls do.
    pub(crate) fn polling() -> Self {
        Self::new(None)
    }

    fn new(id: Option<WaiterId>) -> Self {
        let wakes = CountingWaker::new();
        Self { waker: Waker::from(wakes.clone()), wakes, id, last: None }
    }

    /// Polls once.
    pub(crate) fn wait(&mut self, slot: &Slot, direction: Direction) -> Status {
        let status = match slot.status(direction) {
            Status::Pending => slot.wait(direction, self.id.as_mut(), &self.waker),
            status => status,
        };
        self.last = Some(status);
        status
    }

    /// Waits before the threads begin, with nothing to find yet.
    pub(crate) fn seated(mut self, slot: &Slot, direction: Direction) -> Self {
        assert_eq!(self.wait(slot, direction), Status::Pending);
        self
    }

    /// The future is dropped.
    pub(crate) fn leave(&self, slot: &Slot, queue: impl Into<Queue>) {
        slot.leave(queue.into(), self.id.expect("a future"));
    }

    /// Polls once on a thread of its own.
    pub(crate) fn wait_on_a_thread(
        mut self,
        slot: &Arc<Slot>,
        direction: Direction,
    ) -> JoinHandle<Task> {
        let slot = slot.clone();
        thread::spawn(move || {
            let _ = self.wait(&slot, direction);
            self
        })
    }

    /// Waits for an event after `before`, polled once on a thread of its own.
    pub(crate) fn wait_after_on_a_thread(
        mut self,
        slot: &Arc<Slot>,
        direction: Direction,
        before: State,
    ) -> JoinHandle<Task> {
        let slot = slot.clone();
        thread::spawn(move || {
            self.last = Some(slot.wait_after(direction, before, self.id.as_mut(), &self.waker));
            self
        })
    }

    pub(crate) fn was_woken(&self) -> bool {
        self.wakes.wakes() > 0
    }

    /// Whether it knows that there is something for it: its poll said so, or it was woken to ask again.
    pub(crate) fn is_served(&self) -> bool {
        self.last.is_some_and(|status| status != Status::Pending) || self.was_woken()
    }

    /// Whether the slot has kept no waker of it.
    pub(crate) fn is_forgotten(&self) -> bool {
        // Ours, and the one inside our own waker.
        Arc::strong_count(&self.wakes) == 2
    }
}

/// An event for the slot's present tenant.
pub(crate) fn deliver(slot: &Slot, seen: Ready) {
    assert!(slot.deliver(slot.generation(), seen, wake));
}

/// The reactor checks the slot's deadlines, and wakes.
pub(crate) fn check(slot: &Slot, now_ns: u64) -> Checked {
    slot.check_deadlines(now_ns, wake)
}

/// An object that owns a descriptor, of which the kernel of the models has one.
#[derive(Debug)]
pub(crate) struct Object(std::io::Stdin);

impl AsFd for Object {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

// SAFETY: the kernel of the models ends no descriptor of the process.
unsafe impl OwnsFd for Object {}

/// A registration with a reactor that makes no turn.
pub(crate) fn registered() -> Arc<Registration<Object>> {
    let registered = Registration::with(&Reactor::new(), Object(std::io::stdin()), Interest::Both);
    Arc::new(registered.unwrap())
}

/// A task that polls a future, and counts how often it is woken.
pub(crate) struct Polled<R> {
    future: Pin<Box<dyn Future<Output = R> + Send>>,
    wakes: Arc<CountingWaker>,
    waker: Waker,
    pub(crate) last: Poll<R>,
}

impl<R: Send + 'static> Polled<R> {
    pub(crate) fn new(future: impl Future<Output = R> + Send + 'static) -> Self {
        let wakes = CountingWaker::new();
        let waker = Waker::from(wakes.clone());
        Self { future: Box::pin(future), wakes, waker, last: Poll::Pending }
    }

    /// Polls, unless the future is done.
    pub(crate) fn poll(&mut self) -> &Poll<R> {
        if self.last.is_pending() {
            self.last = self.future.as_mut().poll(&mut Context::from_waker(&self.waker));
        }
        &self.last
    }

    /// Polls once on a thread of its own.
    pub(crate) fn poll_on_a_thread(mut self) -> JoinHandle<Self> {
        thread::spawn(move || {
            self.poll();
            self
        })
    }

    pub(crate) fn was_woken(&self) -> bool {
        self.wakes.wakes() > 0
    }

    /// Whether it knows that there is something for it: its poll said so, or it was woken to poll again.
    pub(crate) fn is_served(&self) -> bool {
        self.last.is_ready() || self.was_woken()
    }

    /// Whether the slot has kept no waker of it.
    pub(crate) fn is_forgotten(&self) -> bool {
        // Ours, and the one inside our own waker.
        Arc::strong_count(&self.wakes) == 2
    }
}
