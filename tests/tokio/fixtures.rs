//! Executors, connections and peers that the tests share.

use std::future::Future;
use std::io;

use futures::executor::LocalPool;
use futures::future::{BoxFuture, FutureExt};
use netpoll_tests::fixtures::{KIB, LOOPBACK};
use netpoll_tests::watched;
use netpoll_tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};

/// More than goes through a connection at once.
pub(crate) const MUCH: usize = 1024 * KIB;

/// More than a connection takes before it blocks.
pub(crate) const TOO_MUCH: usize = 64 * 1024 * KIB;

type Test = BoxFuture<'static, io::Result<()>>;
type Run = fn(Test) -> io::Result<()>;

/// Where a test runs: in tokio's runtimes, neither of which has a driver of its own, and without any.
const EVERYWHERE: [(&str, Run); 5] = [
    ("a current_thread runtime", |test| current_thread().block_on(test)),
    ("a task of a current_thread runtime", |test| on_a_task(&current_thread(), test)),
    ("a task of a multi_thread runtime", |test| on_a_task(&multi_thread(), test)),
    ("no runtime, a LocalPool", |test| LocalPool::new().run_until(test)),
    ("no runtime, smol", |test| {
        // Not on smol's threads: there, the tasks of other tests would spend the same budget.
        let executor = smol::Executor::new();
        smol::block_on(executor.run(executor.spawn(test)))
    }),
];

/// Runs a test under each executor. An error that reaches its end fails it.
pub(crate) fn everywhere<F>(test: impl Fn() -> F + Send + 'static)
where
    F: Future<Output = io::Result<()>> + Send + 'static,
{
    watched(move || {
        for (place, run) in EVERYWHERE {
            let result = run(test().boxed());
            assert!(result.is_ok(), "in {place}: {result:?}");
        }
    });
}

/// Runs a test in a runtime that has one thread, to see how its tasks take turns.
pub(crate) fn on_one_thread<F>(test: impl FnOnce() -> F + Send + 'static)
where
    F: Future<Output = io::Result<()>>,
{
    watched(|| current_thread().block_on(test()).expect("no error that it does not expect"));
}

/// Runs a test on the tasks of a runtime that has several threads.
pub(crate) fn on_many_threads<F>(test: impl FnOnce() -> F + Send + 'static)
where
    F: Future<Output = io::Result<()>> + Send + 'static,
{
    watched(|| {
        let result = on_a_task(&multi_thread(), test().boxed());
        result.expect("no error that it does not expect");
    });
}

fn current_thread() -> Runtime {
    Builder::new_current_thread().build().expect("a runtime")
}

fn multi_thread() -> Runtime {
    Builder::new_multi_thread().worker_threads(3).build().expect("a runtime")
}

fn on_a_task(runtime: &Runtime, test: Test) -> io::Result<()> {
    let ended = runtime.block_on(runtime.spawn(test));
    ended.unwrap_or_else(|ended| std::panic::resume_unwind(ended.into_panic()))
}

/// A connection: the end that connected, and the end that was accepted.
pub(crate) async fn pair() -> io::Result<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind(LOOPBACK).await?;
    let client = TcpStream::connect(listener.local_addr()?).await?;
    let (server, _) = listener.accept().await?;
    Ok((client, server))
}
