//! The executors that servers run on.
//!
//! The accept loop is a task like those that serve a connection each. As the future that an executor is
//! told to run it would be polled whenever anything happens, and some libraries try a system call
//! then.

use std::cell::RefCell;
use std::future::{Future, pending};
use std::io;
use std::net::TcpListener;
use std::rc::Rc;
use std::sync::Arc;
use std::thread;

use futures::executor::{LocalPool, LocalSpawner, ThreadPool};
use futures::task::LocalSpawnExt;
use netpoll::{Driver, Reactor};
use smol::{Executor, LocalExecutor};

/// The executor of futures on this thread, with the reactor on another.
pub(super) fn local_pool<F>(accept: impl FnOnce(LocalSpawner) -> F) -> io::Result<()>
where
    F: Future<Output = io::Result<()>> + 'static,
{
    let mut pool = LocalPool::new();
    let spawner = pool.spawner();
    let accepting = spawner.spawn_local_with_handle(accept(spawner.clone()));
    pool.run_until(accepting.expect("the pool lives"))
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
pub(super) fn smol<F>(accept: impl FnOnce(Rc<LocalExecutor<'static>>) -> F) -> io::Result<()>
where
    F: Future<Output = io::Result<()>> + 'static,
{
    let tasks = Rc::new(LocalExecutor::new());
    smol::block_on(tasks.run(tasks.spawn(accept(tasks.clone()))))
}

/// The same executor, whose thread turns netpoll's reactor.
pub(super) fn inline<F>(accept: impl FnOnce(Rc<LocalExecutor<'static>>) -> F) -> io::Result<()>
where
    F: Future<Output = io::Result<()>> + 'static,
{
    let tasks = Rc::new(LocalExecutor::new());
    netpoll::block_on(tasks.run(tasks.spawn(accept(tasks.clone()))))
}

/// smol's executor on two threads, which turn so many reactors of netpoll's.
pub(super) fn two_threads<F>(
    reactors: usize,
    accept: impl FnOnce(Arc<Executor<'static>>, Reactor) -> F,
) -> io::Result<()>
where
    F: Future<Output = io::Result<()>> + Send + 'static,
{
    let reactor = Reactor::builder().reactors(reactors).build()?;
    let tasks = Arc::new(Executor::new());
    let (other, its_tasks) = (reactor.clone(), tasks.clone());
    thread::spawn(move || other.block_on(its_tasks.run(pending::<()>())));
    let accepting = tasks.spawn(accept(tasks.clone(), reactor.clone()));
    reactor.block_on(tasks.run(accepting))
}

/// smol's executor of one thread on each of two threads, each with a reactor and a listener of its own.
pub(super) fn thread_per_core<F>(
    listeners: [TcpListener; 2],
    accept: impl Fn(Rc<LocalExecutor<'static>>, Reactor, TcpListener) -> F + Copy + Send + 'static,
) -> io::Result<()>
where
    F: Future<Output = io::Result<()>> + 'static,
{
    let serve = move |listener| {
        let reactor = Reactor::builder().embedded().build()?;
        let tasks = Rc::new(LocalExecutor::new());
        let accepting = tasks.spawn(accept(tasks.clone(), reactor.clone(), listener));
        reactor.block_on(tasks.run(accepting))
    };
    let [own, other] = listeners;
    thread::spawn(move || -> io::Result<()> { serve(other) });
    serve(own)
}

/// The executor of futures, whose thread turns netpoll's reactor while it has nothing to run.
pub(super) fn driven_pool<F>(accept: impl FnOnce(Driven) -> F) -> io::Result<()>
where
    F: Future<Output = io::Result<()>> + 'static,
{
    let mut pool = LocalPool::new();
    let driver = Rc::new(RefCell::new(Reactor::global()?.driver()));
    let tasks = Driven { spawner: pool.spawner(), driver: driver.clone() };
    let ended = Rc::new(RefCell::new(None));
    let (accepting, end) = (accept(tasks.clone()), ended.clone());
    tasks.spawn(async move { *end.borrow_mut() = Some(accepting.await) });
    loop {
        pool.run_until_stalled();
        if let Some(ended) = ended.borrow_mut().take() {
            return ended;
        }
        driver.borrow_mut().park();
    }
}

/// Spawns tasks that wake the driver of their thread along with themselves.
#[derive(Clone)]
pub(super) struct Driven {
    spawner: LocalSpawner,
    driver: Rc<RefCell<Driver>>,
}

impl Driven {
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + 'static) {
        let task = self.driver.borrow().wrap(task);
        self.spawner.spawn_local(task).expect("the pool lives");
    }
}
