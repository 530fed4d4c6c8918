//! A timer: a time to wait for, once or again and again.

mod alarm;
mod sleeper;

use std::fmt;
use std::future::Future;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use futures_core::Stream;
use netpoll::budget::{self, Key};
use netpoll::{Direction, Reactor};

use alarm::Alarm;

/// The shortest period: one tick of the reactor's wheel.
const SHORTEST: Duration = Duration::from_nanos(1 << 16);

/// A time to wait for: as a future once, as a stream again and again. Both give the time that was
/// waited for, which is never later than now.
///
/// It is in the shape of async-io's type of this name, and like that one cannot fail, neither when it
/// is made nor later. Where there is no reactor, one thread serves all timers, and ends with the last of
/// them. Where there is no thread either, the task polls again and again until the time has come. A timer that
/// is not polled costs nothing but its size.
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
/// # Ticks that were missed
///
/// An interval keeps to its times, however late it is polled: each that has passed is given, at once and
/// one after another, until it has caught up. None is skipped.
///
/// The shortest period is a tick of the reactor's wheel, 65.536 microseconds. Shorter ones, zero
/// included, are taken for that: a stream that were ready all the time would keep its executor from
/// everything else.
///
/// # Times that are far away
///
/// A time that no [`Instant`] can tell never comes: `after(Duration::MAX)` is [`never`](Self::never).
#[must_use = "a timer does nothing unless it is polled"]
pub struct Timer {
    alarm: Alarm,
    /// `None` gives one time and no more.
    period: Option<Duration>,
}

impl Timer {
    /// A timer that never fires, unless it is set.
    pub fn never() -> Self {
        Self::of(Alarm::new(None))
    }

    /// A timer that never fires, unless it is set, by the clock of another reactor than the global one
    /// and in its care.
    pub fn with(reactor: &Reactor) -> Self {
        Self::of(Alarm::new(Some(reactor.clone())))
    }

    /// A timer that fires once, when so much time has passed.
    pub fn after(duration: Duration) -> Self {
        let mut timer = Self::never();
        timer.set_after(duration);
        timer
    }

    /// A timer that fires once, at this time.
    pub fn at(instant: Instant) -> Self {
        let mut timer = Self::never();
        timer.set_at(instant);
        timer
    }

    /// A timer that fires again and again, for the first time after one period. See [`Timer`] for what
    /// becomes of ticks that were missed, and which period is the shortest.
    pub fn interval(period: Duration) -> Self {
        let mut timer = Self::never();
        timer.set_interval(period);
        timer
    }

    /// A timer that fires again and again, for the first time at `start`.
    pub fn interval_at(start: Instant, period: Duration) -> Self {
        let mut timer = Self::never();
        timer.set_interval_at(start, period);
        timer
    }

    /// Whether it will ever fire, or fire again.
    #[must_use]
    pub fn will_fire(&self) -> bool {
        self.alarm.time().is_some()
    }

    /// Fires once, when so much time has passed, instead of what it was set to. Who polled it before is
    /// woken for the new time, here and in the other setters.
    pub fn set_after(&mut self, duration: Duration) {
        self.set(self.alarm.now().checked_add(duration), None);
    }

    /// Fires once, at this time, instead of what it was set to. An interval ends with that; async-io's
    /// goes on.
    pub fn set_at(&mut self, instant: Instant) {
        self.set(Some(instant), None);
    }

    /// Fires again and again, for the first time after one period, instead of what it was set to.
    pub fn set_interval(&mut self, period: Duration) {
        let period = period.max(SHORTEST);
        self.set(self.alarm.now().checked_add(period), Some(period));
    }

    /// Fires again and again, for the first time at `start`, instead of what it was set to.
    pub fn set_interval_at(&mut self, start: Instant, period: Duration) {
        self.set(Some(start), Some(period.max(SHORTEST)));
    }

    /// Never fires, instead of what it was set to.
    pub fn clear(&mut self) {
        self.set(None, None);
    }

    fn of(alarm: Alarm) -> Self {
        Self { alarm, period: None }
    }

    fn set(&mut self, next: Option<Instant>, period: Option<Duration>) {
        self.period = period;
        self.alarm.set(next);
    }
}

/// A panic elsewhere leaves a timer whole: it runs no code of its user's but wakers, and those last.
impl UnwindSafe for Timer {}
impl RefUnwindSafe for Timer {}

/// Prints the time it is set to, and the period of an interval.
impl fmt::Debug for Timer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timer")
            .field("time", &self.alarm.time())
            .field("period", &self.period)
            .finish_non_exhaustive()
    }
}

/// Resolves with the time that it was set to, when that has come. Polled after that, it waits for the
/// next time of an interval, or for a time to be set.
///
/// # Cancel safety
///
/// `(&mut timer).await` can be dropped and begun again.
impl Future for Timer {
    type Output = Instant;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Instant> {
        let came = ready!(self.alarm.poll_rung(cx));
        ready!(budget::poll_spend(cx, Key::of(&*self, Direction::Read)));
        let next = self.period.and_then(|period| came.checked_add(period));
        self.alarm.set(next);
        Poll::Ready(came)
    }
}

/// The times, one after another. It does not end: a timer that will not fire again is pending.
impl Stream for Timer {
    type Item = Instant;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Instant>> {
        self.poll(cx).map(Some)
    }
}
