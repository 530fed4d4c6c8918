//! A timer: a time to wait for, once or again and again.

mod sleeper;
mod timeout;

use std::fmt;
use std::future::Future;
use std::io;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};
use std::time::{Duration, Instant};

use futures_core::Stream;
use netpoll::{Deadline, Reactor};

use sleeper::Alarm;

pub use timeout::{Timeout, deadline, deadline_on, timeout, timeout_on};

/// The shortest period: one tick of the reactor's wheel.
const SHORTEST: Duration = Duration::from_nanos(1 << 16);

/// Waits for a time: once as a future, repeatedly as a stream. Both yield the time that the timer was
/// set to, which is never later than now.
///
/// It has the interface of async-io's `Timer` and, like that, cannot fail, neither when it is created
/// nor later. Without a reactor, one thread serves all timers, and ends with the last of them. If no
/// thread can be started either, the task is polled again and again until the time has come. A timer
/// that is not polled costs nothing but its size.
///
/// ```
/// use std::time::{Duration, Instant};
/// use futures_util::StreamExt;
/// use netpoll_futures::Timer;
///
/// # netpoll_futures::block_on(async {
/// let soon = Instant::now() + Duration::from_millis(5);
/// assert_eq!(Timer::at(soon).await, soon);
/// assert!(Instant::now() >= soon);
///
/// let mut ticks = Timer::interval(Duration::from_millis(1));
/// let (first, second) = (ticks.next().await.unwrap(), ticks.next().await.unwrap());
/// assert_eq!(second - first, Duration::from_millis(1));
/// # });
/// ```
///
/// # Missed ticks
///
/// An interval skips no tick, however late it is polled: it yields each tick that has passed, without
/// waiting in between, until it has caught up.
///
/// The shortest period is a tick of the reactor's wheel, 65.536 microseconds. Shorter periods, zero
/// included, are rounded up to that: a stream that is always ready would starve the other tasks of its
/// executor.
///
/// # Distant times
///
/// A time beyond the range of [`Instant`] never comes: `after(Duration::MAX)` is
/// [`never`](Self::never).
#[must_use = "a timer does nothing unless it is polled"]
pub struct Timer {
    /// `None` means the global reactor.
    reactor: Option<Reactor>,
    time: Option<Instant>,
    /// `None` if the timer fires once only.
    period: Option<Duration>,
    clock: Clock,
}

/// The clock that wakes the task of a timer.
enum Clock {
    /// The timer was not polled since it was made, or since it was set without a reactor.
    Unset,
    Reactor(netpoll::Timer),
    /// There is no reactor: it was shut down, the process has no descriptors left for one, or the
    /// process is a forked child. The task is the one that polled last. It has no alarm if the timer
    /// has no time, or if no thread could be started.
    Sleeper {
        task: Waker,
        _alarm: Option<Alarm>,
    },
}

impl Timer {
    /// Creates a timer that never fires unless it is set.
    pub fn never() -> Self {
        Self::of(None)
    }

    /// Creates a timer that never fires unless it is set. It belongs to this reactor instead of the
    /// global one, and follows its clock.
    pub fn with(reactor: &Reactor) -> Self {
        Self::of(Some(reactor.clone()))
    }

    /// Creates a timer that fires once, after `duration`.
    pub fn after(duration: Duration) -> Self {
        let mut timer = Self::never();
        timer.set_after(duration);
        timer
    }

    /// Creates a timer that fires once, at `instant`.
    pub fn at(instant: Instant) -> Self {
        let mut timer = Self::never();
        timer.set_at(instant);
        timer
    }

    /// Creates a timer that fires once per period, first after one period. [`Timer`] describes missed
    /// ticks and the shortest period.
    pub fn interval(period: Duration) -> Self {
        let mut timer = Self::never();
        timer.set_interval(period);
        timer
    }

    /// Creates a timer that fires once per period, first at `start`.
    pub fn interval_at(start: Instant, period: Duration) -> Self {
        let mut timer = Self::never();
        timer.set_interval_at(start, period);
        timer
    }

    /// Whether the timer will fire, or fire again.
    #[must_use]
    pub fn will_fire(&self) -> bool {
        self.time.is_some()
    }

    /// Sets the timer to fire once, after `duration`. Like the other setters, it replaces the earlier
    /// setting, and a task that has polled the timer is woken for the new time.
    pub fn set_after(&mut self, duration: Duration) {
        self.set(self.now().checked_add(duration), None);
    }

    /// Sets the timer to fire once, at `instant`. This ends an interval, unlike async-io's `set_at`.
    pub fn set_at(&mut self, instant: Instant) {
        self.set(Some(instant), None);
    }

    /// Sets the timer to fire once per period, first after one period.
    pub fn set_interval(&mut self, period: Duration) {
        let period = period.max(SHORTEST);
        self.set(self.now().checked_add(period), Some(period));
    }

    /// Sets the timer to fire once per period, first at `start`.
    pub fn set_interval_at(&mut self, start: Instant, period: Duration) {
        self.set(Some(start), Some(period.max(SHORTEST)));
    }

    /// Sets the timer never to fire.
    pub fn clear(&mut self) {
        self.set(None, None);
    }

    fn of(reactor: Option<Reactor>) -> Self {
        Self { reactor, time: None, period: None, clock: Clock::Unset }
    }

    fn now(&self) -> Instant {
        self.reactor.as_ref().map_or_else(Instant::now, Reactor::now)
    }

    fn set(&mut self, time: Option<Instant>, period: Option<Duration>) {
        (self.time, self.period) = (time, period);
        if let Clock::Reactor(timer) = &self.clock {
            timer.set(time);
            return;
        }
        if let Clock::Sleeper { task, .. } = std::mem::replace(&mut self.clock, Clock::Unset) {
            task.wake();
        }
    }

    fn set_deadline(&mut self, deadline: Deadline) {
        self.set(deadline.instant_from(|| self.now()), None);
    }

    /// [`poll_time`](Self::poll_time) for a deadline, which is no operation: a budget that is spent does not put it off.
    fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match &self.clock {
            Clock::Reactor(timer) if timer.has_fired() => Poll::Ready(()),
            _ => self.poll_time(cx),
        }
    }

    /// Resolves when its time has come, until it is set anew.
    fn poll_time(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Clock::Unset = self.clock
            && let Ok(timer) = self.begin()
        {
            self.clock = Clock::Reactor(timer);
        }
        if let Clock::Reactor(timer) = &mut self.clock
            && ready!(Pin::new(timer).poll(cx)).is_ok()
        {
            return Poll::Ready(());
        }
        if self.time.is_some_and(|time| time <= Instant::now()) {
            return Poll::Ready(());
        }
        // The new alarm is there before the old one is dropped, so the thread does not end in between.
        let alarm = self.time.and_then(|time| Alarm::new(time, cx.waker()));
        if self.time.is_some() && alarm.is_none() {
            cx.waker().wake_by_ref();
        }
        self.clock = Clock::Sleeper { task: cx.waker().clone(), _alarm: alarm };
        Poll::Pending
    }

    fn begin(&self) -> io::Result<netpoll::Timer> {
        let timer = match &self.reactor {
            Some(reactor) => netpoll::Timer::never(reactor),
            None => Reactor::global().and_then(netpoll::Timer::never),
        }?;
        timer.set(self.time);
        Ok(timer)
    }
}

/// A panic leaves a timer consistent: the only user code that it runs is wakers, as the last step.
impl UnwindSafe for Timer {}
impl RefUnwindSafe for Timer {}

/// Prints the time that it is set to, and the period of an interval.
impl fmt::Debug for Timer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timer")
            .field("time", &self.time)
            .field("period", &self.period)
            .finish_non_exhaustive()
    }
}

/// Resolves to the time that the timer was set to, once that has come. A later poll waits for the next
/// tick of an interval, or until a time is set.
///
/// # Cancel safety
///
/// `(&mut timer).await` may be dropped and started again.
impl Future for Timer {
    type Output = Instant;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Instant> {
        let this = self.get_mut();
        ready!(this.poll_time(cx));
        let came = this.time.expect("a timer without a time does not fire");
        this.set(this.period.and_then(|period| came.checked_add(period)), this.period);
        Poll::Ready(came)
    }
}

/// Yields the times, one after another. The stream does not end: a timer that will not fire again stays
/// pending.
impl Stream for Timer {
    type Item = Instant;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Instant>> {
        self.poll(cx).map(Some)
    }
}
