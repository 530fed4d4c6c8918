//! The handle on a reactor, and its builder: a reactor is made and ended here.
#![allow(unsafe_code)] // The handle keeps the arena, by an unsafe trait.

use std::fmt;
use std::future::Future;
use std::io;
use std::num::NonZero;
use std::os::fd::{AsFd, BorrowedFd, RawFd};
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

use once_cell::race::OnceBox;

use crate::arena::{Arena, KeepsArena, OwnedSlot};
use crate::budget;
use crate::driver::Driver;
use crate::helper::{Affinity, fork_generation};
use crate::metrics::Metrics;
use crate::reactor::ReactorInner;
use crate::shards::{Member, Shards};
use crate::snapshot::Snapshot;
use crate::sync::{Arc, Mutex, lock};
use crate::thread::SchedPolicy;
use crate::time::clock::Clock;

/// A handle on a reactor, which waits for descriptors and deadlines, and wakes the tasks that wait for them.
///
/// Cloning is cheap. A reactor lives as long as any handle, registration or timer of it; then its
/// thread ends.
///
/// ```
/// use std::time::Duration;
/// use netpoll::Reactor;
///
/// // Without a thread: this thread makes the turns.
/// let reactor = Reactor::builder().embedded().build()?;
/// reactor.turn(Some(Duration::ZERO))?;
/// assert_eq!(reactor.metrics().turns, 1);
/// # std::io::Result::Ok(())
/// ```
#[derive(Clone)]
pub struct Reactor(Arc<Member>);

// SAFETY: the `Arc` keeps the reactor, which never replaces its arena, and no `&mut` to either is lent.
unsafe impl KeepsArena for Reactor {
    fn arena(&self) -> &Arena {
        self.inner().arena()
    }
}

/// The settings of a new reactor. See [`Reactor::builder`].
#[derive(Clone, Debug)]
pub struct Builder {
    thread: bool,
    sched_policy: SchedPolicy,
    affinity: Affinity,
    clock: ClockOf,
    reactors: NonZero<usize>,
}

#[derive(Clone, Copy, Debug)]
enum ClockOf {
    System,
    ByHand,
    Given(fn() -> Instant),
}

/// The number of processors for each reactor behind the global handle.
const PROCESSORS_PER_REACTOR: usize = 16;

/// Read and set without a lock: a forked child would wait for ever for a lock that another thread held.
static GLOBAL: OnceBox<Reactor> = OnceBox::new();

/// One thread makes the global reactor while the others wait for it.
static MAKING: Mutex<()> = Mutex::new(());

/// The global reactor, and whether it was made by this call.
fn get_or_make_global(
    make: impl FnOnce() -> io::Result<Reactor>,
) -> io::Result<(&'static Reactor, bool)> {
    // In a forked child, a thread that the child does not have may hold the lock. So two threads of the child may make a
    // reactor each, and the second reactor ends.
    let _alone = (fork_generation() == 0).then(|| lock(&MAKING));
    if let Some(global) = GLOBAL.get() {
        return Ok((global, false));
    }
    let made = make().map(|reactor| GLOBAL.set(Box::new(reactor)).is_ok());
    match (GLOBAL.get(), made) {
        (Some(global), made) => Ok((global, made.unwrap_or(false))),
        (None, made) => Err(made.expect_err("it was set")),
    }
}

impl Reactor {
    /// The reactor of this process. The first call makes it, with its thread. On machines of
    /// more than 16 processors it is [several](Builder::reactors), one for every 16.
    ///
    /// # Errors
    ///
    /// An [`OpError`](crate::OpError) if the system has no descriptors or no thread; the next call tries again. In a forked child the
    /// handle is the parent's, and its operations fail with [`ReactorGone`](crate::ReactorGone).
    pub fn global() -> io::Result<&'static Reactor> {
        if let Some(global) = GLOBAL.get() {
            return Ok(global);
        }
        let make = || {
            let processors = available_parallelism().map_or(1, NonZero::get);
            Reactor::builder().reactors(processors.div_ceil(PROCESSORS_PER_REACTOR)).build()
        };
        get_or_make_global(make).map(|(global, _)| global)
    }

    /// Another reactor, with or without a thread of its own.
    #[must_use]
    pub fn builder() -> Builder {
        Builder {
            thread: true,
            sched_policy: SchedPolicy::Batch,
            affinity: Affinity::Process,
            clock: ClockOf::System,
            reactors: NonZero::<usize>::MIN,
        }
    }

    /// Makes one turn of the reactor on this thread: waits for events until the first deadline, at most
    /// for `timeout`, and wakes the tasks that wait for them. With a timeout of zero it does not wait, with `None` it waits
    /// without limit.
    ///
    /// It returns after events, deadlines, [`notify`](Self::notify), a signal, the timeout, or for
    /// no reason: call it in a loop. A wait of more than 100 ms ends before its time, by a
    /// two-hundredth of it and by 100 ms at most, because the kernel ends a long sleep late; the next turn sleeps for
    /// the short rest. A shorter wait may end 100 microseconds before its time.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if another thread makes a turn: one that is in
    /// [`block_on`](Self::block_on), or the reactor's own.
    /// [`ReactorGone`](crate::ReactorGone) after a shutdown or in a forked child.
    pub fn turn(&self, timeout: Option<Duration>) -> io::Result<()> {
        // Before the lease: in a forked child, no thread would release it.
        self.inner().check_usable()?;
        budget::refill();
        self.inner().turn_if_free(timeout).unwrap_or_else(|| {
            let message = "reactor: another thread is turning it";
            Err(io::Error::new(io::ErrorKind::WouldBlock, message))
        })
    }

    /// Runs a future to its end on this thread, which turns the reactor itself while it has nothing
    /// else to do. See [`block_on`](crate::block_on).
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        let (_seat, shard) = self.0.shards.sit();
        Driver::new(Some(shard.clone())).run(future)
    }

    /// A driver for this thread, if it runs an executor of its own. See [`Driver`].
    #[must_use]
    pub fn driver(&self) -> Driver {
        Driver::new(Some(self.0.assign().inner.clone()))
    }

    /// Makes the [`turn`](Self::turn) in progress return, or the next one not wait.
    pub fn notify(&self) {
        self.0.shards.iter().for_each(|shard| shard.notify());
    }

    /// Ends the reactor: every operation of its sockets and timers fails with
    /// [`ReactorGone`](crate::ReactorGone), the pending ones are woken, and its thread ends. The call waits for the end
    /// of that thread, so the caller must not hold a lock that a waker takes. If several threads make the call at once,
    /// each waits. Dropping the last handle, socket or timer ends the reactor as well, and waits for nothing.
    ///
    /// The sockets' descriptors stay open until they are dropped or closed. Called by a waker on a
    /// reactor's own thread, of this reactor or another, it waits for no thread: two such threads could
    /// wait for each other. In a forked child it does nothing.
    pub fn shutdown(&self) {
        self.0.shards.shut_down();
    }

    /// [`shutdown`](Self::shutdown), after which [`ReactorGone`](crate::ReactorGone) displays `reason`: for the owner of an
    /// [embedded](Builder::embedded) reactor whose users know the end of its event loop by another text.
    ///
    /// Of several reasons, the first counts.
    ///
    /// ```
    /// let reactor = netpoll::Reactor::builder().embedded().build()?;
    /// reactor.shutdown_because("the loop has ended");
    /// reactor.shutdown_because("another reason");
    /// assert_eq!(reactor.check_usable().unwrap_err().to_string(), "the loop has ended");
    /// # std::io::Result::Ok(())
    /// ```
    pub fn shutdown_because(&self, reason: &'static str) {
        self.0.shards.iter().for_each(|shard| shard.set_reason(reason));
        self.shutdown();
    }

    /// When the descriptor of an [embedded](Builder::embedded) reactor becomes readable for a deadline: for loops
    /// that show or sort their timers. The present time if it is readable already or a turn is in progress. `None`
    /// without a deadline, and for a reactor that has a thread.
    ///
    /// A deadline that was cleared or moved later, or whose timer or socket was dropped, counts until its old time has passed.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        self.inner().next_deadline()
    }

    /// Whether the reactor was shut down, has failed, or belongs to the process that forked this one. Operations on
    /// its descriptors then fail with [`ReactorGone`](crate::ReactorGone).
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.check_usable().is_err()
    }

    /// Fails where [`is_gone`](Self::is_gone) is true.
    ///
    /// # Errors
    ///
    /// [`ReactorGone`](crate::ReactorGone).
    pub fn check_usable(&self) -> io::Result<()> {
        self.inner().check_usable()
    }

    /// The counts of the reactor so far, with names for Prometheus: see [`Metrics`]. In a forked child there are no registrations.
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        self.0.shards.iter().map(|shard| shard.metrics()).sum()
    }

    /// Lists every registration of the reactor: which task waits for which descriptor, in which direction and for how long.
    /// For debugging; [`debugging`](crate::debugging) shows how to read the table that it prints.
    ///
    /// It changes nothing and delays no operation: it takes the mutex of one slot at a time, for one load and the
    /// count of its waiters, and asks the kernel for kind and addresses under no lock. That takes about two microseconds for
    /// each registration. Each row is consistent; rows are read one after the other, while the program goes on.
    ///
    /// ```
    /// use netpoll::{Reactor, Registration};
    ///
    /// let (socket, _peer) = std::os::unix::net::UnixStream::pair()?;
    /// let socket = Registration::new(socket)?;
    /// let snapshot = Reactor::global()?.snapshot()?;
    /// assert_eq!(snapshot.rows().len(), 1);
    /// println!("{snapshot}");
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ReactorGone`](crate::ReactorGone) after a shutdown or in a forked child.
    pub fn snapshot(&self) -> io::Result<Snapshot> {
        self.check_usable()?;
        Ok(Snapshot::of(self.0.shards.iter().map(|shard| &**shard)))
    }

    /// The present time of its clock, by which deadlines expire: [`Instant::now`], unless the clock is
    /// [manual](Builder::manual_clock).
    #[must_use]
    pub fn now(&self) -> Instant {
        self.inner().now()
    }

    /// Moves the clock of a reactor that was built with [`Builder::manual_clock`], and makes the
    /// reactor check its deadlines. As on any clock, a deadline may fire up to a tick of the wheel
    /// (65.5 microseconds) after its time: move the clock that much further to be sure.
    ///
    /// # Panics
    ///
    /// If its clock is the system's.
    pub fn advance(&self, by: Duration) {
        let moved = self.0.shards.iter().filter(|shard| shard.advance(by)).count();
        assert!(moved > 0, "reactor: its clock is not moved by hand");
    }

    #[inline]
    pub(crate) fn inner(&self) -> &ReactorInner {
        &self.0.inner
    }

    /// A slot for a timer, in the shard where it belongs.
    pub(crate) fn allocate(&self) -> io::Result<OwnedSlot<Self>> {
        Self(self.0.assign()).allocate_here()
    }

    /// A slot for a descriptor, in the shard where it belongs.
    pub(crate) fn allocate_for_descriptor(&self, number: RawFd) -> io::Result<OwnedSlot<Self>> {
        Self(self.0.assign_descriptor(number)).allocate_here()
    }

    fn allocate_here(self) -> io::Result<OwnedSlot<Self>> {
        self.check_usable()?;
        Arena::allocate(self)
    }

    /// The descriptor is about to leave its shard, or its registration has failed.
    pub(crate) fn forget_descriptor(&self, number: RawFd) {
        self.0.shards.forget(number);
    }
}

/// The descriptor that an event loop watches to embed the reactor: see [`Builder::embedded`]. That of a reactor with a
/// thread tells a loop nothing, since the thread takes the events.
impl AsFd for Reactor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inner().as_fd()
    }
}

/// Prints the figures of [`metrics`](Reactor::metrics).
impl fmt::Debug for Reactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reactor").field("metrics", &self.metrics()).finish_non_exhaustive()
    }
}

impl Builder {
    /// The reactor has no thread of its own. An event loop makes its turns: it watches the reactor's descriptor, or
    /// calls [`Reactor::turn`] again and again.
    ///
    /// # The contract with the loop
    ///
    /// - The descriptor ([`AsFd`]) is readable when a turn has something to do: an event, a deadline that is due, a
    ///   call of [`Reactor::notify`] or [`Reactor::shutdown`]. Otherwise it is silent.
    /// - When it is readable, the loop calls `turn(Some(Duration::ZERO))`. The loop never reads from it.
    /// - Watching by level, by edge and once at a time all work. A turn takes at most 256 events; if there are more, the
    ///   descriptor stays readable, and makes a new edge. A loop that watches by edges, or remembers the readiness, forgets
    ///   it before the turn, not after it.
    /// - Any thread may register descriptors and set deadlines. A deadline that is earlier than those before
    ///   makes the descriptor readable once, so that the turn sets the alarm for it.
    /// - The turn wakes tasks on the thread of the loop. Their wakers may call anything, `turn` too.
    /// - `turn` fails with [`WouldBlock`](io::ErrorKind::WouldBlock) while another thread makes a turn; the loop ignores
    ///   that. It fails with [`ReactorGone`](crate::ReactorGone) after a shutdown; the loop then stops watching.
    /// - The handles and the registrations keep the descriptor open: the loop must stop watching before it drops the last.
    ///
    /// ```
    /// use std::os::fd::AsFd;
    /// use std::time::Duration;
    /// use netpoll::Reactor;
    ///
    /// let reactor = Reactor::builder().embedded().build()?;
    /// reactor.notify();
    /// // The simplest loop: `poll(2)`, here without a limit of time.
    /// let number = std::os::fd::AsRawFd::as_raw_fd(&reactor.as_fd());
    /// let mut watched = libc::pollfd { fd: number, events: libc::POLLIN, revents: 0 };
    /// // SAFETY: one structure, which outlives the call.
    /// assert_eq!(unsafe { libc::poll(&raw mut watched, 1, -1) }, 1);
    /// reactor.turn(Some(Duration::ZERO))?;
    /// # std::io::Result::Ok(())
    /// ```
    #[must_use]
    pub fn embedded(mut self) -> Self {
        self.thread = false;
        self
    }

    /// Whether the reactor's thread keeps the scheduling policy of the thread that builds it, by which it may preempt
    /// other threads. By default it does not: it is in `SCHED_BATCH` (`sched(7)`), and waits for a free processor.
    ///
    /// The default makes a busy server cheaper, since the thread does not preempt the executor that it has just woken,
    /// and costs nothing where a processor is free now and then. **Where other programs keep every
    /// processor busy, wake-ups are late**: measured on two processors with a busy loop on each, the median
    /// echo took 8 ms instead of 0.3 ms (at 2,000 a second) or 2.4 ms (at 20,000), for a third of the
    /// processor time. On such a machine pass `true` if latency matters. (Kernel 6.18; before EEVDF, in 6.6,
    /// the figures differ.)
    ///
    /// It does not concern threads that make turns themselves
    /// ([`block_on`](crate::block_on), [`Driver`]).
    #[must_use]
    pub fn preempting(mut self, preempting: bool) -> Self {
        self.sched_policy = if preempting { SchedPolicy::Inherit } else { SchedPolicy::Batch };
        self
    }

    /// Whether the reactor's thread runs on the processors of the thread that builds it, instead of those of the
    /// process.
    ///
    /// By default the reactor's thread takes the affinity of the process's first thread, so that a
    /// worker that is pinned to one busy processor, and happens to make the first socket, does not pin
    /// the reactor to it as well. To choose the processors, pin the thread that builds the reactor to
    /// them, and pass `true` here.
    #[must_use]
    pub fn inherit_affinity(mut self, inherit: bool) -> Self {
        self.affinity = if inherit { Affinity::Inherited } else { Affinity::Process };
        self
    }

    /// The reactor's time moves only by [`Reactor::advance`]. For tests of deadlines that neither wait
    /// nor flake.
    #[must_use]
    pub fn manual_clock(mut self) -> Self {
        self.clock = ClockOf::ByHand;
        self
    }

    /// The reactor reads the time from `now`: for a runtime with a clock of its own, such as one that stands still in
    /// tests. It must not go back.
    ///
    /// The reactor still sleeps by the system's clock. So the runtime asks for [`Reactor::next_deadline`] before it lets
    /// its clock leap, and makes a turn after the leap.
    #[must_use]
    pub fn clock(mut self, now: fn() -> Instant) -> Self {
        self.clock = ClockOf::Given(now);
        self
    }

    /// The number of reactors behind the handle, each with its own epoll and thread. By default one.
    /// Descriptors and timers are spread over them. A thread that is in
    /// [`block_on`](Reactor::block_on) drives one of them, and its registrations go there.
    ///
    /// For machines on which one thread in `epoll_wait` is not enough. Zero counts as one.
    ///
    /// Threads that share nothing scale further. Each of them makes an [embedded](Self::embedded) reactor, is in
    /// [`block_on`](Reactor::block_on) with an executor of its own, and accepts from a listener of its own (`SO_REUSEPORT`).
    /// Then no line of the cache that one thread writes is accessed by another while they serve
    /// (`cargo bench -p netpoll-tests -- sharing` in the repository).
    #[must_use]
    pub fn reactors(mut self, count: usize) -> Self {
        self.reactors = NonZero::new(count).unwrap_or(NonZero::<usize>::MIN);
        self
    }

    /// Makes the reactor.
    ///
    /// # Errors
    ///
    /// An [`OpError`](crate::OpError) if the system has no descriptors (each reactor needs three, and an embedded one four) or no thread.
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) for several reactors that are embedded.
    pub fn build(self) -> io::Result<Reactor> {
        let clock = match self.clock {
            ClockOf::System => Clock::monotonic(),
            ClockOf::ByHand => Clock::by_hand(),
            ClockOf::Given(now) => Clock::given(now),
        };
        let count = self.reactors.get();
        if count > 1 && !self.thread {
            let message = "reactor: several reactors need threads to turn them";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        let thread = self.thread.then_some((self.sched_policy, self.affinity));
        Ok(Reactor(Shards::new(count, &clock, thread)?.member(0)))
    }

    /// Makes the reactor the [global](Reactor::global) one. For programs that need other settings than the
    /// default; call it before the first socket.
    ///
    /// # Errors
    ///
    /// Those of [`build`](Self::build), and [`AlreadyExists`](io::ErrorKind::AlreadyExists) if there is a
    /// global one.
    pub fn build_global(self) -> io::Result<&'static Reactor> {
        let (global, built) = get_or_make_global(|| self.build())?;
        let message = "reactor: a global reactor exists already";
        built.then_some(global).ok_or_else(|| io::Error::new(io::ErrorKind::AlreadyExists, message))
    }
}

/// Runs a future to its end on this thread, which makes turns of the [global reactor](Reactor::global)
/// while the future is pending.
///
/// So an event for this thread's own future, a single one or an executor with all its
/// tasks, needs no switch from another thread. Of several such threads, one makes turns and
/// the others sleep. If the future keeps its thread for long, the reactor's own thread
/// takes over.
///
/// When a future wakes itself (an executor between two batches of its tasks), the thread makes a turn
/// without waiting.
///
/// It may be called anywhere, within itself and in a waker too. (A waker that a turn of the reactor has woken
/// runs on the thread that makes the turn: the call makes further turns itself.) If no reactor can be made,
/// it runs the future without one.
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
    match Reactor::global() {
        Ok(reactor) => reactor.block_on(future),
        Err(_) => Driver::new(None).run(future),
    }
}
