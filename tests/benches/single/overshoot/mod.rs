//! How late a deadline is noticed by the task that waits for it.

mod contestants;
mod histogram;
mod load;
mod metronome;

use std::cell::RefCell;
use std::thread;
use std::time::{Duration, Instant};

use futures::StreamExt;

use crate::args::Args;
use crate::measure::stats::Sample;
use crate::measure::table::Table;
use contestants::CONTESTANTS;
use load::Load;

const DELAYS: [Duration; 4] = [
    Duration::from_micros(100),
    Duration::from_millis(1),
    Duration::from_millis(10),
    Duration::from_millis(100),
];

/// The contestants take turns: other work of the machine disturbs all of them alike.
const ROUNDS: usize = 5;

pub(crate) fn run(args: &Args) {
    let firings = args.number("--firings", 1000).div_ceil(ROUNDS);
    let interval = Duration::from_micros(args.number("--every", 500) as u64);
    let load = args.flag("--load").then(|| Load::start(processors()));
    let mut early = 0;
    for delay in DELAYS {
        let round = Round { delay, firings, interval };
        print_heading(&round, load.is_some());
        early += print(&measure(&round));
    }
    drop(load);
    assert!(early == 0, "{early} were early");
}

fn processors() -> usize {
    thread::available_parallelism().map_or(1, Into::into)
}

/// The work of each contestant in its turn.
struct Round {
    delay: Duration,
    firings: usize,
    /// The mean time between two that are due.
    interval: Duration,
}

impl Round {
    /// How many wait at once, on average.
    fn in_flight(&self) -> f64 {
        self.delay.as_secs_f64() / self.interval.as_secs_f64()
    }

    /// Plays it on one executor: how many microseconds after its time each wait was over.
    async fn play<W: AsyncFnMut(Instant)>(&self, waiter: impl Fn() -> W) -> Vec<f64> {
        // Made before the clock runs, half more of them than are needed on average.
        let enough = self.in_flight() * 1.5 + 8.0;
        let idle = RefCell::new((0..enough as usize).map(|_| waiter()).collect::<Vec<_>>());
        let late = RefCell::new(Vec::with_capacity(self.firings));
        let ticks = metronome::ticks(self.firings, self.interval);
        let fire = async |()| {
            let free = idle.borrow_mut().pop();
            let mut wait = free.unwrap_or_else(&waiter);
            let at = Instant::now() + self.delay;
            wait(at).await;
            late.borrow_mut().push(microseconds_after(at));
            idle.borrow_mut().push(wait);
        };
        ticks.for_each_concurrent(None, fire).await;
        late.into_inner()
    }
}

/// Less than zero if it has not come yet.
fn microseconds_after(at: Instant) -> f64 {
    let now = Instant::now();
    let late = now.saturating_duration_since(at).as_secs_f64();
    let early = at.saturating_duration_since(now).as_secs_f64();
    (late - early) * 1e6
}

fn measure(round: &Round) -> Vec<(&'static str, Sample)> {
    let mut late = CONTESTANTS.map(|_| Vec::new());
    for number in 1..=ROUNDS {
        eprint!("{:?}, round {number} of {ROUNDS}:", round.delay);
        for ((name, contestant), late) in CONTESTANTS.iter().zip(&mut late) {
            eprint!(" {name};");
            late.extend(contestant(round));
        }
        eprintln!();
    }
    CONTESTANTS.iter().zip(late).map(|((name, _), late)| (*name, Sample::new(late))).collect()
}

fn print_heading(round: &Round, loaded: bool) {
    let Round { delay, firings, interval } = round;
    let load = if loaded { processors() } else { 0 };
    println!("Deadlines of {delay:?}: microseconds late, beside {load} threads that compute.");
    println!(
        "{ROUNDS} rounds of {firings} each. One executor sets them at random, one in {interval:?}; \
         {:.1} are in flight.",
        round.in_flight()
    );
    println!();
}

/// Prints how late they were, and returns how many were early.
fn print(samples: &[(&str, Sample)]) -> usize {
    let mut table = Table::new(&["", "least", "p50", "p90", "p99", "p99.9", "most", "early ones"]);
    let mut all_early = 0;
    for (name, sample) in samples {
        let early = sample.count_within(f64::MIN, 0.0);
        let quantiles = [0.0, 0.5, 0.9, 0.99, 0.999, 1.0].map(|share| sample.quantile(share));
        let mut row = vec![(*name).to_owned()];
        row.extend(quantiles.map(|late| format!("{late:.0}")));
        row.push(early.to_string());
        table.row(row);
        all_early += early;
    }
    table.print();
    histogram::print(samples);
    all_early
}
