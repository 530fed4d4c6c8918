//! How hyper tells that it waits for the head of an HTTP/1 request.
//!
//! An I/O object sees bytes and cannot tell the body of one request from the head of the next; hyper
//! can. It starts its timer for heads exactly when it turns from a complete message to the next head, and
//! it asks the timer of its builder for nothing else. So each connection gets a timer that notes the
//! turn and never fires: the deadline itself is the socket's.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use hyper::rt;
use netpoll_futures::StreamSocket;

use super::watch::Watch;

/// The timeout that hyper is given, so that it starts the timer. It has no meaning.
pub(super) const STARTS_THE_TIMER: Duration = Duration::from_secs(3600);

/// hyper's timer for one connection.
#[derive(Debug)]
pub(super) struct HeadWait<S: StreamSocket> {
    watch: Arc<Watch<S>>,
    /// Any time will do: hyper only adds to it.
    now: Instant,
}

impl<S: StreamSocket> HeadWait<S> {
    pub(super) fn new(watch: Arc<Watch<S>>) -> Self {
        Self { watch, now: Instant::now() }
    }
}

impl<S: StreamSocket> rt::Timer for HeadWait<S> {
    fn sleep(&self, _: Duration) -> Pin<Box<dyn rt::Sleep>> {
        self.watch.awaits_head();
        Box::pin(Never)
    }

    fn sleep_until(&self, _: Instant) -> Pin<Box<dyn rt::Sleep>> {
        self.watch.awaits_head();
        Box::pin(Never)
    }

    fn now(&self) -> Instant {
        self.now
    }

    fn reset(&self, _: &mut Pin<Box<dyn rt::Sleep>>, _: Instant) {
        self.watch.awaits_head();
    }
}

/// A sleep that never ends. Its box allocates nothing, as it has no size.
struct Never;

impl Future for Never {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        Poll::Pending
    }
}

impl rt::Sleep for Never {}
