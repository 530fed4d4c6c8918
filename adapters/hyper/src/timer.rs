//! hyper's timers, in the care of the reactor that has the sockets.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use hyper::rt;
use netpoll::Reactor;

/// What hyper's builders call a timer: it makes [`Sleep`]s.
///
/// No runtime is needed, and no thread besides the reactor's. Clones are the same.
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
    /// If there is no reactor to be had.
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
        // A time that no clock can tell never comes.
        self.sleep_to(self.reactor.now().checked_add(duration))
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn rt::Sleep>> {
        self.sleep_to(Some(deadline))
    }

    fn now(&self) -> Instant {
        self.reactor.now()
    }

    /// Moves the sleep, in place: nothing is allocated, and a task that waits for it goes on waiting.
    fn reset(&self, sleep: &mut Pin<Box<dyn rt::Sleep>>, new_deadline: Instant) {
        match sleep.as_mut().downcast_mut_pin::<Sleep>() {
            Some(sleep) => sleep.reset(new_deadline),
            None => *sleep = rt::Timer::sleep_until(self, new_deadline),
        }
    }
}

/// A future that resolves when its time has come, and not before. One that has resolved can be
/// [`reset`](Self::reset) and waited for again.
///
/// Where the reactor was shut down, or had no memory for it, it resolves at once: nothing would wake
/// it any more, and who waits for a time is better told than left waiting.
#[derive(Debug)]
#[must_use = "a sleep does nothing unless it is polled"]
pub struct Sleep {
    timer: Option<netpoll::Timer>,
}

impl Sleep {
    /// Resolves at `deadline` instead: earlier, later, or once more. It costs a few nanoseconds to move
    /// it away.
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
