//! An executor of a few lines: with it, an echo costs little besides netpoll.
//!
//! Its tasks are never moved, and their numbers are not used again. A task's waker puts the number into the queue, once, and wakes
//! the driver.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::mem::take;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use netpoll::Reactor;

/// The tasks that were spawned and have not run yet.
#[derive(Clone, Default)]
pub(super) struct Spawned(Rc<RefCell<Vec<Task>>>);

type Task = Pin<Box<dyn Future<Output = ()>>>;

/// The tasks to run, by their numbers, and the driver of the thread that runs them.
struct Queue {
    numbers: Mutex<VecDeque<usize>>,
    driver: Waker,
}

struct TaskWaker {
    number: usize,
    is_queued: AtomicBool,
    queue: Arc<Queue>,
}

impl Spawned {
    /// The task runs when the calling task has to wait.
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + 'static) {
        self.0.borrow_mut().push(Box::pin(task));
    }
}

impl Queue {
    fn swap(&self, numbers: &mut VecDeque<usize>) {
        std::mem::swap(&mut *self.numbers.lock().unwrap_or_else(PoisonError::into_inner), numbers);
    }
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.is_queued.swap(true, Ordering::AcqRel) {
            let Queue { numbers, driver } = &*self.queue;
            numbers.lock().unwrap_or_else(PoisonError::into_inner).push_back(self.number);
            driver.wake_by_ref();
        }
    }
}

/// Runs a task and those that it spawns, until it ends.
pub(super) fn run<F>(first: impl FnOnce(Spawned) -> F) -> io::Result<()>
where
    F: Future<Output = io::Result<()>> + 'static,
{
    let mut driver = Reactor::global()?.driver();
    let queue = Arc::new(Queue { numbers: Mutex::default(), driver: driver.waker() });
    let spawned = Spawned::default();
    let ended = Rc::new(RefCell::new(None));
    let (task, end) = (first(spawned.clone()), ended.clone());
    spawned.spawn(async move { *end.borrow_mut() = Some(task.await) });
    let mut tasks: Vec<(Option<Task>, Arc<TaskWaker>, Waker)> = Vec::new();
    let mut batch = VecDeque::new();
    loop {
        for task in take(&mut *spawned.0.borrow_mut()) {
            let (number, is_queued) = (tasks.len(), AtomicBool::new(false));
            let waker = Arc::new(TaskWaker { number, is_queued, queue: queue.clone() });
            waker.wake_by_ref();
            tasks.push((Some(task), waker.clone(), Waker::from(waker)));
        }
        queue.swap(&mut batch);
        for number in batch.drain(..) {
            let (task, of_task, waker) = &mut tasks[number];
            of_task.is_queued.store(false, Ordering::Release);
            let mut cx = Context::from_waker(waker);
            if task.as_mut().is_some_and(|task| task.as_mut().poll(&mut cx) == Poll::Ready(())) {
                *task = None;
            }
        }
        if let Some(ended) = ended.borrow_mut().take() {
            return ended;
        }
        if spawned.0.borrow().is_empty() {
            driver.park();
        }
    }
}
