//! tokio's cooperative budget: a task whose sockets are always ready yields now and then.
//!
//! Each operation that is polled or awaited takes one unit when it completes, as tokio's own do.
//! Outside tokio's runtimes tokio's budget is unlimited, and netpoll's holds. Inside a runtime,
//! tokio's holds alone: netpoll's is filled again when it is spent.

use std::future::poll_fn;
use std::pin::pin;
use std::task::{Context, Poll, ready};

use tokio::runtime::Handle;
use tokio::task::coop::poll_proceed;

/// Inside a runtime, the operation that is polled next is not put off by netpoll's budget.
#[inline]
pub(crate) fn leave_to_tokio() {
    netpoll::refill_budget_if(|| Handle::try_current().is_ok());
}

/// Polls, unless the task has spent its budget.
pub(crate) fn poll<R>(
    cx: &mut Context<'_>,
    operation: impl FnOnce(&mut Context<'_>) -> Poll<R>,
) -> Poll<R> {
    leave_to_tokio();
    let unit = ready!(poll_proceed(cx));
    let done = ready!(operation(cx));
    unit.made_progress();
    Poll::Ready(done)
}

/// Awaits within the budget of the task.
pub(crate) async fn spend<F: Future>(operation: F) -> F::Output {
    let mut operation = pin!(operation);
    poll_fn(|cx| poll(cx, |cx| operation.as_mut().poll(cx))).await
}
