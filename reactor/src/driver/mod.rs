//! Threads that make turns of the reactor while they are idle: threads in
//! [`block_on`](crate::block_on), and those of executors that have a [`Driver`].

mod driver_wake;

use std::fmt;
use std::future::Future;
use std::mem::replace;
use std::pin::pin;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use crate::budget;
use crate::lease::Turn;
use crate::parker::{Parker, Woken};
use crate::reactor::ReactorInner;
use crate::sync::Arc;

pub use driver_wake::DriverWake;

/// Drives the reactor on an executor's thread while the executor has no task to run.
///
/// Without a driver, every wake-up comes from the reactor's own thread, and costs a switch to it and one
/// back. With a driver, the executor's thread itself waits in epoll, and runs the tasks that it has woken. Go's
/// scheduler does the same.
///
/// An executor that is a future needs only [`block_on`](crate::block_on). For others:
///
/// ```
/// use std::cell::Cell;
/// use std::rc::Rc;
/// use std::time::{Duration, Instant};
/// use futures::executor::LocalPool;
/// use futures::task::LocalSpawnExt;
/// use netpoll::{Reactor, Timer};
///
/// let reactor = Reactor::global()?;
/// let mut driver = reactor.driver();
/// let mut pool = LocalPool::new();
///
/// let done = Rc::new(Cell::new(false));
/// let timer = Timer::at(reactor, Instant::now() + Duration::from_millis(5))?;
/// let finish = done.clone();
/// let task = async move { finish.set(timer.await.is_ok()) };
/// // The pool does not lend its waker, so each of its tasks wakes the driver along with itself.
/// pool.spawner().spawn_local(driver.wrap(task)).unwrap();
///
/// loop {
///     pool.run_until_stalled();
///     if done.get() {
///         break;
///     }
///     driver.park();
/// }
/// # std::io::Result::Ok(())
/// ```
///
/// It belongs to one thread at a time; it may be sent to another.
pub struct Driver {
    thread: Arc<Thread>,
    waited: bool,
}

/// The thread of a driver, as its wakers see it.
struct Thread {
    parker: Arc<Parker>,
    /// `None` if no reactor could be made: the thread then only sleeps.
    reactor: Option<Arc<ReactorInner>>,
}

impl Driver {
    /// In a forked child, and after a shutdown, it drives nothing.
    pub(crate) fn new(reactor: Option<Arc<ReactorInner>>) -> Self {
        let reactor = reactor.filter(|reactor| reactor.check_usable().is_ok());
        if let Some(reactor) = &reactor {
            reactor.lease.register();
        }
        Self {
            thread: Arc::new(Thread { parker: Arc::new(Parker::new()), reactor }),
            waited: false,
        }
    }

    /// A waker that ends [`park`](Self::park), or makes the next one return at once. Any thread may
    /// wake it, and it may outlive the driver.
    #[must_use]
    pub fn waker(&self) -> Waker {
        Waker::from(self.thread.clone())
    }

    /// Waits until the [`waker`](Self::waker) is woken, and makes turns of the reactor meanwhile, if no other
    /// thread does.
    ///
    /// It also returns after a turn that woke a task, or for no reason: call it in a loop,
    /// whenever there is no task to run. After a shutdown of the reactor, or in a forked child, it only
    /// waits.
    ///
    /// Each wake-up of a task of this thread must also wake the driver, through the task's own waker or by
    /// [`wrap`](Self::wrap): another thread may wake the task, the reactor's for instance.
    pub fn park(&mut self) {
        self.wait(|turn| turn != Turn::Idle);
    }

    /// Makes one turn without waiting, unless another thread makes one.
    ///
    /// For an executor that always has a task to run: this call wakes the tasks that wait for a descriptor or a time.
    /// Otherwise the reactor's own thread wakes them, within 12 ms where a processor is free. Call it every
    /// 64 tasks or so.
    pub fn poll_now(&mut self) {
        if let Some(reactor) = self.thread.usable_reactor() {
            reactor.lease.turn_once(|| reactor.turn_or_end(Some(Duration::ZERO), None));
        }
    }

    /// A future that wakes this driver whenever its task is woken: for executors that cannot wake the driver
    /// themselves.
    pub fn wrap<F: Future>(&self, future: F) -> DriverWake<F> {
        DriverWake::new(future, self.waker())
    }

    /// Runs a future to its end. See [`block_on`](crate::block_on).
    pub(crate) fn run<F: Future>(mut self, future: F) -> F::Output {
        let mut future = pin!(future);
        let waker = self.waker();
        let mut cx = Context::from_waker(&waker);
        loop {
            if let Poll::Ready(output) = future.as_mut().poll(&mut cx) {
                return output;
            }
            self.wait_to_be_woken();
        }
    }

    fn wait_to_be_woken(&mut self) {
        if self.thread.parker.is_notified() {
            self.thread.parker.end();
            return self.poll_now();
        }
        while !self.wait(|_| false) {}
    }

    /// Waits until its waker is woken, a turn `stops` it, or the reactor is gone. True if the waker was woken. It may
    /// also return false for no reason.
    fn wait(&mut self, stops: impl Fn(Turn) -> bool) -> bool {
        budget::refill();
        let wants = replace(&mut self.waited, true);
        let parker = &self.thread.parker;
        let Some(reactor) = self.thread.usable_reactor() else {
            return parker.wait(Parker::sleep);
        };
        let turn = || reactor.turn_or_end(None, Some(parker));
        reactor.lease.wait(parker, wants, turn, stops)
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // In a forked child, a thread of the parent may hold the locks of this copy.
        if let Some(reactor) = self.thread.reactor.as_ref().filter(|reactor| reactor.is_ours()) {
            reactor.lease.unregister();
        }
    }
}

/// Prints whether it has a reactor to drive.
impl fmt::Debug for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let has_reactor = self.thread.reactor.is_some();
        f.debug_struct("Driver").field("has_reactor", &has_reactor).finish_non_exhaustive()
    }
}

impl Thread {
    fn usable_reactor(&self) -> Option<&ReactorInner> {
        self.reactor.as_deref().filter(|reactor| reactor.check_usable().is_ok())
    }
}

impl Wake for Thread {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if let (Woken::Driving, Some(reactor)) = (self.parker.wake(), &self.reactor) {
            reactor.wake_if_asleep();
        }
    }
}
