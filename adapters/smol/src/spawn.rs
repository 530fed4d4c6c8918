//! The global executor, and the threads that run it.
//!
//! Each process of a line of forks has an executor of its own. A forked child has the parent's executor in its
//! memory, but not the threads that run it, and a thread of the parent may have held one of its locks at the
//! fork. So the child adds an executor to a list, without a lock, and touches no other.

use std::future::{Future, pending};
use std::panic::catch_unwind;
use std::sync::OnceLock;
use std::thread;

use async_executor::{Executor, Task};
use netpoll_futures::{block_on, fork_generation};
use once_cell::race::OnceBox;

/// The executor of the first process that spawned a task, and of its forked children.
static GLOBAL: OnceBox<PerProcess> = OnceBox::new();

struct PerProcess {
    generation: u32,
    executor: Executor<'static>,
    /// Whether the threads are started, or being started.
    threads: OnceLock<()>,
    /// Of a child of this process.
    next: OnceBox<PerProcess>,
}

impl PerProcess {
    /// The executor of this process.
    fn own() -> &'static Self {
        let generation = fork_generation();
        let mut place = &GLOBAL;
        loop {
            let found = place.get_or_init(|| {
                let (executor, threads, next) = (Executor::new(), OnceLock::new(), OnceBox::new());
                Box::new(Self { generation, executor, threads, next })
            });
            if found.generation == generation {
                return found;
            }
            place = &found.next;
        }
    }

    fn start_threads(&'static self) {
        let count = std::env::var("SMOL_THREADS").ok().and_then(|count| count.parse().ok());
        // At least one: with smol, no task runs if `SMOL_THREADS` is zero.
        for number in 1..=count.unwrap_or(1).max(1) {
            let thread = thread::Builder::new().name(format!("smol-{number}"));
            thread.spawn(|| self.run()).expect("spawn: no thread for the executor");
        }
    }

    /// Runs tasks, for ever. A task that panics does not end the thread.
    fn run(&self) {
        loop {
            let _ = catch_unwind(|| block_on(self.executor.run(pending::<()>())));
        }
    }
}

/// Spawns a task on the global executor. One thread runs it, or as many as the environment variable
/// `SMOL_THREADS` says when the first task is spawned. Zero counts as one; with smol, no task would run.
///
/// A forked child has an executor and threads of its own.
///
/// ```
/// let task = netpoll_smol::spawn(async { 1 + 2 });
/// assert_eq!(netpoll_smol::block_on(task), 3);
/// ```
///
/// # Panics
///
/// If the system refuses a thread for the first task.
pub fn spawn<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> Task<T> {
    let global = PerProcess::own();
    global.threads.get_or_init(|| global.start_threads());
    global.executor.spawn(future)
}
