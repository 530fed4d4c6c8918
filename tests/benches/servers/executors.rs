//! The executors that servers run on. Each runs what accepts, which spawns a task per connection.

use std::future::Future;
use std::io;

use futures::executor::{LocalPool, LocalSpawner, ThreadPool};
use smol::LocalExecutor;

/// The executor of futures on this thread, with the reactor on another.
pub(super) fn local_pool<F>(accept: impl FnOnce(LocalSpawner) -> F) -> io::Result<()>
where
    F: Future<Output = io::Result<()>>,
{
    let mut pool = LocalPool::new();
    let spawner = pool.spawner();
    pool.run_until(accept(spawner))
}

/// The same with one thread for the tasks, while this one only waits.
pub(super) fn thread_pool<F>(accept: impl FnOnce(ThreadPool) -> F) -> io::Result<()>
where
    F: Future<Output = io::Result<()>> + Send + 'static,
{
    let pool = ThreadPool::builder().pool_size(1).create()?;
    let accepting = accept(pool.clone());
    let (done, ended) = std::sync::mpsc::channel();
    pool.spawn_ok(async move { drop(done.send(accepting.await)) });
    ended.recv().expect("the pool lives")
}

/// smol's executor, whose thread turns async-io's reactor when it has nothing else to do.
pub(super) fn smol(
    accept: impl AsyncFnOnce(&LocalExecutor<'static>) -> io::Result<()>,
) -> io::Result<()> {
    let tasks = LocalExecutor::new();
    smol::block_on(tasks.run(accept(&tasks)))
}

/// The same, with netpoll's reactor turned in between.
pub(super) fn inline(
    accept: impl AsyncFnOnce(&LocalExecutor<'static>) -> io::Result<()>,
) -> io::Result<()> {
    let tasks = LocalExecutor::new();
    netpoll::block_on(tasks.run(accept(&tasks)))
}
