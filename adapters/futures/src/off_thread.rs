//! What blocks, on a thread of its own: a name to look up, a socket that lingers.
//!
//! A thread for each call: both are rare, and a pool would let one slow name server hold up all.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Instant;

use futures_util::task::AtomicWaker;
use netpoll::{DeadlineExceeded, Reactor, Timer, spawn_helper};

struct Handover<T> {
    result: Mutex<Option<io::Result<T>>>,
    waiter: AtomicWaker,
}

/// Runs `work` on a new thread. Dropped, it lets the thread finish for nobody.
pub(crate) async fn run<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let here = Arc::new(Handover { result: Mutex::new(None), waiter: AtomicWaker::new() });
    let there = here.clone();
    spawn_helper(name, move || {
        let result = work();
        *there.result.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
        there.waiter.wake();
    })?;
    poll_fn(move |cx| {
        here.waiter.register(cx.waker());
        match here.result.lock().unwrap_or_else(PoisonError::into_inner).take() {
            Some(result) => Poll::Ready(result),
            None => Poll::Pending,
        }
    })
    .await
}

/// What `work` says, or that it took too long.
pub(crate) async fn before<T>(
    deadline: Option<Instant>,
    work: impl Future<Output = io::Result<T>>,
) -> io::Result<T> {
    let Some(deadline) = deadline else { return work.await };
    let timer = Timer::at(Reactor::global()?, deadline)?;
    let mut work = pin!(work);
    poll_fn(|cx| match timer.poll_fired(cx)? {
        Poll::Ready(()) => Poll::Ready(Err(DeadlineExceeded::error())),
        Poll::Pending => work.as_mut().poll(cx),
    })
    .await
}
