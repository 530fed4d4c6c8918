//! Who is inside a descriptor: the count that lets `close` end it once no system call is using it.
//!
//! Go's `fdMutex`, without its locks. Every operation passes the gate before its system call and
//! after it. Closing shuts the gate: nobody enters any more, and whoever leaves last, the closer or
//! an operation, ends the descriptor. One word, moved by read-modify-write only.

use std::fmt;
use std::io;
use std::task::{Context, Poll, Waker};

use crate::sync::{AtomicU32, LoadToSwap, Mutex, Ordering, lock};
use crate::wake::{survive, wake};

/// The gate is shut: the count can only fall.
const SHUT: u32 = 1 << (u32::BITS - 1);
/// The descriptor is gone.
const DONE: u32 = 1 << (u32::BITS - 2);

#[derive(Debug)]
pub(crate) struct Gate(AtomicU32);

/// What the end of a descriptor sets off. Boxed, as most closes wait for nothing and a waker would take
/// room in every registration; and beside the gate, as the two together would be padded.
#[derive(Debug)]
pub(crate) struct Closer(Mutex<Option<Box<AtEnd>>>);

#[derive(Default)]
struct AtEnd {
    /// The task in `close().await`.
    waker: Option<Waker>,
    /// Values that are dropped at the end.
    held: Vec<Box<dyn Send>>,
    /// Why the descriptor could not be ended.
    failure: Option<io::Error>,
}

/// Whether it falls to the caller to end the descriptor, and then to call [`Gate::done`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Last {
    Yes,
    No,
}

impl Gate {
    pub(crate) fn new() -> Self {
        Self(AtomicU32::new(0))
    }

    /// An operation goes in; [`leave`](Self::leave) must follow. False if the gate is shut.
    #[inline]
    #[must_use]
    pub(crate) fn enter(&self) -> bool {
        let mut seen = self.0.load_to_swap(Ordering::Relaxed);
        while seen & SHUT == 0 {
            match self.0.compare_exchange_weak(seen, seen + 1, Ordering::AcqRel, Ordering::Relaxed)
            {
                Ok(_) => return true,
                Err(changed) => seen = changed,
            }
        }
        false
    }

    /// An operation is out again.
    #[inline]
    pub(crate) fn leave(&self) -> Last {
        let before = self.0.fetch_sub(1, Ordering::AcqRel);
        if before == SHUT | 1 { Last::Yes } else { Last::No }
    }

    /// Shuts the gate, with the caller inside: it takes the descriptor out of epoll and then leaves
    /// like everybody else. False if the gate was shut before.
    #[must_use]
    pub(crate) fn shut(&self) -> bool {
        let mut seen = self.0.load_to_swap(Ordering::Relaxed);
        while seen & SHUT == 0 {
            let next = SHUT | (seen + 1);
            match self.0.compare_exchange_weak(seen, next, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => return true,
                Err(changed) => seen = changed,
            }
        }
        false
    }

    /// The descriptor is gone, or could not be ended: drops the values that were held until then, then wakes
    /// the closer.
    ///
    /// In this order: a task that sees the end finds them dropped, and the result.
    pub(crate) fn done(&self, closer: &Closer, ended: io::Result<()>) {
        drop_all(closer.take_held());
        if let Err(failure) = ended {
            closer.with(|at_end| at_end.failure = Some(failure));
        }
        self.0.fetch_or(DONE, Ordering::AcqRel);
        drop_all(closer.take_held());
        if let Some(waker) = closer.take_waker() {
            wake(waker);
        }
    }

    /// Holds a value until the descriptor is gone, or drops it at once if it is.
    ///
    /// The holder stores the value, then looks for the end; the end is marked, then takes the values that are
    /// stored. One of the two finds it.
    pub(crate) fn hold(&self, closer: &Closer, value: Box<dyn Send>) {
        closer.with(|at_end| at_end.held.push(value));
        if self.is_done() {
            drop_all(closer.take_held());
        }
    }

    /// Ready when the descriptor is gone, with the result of its end, once.
    pub(crate) fn poll_done(&self, closer: &Closer, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.is_done() {
            closer.wait(cx.waker());
        }
        if self.is_done() {
            Poll::Ready(closer.take_failure().map_or(Ok(()), Err))
        } else {
            Poll::Pending
        }
    }

    fn is_done(&self) -> bool {
        self.0.load(Ordering::Acquire) & DONE != 0
    }
}

impl Closer {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(None))
    }

    fn wait(&self, waker: &Waker) {
        let waker = waker.clone();
        let older = self.with(|at_end| at_end.waker.replace(waker));
        drop(older);
    }

    fn with<R>(&self, change: impl FnOnce(&mut AtEnd) -> R) -> R {
        change(lock(&self.0).get_or_insert_default())
    }

    fn take_waker(&self) -> Option<Waker> {
        lock(&self.0).as_mut()?.waker.take()
    }

    fn take_held(&self) -> Vec<Box<dyn Send>> {
        lock(&self.0).as_mut().map(|at_end| std::mem::take(&mut at_end.held)).unwrap_or_default()
    }

    fn take_failure(&self) -> Option<io::Error> {
        lock(&self.0).as_mut()?.failure.take()
    }
}

/// Their destructors are user code: one that panics keeps no other from being run.
fn drop_all(values: Vec<Box<dyn Send>>) {
    values.into_iter().for_each(|value| survive(|| drop(value)));
}

impl fmt::Debug for AtEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { waker, held, failure } = self;
        let mut shown = f.debug_struct("AtEnd");
        shown.field("waker", waker).field("held", &held.len()).field("failure", failure).finish()
    }
}
