//! A task that never has to wait lets the other tasks of its thread run now and then.
//!
//! An executor runs a task until it waits. A task whose socket is always ready never waits: a peer that
//! sends faster than the task reads, or connects faster than the task accepts, has the thread to itself. Go
//! preempts such a goroutine after 10 ms. Here each thread has a budget of `OPERATIONS` operations. The
//! next one wakes its task and is [`Pending`](Poll::Pending): the executor runs other tasks, and comes back.
//!
//! The reactor cannot see the task, only its waker, so the thread has the budget: tasks that take turns share
//! it. A thread that waits as a driver ([`block_on`](crate::block_on), [`Driver`](crate::Driver)), or turns a
//! reactor by hand, has run all its tasks, and its budget is full again.
//!
//! Operations that are awaited or polled take part, waits for readiness and timers included. The `try_*` calls,
//! deadlines and `close` do not. A poll that is put off has tried nothing and taken no byte. One that fails
//! because the socket is closed, or its deadline has passed, is not put off. A caller that polls a future once,
//! to see whether it is done at once (`now_or_never`), should `try_*` instead.
//!
//! # The rule
//!
//! When the budget is spent, every operation that the task polls is put off. When the task polls one of these
//! again, the executor has polled the task anew, and the budget is full again. So a task that selects over
//! any number of operations that are ready cannot go on within one poll. A task may drop an operation that
//! was put off: its later operations are still made.
//!
//! Tasks are told apart by their wakers, and a poll of another task fills the budget as well. So code that makes
//! wakers of its own inside of a task (`FuturesUnordered`) is treated as the executor that it is: it lets its
//! other futures run, and decides itself when to let other tasks run.

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::task::{Context, Poll};

use crate::ready::Direction;

/// How many operations a thread makes one after the other before it lets other tasks run: as many as a task
/// of tokio's.
const OPERATIONS: u32 = 128;

thread_local! {
    static LEFT: Cell<u32> = const { Cell::new(OPERATIONS) };
    static PUT_OFF: RefCell<PutOff> = RefCell::default();
}

/// Names an operation among those that one task may poll.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key(usize, Direction);

impl Key {
    /// The operations of one direction of `object`, by its address.
    #[inline]
    pub(crate) fn of<T>(object: &T, direction: Direction) -> Self {
        Self(std::ptr::from_ref(object).addr(), direction)
    }
}

/// The operations that were put off since the budget was spent.
#[derive(Default)]
struct PutOff {
    /// The task, by its waker.
    task: usize,
    operations: HashSet<Key>,
}

/// Pays for an operation that is about to be made. If nothing is left, it wakes the task, and the operation is for
/// the next poll.
///
/// Call it last, after the checks that end an operation without an attempt: closed, deadline.
#[inline]
pub(crate) fn poll_spend(cx: &mut Context<'_>, key: Key) -> Poll<()> {
    match LEFT.get() {
        0 if is_put_off(cx, key) => return Poll::Pending,
        0 => LEFT.set(OPERATIONS - 1),
        left => LEFT.set(left - 1),
    }
    Poll::Ready(())
}

/// This thread has let other tasks run.
#[inline]
pub(crate) fn refill() {
    if LEFT.replace(OPERATIONS) == 0 {
        forget_put_off();
    }
}

/// For an adapter to an executor that has a budget of its own: before it polls, the adapter says whether the present
/// task runs on that executor. If so, that budget alone holds, and no operation of the poll is put off by netpoll's.
///
/// Calls `has_own` only if the next operation of the thread would be put off.
#[inline]
pub fn refill_budget_if(has_own: impl FnOnce() -> bool) {
    if LEFT.get() == 0 && has_own() {
        refill();
    }
}

#[cold]
fn forget_put_off() {
    // A thread that is ending has destroyed them.
    let _ = PUT_OFF.try_with(|put_off| put_off.borrow_mut().operations.clear());
}

#[cold]
fn is_put_off(cx: &mut Context<'_>, key: Key) -> bool {
    let task = cx.waker().data().addr();
    let put_off = PUT_OFF.try_with(|put_off| {
        let PutOff { task: known, operations } = &mut *put_off.borrow_mut();
        if operations.is_empty() {
            *known = task;
        }
        *known == task && operations.insert(key)
    });
    let is_put_off = put_off.unwrap_or(false);
    if is_put_off {
        cx.waker().wake_by_ref();
    } else {
        forget_put_off();
    }
    is_put_off
}
