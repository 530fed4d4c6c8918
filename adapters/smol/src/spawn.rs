//! The global executor, and the threads that run it.

use std::future::{Future, pending};
use std::panic::catch_unwind;
use std::thread;

use async_executor::{Executor, Task};
use netpoll_futures::block_on;
use once_cell::sync::Lazy;

static GLOBAL: Lazy<Executor<'static>> = Lazy::new(|| {
    let told = std::env::var("SMOL_THREADS").ok().and_then(|threads| threads.parse().ok());
    // One at least: smol runs no task if it is told to have no thread.
    for number in 1..=told.unwrap_or(1).max(1) {
        let name = format!("smol-{number}");
        thread::Builder::new().name(name).spawn(run).expect("a thread for the executor");
    }
    Executor::new()
});

/// Spawns a task onto the global executor, which one thread runs, or as many as `SMOL_THREADS` says
/// when the first task is spawned. Zero counts as one; with smol, no task would run.
///
/// ```
/// let task = netpoll_smol::spawn(async { 1 + 2 });
/// assert_eq!(netpoll_smol::block_on(task), 3);
/// ```
///
/// # Panics
///
/// If there is no thread to be had for the first task.
pub fn spawn<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> Task<T> {
    GLOBAL.spawn(future)
}

/// Runs tasks for ever. A task that panics ends by itself, and not the thread.
fn run() {
    loop {
        let _ = catch_unwind(|| block_on(GLOBAL.run(pending::<()>())));
    }
}
