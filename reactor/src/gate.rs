//! Who is inside a descriptor: the count that lets `close` end it once no system call is using it.
//!
//! Go's `fdMutex`, without its locks. Every operation passes the gate before its system call and
//! after it. Closing shuts the gate: nobody enters any more, and whoever leaves last, the closer or
//! an operation, ends the descriptor. One word, moved by read-modify-write only.

use std::task::{Context, Poll};

use crate::sync::{AtomicUsize, AtomicWaker, Ordering};
use crate::wake::wake;

/// The gate is shut: the count can only fall.
const SHUT: usize = 1 << (usize::BITS - 1);
/// The descriptor is gone.
const DONE: usize = 1 << (usize::BITS - 2);

#[derive(Debug)]
pub(crate) struct Gate {
    word: AtomicUsize,
    closer: AtomicWaker,
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
        Self { word: AtomicUsize::new(0), closer: AtomicWaker::new() }
    }

    /// An operation goes in; [`leave`](Self::leave) must follow. False if the gate is shut.
    #[inline]
    #[must_use]
    pub(crate) fn enter(&self) -> bool {
        let mut seen = self.word.load(Ordering::Relaxed);
        while seen & SHUT == 0 {
            match self.word.compare_exchange_weak(
                seen,
                seen + 1,
                Ordering::AcqRel,
                Ordering::Relaxed,
            ) {
                Ok(_) => return true,
                Err(changed) => seen = changed,
            }
        }
        false
    }

    /// An operation is out again.
    #[inline]
    pub(crate) fn leave(&self) -> Last {
        let before = self.word.fetch_sub(1, Ordering::AcqRel);
        if before == SHUT | 1 { Last::Yes } else { Last::No }
    }

    /// Shuts the gate, with the caller inside: it takes the descriptor out of epoll and then leaves
    /// like everybody else. False if the gate was shut before.
    #[must_use]
    pub(crate) fn shut(&self) -> bool {
        let mut seen = self.word.load(Ordering::Relaxed);
        while seen & SHUT == 0 {
            let next = SHUT | (seen + 1);
            match self.word.compare_exchange_weak(seen, next, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => return true,
                Err(changed) => seen = changed,
            }
        }
        false
    }

    /// The descriptor is gone: whoever waits for that may go on.
    pub(crate) fn done(&self) {
        self.word.fetch_or(DONE, Ordering::AcqRel);
        if let Some(closer) = self.closer.take() {
            wake(closer);
        }
    }

    /// Ready when the descriptor is gone.
    pub(crate) fn poll_done(&self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.is_done() {
            self.closer.register(cx.waker());
        }
        if self.is_done() { Poll::Ready(()) } else { Poll::Pending }
    }

    fn is_done(&self) -> bool {
        self.word.load(Ordering::Acquire) & DONE != 0
    }
}
