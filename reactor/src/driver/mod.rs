//! Threads that turn the reactor while they have nothing else to do: those in
//! [`block_on`](crate::block_on), and those of executors that have a [`Driver`].

mod relay;

use std::fmt;
use std::future::Future;
use std::mem::replace;
use std::pin::pin;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use crate::budget;
use crate::lease::Turn;
use crate::parker::{Parker, Woken};
use crate::reactor::Shared;
use crate::sync::Arc;

pub use relay::Relay;

/// What makes a thread drive the reactor: for an executor's thread, while it has nothing to do.
///
/// Without one, every wake-up comes from the reactor's own thread, and costs a switch to it and one
/// back. With one, the thread itself waits in epoll, and what it wakes there it runs next. Go's
/// scheduler does the same.
///
/// For an executor that is a future, [`block_on`](crate::block_on) is all there is to it. For others:
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
/// // The pool keeps its waker to itself, so each of its tasks wakes the driver along with itself.
/// pool.spawner().spawn_local(driver.relay(task)).unwrap();
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
/// It is the thread's: to send it elsewhere is allowed, to use it from two is not.
pub struct Driver {
    thread: Arc<Thread>,
    waited: bool,
}

/// The thread of a driver, for whoever wakes it.
struct Thread {
    parker: Arc<Parker>,
    /// `None` if there was no reactor to be had: it sleeps, then.
    reactor: Option<Arc<Shared>>,
}

impl Driver {
    /// In a forked child, and after a shutdown, it drives nothing.
    pub(crate) fn new(reactor: Option<Arc<Shared>>) -> Self {
        let reactor = reactor.filter(|reactor| reactor.check_usable().is_ok());
        if let Some(reactor) = &reactor {
            reactor.lease.join();
        }
        Self {
            thread: Arc::new(Thread { parker: Arc::new(Parker::new()), reactor }),
            waited: false,
        }
    }

    /// Wakes the thread from [`park`](Self::park), or makes the next one return at once. It may be
    /// woken from any thread, and outlive the driver.
    #[must_use]
    pub fn waker(&self) -> Waker {
        Waker::from(self.thread.clone())
    }

    /// Waits until the [`waker`](Self::waker) is woken, and turns the reactor meanwhile, if no other
    /// thread does.
    ///
    /// It also returns after a turn that woke anybody, or for no reason at all: call it in a loop,
    /// whenever there is nothing to run. After a shutdown of the reactor, or in a forked child, it only
    /// waits.
    ///
    /// Every task of this thread must wake the driver, by its own waker or by [`relay`](Self::relay):
    /// what wakes the task may be another thread, and the reactor's is one.
    pub fn park(&mut self) {
        self.wait(|turn| turn != Turn::Idle);
    }

    /// Delivers what is ready, without waiting; nothing if another thread is about to.
    ///
    /// For an executor that always has something to run: tasks that wait for a descriptor or a time
    /// learn of it by this, or from the reactor's own thread, but from that only after up to 8 ms. Every
    /// 64 tasks or so is a good measure.
    pub fn look(&mut self) {
        if let Some(reactor) = self.thread.usable_reactor() {
            reactor.lease.look(|| {
                let _ = reactor.turn_or_end(Some(Duration::ZERO), None);
            });
        }
    }

    /// A future that wakes this driver whenever its task is woken: for the tasks of executors that do
    /// not let the driver's waker be theirs.
    pub fn relay<F: Future>(&self, future: F) -> Relay<F> {
        Relay::new(future, self.waker())
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
            return self.look();
        }
        while !self.wait(|turn| turn == Turn::Gone) {}
    }

    /// Waits to be woken, or for a turn that `stops` it. True if it was woken; false for that or no reason.
    fn wait(&mut self, stops: impl Fn(Turn) -> bool) -> bool {
        budget::refill();
        let wants = replace(&mut self.waited, true);
        let parker = &self.thread.parker;
        let Some(reactor) = self.thread.usable_reactor() else {
            return parker.wait();
        };
        let turn = || match reactor.turn_or_end(None, Some(parker)) {
            Some(0) => Turn::Idle,
            Some(_) => Turn::Woke,
            None => Turn::Gone,
        };
        reactor.lease.wait(parker, wants, turn, stops)
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // A forked child has a copy, whose locks may be held by nobody.
        if let Some(reactor) = self.thread.reactor.as_ref().filter(|reactor| reactor.is_ours()) {
            reactor.lease.resign();
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
    fn usable_reactor(&self) -> Option<&Shared> {
        self.reactor.as_deref().filter(|reactor| reactor.check_usable().is_ok())
    }
}

impl Wake for Thread {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if let (Woken::Driving, Some(reactor)) = (self.parker.wake(), &self.reactor) {
            reactor.rouse();
        }
    }
}
