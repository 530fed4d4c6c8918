//! Waiting for readiness, within the budget of the thread: a task in a loop of waiting and trying keeps
//! its thread as busy as a task that reads.

use std::io;
use std::task::{Context, Poll, ready};

use netpoll::budget::{Key, poll_spend, wait_and_spend};
use netpoll::{Direction, Registration};

/// [`Registration::ready`].
pub(crate) async fn ready<T>(
    registration: &Registration<T>,
    direction: Direction,
) -> io::Result<()> {
    let wait = || registration.ready(direction);
    wait_and_spend(Key::of(registration, direction), wait).await.map(drop)
}

/// [`Registration::poll_ready`].
pub(crate) fn poll_ready<T>(
    registration: &Registration<T>,
    cx: &mut Context<'_>,
    direction: Direction,
) -> Poll<io::Result<()>> {
    ready!(registration.poll_ready(cx, direction))?;
    poll_spend(cx, Key::of(registration, direction)).map(Ok)
}

/// [`Registration::poll_ready_level_triggered`].
pub(crate) fn poll_level<T>(
    registration: &Registration<T>,
    cx: &mut Context<'_>,
    direction: Direction,
) -> Poll<io::Result<()>> {
    ready!(registration.poll_ready_level_triggered(cx, direction))?;
    poll_spend(cx, Key::of(registration, direction)).map(Ok)
}
