//! Who wakes a timer: the reactor, or where none is to be had (no descriptors left for it, it was shut
//! down, we are in a forked child) a thread.

use std::io;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, ready};
use std::thread::{self, Thread};
use std::time::Instant;

use futures_util::task::AtomicWaker;
use netpoll::{Reactor, spawn_helper};

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

/// A thread that sleeps until it is time to wake somebody.
#[derive(Debug, Default)]
struct Sleeper {
    waiter: Arc<AtomicWaker>,
    asleep: Option<Asleep>,
}

impl Sleeper {
    fn poll_reached(&mut self, cx: &mut Context<'_>, time: Option<Instant>) -> Poll<Instant> {
        self.waiter.register(cx.waker());
        match time {
            Some(time) if time <= Instant::now() => return Poll::Ready(time),
            Some(time) if self.asleep.is_none() => match Asleep::until(time, &self.waiter) {
                Ok(asleep) => self.asleep = Some(asleep),
                // No thread to be had either: the task tries again and again. Busy, but not wrong.
                Err(_) => cx.waker().wake_by_ref(),
            },
            _ => {}
        }
        Poll::Pending
    }

    /// The time is another now: whoever waits is to come and say so.
    fn forget(&mut self) {
        self.asleep = None;
        self.waiter.wake();
    }
}

/// The thread, which goes when this does.
#[derive(Debug)]
struct Asleep {
    thread: Thread,
    /// What keeps it asleep.
    wanted: Option<Arc<()>>,
}

impl Asleep {
    fn until(time: Instant, waiter: &Arc<AtomicWaker>) -> io::Result<Self> {
        let (wanted, waiter) = (Arc::new(()), waiter.clone());
        let still_wanted = Arc::downgrade(&wanted);
        let thread = spawn_helper("netpoll-timer", move || {
            sleep_while(&still_wanted, time);
            waiter.wake();
        })?;
        Ok(Self { thread: thread.thread().clone(), wanted: Some(wanted) })
    }
}

impl Drop for Asleep {
    fn drop(&mut self) {
        self.wanted = None;
        self.thread.unpark();
    }
}

fn sleep_while(wanted: &Weak<()>, until: Instant) {
    while wanted.strong_count() > 0 {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        thread::park_timeout(left);
    }
}
