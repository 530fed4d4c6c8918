//! A future with a deadline: any future, under any executor.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use netpoll::{Deadline, DeadlineExceeded, Reactor};
use pin_project_lite::pin_project;

use super::Timer;

pin_project! {
    /// A future that fails with [`DeadlineExceeded`] if the future inside is not ready at the deadline: of [`timeout`] and
    /// [`deadline`].
    ///
    /// Each poll polls the future inside first, and then looks at the deadline, as tokio's `Timeout` does. So a future that
    /// is ready at its first poll succeeds, even with a deadline that has passed before; one that is pending then fails at
    /// once. A future that blocks its thread in a poll is not interrupted. Nor is one put off: the deadline is no operation
    /// under the budget of the thread ([`block_on`](crate::block_on)), so a future that is always busy does not hide it.
    ///
    /// The first poll that finds the future pending takes a slot in the reactor, and the drop gives it back. After that a
    /// poll, a wake-up and a move of the deadline allocate nothing, and a move to a later time makes no system call and takes
    /// no lock: it costs as much as that of a socket. The slots of the reactor are reused, so a program that has once had as
    /// many timeouts at a time as now allocates nothing for a new one. Without a reactor it works as a [`Timer`] does.
    ///
    /// # Cancel safety
    ///
    /// To drop it drops the future inside, and so does the end of an `.await` that fails. Whether that loses anything is for
    /// the future to say: a `read` of a socket loses nothing, a `write_all` may have sent a part, and a command on a connection
    /// that other commands share is described in [`command_deadlines`](crate::command_deadlines). `(&mut timeout).await` of a
    /// pinned timeout may be dropped and started again.
    #[must_use = "a future does nothing unless it is polled"]
    pub struct Timeout<F> {
        #[pin]
        future: F,
        timer: Timer,
    }
}

/// Gives a future `duration` from now, by the clock of the system. The output is that of the future, or
/// [`DeadlineExceeded`], which `?` turns into an [`io::Error`](std::io::Error) where the function returns one.
///
/// ```
/// use std::io;
/// use std::time::Duration;
/// use netpoll_futures::{UnixStream, timeout};
///
/// # fn main() -> io::Result<()> { netpoll_futures::block_on(async {
/// async fn reply(stream: &UnixStream) -> io::Result<usize> {
///     timeout(Duration::from_millis(10), stream.read(&mut [0; 16])).await?
/// }
///
/// let (near, far) = UnixStream::pair()?;
/// assert_eq!(reply(&near).await.unwrap_err().kind(), io::ErrorKind::TimedOut);
/// far.write_all(b"+OK").await?;
/// assert_eq!(reply(&near).await?, 3);
/// # Ok(()) }) }
/// ```
pub fn timeout<F: IntoFuture>(duration: Duration, future: F) -> Timeout<F::IntoFuture> {
    deadline(duration, future)
}

/// Gives a future until `deadline`: a time, a duration from now, or `None` for none yet.
/// [`set_deadline`](Timeout::set_deadline) moves it, also while the future runs. See [`timeout`] for the output.
///
/// ```
/// use std::pin::pin;
/// use std::time::{Duration, Instant};
/// use futures_util::future::{Either, select};
/// use netpoll_futures::{Timer, deadline};
///
/// # netpoll_futures::block_on(async {
/// let work = std::future::pending::<()>();
/// let mut limited = pin!(deadline(Instant::now() + Duration::from_millis(10), work));
/// let mut progress = Timer::after(Duration::from_millis(5));
/// if let Either::Right(_) = select(limited.as_mut(), &mut progress).await {
///     limited.as_mut().set_deadline(Duration::from_millis(10));
/// }
/// let late = limited.await.unwrap_err();
/// assert_eq!(late.to_string(), "deadline exceeded");
/// # });
/// ```
pub fn deadline<F: IntoFuture>(deadline: impl Into<Deadline>, future: F) -> Timeout<F::IntoFuture> {
    Timeout::new(Timer::never(), deadline.into(), future)
}

/// [`timeout`] by the clock of this reactor, which also wakes the task.
pub fn timeout_on<F: IntoFuture>(
    reactor: &Reactor,
    duration: Duration,
    future: F,
) -> Timeout<F::IntoFuture> {
    deadline_on(reactor, duration, future)
}

/// [`deadline`] by the clock of this reactor, which also wakes the task.
pub fn deadline_on<F: IntoFuture>(
    reactor: &Reactor,
    deadline: impl Into<Deadline>,
    future: F,
) -> Timeout<F::IntoFuture> {
    Timeout::new(Timer::with(reactor), deadline.into(), future)
}

impl<F> Timeout<F> {
    fn new<I: IntoFuture<IntoFuture = F>>(mut timer: Timer, deadline: Deadline, future: I) -> Self {
        timer.set_deadline(deadline);
        Self { future: future.into_future(), timer }
    }

    /// Moves the deadline: to a time, to a duration from now, or, with `None`, away. A task that waits then waits for the
    /// new deadline; if that has passed, the task is woken.
    pub fn set_deadline(self: Pin<&mut Self>, deadline: impl Into<Deadline>) {
        self.project().timer.set_deadline(deadline.into());
    }

    /// The future inside.
    pub fn get_ref(&self) -> &F {
        &self.future
    }

    /// The future inside.
    pub fn get_mut(&mut self) -> &mut F {
        &mut self.future
    }

    /// The future inside, without its deadline.
    pub fn into_inner(self) -> F {
        self.future
    }
}

impl<F: Future> Future for Timeout<F> {
    type Output = Result<F::Output, DeadlineExceeded>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if let Poll::Ready(output) = this.future.poll(cx) {
            return Poll::Ready(Ok(output));
        }
        this.timer.poll_deadline(cx).map(|()| Err(DeadlineExceeded::default()))
    }
}

/// Prints the time that it has, and not the future.
impl<F> fmt::Debug for Timeout<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timeout").field("deadline", &self.timer.time).finish_non_exhaustive()
    }
}
