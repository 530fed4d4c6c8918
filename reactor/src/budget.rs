//! A task that never has to wait lets the others of its thread run now and then.
//!
//! An executor runs a task until it waits, and one whose socket is always ready never does: a peer that
//! sends faster than it is read, or connects faster than it is accepted, has the thread to itself. Go
//! preempts such a goroutine after 10 ms. Here each thread may make [`OPERATIONS`] operations that need
//! not wait. The next one wakes its task and is [`Pending`](Poll::Pending), once: the executor runs
//! whoever else is to run, and comes back to it.
//!
//! It is the thread that is counted, and not the task, of which nothing is known here but its waker:
//! tasks that take turns share the budget. So now and then one that is not to blame goes once round its
//! executor. A thread that waits as a driver ([`block_on`](crate::block_on), [`Driver`](crate::Driver)),
//! or turns a reactor by hand, has run everybody, and its budget is full again.
//!
//! What takes part is what is awaited or polled: the operations of a
//! [`Registration`](crate::Registration) ([`io`](crate::Registration::io), `transfer` and their like), and what
//! adapters make of it by [`poll_spend`], as of waiting for readiness. The `try_*` calls, deadlines, `close`, and
//! the readiness of a `Registration` itself do not. A poll that is put off has tried nothing, taken no
//! byte and lost no place in line; one that fails because the socket is closed, or its deadline has passed,
//! is not put off. Who polls a future once, to see whether it is done at once
//! (`now_or_never`), had better `try_*`.
//!
//! # When the task has been round
//!
//! A task may poll several operations before it waits (`select`), and if the second one found the
//! budget full again because the first was put off, the task would go on for ever. So the budget stays
//! spent, and whatever the task polls next is put off as well, until there is a sign that it has been
//! round: another task polls, or the operation that was put off first comes back, known by its descriptor
//! and direction. Where it does not come back, for it was dropped, [`SIBLINGS`] more are put off and no
//! more than those.
//!
//! Tasks are told apart by their wakers. So what makes wakers of its own inside of a task
//! (`FuturesUnordered`) is taken for the executor that it is: it lets its other futures run, and whether it
//! lets other tasks run is up to it.
//!
//! ```
//! use netpoll::budget;
//!
//! budget::refill();
//! (0..budget::OPERATIONS).for_each(|_| budget::spend());
//! assert!(budget::is_spent());
//! ```

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::io;
use std::task::{Context, Poll};

use crate::ready::Direction;

/// How many operations a thread makes one after the other before it lets others run: as many as a task
/// of tokio's.
pub const OPERATIONS: u32 = 128;

/// How many others are put off at most of a task while the first one has not come back.
pub const SIBLINGS: u32 = 8;

thread_local! {
    static LEFT: Cell<u32> = const { Cell::new(OPERATIONS) };
    static PUT_OFF: Cell<Option<PutOff>> = const { Cell::new(None) };
}

/// Tells the operations that one task may poll apart from each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key(usize, Direction);

impl Key {
    /// The operations of one direction of `what`, by its address.
    #[inline]
    pub fn of<T>(what: &T, direction: Direction) -> Self {
        Self(std::ptr::from_ref(what).addr(), direction)
    }
}

/// Who was put off.
#[derive(Clone, Copy)]
struct PutOff {
    /// The task, by its waker.
    task: *const (),
    first: Key,
    siblings: u32,
}

/// Pays for an operation that is about to be made. If nothing is left, the task is woken, and what it is
/// about to do is for the next poll.
///
/// To be asked last, after what ends the operation without trying: that it was closed, or is too late.
#[inline]
pub fn poll_spend(cx: &mut Context<'_>, key: Key) -> Poll<()> {
    match LEFT.get() {
        0 if is_put_off(cx, key) => return Poll::Pending,
        0 => LEFT.set(OPERATIONS - 1),
        left => LEFT.set(left - 1),
    }
    Poll::Ready(())
}

/// Awaits what `wait` returns, and pays for the operation that is to follow. Who is put off waits anew: by
/// then the socket may be closed, its deadline have passed, or another have taken what there was.
pub async fn wait_and_spend<T, F>(key: Key, mut wait: impl FnMut() -> F) -> io::Result<T>
where
    F: Future<Output = io::Result<T>>,
{
    let ready = wait().await?;
    if !is_spent() {
        spend();
        return Ok(ready);
    }
    poll_fn(|cx| poll_spend(cx, key)).await;
    wait().await
}

/// Whether this thread's next operation would be put off.
#[inline]
#[must_use]
pub fn is_spent() -> bool {
    LEFT.get() == 0
}

/// Pays for an operation that was made without asking.
#[inline]
pub fn spend() {
    LEFT.set(LEFT.get().saturating_sub(1));
}

/// This thread has let others run, or knows of another budget that sees to it.
#[inline]
pub fn refill() {
    LEFT.set(OPERATIONS);
    PUT_OFF.set(None);
}

#[cold]
fn is_put_off(cx: &mut Context<'_>, key: Key) -> bool {
    let task = cx.waker().data();
    let next = match PUT_OFF.get() {
        None => PutOff { task, first: key, siblings: 0 },
        Some(PutOff { task: other, first, siblings })
            if other == task && first != key && siblings < SIBLINGS =>
        {
            PutOff { task, first, siblings: siblings + 1 }
        }
        Some(_) => {
            refill();
            return false;
        }
    };
    PUT_OFF.set(Some(next));
    cx.waker().wake_by_ref();
    true
}
