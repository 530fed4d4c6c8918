//! The clock behind a timer: the reactor, or the [sleeper](super::sleeper) if there is no reactor (it
//! was shut down, the process has no descriptors left for one, or the process is a forked child).

use std::io;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use netpoll::Reactor;

use super::sleeper::Sleeper;

/// Is ready at the time that it is set to, and stays ready until it is set anew.
pub(super) struct Alarm {
    /// `None` means the global reactor.
    reactor: Option<Reactor>,
    time: Option<Instant>,
    by: By,
}

enum By {
    /// The alarm was never polled.
    Unset,
    Reactor(netpoll::Timer),
    /// One thread for all timers without a reactor.
    Thread(Sleeper),
}

impl Alarm {
    pub(super) fn new(reactor: Option<Reactor>) -> Self {
        Self { reactor, time: None, by: By::Unset }
    }

    pub(super) fn now(&self) -> Instant {
        self.reactor.as_ref().map_or_else(Instant::now, Reactor::now)
    }

    /// The time that it is set to.
    pub(super) fn time(&self) -> Option<Instant> {
        self.time
    }

    pub(super) fn set(&mut self, time: Option<Instant>) {
        self.time = time;
        match &mut self.by {
            By::Unset => {}
            By::Reactor(timer) => timer.set(time),
            By::Thread(sleeper) => sleeper.forget(),
        }
    }

    /// Resolves to the time that it was set to.
    pub(super) fn poll_rung(&mut self, cx: &mut Context<'_>) -> Poll<Instant> {
        if let By::Unset = self.by {
            self.by = self.begin().map_or_else(|_| By::Thread(Sleeper::default()), By::Reactor);
        }
        if let By::Reactor(timer) = &self.by
            && ready!(timer.poll_fired(cx)).is_err()
        {
            self.by = By::Thread(Sleeper::default());
        }
        match (&mut self.by, self.time) {
            (By::Thread(sleeper), time) => sleeper.poll_reached(cx, time),
            (_, time) => Poll::Ready(time.expect("an alarm without a time does not fire")),
        }
    }

    fn begin(&self) -> io::Result<netpoll::Timer> {
        let reactor = match &self.reactor {
            Some(reactor) => reactor,
            None => Reactor::global()?,
        };
        let timer = netpoll::Timer::never(reactor)?;
        timer.set(self.time);
        Ok(timer)
    }
}
