//! What a timer waits for: the reactor, or where there is none (no descriptors left for it, it was shut
//! down, the process is a forked child) the [sleeper](super::sleeper).

use std::io;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use netpoll::Reactor;

use super::sleeper::Sleeper;

/// Rings at the time that it is set to, and goes on ringing until it is set anew.
pub(super) struct Alarm {
    /// The global one, if it is not told.
    reactor: Option<Reactor>,
    time: Option<Instant>,
    by: By,
}

enum By {
    /// It was never polled.
    Nobody,
    Reactor(netpoll::Timer),
    /// One thread for all timers without a reactor.
    Thread(Sleeper),
}

impl Alarm {
    pub(super) fn new(reactor: Option<Reactor>) -> Self {
        Self { reactor, time: None, by: By::Nobody }
    }

    pub(super) fn now(&self) -> Instant {
        self.reactor.as_ref().map_or_else(Instant::now, Reactor::now)
    }

    /// What it is set to.
    pub(super) fn time(&self) -> Option<Instant> {
        self.time
    }

    pub(super) fn set(&mut self, time: Option<Instant>) {
        self.time = time;
        match &mut self.by {
            By::Nobody => {}
            By::Reactor(timer) => timer.set(time),
            By::Thread(sleeper) => sleeper.forget(),
        }
    }

    /// Ready with the time that it was set to.
    pub(super) fn poll_rung(&mut self, cx: &mut Context<'_>) -> Poll<Instant> {
        if let By::Nobody = self.by {
            self.by = self.begin().map_or_else(|_| By::Thread(Sleeper::default()), By::Reactor);
        }
        if let By::Reactor(timer) = &self.by
            && ready!(timer.poll_fired(cx)).is_err()
        {
            self.by = By::Thread(Sleeper::default());
        }
        match (&mut self.by, self.time) {
            (By::Thread(sleeper), time) => sleeper.poll_reached(cx, time),
            (_, time) => Poll::Ready(time.expect("what is not set does not fire")),
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
