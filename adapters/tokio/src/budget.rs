//! tokio's cooperative budget: a task that always finds something to do yields now and then.
//!
//! Each call that is polled, or awaited, takes one unit if it comes to its end, as tokio's own do.
//! Outside of tokio's tasks the budget has no end.

use std::future::poll_fn;
use std::pin::pin;
use std::task::{Context, Poll, ready};

use tokio::task::coop::poll_proceed;

/// Polls, if the task has not used its budget up.
pub(crate) fn poll<R>(
    cx: &mut Context<'_>,
    operation: impl FnOnce(&mut Context<'_>) -> Poll<R>,
) -> Poll<R> {
    let unit = ready!(poll_proceed(cx));
    let done = ready!(operation(cx));
    unit.made_progress();
    Poll::Ready(done)
}

/// Awaits, as long as the task has not used its budget up.
pub(crate) async fn spend<F: Future>(operation: F) -> F::Output {
    let mut operation = pin!(operation);
    poll_fn(|cx| poll(cx, |cx| operation.as_mut().poll(cx))).await
}
