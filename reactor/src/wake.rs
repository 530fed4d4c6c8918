//! Waking strangers.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Waker;

/// Wakes, and survives it. A waker is a stranger's code: if it panics, the others that are to be woken
/// still are, and whoever wakes goes on. The panic hook has reported it by then.
///
/// For adapters, whose tasks wake each other: one that passes something on, or closes, has done nothing
/// wrong.
pub fn wake(waker: Waker) {
    survive(|| waker.wake());
}

/// Runs a stranger's code, and goes on if it panics.
pub(crate) fn survive(stranger: impl FnOnce()) {
    let Err(panic) = catch_unwind(AssertUnwindSafe(stranger)) else { return };
    // Dropping what it panicked with is a stranger's code once more, and the last that we run.
    if let Err(again) = catch_unwind(AssertUnwindSafe(|| drop(panic))) {
        std::mem::forget(again);
    }
}
