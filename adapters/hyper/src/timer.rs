//! hyper's timer trait over the reactor's timers.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use hyper::rt;
use netpoll::Reactor;

/// A timer for hyper's builders: it makes [`Sleep`]s.
///
/// It needs no runtime, and no thread except the reactor's. Clones are the same timer.
///
/// ```
/// use hyper::rt::Timer as _;
/// use netpoll_hyper::Timer;
/// use std::time::{Duration, Instant};
///
/// # fn main() -> std::io::Result<()> {
/// let timer = Timer::new()?;
/// let begin = Instant::now();
/// let mut sleep = timer.sleep(Duration::from_secs(3600));
/// timer.reset(&mut sleep, begin + Duration::from_millis(5));
/// futures::executor::block_on(sleep);
/// assert!(begin.elapsed() >= Duration::from_millis(5));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Timer {
    reactor: Reactor,
}

impl Timer {
    /// A timer of the [global reactor](Reactor::global).
    ///
    /// # Errors
    ///
    /// The error of [`Reactor::global`].
    pub fn new() -> io::Result<Self> {
        Reactor::global().map(Self::with)
    }

    /// A timer of another reactor.
    #[must_use]
    pub fn with(reactor: &Reactor) -> Self {
        Self { reactor: reactor.clone() }
    }

    fn sleep_to(&self, deadline: Option<Instant>) -> Pin<Box<dyn rt::Sleep>> {
        let timer = netpoll::Timer::never(&self.reactor).ok();
        if let Some(timer) = &timer {
            timer.set(deadline);
        }
        Box::pin(Sleep { timer })
    }
}

impl fmt::Debug for Timer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timer").finish_non_exhaustive()
    }
}

impl rt::Timer for Timer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn rt::Sleep>> {
        // A time that `Instant` cannot represent never comes.
        self.sleep_to(self.reactor.now().checked_add(duration))
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn rt::Sleep>> {
        self.sleep_to(Some(deadline))
    }

    fn now(&self) -> Instant {
        self.reactor.now()
    }

    /// Moves the sleep in place: this allocates nothing, and a task that waits for the sleep goes on waiting.
    fn reset(&self, sleep: &mut Pin<Box<dyn rt::Sleep>>, new_deadline: Instant) {
        match sleep.as_mut().downcast_mut_pin::<Sleep>() {
            Some(sleep) => sleep.reset(new_deadline),
            None => *sleep = rt::Timer::sleep_until(self, new_deadline),
        }
    }
}

/// A future that resolves at its time, never early. After it has resolved it can be
/// [`reset`](Self::reset) and awaited again.
///
/// If the reactor was shut down, belongs to the parent process or has no memory for the timer, the sleep resolves
/// at once, since no event would ever wake its task.
#[derive(Debug)]
#[must_use = "a sleep does nothing unless it is polled"]
pub struct Sleep {
    timer: Option<netpoll::Timer>,
}

impl Sleep {
    /// Moves the sleep to `deadline`: earlier, later, or after it has resolved. A move to a later time costs a few
    /// nanoseconds.
    pub fn reset(&self, deadline: Instant) {
        if let Some(timer) = &self.timer {
            timer.set(Some(deadline));
        }
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        match &self.timer {
            Some(timer) => timer.poll_fired(cx).map(drop),
            None => Poll::Ready(()),
        }
    }
}

impl rt::Sleep for Sleep {}
