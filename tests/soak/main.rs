//! The soak: a random walk over the whole interface, checked against a plain model of the events that must have
//! happened.
//!
//! One thread decides which step comes next, by a seed; operations are under way on several executors
//! and reactors at once. The walk waits for each operation that must end, and its result must be one that the model
//! admits. Now and then everything is dropped, and descriptors, threads and slots must be as before.
//!
//! ```text
//! cargo test -p netpoll-tests --test soak                                          a short one
//! cargo test --release -p netpoll-tests --test soak -- --steps 1000000 --table     a million steps
//! cargo test -p netpoll-tests --test soak -- --seed 7 --steps 1234                 again, up to a step
//! ```
//!
//! The same seed makes the same choices. How much the kernel takes at once, and which of two things
//! that happen at the same time is noticed first, may differ from run to run.
#![cfg(not(netpoll_loom))]

mod arguments;
mod census;
mod others;
mod pattern;
mod required;
mod stage;
mod stream;
mod tally;
mod trail;
mod walk;

use std::io::{IsTerminal, stderr};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{ExitCode, exit};
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use arguments::Arguments;
use required::REQUIRED;
use trail::Trail;
use walk::{Report, Walk};

fn main() -> ExitCode {
    let arguments = Arguments::read();
    if arguments.only_lists {
        println!("soak: test");
        return ExitCode::SUCCESS;
    }
    if arguments.is_filtered_out {
        return ExitCode::SUCCESS;
    }
    let Arguments { seed, steps, .. } = arguments;
    println!("soak: {steps} steps, seed {seed}");
    let (trail, began) = (Arc::new(Trail::default()), Instant::now());
    let watchdog = watch(trail.clone(), seed, steps);
    let walked = catch_unwind(AssertUnwindSafe(|| Walk::new(seed, trail.clone()).walk(steps)));
    drop(watchdog);
    let Ok(report) = walked else {
        tell_failure(&trail, seed, "fails");
        return ExitCode::FAILURE;
    };
    if arguments.table {
        println!("{}", report.tally.table());
    }
    judge(&report, steps, began.elapsed())
}

/// Whether the walk has met the required states, and has left no memory behind.
fn judge(report: &Report, steps: u64, took: Duration) -> ExitCode {
    let missing = report.tally.missing(steps, REQUIRED);
    missing.iter().for_each(|row| println!("soak: too seldom: {row}"));
    let (half, end) = (report.resident[report.resident.len() / 2], report.resident.last().copied());
    let grown = end.unwrap_or(half).saturating_sub(half);
    println!("soak: resident {:?} kB, {grown} more in the second half", report.resident);
    let per_step = took.as_secs_f64() * 1e6 / steps as f64;
    println!("soak: {steps} steps in {:.1} s, {per_step:.1} us each", took.as_secs_f64());
    let leaks = grown > MOST_GROWTH;
    match missing.is_empty() && !leaks {
        true => {
            println!("test soak ... ok");
            ExitCode::SUCCESS
        }
        false => {
            println!("test soak ... FAILED");
            ExitCode::FAILURE
        }
    }
}

/// The growth of allocators and tables that is allowed in the second half of a walk, in kilobytes.
const MOST_GROWTH: u64 = 2048;

fn tell_failure(trail: &Trail, seed: u64, how: &str) {
    let step = trail.at();
    println!("the last steps:\n{}{}", trail.tell(), trail.tell_wait());
    println!("soak: {how} at step {step}; again: --seed {seed} --steps {step}");
    println!("test soak ... FAILED");
}

/// How long a step may take before it is said to hang.
fn patience() -> Duration {
    let told = std::env::var("NETPOLL_TEST_PATIENCE").ok();
    Duration::from_secs(told.and_then(|told| told.parse().ok()).unwrap_or(60))
}

/// Shows how far the walk has come, and names the step that does not end. It ends with the returned
/// value.
fn watch(trail: Arc<Trail>, seed: u64, steps: u64) -> Watchdog {
    let (stop, stopped) = channel::<()>();
    let bar = bar(steps);
    let thread = thread::Builder::new().name("watchdog".into()).spawn(move || {
        let (mut at, mut since) = (0, Instant::now());
        while stopped.recv_timeout(Duration::from_millis(100)) == Err(RecvTimeoutError::Timeout) {
            bar.set_position(trail.at());
            if trail.at() != at {
                (at, since) = (trail.at(), Instant::now());
            } else if since.elapsed() > patience() {
                tell_failure(&trail, seed, "hangs");
                exit(1);
            }
        }
        bar.finish_and_clear();
    });
    Watchdog { stop: Some(stop), thread: Some(thread.expect("a thread")) }
}

/// Only on a terminal.
fn bar(steps: u64) -> ProgressBar {
    let target = match stderr().is_terminal() {
        true => ProgressDrawTarget::stderr(),
        false => ProgressDrawTarget::hidden(),
    };
    let template = "{bar:24} {pos}/{len} steps, {per_sec}, {eta} left";
    let style = ProgressStyle::with_template(template).expect("a template");
    ProgressBar::with_draw_target(Some(steps), target).with_style(style)
}

struct Watchdog {
    stop: Option<Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            // If it has panicked, there is nothing more to be done about it.
            let _ = thread.join();
        }
    }
}
