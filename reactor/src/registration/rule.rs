//! Rules: how the result of an operation changes the readiness of its direction, and whether the operation takes the
//! write lock.

use crate::ready::Direction;

/// How a [`Registration`](crate::Registration) makes an operation whose result is an `R`. Sealed: the rules are
///
/// | rule | the descriptor counts as drained | for |
/// | --- | --- | --- |
/// | [`Direction`] | after `WouldBlock` | most operations |
/// | [`Transfer`] | after `WouldBlock`, or when fewer bytes than asked for were moved | the bytes of a stream |
/// | [`Contiguous`] | the same | writes of a stream, under the write lock |
/// | [`Checked`] | after `WouldBlock`, if `poll(2)` agrees | code that was made for a level-triggered reactor |
/// | [`Eager`] | as under the rule that it wraps | objects with a buffer of their own, futures that are polled once |
pub trait Rule<R>: sealed::Rule<R> + Copy {}

impl<R, T: sealed::Rule<R> + Copy> Rule<R> for T {}

pub(super) mod sealed {
    use super::Direction;

    /// The behaviour of a rule.
    pub trait Rule<R> {
        /// `WouldBlock` proves nothing: the registration asks the kernel.
        const IS_CHECKED: bool = false;
        /// The operation takes the write lock.
        const IS_LOCKED: bool = false;
        /// Each poll makes an attempt, ready or not, and outside the budget.
        const IS_EAGER: bool = false;

        fn direction(&self) -> Direction;

        /// Whether the result of an operation that did not block shows that the descriptor is drained.
        fn is_short(&self, _moved: &R) -> bool {
            false
        }
    }
}

impl<R> sealed::Rule<R> for Direction {
    #[inline]
    fn direction(&self) -> Direction {
        *self
    }
}

/// An operation that moves at most the given number of bytes of a stream. If it moves fewer, the descriptor counts as drained, which
/// saves the call that would return `WouldBlock`.
///
/// With a length of 0, only `WouldBlock` shows that the descriptor is drained: for streams on which the kernel may end a
/// read early although more bytes are there, as a Unix stream does at a message with descriptors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transfer(pub Direction, pub usize);

impl sealed::Rule<usize> for Transfer {
    #[inline]
    fn direction(&self) -> Direction {
        self.0
    }

    #[inline]
    fn is_short(&self, moved: &usize) -> bool {
        is_short(*moved, self.1)
    }
}

/// A write of at most the given number of bytes of a stream, under the write lock of the registration: it waits while
/// another task has the lock.
///
/// A future (or a [`ReadinessWait`](crate::ReadinessWait)) keeps the lock while it waits for room. If it fails meanwhile,
/// by its deadline for instance, it still has the lock, or its place in the queue, and goes on from there when it is polled
/// again. [`ReadinessWait::leave`](crate::ReadinessWait::leave) or the drop of the future gives both up. A `poll_*` call
/// keeps nothing between two polls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Contiguous(pub usize);

impl sealed::Rule<usize> for Contiguous {
    const IS_LOCKED: bool = true;

    #[inline]
    fn direction(&self) -> Direction {
        Direction::Write
    }

    #[inline]
    fn is_short(&self, moved: &usize) -> bool {
        is_short(*moved, self.0)
    }
}

/// An operation that may return `WouldBlock` where the descriptor did not (it read half a message, for instance); or a
/// wait for readiness whose caller then makes its own system calls, and does not report when they block.
///
/// The registration asks `poll(2)` after each `WouldBlock` of a direction that was ready, and before a wait for readiness ends. While data is left, the
/// operation is repeated, and other tasks run in between. If the kernel flags only an error or a hang-up, the operation is
/// repeated once for each event, and one wait for readiness ends for each event: read the error queue of a socket until
/// it is empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checked(pub Direction);

impl<R> sealed::Rule<R> for Checked {
    const IS_CHECKED: bool = true;

    #[inline]
    fn direction(&self) -> Direction {
        self.0
    }
}

/// An operation under the wrapped rule that is attempted at each poll, whatever the readiness. So an object may have a buffer of
/// its own, from which an operation succeeds although the descriptor is drained. After `WouldBlock` the task waits for
/// the descriptor.
///
/// The budget of the thread puts no such operation off: a future that is polled once, to see whether it is done at once,
/// is done if the operation can be. A task that makes no other operations does not yield by itself.
///
/// [Closed](crate::Closed) and the deadline are checked before the attempt, as under each rule.
///
/// ```
/// use std::cell::Cell;
/// use std::io::{self, Read};
/// use std::os::unix::net::UnixStream;
/// use netpoll::{Checked, Direction, Eager, Registration};
///
/// let (socket, _peer) = UnixStream::pair()?;
/// socket.set_nonblocking(true)?;
/// let socket = Registration::new(socket)?;
/// let buffered = Cell::new(Some(7));
/// let take = |mut socket: &UnixStream| match buffered.take() {
///     Some(byte) => Ok(byte),
///     None => socket.read(&mut [0]).map(|_| 0),
/// };
/// // The socket is drained, and the buffer is not.
/// let drained = socket.try_io(Direction::Read, |mut socket| socket.read(&mut [0]));
/// assert_eq!(drained.unwrap_err().kind(), io::ErrorKind::WouldBlock);
/// assert_eq!(netpoll::block_on(socket.io(Eager(Checked(Direction::Read)), take))?, 7);
/// # io::Result::Ok(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Eager<O>(pub O);

impl<R, O: Rule<R>> sealed::Rule<R> for Eager<O> {
    const IS_CHECKED: bool = O::IS_CHECKED;
    const IS_LOCKED: bool = O::IS_LOCKED;
    const IS_EAGER: bool = true;

    #[inline]
    fn direction(&self) -> Direction {
        self.0.direction()
    }

    #[inline]
    fn is_short(&self, moved: &R) -> bool {
        self.0.is_short(moved)
    }
}

fn is_short(moved: usize, len: usize) -> bool {
    moved > 0 && moved < len
}
