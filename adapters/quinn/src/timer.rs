//! quinn's timer trait over the reactor's timers.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use netpoll::Reactor;
use quinn::AsyncTimer;

/// The timer of a connection: for loss detection, pacing, keep-alive and idle time, whichever is next.
///
/// Without a timer of the reactor (the reactor was shut down, or has no memory for it), it resolves at each poll. A connection then
/// reads the clock at each poll, as it does after each timer, and no timeout is lost.
#[derive(Debug)]
pub(crate) struct Timer(Option<netpoll::Timer>);

impl Timer {
    pub(crate) fn at(reactor: &Reactor, deadline: Instant) -> Self {
        Self(netpoll::Timer::at(reactor, deadline).ok())
    }
}

impl AsyncTimer for Timer {
    fn reset(self: Pin<&mut Self>, deadline: Instant) {
        if let Some(timer) = &self.0 {
            timer.set(Some(deadline));
        }
    }

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        match &self.0 {
            Some(timer) => timer.poll_fired(cx).map(drop),
            None => Poll::Ready(()),
        }
    }
}
