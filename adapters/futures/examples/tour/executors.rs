//! The executors, each with the code that starts one: the sockets know nothing of it.
//!
//! A test needs two operations of an executor: to run one future to its end on this thread,
//! and to start others, by [`Spawn`].

use std::thread;

use async_executor::Executor as AsyncExecutor;
use futures::channel::oneshot;
use futures::executor::{LocalPool, ThreadPool, block_on};
use futures::future::{BoxFuture, FutureExt, RemoteHandle};
use futures::task::SpawnExt;

use crate::Result;
use crate::workload::{Outcome, Workload};

/// How many threads an executor gets, if it has threads and lets us choose.
const THREADS: usize = 2;

/// An executor, and how it runs a workload.
#[derive(Clone, Copy)]
pub(crate) struct Executor {
    /// Its name on the command line.
    pub(crate) name: &'static str,
    /// Its name in the table.
    pub(crate) title: &'static str,
    /// Runs a workload on a new instance of it.
    pub(crate) run: fn(&Workload) -> Result<Outcome>,
}

/// All of them, in the order of the tour.
pub(crate) const ALL: [Executor; 5] = [
    Executor { name: "local-pool", title: "futures LocalPool", run: local_pool },
    Executor { name: "thread-pool", title: "futures ThreadPool", run: thread_pool },
    Executor { name: "smol", title: "smol", run: smol },
    Executor { name: "async-executor", title: "async-executor", run: async_executor },
    Executor { name: "tokio", title: "tokio", run: tokio },
];

/// How a task is started.
pub(crate) type Spawn<'a> = dyn Fn(BoxFuture<'static, ()>) + 'a;

/// Starts a task. The returned future has the task's result, and drops the task with it.
pub(crate) fn start<T: Send + 'static>(
    spawn: &Spawn<'_>,
    task: impl Future<Output = T> + Send + 'static,
) -> RemoteHandle<T> {
    let (task, result) = task.remote_handle();
    spawn(task.boxed());
    result
}

/// Everything on this thread.
fn local_pool(workload: &Workload) -> Result<Outcome> {
    let mut pool = LocalPool::new();
    let spawner = pool.spawner();
    let spawn = move |task| spawner.spawn(task).expect("the pool outlives its tasks");
    pool.run_until(workload.run(&spawn))
}

fn thread_pool(workload: &Workload) -> Result<Outcome> {
    let pool = ThreadPool::builder().pool_size(THREADS).create()?;
    block_on(workload.run(&|task| pool.spawn_ok(task)))
}

/// smol's global executor has one thread, unless `SMOL_THREADS` says otherwise.
fn smol(workload: &Workload) -> Result<Outcome> {
    smol::block_on(workload.run(&|task| smol::spawn(task).detach()))
}

/// An executor that is nothing but a queue: the threads are ours.
fn async_executor(workload: &Workload) -> Result<Outcome> {
    let executor = AsyncExecutor::new();
    let (stop, stopped) = oneshot::channel::<()>();
    let stopped = stopped.map(drop).shared();
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| block_on(executor.run(stopped.clone())));
        }
        let outcome = block_on(workload.run(&|task| executor.spawn(task).detach()));
        drop(stop);
        outcome
    })
}

/// Neither `enable_io` nor `enable_time`: tokio's own sockets and timers would panic here.
fn tokio(workload: &Workload) -> Result<Outcome> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(THREADS).build()?;
    runtime.block_on(workload.run(&|task| drop(runtime.spawn(task))))
}
