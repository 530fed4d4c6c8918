//! The executors: each runs a body to its end, with its own way to take tasks on.

use std::panic::{AssertUnwindSafe, resume_unwind};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use async_task::Runnable;
use futures::channel::mpsc::unbounded;
use futures::executor::{LocalPool, ThreadPool, block_on};
use futures::future::{BoxFuture, ready};
use futures::task::{LocalSpawnExt, SpawnExt};
use futures::{FutureExt, StreamExt};
use netpoll::Reactor;

use super::stage::Spawn;

/// The future that an executor runs to its end, given its way to spawn, and the reactor that sockets are to
/// be in the care of where it is not the global one.
pub type Body = Box<dyn FnOnce(Spawn, Option<Reactor>) -> BoxFuture<'static, ()> + Send>;

/// An executor under which behaviours are shown.
#[derive(Clone, Copy, Debug)]
pub struct Executor {
    /// Its name.
    pub name: &'static str,
    /// Runs a body to its end.
    pub run: fn(Body),
}

/// All of them. A new one is a line here.
pub const EXECUTORS: &[Executor] = &[
    Executor { name: "local_pool", run: local_pool },
    Executor { name: "thread_pool", run: thread_pool },
    Executor { name: "smol_1_thread", run: |body| executor_with_threads(1, SMOL, body) },
    Executor { name: "smol_4_threads", run: |body| executor_with_threads(4, SMOL, body) },
    Executor { name: "inline_1_thread", run: |body| executor_with_threads(1, INLINE, body) },
    Executor { name: "inline_4_threads", run: |body| executor_with_threads(4, INLINE, body) },
    Executor { name: "async_executor", run: async_executor },
    Executor { name: "tokio_current_thread", run: tokio_current_thread },
    Executor { name: "tokio_multi_thread", run: tokio_multi_thread },
    Executor { name: "turned_by_hand", run: turned_by_hand },
];

/// `futures::executor::LocalPool`. Its spawner stays on its thread, so tasks come through a channel.
fn local_pool(body: Body) {
    let mut pool = LocalPool::new();
    let spawner = pool.spawner();
    let (send, tasks) = unbounded();
    let spawn = Arc::new(move |task| send.unbounded_send(task).expect("the pool runs"));
    let take_on = tasks.for_each({
        let spawner = spawner.clone();
        move |task: BoxFuture<'static, ()>| {
            spawner.spawn_local(task).expect("it runs");
            ready(())
        }
    });
    spawner.spawn_local(take_on).expect("it runs");
    pool.run_until(body(spawn, None));
}

/// `futures::executor::ThreadPool`, with four threads.
fn thread_pool(body: Body) {
    let pool = ThreadPool::builder().pool_size(4).create().expect("threads");
    let spawn = {
        let pool = pool.clone();
        Arc::new(move |task| pool.spawn(task).expect("it runs"))
    };
    let main = pool.spawn_with_handle(body(spawn, None)).expect("it runs");
    block_on(main);
}

/// How a thread runs a future to its end.
type BlockOn = fn(BoxFuture<'_, ()>);

/// As smol does: async-io's reactor is driven, and ours has its thread.
const SMOL: BlockOn = |future| smol::block_on(future);

/// The reactor is driven by the executor's own threads.
const INLINE: BlockOn = |future| netpoll::block_on(future);

/// smol's executor, on threads that do nothing else, as its global one runs.
fn executor_with_threads(threads: usize, run: BlockOn, body: Body) {
    let executor = Arc::new(async_executor::Executor::new());
    let spawn = spawner(&executor);
    let (stop, stopped) = smol::channel::bounded::<()>(1);
    thread::scope(|scope| {
        for _ in 0..threads {
            let (executor, stopped) = (&executor, stopped.clone());
            // It ends when the last sender is dropped.
            scope.spawn(move || run(executor.run(stopped.recv()).map(drop).boxed()));
        }
        let main = executor.spawn(body(spawn, None));
        block_on(main);
        drop(stop);
    });
}

/// `async_executor::Executor` on the thread of its main task, under the `block_on` of futures.
fn async_executor(body: Body) {
    let executor = Arc::new(async_executor::Executor::new());
    let main = body(spawner(&executor), None);
    block_on(executor.run(main));
}

fn spawner(executor: &Arc<async_executor::Executor<'static>>) -> Spawn {
    let executor = executor.clone();
    Arc::new(move |task| executor.spawn(task).detach())
}

fn tokio_current_thread(body: Body) {
    tokio_runtime(&mut tokio::runtime::Builder::new_current_thread(), body);
}

fn tokio_multi_thread(body: Body) {
    tokio_runtime(tokio::runtime::Builder::new_multi_thread().worker_threads(4), body);
}

/// A runtime of tokio's as an executor: without its driver, its sockets and its timers.
fn tokio_runtime(builder: &mut tokio::runtime::Builder, body: Body) {
    let runtime = builder.build().expect("a runtime");
    let handle = runtime.handle().clone();
    let spawn = Arc::new(move |task| drop(handle.spawn(task)));
    let main = runtime.spawn(body(spawn, None));
    runtime.block_on(main).unwrap_or_else(|ended| resume_unwind(ended.into_panic()));
}

/// A loop that runs tasks while there are any, and turns a reactor of its own when there are none, and after 64 tasks: the
/// sockets of some transports are the global reactor's, whose thread may wake tasks without end. A wake-up, on whatever
/// thread, ends the turn.
fn turned_by_hand(body: Body) {
    let reactor = Reactor::builder().embedded().build().expect("a reactor");
    let (send, runnables) = mpsc::channel::<Runnable>();
    let tasks = Arc::new(Mutex::new(Vec::new()));
    let spawn: Spawn = {
        let (reactor, tasks) = (reactor.clone(), tasks.clone());
        Arc::new(move |task| {
            let (send, reactor) = (send.clone(), reactor.clone());
            let schedule = move |runnable| {
                // Woken after the end, it does not run any more.
                let _ = send.send(runnable);
                reactor.notify();
            };
            let (runnable, task) = async_task::spawn(task, schedule);
            tasks.lock().expect("no panic").push(task);
            runnable.schedule();
        })
    };
    let (send_end, ended) = mpsc::channel();
    let main = AssertUnwindSafe(body(spawn.clone(), Some(reactor.clone()))).catch_unwind();
    spawn(main.map(move |end| send_end.send(end).expect("we wait for it")).boxed());
    let end = loop {
        let mut ran = 0;
        while ran < 64
            && let Ok(runnable) = runnables.try_recv()
        {
            runnable.run();
            ran += 1;
        }
        let wait = if ran < 64 { None } else { Some(Duration::ZERO) };
        match ended.try_recv() {
            Ok(end) => break end,
            Err(_) => reactor.turn(wait).expect("a turn"),
        }
    };
    // Cancelled, a task is run a last time and drops its future; a task that still waits would keep itself by its waker.
    let left = std::mem::take(&mut *tasks.lock().expect("no panic"));
    drop(left);
    while let Ok(runnable) = runnables.try_recv() {
        runnable.run();
    }
    end.unwrap_or_else(|panic| resume_unwind(panic));
}
