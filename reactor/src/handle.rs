//! What its users hold of a reactor, and how one is made and ended.

use std::future::Future;
use std::io;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use once_cell::sync::OnceCell;

use crate::driver::Driver;
use crate::metrics::Metrics;
use crate::reactor::Shared;
use crate::sync::{Arc, Mutex, lock};
use crate::thread::spawn;
use crate::time::clock::Clock;

/// A handle on a reactor: it waits for descriptors and deadlines, and wakes the wakers of those who
/// wait for them.
///
/// Cloning is cheap. A reactor lives as long as any handle, registration or timer of it; then its
/// thread ends.
///
/// ```
/// use std::time::Duration;
/// use netpoll::Reactor;
///
/// // Without a thread: this thread turns it.
/// let reactor = Reactor::builder().thread(false).build()?;
/// reactor.turn(Some(Duration::ZERO))?;
/// assert_eq!(reactor.metrics().turns, 1);
/// # std::io::Result::Ok(())
/// ```
#[derive(Clone, Debug)]
pub struct Reactor(Arc<Owner>);

#[derive(Debug)]
struct Owner {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// What a reactor is to be like. See [`Reactor::builder`].
#[derive(Clone, Debug)]
pub struct Builder {
    thread: bool,
    manual_clock: bool,
}

static GLOBAL: OnceCell<Reactor> = OnceCell::new();

impl Reactor {
    /// The reactor of this process, made with its thread when it is first asked for.
    ///
    /// # Errors
    ///
    /// No descriptors or no thread to be had; the next call tries again. In a forked child, the
    /// handle is the parent's: what is done with it fails with [`ReactorGone`](crate::ReactorGone).
    pub fn global() -> io::Result<&'static Reactor> {
        GLOBAL.get_or_try_init(|| Reactor::builder().build())
    }

    /// Another reactor, with or without a thread of its own.
    #[must_use]
    pub fn builder() -> Builder {
        Builder { thread: true, manual_clock: false }
    }

    /// Turns the reactor once, on this thread: waits for events until the first deadline, at most
    /// for `timeout`, and wakes whom they concern. Zero only looks, `None` waits for ever.
    ///
    /// It returns after events, deadlines, [`notify`](Self::notify), a signal, the timeout, or for
    /// no reason at all: call it in a loop.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if somebody else is turning it: a thread that is in
    /// [`block_on`](Self::block_on), or, if nobody is, the reactor's own, where it has one.
    /// [`ReactorGone`](crate::ReactorGone) after a shutdown or in a forked child.
    pub fn turn(&self, timeout: Option<Duration>) -> io::Result<()> {
        // Before the lease: in a forked child, nobody is there to give it back.
        self.shared().check_usable()?;
        let message = "reactor: another thread is turning it";
        let mut turned = Err(io::Error::new(io::ErrorKind::WouldBlock, message));
        self.shared().lease.look(|| turned = self.shared().turn(timeout, None).map(drop));
        turned
    }

    /// Runs a future to its end on this thread, which turns the reactor itself while it has nothing
    /// else to do. See [`block_on`](crate::block_on).
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.driver().run(future)
    }

    /// A driver for this thread, if it runs an executor of its own. See [`Driver`].
    #[must_use]
    pub fn driver(&self) -> Driver {
        Driver::new(Some(self.0.shared.clone()))
    }

    /// Makes the [`turn`](Self::turn) in progress return, or the next one not wait.
    pub fn notify(&self) {
        self.shared().notify();
    }

    /// Ends the reactor: every operation of its sockets and timers fails with
    /// [`ReactorGone`](crate::ReactorGone), the pending ones are woken, and its thread is joined.
    ///
    /// The sockets' descriptors stay open until they are dropped or closed. Called by a waker on the
    /// reactor's own thread, it does not wait for that thread.
    pub fn shutdown(&self) {
        self.0.shutdown();
    }

    /// What it has done so far.
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        self.shared().metrics()
    }

    /// The time by which its deadlines are judged: [`Instant::now`], unless its clock is moved by
    /// hand.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.shared().now()
    }

    /// Moves the clock of a reactor that was built with [`Builder::manual_clock`], and makes the
    /// reactor look at its deadlines.
    ///
    /// # Panics
    ///
    /// If its clock is the system's.
    pub fn advance(&self, by: Duration) {
        assert!(self.shared().advance(by), "reactor: its clock is not moved by hand");
    }

    #[inline]
    pub(crate) fn shared(&self) -> &Shared {
        &self.0.shared
    }
}

impl Builder {
    /// Whether it has a thread that turns it; it does unless told otherwise.
    #[must_use]
    pub fn thread(mut self, thread: bool) -> Self {
        self.thread = thread;
        self
    }

    /// Its time stands still but for [`Reactor::advance`]. For tests of deadlines that neither wait
    /// nor flake.
    #[must_use]
    pub fn manual_clock(mut self) -> Self {
        self.manual_clock = true;
        self
    }

    /// Makes it.
    ///
    /// # Errors
    ///
    /// No descriptors (it needs three) or no thread to be had.
    pub fn build(self) -> io::Result<Reactor> {
        let clock = if self.manual_clock { Clock::by_hand() } else { Clock::monotonic() };
        let shared = Arc::new(Shared::new(clock, self.thread)?);
        let thread = self.thread.then(|| spawn(shared.clone())).transpose()?;
        Ok(Reactor(Arc::new(Owner { shared, thread: Mutex::new(thread) })))
    }
}

/// Runs a future to its end on this thread, which turns the [global reactor](Reactor::global) itself
/// while it has nothing else to do.
///
/// What then becomes ready for this thread's own future, a single one or an executor with all its
/// tasks, is there without a hop from another thread. Of several threads that do so, one turns and
/// the others sleep; and if the future keeps its thread for long, the reactor's own thread
/// takes over.
///
/// A future that wakes itself (an executor between two batches of its tasks) has the reactor looked at
/// each time, without waiting.
///
/// It may be called anywhere, within itself too. If there is no reactor to be had, it runs the future
/// all the same.
///
/// ```
/// use std::time::{Duration, Instant};
/// use netpoll::{Reactor, Timer};
///
/// let soon = Instant::now() + Duration::from_millis(5);
/// netpoll::block_on(Timer::at(Reactor::global()?, soon)?)?;
/// assert!(Instant::now() >= soon);
/// # std::io::Result::Ok(())
/// ```
///
/// With an executor, here that of smol:
///
/// ```
/// use async_executor::LocalExecutor;
///
/// let executor = LocalExecutor::new();
/// let task = executor.spawn(async { 1 + 2 });
/// assert_eq!(netpoll::block_on(executor.run(task)), 3);
/// ```
///
/// # Panics
///
/// If the future does.
pub fn block_on<F: Future>(future: F) -> F::Output {
    let reactor = Reactor::global().ok();
    Driver::new(reactor.map(|reactor| reactor.0.shared.clone())).run(future)
}

impl Owner {
    fn shutdown(&self) {
        let thread = lock(&self.thread).take();
        if !self.shared.is_ours() {
            // A forked child has the handle, but not the thread.
            return std::mem::forget(thread);
        }
        self.shared.evict_all();
        self.shared.notify();
        self.shared.lease.wake_thread();
        if let Some(thread) = thread.filter(|thread| thread.thread().id() != thread::current().id())
        {
            thread.join().expect("wakers that panic are caught, and nothing else panics there");
        }
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.shutdown();
    }
}
