//! The cost of a timer beside the timers of the peers, in one run: to add one, to move it, to drop it, and to fire it; its
//! memory, and the memory that stays when all are gone.
//!
//! Each contestant has its timers pinned in boxes, as tasks have them, and each timer is polled once after it is made:
//! then its library knows a waker. The contestants take turns. The measure is the processor time of the process, since
//! async-io drives timers on a thread of its own too.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use indicatif::ProgressBar;
use netpoll::{Reactor, Timer};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use crate::args::Args;
use crate::measure::epoll::BareEpoll;
use crate::measure::stats::Sample;
use crate::measure::sys::{heap_bytes, processor_time};
use crate::measure::table::Table;

/// Timers that are not to fire are set to times after this.
const FAR: Duration = Duration::from_secs(30);

/// All timers of a round that fires them have one deadline, this long after the first is set: more than it takes to set them.
fn soon(count: usize) -> Duration {
    Duration::from_millis(200) + count as u32 * Duration::from_micros(4)
}

/// The timers of one library, and the thread's way to drive them.
trait Library {
    type Timer: Future;
    fn new() -> Self;
    fn at(&self, instant: Instant) -> Self::Timer;
    fn set(&self, timer: Pin<&mut Self::Timer>, instant: Instant);
    /// Drives all timers of the library until the time has come.
    fn drive_until(&self, instant: Instant);
}

/// The second watches the first, as an event loop does.
struct Netpoll(Reactor, RefCell<BareEpoll>);

impl Library for Netpoll {
    type Timer = Timer;

    fn new() -> Self {
        let reactor = Reactor::builder().embedded().build().expect("a reactor");
        let watching = BareEpoll::new().expect("an epoll instance");
        watching.add(&reactor, 0).expect("a loop can watch it");
        Self(reactor, RefCell::new(watching))
    }

    fn at(&self, instant: Instant) -> Timer {
        Timer::at(&self.0, instant).expect("a timer")
    }

    fn set(&self, timer: Pin<&mut Timer>, instant: Instant) {
        timer.as_ref().get_ref().set(Some(instant));
    }

    fn drive_until(&self, instant: Instant) {
        while let Some(left) = instant.checked_duration_since(Instant::now()) {
            self.0.turn(Some(left)).expect("a turn");
        }
        // A turn takes a part of many timers.
        while self.1.borrow_mut().wait(0).expect("it is watched").count() > 0 {
            self.0.turn(Some(Duration::ZERO)).expect("a turn");
        }
    }
}

struct Tokio(tokio::runtime::Runtime);

impl Library for Tokio {
    type Timer = tokio::time::Sleep;

    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        Self(runtime.expect("a runtime"))
    }

    fn at(&self, instant: Instant) -> tokio::time::Sleep {
        let _inside = self.0.enter();
        tokio::time::sleep_until(instant.into())
    }

    fn set(&self, timer: Pin<&mut tokio::time::Sleep>, instant: Instant) {
        timer.reset(instant.into());
    }

    fn drive_until(&self, instant: Instant) {
        self.0.block_on(async { tokio::time::sleep_until(instant.into()).await });
    }
}

struct AsyncIo;

impl Library for AsyncIo {
    type Timer = async_io::Timer;

    fn new() -> Self {
        Self
    }

    fn at(&self, instant: Instant) -> async_io::Timer {
        async_io::Timer::at(instant)
    }

    fn set(&self, mut timer: Pin<&mut async_io::Timer>, instant: Instant) {
        timer.set_at(instant);
    }

    fn drive_until(&self, instant: Instant) {
        async_io::block_on(async_io::Timer::at(instant));
    }
}

/// Nanoseconds of processor time for each timer, round after round.
#[derive(Default)]
struct Cost {
    add: Vec<f64>,
    move_later: Vec<f64>,
    remove: Vec<f64>,
    fire: Vec<f64>,
    /// On the heap in the first round.
    bytes: f64,
    /// Those that stay there when all timers have fired and are dropped.
    bytes_left: f64,
}

pub(crate) fn run(args: &Args) {
    let (timers, rounds) = (args.number("--timers", 20_000), args.number("--rounds", 15));
    let mut costs = [Cost::default(), Cost::default(), Cost::default()];
    let (netpoll, tokio, async_io) = (Netpoll::new(), Tokio::new(), AsyncIo);
    let progress = ProgressBar::new(rounds as u64);
    for _ in 0..rounds {
        round(&netpoll, timers, &mut costs[0]);
        round(&tokio, timers, &mut costs[1]);
        round(&async_io, timers, &mut costs[2]);
        progress.inc(1);
    }
    progress.finish_and_clear();
    println!(
        "Nanoseconds of processor time for each of {timers} timers, its bytes, and those that stay. Median of {rounds} rounds.\n"
    );
    let head = ["", "add", "move later", "drop", "fire", "bytes", "bytes left"];
    let mut table = Table::new(&head);
    for (name, cost) in ["netpoll", "tokio", "async-io"].into_iter().zip(costs) {
        let mut row = vec![name.to_owned()];
        let columns = [cost.add, cost.move_later, cost.remove, cost.fire];
        row.extend(columns.map(|times| format!("{:.0}", Sample::new(times).median())));
        row.extend([cost.bytes, cost.bytes_left].map(|bytes| format!("{bytes:.0}")));
        table.row(row);
    }
    table.print();
}

/// Adds, moves, drops and fires so many timers.
fn round<L: Library>(library: &L, count: usize, cost: &mut Cost) {
    let mut random = SmallRng::seed_from_u64(7);
    let start = Instant::now() + FAR;
    let mut within = || start + random.random_range(Duration::ZERO..FAR);
    let (sooner, later): (Vec<_>, Vec<_>) = (0..count).map(|_| (within(), within() + FAR)).unzip();
    let mut timers = Vec::with_capacity(count);
    let before = heap_bytes();
    cost.add.push(each(count, || {
        timers.extend(sooner.iter().map(|at| made(library, *at)));
        // netpoll files new timers in a turn.
        library.drive_until(Instant::now());
    }));
    if cost.add.len() == 1 {
        cost.bytes = (heap_bytes() as f64 - before as f64) / count as f64;
    }
    cost.move_later.push(each(count, || {
        for (timer, at) in timers.iter_mut().zip(&later) {
            library.set(timer.as_mut(), *at);
        }
    }));
    cost.remove.push(each(count, || timers.clear()));
    let soon = Instant::now() + soon(count);
    timers.extend((0..count).map(|_| made(library, soon)));
    // The first turn takes the new deadlines. It is not part of the firing.
    library.drive_until(Instant::now());
    assert!(Instant::now() < soon, "{count} timers are made in time");
    cost.fire.push(each(count, || library.drive_until(soon + Duration::from_millis(2))));
    assert!(timers.iter_mut().all(|timer| poll(timer.as_mut()).is_ready()), "each has fired");
    timers.clear();
    if cost.add.len() == 1 {
        cost.bytes_left = (heap_bytes() as f64 - before as f64) / count as f64;
    }
}

fn made<L: Library>(library: &L, at: Instant) -> Pin<Box<L::Timer>> {
    let mut timer = Box::pin(library.at(at));
    assert!(poll(timer.as_mut()).is_pending());
    timer
}

fn poll<F: Future>(timer: Pin<&mut F>) -> Poll<F::Output> {
    // No budget puts a poll off.
    netpoll::refill_budget_if(|| true);
    timer.poll(&mut Context::from_waker(Waker::noop()))
}

/// The processor time of this process for each timer.
fn each(count: usize, work: impl FnOnce()) -> f64 {
    let time = || processor_time(std::process::id()).expect("an account of this process");
    let began = time();
    work();
    (time() - began).as_nanos() as f64 / count as f64
}
