//! The tasks that run on the thread of a loop.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, ThreadId};

use ::netpoll::Reactor;

/// The tasks of a loop, as one future.
#[allow(missing_debug_implementations)] // A future has nothing to print.
pub struct Tasks {
    future: Pin<Box<dyn Future<Output = ()>>>,
    woken: Arc<Woken>,
}

struct Woken {
    woken: AtomicBool,
    /// The thread of the loop. It runs the tasks after each turn anyway.
    thread: ThreadId,
    reactor: Reactor,
}

impl Tasks {
    /// To be run on this thread.
    pub fn new(reactor: &Reactor, future: impl Future<Output = ()> + 'static) -> Self {
        let thread = thread::current().id();
        let woken = Woken { woken: AtomicBool::new(true), thread, reactor: reactor.clone() };
        Self { future: Box::pin(future), woken: Arc::new(woken) }
    }

    /// Polls them as long as they are woken. True when they are done.
    pub fn run(&mut self) -> bool {
        let waker = Waker::from(self.woken.clone());
        let mut cx = Context::from_waker(&waker);
        while self.woken.woken.swap(false, Ordering::AcqRel) {
            if let Poll::Ready(()) = self.future.as_mut().poll(&mut cx) {
                return true;
            }
        }
        false
    }
}

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.woken.store(true, Ordering::Release);
        if thread::current().id() != self.thread {
            // The loop makes a turn, and then runs the tasks.
            self.reactor.notify();
        }
    }
}
