//! Where a test takes place: under each of several executors, and the watchdog.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use futures::FutureExt;
use netpoll::{Reactor, Timer};
use netpoll_hyper::{BoxError, Executor};
use netpoll_tests::conformance::EXECUTORS;
use netpoll_tests::watched;

/// The error of a test where it expects none.
pub(crate) type Outcome<T = ()> = Result<T, BoxError>;

/// smol's executor on four threads, that of futures on four threads, and one that has a single
/// thread for client and server.
const UNDER: [&str; 3] = ["smol_4_threads", "thread_pool", "local_pool"];

/// Shows it under each executor, one after the other.
pub(crate) fn run<F>(test: impl Fn(Executor) -> F + Copy + Send + Sync + 'static)
where
    F: Future<Output = Outcome> + Send + 'static,
{
    watched(move || UNDER.iter().for_each(|name| under(name, test)));
}

/// Shows it under one executor.
pub(crate) fn under<F>(name: &'static str, test: impl FnOnce(Executor) -> F + Send + 'static)
where
    F: Future<Output = Outcome> + Send + 'static,
{
    let executor = EXECUTORS.iter().find(|executor| executor.name == name);
    let executor = executor.unwrap_or_else(|| panic!("no executor {name}"));
    (executor.run)(Box::new(move |spawn, _| {
        let shown = test(Executor::new(move |task| spawn(task)));
        async move { shown.await.unwrap_or_else(|error| panic!("{name}: {error:?}")) }.boxed()
    }));
}

/// Resolves when so much time has passed: for events that must *not* come by themselves, and for pauses that
/// are the subject of a test.
pub(crate) async fn pause(time: Duration) -> io::Result<()> {
    Timer::at(Reactor::global()?, Instant::now() + time)?.await
}

pub(crate) fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// Lets others run until it is so.
pub(crate) async fn until(is_so: impl Fn() -> bool) {
    poll_fn(|cx| {
        if is_so() {
            return Poll::Ready(());
        }
        std::thread::yield_now();
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Lets every task of this thread's executor run, for an executor with one thread.
pub(crate) async fn let_others_run() {
    for _ in 0..100 {
        let mut yielded = false;
        poll_fn(|cx| {
            cx.waker().wake_by_ref();
            if std::mem::replace(&mut yielded, true) { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
}

/// The output of a future, as far as one poll can tell.
pub(crate) async fn now<F: Future + ?Sized>(mut future: Pin<&mut F>) -> Option<F::Output> {
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

/// Whether it has come to an end, as far as one poll can tell.
pub(crate) async fn has_ended<F: Future + ?Sized>(future: Pin<&mut F>) -> bool {
    now(future).await.is_some()
}
