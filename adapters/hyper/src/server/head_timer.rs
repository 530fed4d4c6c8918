//! Learns from hyper when it begins to wait for the head of an HTTP/1 request.
//!
//! An I/O object sees bytes, and cannot distinguish the body of one request from the head of the next. hyper
//! can: it starts its header timer exactly when it has read one message completely and waits for the next head,
//! and HTTP/1 uses the builder's timer for no other purpose. So each connection has a timer that reports these
//! starts and never fires. The socket has the real deadline.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use hyper::rt;
use netpoll_futures::StreamSocket;

use super::progress::ProgressTracker;

/// The header timeout for hyper's builder. hyper starts its timer only if it has one; the length has no effect.
pub(super) const HEADER_READ_TIMEOUT: Duration = Duration::from_secs(3600);

/// hyper's timer for one connection.
#[derive(Debug)]
pub(super) struct HeadTimer<S: StreamSocket> {
    tracker: Arc<ProgressTracker<S>>,
    /// hyper adds the timeout to this time, and the sum has no effect. So the clock is read once.
    now: Instant,
}

impl<S: StreamSocket> HeadTimer<S> {
    pub(super) fn new(tracker: Arc<ProgressTracker<S>>) -> Self {
        Self { tracker, now: Instant::now() }
    }
}

impl<S: StreamSocket> rt::Timer for HeadTimer<S> {
    fn sleep(&self, _: Duration) -> Pin<Box<dyn rt::Sleep>> {
        self.tracker.awaits_head();
        Box::pin(Never)
    }

    fn sleep_until(&self, _: Instant) -> Pin<Box<dyn rt::Sleep>> {
        self.tracker.awaits_head();
        Box::pin(Never)
    }

    fn now(&self) -> Instant {
        self.now
    }

    fn reset(&self, _: &mut Pin<Box<dyn rt::Sleep>>, _: Instant) {
        self.tracker.awaits_head();
    }
}

/// A sleep that never ends. It has no size, so its box allocates no memory.
struct Never;

impl Future for Never {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        Poll::Pending
    }
}

impl rt::Sleep for Never {}
