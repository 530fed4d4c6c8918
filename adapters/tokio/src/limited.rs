//! A future with a deadline, by the clock of the runtime.

use std::future::IntoFuture;
use std::time::Duration;

use netpoll_futures::{Deadline, Timeout};

use crate::reactor;

/// Gives a future `duration` from now. The output is that of the future, or
/// [`DeadlineExceeded`](crate::DeadlineExceeded). Inside a runtime, its [`reactor`](reactor()) wakes the task, and the time is
/// that of tokio's clock where the runtime has time; outside, it is [`netpoll_futures::timeout`].
///
/// The difference from [`tokio::time::timeout`], which works as well: [`Timeout::set_deadline`] moves the deadline while the
/// future runs, at the cost of that of a socket, and [`deadline_in`](crate::deadline_in) finds the error.
///
/// ```
/// use std::time::Duration;
/// use netpoll_tokio::timeout;
///
/// # fn main() -> std::io::Result<()> {
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// assert_eq!(timeout(Duration::from_secs(1), async { 7 }).await?, 7);
/// assert!(timeout(Duration::ZERO, std::future::pending::<()>()).await.is_err());
/// # Ok(()) }) }
/// ```
pub fn timeout<F: IntoFuture>(duration: Duration, future: F) -> Timeout<F::IntoFuture> {
    deadline(duration, future)
}

/// Gives a future until `deadline`: a time, a duration from now, or `None` for none yet. See [`timeout`].
pub fn deadline<F: IntoFuture>(deadline: impl Into<Deadline>, future: F) -> Timeout<F::IntoFuture> {
    match reactor() {
        Ok(reactor) => netpoll_futures::deadline_on(&reactor, deadline, future),
        Err(_) => netpoll_futures::deadline(deadline, future),
    }
}
