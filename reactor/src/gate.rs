//! Who is inside a descriptor: the count that lets `close` end it once no system call is using it.
//!
//! Go's `fdMutex`, without its locks. Every operation passes the gate before its system call and
//! after it. Closing shuts the gate: nobody enters any more, and whoever leaves last, the closer or
//! an operation, ends the descriptor. One word, moved by read-modify-write only.

use std::task::{Context, Poll, Waker};

use crate::sync::{AtomicU32, Mutex, Ordering, lock};
use crate::wake::wake;

/// The gate is shut: the count can only fall.
const SHUT: u32 = 1 << (u32::BITS - 1);
/// The descriptor is gone.
const DONE: u32 = 1 << (u32::BITS - 2);

#[derive(Debug)]
pub(crate) struct Gate(AtomicU32);

/// Who waits for the end of a descriptor. Mostly it need not, and a waker would take room in every
/// registration; and beside the gate, as the two together would be padded.
#[derive(Debug)]
pub(crate) struct Closer(Mutex<Option<Box<Waker>>>);

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
        let mut seen = self.0.load(Ordering::Relaxed);
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
        let mut seen = self.0.load(Ordering::Relaxed);
        while seen & SHUT == 0 {
            let next = SHUT | (seen + 1);
            match self.0.compare_exchange_weak(seen, next, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => return true,
                Err(changed) => seen = changed,
            }
        }
        false
    }

    /// The descriptor is gone: whoever waits for that may go on.
    pub(crate) fn done(&self, closer: &Closer) {
        self.0.fetch_or(DONE, Ordering::AcqRel);
        if let Some(waker) = closer.take() {
            wake(*waker);
        }
    }

    /// Ready when the descriptor is gone.
    pub(crate) fn poll_done(&self, closer: &Closer, cx: &mut Context<'_>) -> Poll<()> {
        if !self.is_done() {
            closer.wait(cx.waker());
        }
        if self.is_done() { Poll::Ready(()) } else { Poll::Pending }
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
        let waker = Box::new(waker.clone());
        let older = lock(&self.0).replace(waker);
        drop(older);
    }

    fn take(&self) -> Option<Box<Waker>> {
        lock(&self.0).take()
    }
}
