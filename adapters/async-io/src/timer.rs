//! The timer: async-io's arithmetic of periods over a timer of the reactor.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use futures_core::Stream;

/// Waits for a time: once as a future, repeatedly as a stream. Both yield the time that the timer was set to.
///
/// ```
/// use std::time::{Duration, Instant};
/// use async_io::Timer;
///
/// # async_io::block_on(async {
/// let soon = Instant::now() + Duration::from_millis(5);
/// assert_eq!(Timer::at(soon).await, soon);
/// assert!(Instant::now() >= soon);
/// # });
/// ```
///
/// An interval yields each tick, however late it is polled. A time beyond the range of [`Instant`] never comes.
#[derive(Debug)]
#[must_use = "a timer does nothing unless it is polled"]
pub struct Timer {
    when: Option<Instant>,
    /// `Duration::MAX` if it fires once.
    period: Duration,
    /// Wakes the task at `when`.
    alarm: netpoll_futures::Timer,
}

impl Timer {
    /// Creates a timer that never fires unless it is set.
    pub fn never() -> Timer {
        Timer { when: None, period: Duration::MAX, alarm: netpoll_futures::Timer::never() }
    }

    /// Creates a timer that fires once, after `duration`.
    pub fn after(duration: Duration) -> Timer {
        let mut timer = Timer::never();
        timer.set_after(duration);
        timer
    }

    /// Creates a timer that fires once, at `instant`.
    pub fn at(instant: Instant) -> Timer {
        let mut timer = Timer::never();
        timer.set_at(instant);
        timer
    }

    /// Creates a timer that fires once per period, first after one period.
    pub fn interval(period: Duration) -> Timer {
        let mut timer = Timer::never();
        timer.set_interval(period);
        timer
    }

    /// Creates a timer that fires once per period, first at `start`.
    pub fn interval_at(start: Instant, period: Duration) -> Timer {
        let mut timer = Timer::never();
        timer.set_interval_at(start, period);
        timer
    }

    /// Whether the timer will fire, or fire again.
    #[inline]
    pub fn will_fire(&self) -> bool {
        self.when.is_some()
    }

    /// Sets the next time, after `duration`. An interval keeps its period. A task that has polled the timer is woken for
    /// the new time.
    pub fn set_after(&mut self, duration: Duration) {
        self.set(Instant::now().checked_add(duration));
    }

    /// Sets the next time. See [`set_after`](Self::set_after).
    pub fn set_at(&mut self, instant: Instant) {
        self.set(Some(instant));
    }

    /// Sets the timer to fire once per period, first after one period.
    pub fn set_interval(&mut self, period: Duration) {
        match Instant::now().checked_add(period) {
            Some(start) => self.set_interval_at(start, period),
            None => self.clear(),
        }
    }

    /// Sets the timer to fire once per period, first at `start`.
    pub fn set_interval_at(&mut self, start: Instant, period: Duration) {
        self.period = period;
        self.set(Some(start));
    }

    /// Clears the time: the timer does not fire until it is set again.
    pub fn clear(&mut self) {
        self.set(None);
    }

    fn set(&mut self, when: Option<Instant>) {
        self.when = when;
        match when {
            Some(when) => self.alarm.set_at(when),
            None => self.alarm.clear(),
        }
    }
}

/// Resolves to the time that the timer was set to. A later poll waits for the next tick of an interval, or until a time
/// is set.
///
/// # Cancel safety
///
/// `(&mut timer).await` may be dropped and started again.
impl Future for Timer {
    type Output = Instant;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Instant> {
        let this = self.get_mut();
        let due = this.when.filter(|when| Instant::now() >= *when);
        let came = match due {
            Some(when) => when,
            None => ready!(Pin::new(&mut this.alarm).poll(cx)),
        };
        this.set(came.checked_add(this.period));
        Poll::Ready(came)
    }
}

/// Yields the times. The stream does not end: a timer that will not fire again stays pending.
impl Stream for Timer {
    type Item = Instant;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Instant>> {
        self.poll(cx).map(Some)
    }
}
