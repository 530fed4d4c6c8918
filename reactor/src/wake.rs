//! Calls of user code that may panic, and the wakers that a turn collects.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::task::Waker;

use crate::sync::per_thread;

/// Wakes, and catches a panic of the waker, so that one bad waker cannot suppress the other wake-ups. The panic
/// hook has reported it by then.
///
/// For adapters, whose tasks wake each other: the task that passes a lock on, or closes a socket, did not cause
/// the panic.
pub fn wake(waker: Waker) {
    catch_panic(|| waker.wake());
}

/// Calls user code, and catches its panic.
pub(crate) fn catch_panic(user_code: impl FnOnce()) {
    let Err(panic) = catch_unwind(AssertUnwindSafe(user_code)) else { return };
    // The payload's destructor is user code as well. If that panics too, its payload is leaked.
    if let Err(again) = catch_unwind(AssertUnwindSafe(|| drop(panic))) {
        std::mem::forget(again);
    }
}

/// The wakers that a turn of the reactor has collected, in the order in which their tasks are to be woken.
pub(crate) type Wakers = VecDeque<Waker>;

per_thread! {
    /// The tasks that this thread has still to wake. A waker may turn a reactor itself, and that turn wakes
    /// them first: they must not wait for the end of the waker.
    static TO_WAKE: Rc<RefCell<Wakers>> = Rc::default();
}

/// Collects wakers in `turn`, which calls no user code, and wakes them when it has returned.
pub(crate) fn collect_and_wake<R>(turn: impl FnOnce(&mut Wakers) -> R) -> R {
    // A thread that is ending has destroyed its list.
    let list = TO_WAKE.try_with(Rc::clone).unwrap_or_default();
    let result = turn(&mut list.borrow_mut());
    let next = || list.borrow_mut().pop_front();
    while let Some(waker) = next() {
        wake(waker);
    }
    result
}
