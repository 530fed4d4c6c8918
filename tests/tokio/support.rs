//! Executors, connections and peers that the tests share.

use std::fmt::Debug;
use std::future::Future;
use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use futures::executor::LocalPool;
use futures::future::{BoxFuture, FutureExt};
use netpoll_tests::{CountingWaker, watched};
use netpoll_tokio::net::{TcpListener, TcpStream};
use netpoll_tokio::{is_closed, is_deadline_exceeded};
use tokio::runtime::{Builder, Runtime};

pub(crate) const KIB: usize = 1024;

/// Some port of the loopback interface.
pub(crate) const LOOPBACK: &str = "127.0.0.1:0";

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
    ("no runtime, smol", |test| smol::block_on(smol::spawn(test))),
];

/// Runs a test under each executor. What it fails with, it did not expect.
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

/// A connection: who connected, and who accepted.
pub(crate) async fn pair() -> io::Result<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind(LOOPBACK).await?;
    let client = TcpStream::connect(listener.local_addr()?).await?;
    let (server, _) = listener.accept().await?;
    Ok((client, server))
}

/// Bytes among which none is like its neighbours.
pub(crate) fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|index| (index % 251) as u8).collect()
}

/// Polls once, for nobody in particular.
pub(crate) fn poll_once<F: Future + ?Sized>(future: Pin<&mut F>) -> Poll<F::Output> {
    CountingWaker::new().poll(future)
}

/// A deadline that has passed.
pub(crate) fn past() -> Option<Instant> {
    let now = Instant::now();
    Some(now.checked_sub(Duration::from_secs(1)).unwrap_or(now))
}

/// A deadline so many milliseconds from now.
pub(crate) fn soon(milliseconds: u64) -> Option<Instant> {
    Some(Instant::now() + Duration::from_millis(milliseconds))
}

#[track_caller]
pub(crate) fn assert_late<T: Debug>(result: io::Result<T>) {
    let error = result.expect_err("it is too late for that");
    assert!(is_deadline_exceeded(&error), "not a deadline: {error:?}");
    assert_eq!(error.kind(), ErrorKind::TimedOut);
}

#[track_caller]
pub(crate) fn assert_closed<T: Debug>(result: io::Result<T>) {
    let error = result.expect_err("the socket is closed");
    assert!(is_closed(&error), "not for being closed: {error:?}");
}

#[track_caller]
pub(crate) fn assert_kind<T: Debug>(result: io::Result<T>, kind: ErrorKind) {
    let error = result.expect_err("it fails");
    assert_eq!(error.kind(), kind, "{error:?}");
}
