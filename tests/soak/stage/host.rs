//! The executors on which operations are under way at the same time, each with threads of its own.

use std::task::{Context, Poll};
use std::thread::{self, JoinHandle};

use async_executor::LocalExecutor;
use futures::StreamExt;
use futures::channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded};
use futures::executor::LocalPool;
use futures::future::BoxFuture;
use futures::task::LocalSpawnExt;
use netpoll::Reactor;
use tokio::runtime::Runtime;

pub(crate) type Task = BoxFuture<'static, ()>;

/// The poller of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Host {
    /// The walk itself, when it comes to it.
    Walk,
    /// `netpoll_smol::spawn`.
    Smol,
    /// A runtime of tokio's.
    Tokio,
    /// `LocalPool`, on a thread that drives the reactor.
    Pool,
    /// async-executor, within `netpoll::block_on`.
    Inline,
}

impl Host {
    pub(crate) const ALL: [Host; 5] =
        [Host::Walk, Host::Smol, Host::Tokio, Host::Pool, Host::Inline];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Host::Walk => "the walk",
            Host::Smol => "smol",
            Host::Tokio => "tokio",
            Host::Pool => "LocalPool",
            Host::Inline => "block_on",
        }
    }
}

/// All of them but the walk.
pub(crate) struct Hosts {
    tokio: Option<Runtime>,
    pool: Thread,
    inline: Thread,
}

/// A thread that runs tasks, and ends when the last sender is dropped.
struct Thread {
    tasks: Option<UnboundedSender<Task>>,
    thread: Option<JoinHandle<()>>,
}

impl Hosts {
    pub(crate) fn new() -> Self {
        let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build();
        Self {
            tokio: Some(tokio.expect("a runtime")),
            pool: Thread::begin("soak-pool", pool),
            inline: Thread::begin("soak-inline", inline),
        }
    }

    pub(crate) fn spawn(&self, host: Host, task: Task) {
        match host {
            Host::Walk => unreachable!("the walk polls its own"),
            Host::Smol => netpoll_smol::spawn(task).detach(),
            Host::Tokio => drop(self.tokio.as_ref().expect("until the drop").spawn(task)),
            Host::Pool => self.pool.send(task),
            Host::Inline => self.inline.send(task),
        }
    }
}

impl Thread {
    fn begin(name: &str, run: fn(UnboundedReceiver<Task>)) -> Self {
        let (send, tasks) = unbounded();
        let thread = thread::Builder::new().name(name.into()).spawn(move || run(tasks));
        Self { tasks: Some(send), thread: Some(thread.expect("a thread")) }
    }

    fn send(&self, task: Task) {
        let tasks = self.tasks.as_ref().expect("until the drop");
        tasks.unbounded_send(task).expect("the thread takes them until the drop");
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        self.tasks = None;
        if let Some(thread) = self.thread.take() {
            // If it has panicked, the walk has heard of it.
            let _ = thread.join();
        }
    }
}

fn pool(mut tasks: UnboundedReceiver<Task>) {
    let mut driver = Reactor::global().expect("a reactor").driver();
    let mut pool = LocalPool::new();
    let spawner = pool.spawner();
    let waker = driver.waker();
    let mut cx = Context::from_waker(&waker);
    loop {
        while let Poll::Ready(next) = tasks.poll_next_unpin(&mut cx) {
            let Some(task) = next else { return };
            spawner.spawn_local(driver.wrap(task)).expect("the pool runs");
        }
        pool.run_until_stalled();
        driver.park();
    }
}

fn inline(mut tasks: UnboundedReceiver<Task>) {
    let executor = LocalExecutor::new();
    netpoll::block_on(executor.run(async {
        while let Some(task) = tasks.next().await {
            executor.spawn(task).detach();
        }
    }));
}
