//! Operations: wait until the slot is ready, enter the descriptor, make the call, and report its result.
//!
//! # The first attempt of a write
//!
//! The kernel reports room from a third of a TCP socket's buffer on (half for UDP, three quarters for Unix
//! sockets), and `send` takes bytes as soon as there is any. So a *new* write makes one attempt even where
//! the slot says that it is not ready, and waits only if that blocks. A write that waits, and is polled
//! again or woken, makes no attempt of this kind.
//!
//! - A future is new until it has made an attempt, which [`ReadinessWait`](super::ReadinessWait) stores.
//! - A `poll_*` call cannot tell whether it is new. It counts as new where no task waits for the
//!   direction, on a socket whose write deadline has passed before: the expiry has woken all waiters. On
//!   other sockets it waits, as tokio's does, because there a `poll_*` call mostly follows one that was
//!   cut short.
//!
//! The state before the attempt is loaded first, as for any operation, so an event that comes meanwhile is
//! newer, and `WouldBlock` clears no readiness of it (I4).

use std::future::poll_fn;
use std::io;
use std::os::fd::BorrowedFd;
use std::task::{Context, Poll, ready};

use super::close::{OpGuard, changed};
use super::{Registration, closed};
use crate::budget::{self, Key};
use crate::error::DeadlineExceeded;
use crate::ready::{Direction, Interest, Ready};
use crate::slot::Status;
use crate::slot::state::State;
use crate::wake::wake;

/// The readiness of a direction at one moment. [`Registration::clear_ready`] clears it, unless an event has come since.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Readiness {
    direction: Direction,
    pub(super) state: State,
}

impl Readiness {
    /// The readiness of the descriptor, in both directions.
    #[must_use]
    pub fn ready(&self) -> Ready {
        self.state.ready()
    }

    /// Whether an event of the direction came between `earlier` and this one, which must be of the same
    /// registration and direction. Exact but for 65,536 events in between, which look like none.
    #[must_use]
    pub fn is_after(&self, earlier: &Readiness) -> bool {
        self.state.tick(self.direction) != earlier.state.tick(self.direction)
    }
}

impl<T> Registration<T> {
    /// Marks a direction as ready until an operation finds otherwise. This is right for the
    /// sending side of a new connection, and likely for the receiving side of one that was just accepted.
    pub fn assume_ready(&self, direction: Direction) {
        let ready = match direction {
            Direction::Read => Ready::READABLE,
            Direction::Write => Ready::WRITABLE,
        };
        // In a forked child it would wake the parent's tasks.
        if self.reactor.inner().is_ours() {
            let _ = self.slot.deliver(self.slot.generation(), ready, wake);
        }
    }

    /// Ready when an operation of this direction may succeed, or must fail: in this order, when the
    /// registration is closed ([`Closed`](crate::Closed)), when the deadline has passed ([`DeadlineExceeded`](crate::DeadlineExceeded)), when
    /// the descriptor is ready. Go's order (`netpollcheckerr`), at every poll.
    ///
    /// If it is pending, the next of these events wakes the task. Several tasks may poll; each is woken.
    ///
    /// # Errors
    ///
    /// Besides those, [`InvalidInput`](io::ErrorKind::InvalidInput) instead of waiting for a direction
    /// that the registration's [`Interest`](crate::Interest) leaves out.
    pub fn poll_ready(
        &self,
        cx: &mut Context<'_>,
        direction: Direction,
    ) -> Poll<io::Result<Readiness>> {
        let status = match self.slot.status(direction) {
            Status::Pending if self.interest.includes(direction) => {
                self.wait(direction, None, cx.waker())
            }
            status => status,
        };
        self.waited(direction, status)
    }

    /// As [`poll_ready`](Self::poll_ready), for an operation. Also ready for the
    /// [first attempt](Self::first_attempt) of one that is new.
    #[inline]
    pub(super) fn poll_attempt(
        &self,
        cx: &mut Context<'_>,
        direction: Direction,
        is_first: bool,
    ) -> Poll<io::Result<Readiness>> {
        match self.slot.status(direction) {
            Status::Ready(state) => Poll::Ready(Ok(Readiness { direction, state })),
            Status::Pending if is_first => match self.first_attempt_of_a_poll(direction) {
                Some(readiness) => Poll::Ready(Ok(readiness)),
                None => self.poll_ready(cx, direction),
            },
            _ => self.poll_ready(cx, direction),
        }
    }

    /// [`first_attempt`](Self::first_attempt) for a `poll_*` call, which does not know whether it is new: it
    /// is where no task waits, and if it writes, after a write deadline.
    #[cold]
    fn first_attempt_of_a_poll(&self, direction: Direction) -> Option<Readiness> {
        let readiness = self.first_attempt(direction)?;
        let state = readiness.state;
        let is_new = direction == Direction::Read || state.has_expired(direction);
        (is_new && !state.has_waiter(direction.into())).then_some(readiness)
    }

    /// The readiness for the first attempt of a new operation that is not ready; `None` if the operation must wait. A
    /// write always makes the attempt. A read makes it if an event reported an error or an end: another operation may
    /// have blocked and cleared the readiness, while this one finds a message of the error queue.
    #[cold]
    pub(super) fn first_attempt(&self, direction: Direction) -> Option<Readiness> {
        let state = self.slot.state();
        let may_find = direction == Direction::Write || state.is_doubtful(direction);
        (may_find && self.interest.includes(direction)).then_some(Readiness { direction, state })
    }

    /// As [`now_ready`](Self::now_ready), or the readiness for the [first attempt](Self::first_attempt) of a read.
    pub(super) fn now_ready_or_first(&self, direction: Direction) -> io::Result<Readiness> {
        let is_pending = direction == Direction::Read && self.is_pending(direction);
        let first = is_pending.then(|| self.first_attempt(direction)).flatten();
        first.map_or_else(|| self.now_ready(direction), Ok)
    }

    /// Waits until reading may succeed. Dropped, it has changed nothing.
    pub async fn readable(&self) -> io::Result<Readiness> {
        self.ready(Direction::Read).await
    }

    /// Waits until writing may succeed. Dropped, it has changed nothing.
    pub async fn writable(&self) -> io::Result<Readiness> {
        self.ready(Direction::Write).await
    }

    /// Waits until `direction` is ready. Dropped, it has changed nothing.
    pub async fn ready(&self, direction: Direction) -> io::Result<Readiness> {
        let mut waiting = self.readiness_wait(direction);
        poll_fn(|cx| waiting.poll_ready(cx)).await
    }

    /// The readiness of the descriptor until now, whether `direction` is ready or not. To clear it clears
    /// no later event.
    #[must_use]
    pub fn seen(&self, direction: Direction) -> Readiness {
        Readiness { direction, state: self.slot.state() }
    }

    /// Whether an operation of this direction would have to wait: the direction is not ready, and neither a deadline nor
    /// `close` makes the operation fail. A hint: another thread may change it at once.
    #[inline]
    #[must_use]
    pub fn is_pending(&self, direction: Direction) -> bool {
        self.slot.status(direction) == Status::Pending
    }

    /// Makes an operation if the direction is ready, without waiting.
    ///
    /// `operation` must return `WouldBlock` if and only if the descriptor did: by this the
    /// reactor learns that it is drained.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if it is not ready; otherwise as for [`io`](Self::io).
    #[inline]
    pub fn try_io<R>(
        &self,
        direction: Direction,
        operation: impl FnOnce(&T) -> io::Result<R>,
    ) -> io::Result<R> {
        self.attempt(self.now_ready(direction)?, operation, |_| false)
    }

    /// As [`try_io`](Self::try_io), but makes the operation even where the reactor has not seen that the
    /// direction is ready: the kernel reports room to write from a third of a socket's buffer on, or
    /// more, and takes bytes before.
    ///
    /// # Errors
    ///
    /// As for [`io`](Self::io), `WouldBlock` included.
    #[inline]
    pub fn attempt_io<R>(
        &self,
        direction: Direction,
        operation: impl FnOnce(&T) -> io::Result<R>,
    ) -> io::Result<R> {
        self.attempt(self.now_or_not(direction)?, operation, |_| false)
    }

    /// Makes an operation as soon as the direction is ready, and again until it does not block. One that
    /// writes is attempted once at first, ready or not, as for [`attempt_io`](Self::attempt_io); one that
    /// reads, where the reactor has seen an error or the peer's end.
    ///
    /// # Errors
    ///
    /// [`Closed`](crate::Closed), [`DeadlineExceeded`](crate::DeadlineExceeded), [`ReactorGone`](crate::ReactorGone), or the error of `operation`.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is ready, `operation` has not succeeded.
    pub fn io<R>(
        &self,
        direction: Direction,
        mut operation: impl FnMut(&T) -> io::Result<R>,
    ) -> impl Future<Output = io::Result<R>> {
        // Not an `async fn`: that keeps its arguments twice, for as long as it waits.
        let mut waiting = self.readiness_wait(direction);
        poll_fn(move |cx| waiting.poll_io(cx, &mut operation))
    }

    /// [`io`](Self::io) as a poll. A write makes its first attempt without readiness only where no task waits
    /// to write, and the write deadline has passed before: a poll does not know whether it begins a new
    /// operation or repeats the last one.
    pub fn poll_io<R>(
        &self,
        cx: &mut Context<'_>,
        direction: Direction,
        operation: impl FnMut(&T) -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        let ready = |cx: &mut Context<'_>, first| self.poll_attempt(cx, direction, first);
        self.poll_attempts(cx, direction, &mut true, ready, operation, |_| false)
    }

    /// As [`try_io`](Self::try_io), for a stream: `operation` moves up to `len` bytes, and moving
    /// fewer means that the descriptor is drained. That saves the call that would return `WouldBlock`.
    #[inline]
    pub fn try_transfer(
        &self,
        direction: Direction,
        len: usize,
        operation: impl FnOnce(&T) -> io::Result<usize>,
    ) -> io::Result<usize> {
        self.attempt(self.now_ready(direction)?, operation, |moved| is_short(*moved, len))
    }

    /// As [`attempt_io`](Self::attempt_io), for a stream; see [`try_transfer`](Self::try_transfer).
    #[inline]
    pub fn attempt_transfer(
        &self,
        direction: Direction,
        len: usize,
        operation: impl FnOnce(&T) -> io::Result<usize>,
    ) -> io::Result<usize> {
        self.attempt(self.now_or_not(direction)?, operation, |moved| is_short(*moved, len))
    }

    /// As [`io`](Self::io), for a stream; see [`try_transfer`](Self::try_transfer).
    pub fn transfer(
        &self,
        direction: Direction,
        len: usize,
        mut operation: impl FnMut(&T) -> io::Result<usize>,
    ) -> impl Future<Output = io::Result<usize>> {
        let mut waiting = self.readiness_wait(direction);
        poll_fn(move |cx| waiting.poll_transfer(cx, len, &mut operation))
    }

    /// As [`poll_io`](Self::poll_io), for a stream; see [`try_transfer`](Self::try_transfer).
    pub fn poll_transfer(
        &self,
        cx: &mut Context<'_>,
        direction: Direction,
        len: usize,
        operation: impl FnMut(&T) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        let ready = |cx: &mut Context<'_>, first| self.poll_attempt(cx, direction, first);
        let short = |moved: &usize| is_short(*moved, len);
        self.poll_attempts(cx, direction, &mut true, ready, operation, short)
    }

    /// Forgets that the direction was ready, unless an event has come since `readiness`. For
    /// operations that are made without [`try_io`](Self::try_io), after they blocked.
    pub fn clear_ready(&self, readiness: Readiness) {
        self.slot.drained(readiness.direction, readiness.state);
    }

    fn is_on_demand(&self, direction: Direction) -> bool {
        self.interest == Interest::WriteOnDemand && direction == Direction::Write
    }

    /// Has epoll report the present readiness of `direction` as a new event.
    #[cold]
    pub(super) fn report_anew(&self, direction: Direction) -> io::Result<()> {
        let fd = self.registered(self.get_ref());
        self.set_interest(
            fd,
            if self.is_on_demand(direction) { Interest::Both } else { self.interest },
        )
    }

    /// Changes epoll's interest. The caller passes `fd` from [`registered`](Self::registered), which is user code and
    /// must not run here, under the lock of `write_interest`.
    fn set_interest(&self, fd: Option<BorrowedFd<'_>>, interest: Interest) -> io::Result<()> {
        let fd = fd.ok_or_else(|| changed("wait"))?;
        self.reactor.inner().modify(fd, self.slot.token(), interest)
    }

    #[inline]
    pub(super) fn now_ready(&self, direction: Direction) -> io::Result<Readiness> {
        match self.slot.status(direction) {
            Status::Ready(state) => Ok(Readiness { direction, state }),
            status => self.not_now(direction, status),
        }
    }

    /// The readiness for an attempt, whether the direction is ready or not.
    #[inline]
    pub(super) fn now_or_not(&self, direction: Direction) -> io::Result<Readiness> {
        match self.slot.status(direction) {
            Status::Ready(state) => Ok(Readiness { direction, state }),
            Status::Pending if self.interest.includes(direction) => {
                Ok(Readiness { direction, state: self.slot.state() })
            }
            status => self.not_now(direction, status),
        }
    }

    #[cold]
    fn not_now(&self, direction: Direction, status: Status) -> io::Result<Readiness> {
        match self.outcome(direction, status) {
            Poll::Ready(ready) => ready,
            Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    /// The outcome of a wait, which may have just begun.
    ///
    /// Inline: a call would hand its result through memory, at 30 instructions a poll.
    #[inline(always)]
    pub(super) fn waited(
        &self,
        direction: Direction,
        status: Status,
    ) -> Poll<io::Result<Readiness>> {
        match status {
            Status::Ready(state) => Poll::Ready(Ok(Readiness { direction, state })),
            Status::Pending if self.is_always_enabled(direction) => Poll::Pending,
            status => self.waited_otherwise(direction, status),
        }
    }

    /// Whether this direction is in epoll's interest from the registration to the close.
    #[inline]
    fn is_always_enabled(&self, direction: Direction) -> bool {
        match direction {
            Direction::Read => self.interest != Interest::Writable,
            Direction::Write => matches!(self.interest, Interest::Both | Interest::Writable),
        }
    }

    fn waited_otherwise(
        &self,
        direction: Direction,
        status: Status,
    ) -> Poll<io::Result<Readiness>> {
        if status == Status::Pending && self.is_on_demand(direction) {
            let fd = self.registered(self.get_ref());
            let enabled = self.write_interest.enable(|| self.set_interest(fd, Interest::Both));
            return enabled.map_or_else(
                |error| self.not_enabled(direction, error),
                |()| self.outcome(direction, status),
            );
        }
        self.outcome(direction, status)
    }

    /// Epoll would report no room: the wait fails, unless it is over. A registration that is being
    /// closed has left epoll.
    #[cold]
    fn not_enabled(&self, direction: Direction, error: io::Error) -> Poll<io::Result<Readiness>> {
        match self.outcome(direction, self.slot.status(direction)) {
            Poll::Pending => Poll::Ready(Err(error)),
            over => over,
        }
    }

    /// An operation did not block.
    #[inline]
    pub(super) fn has_moved(&self, direction: Direction) {
        if self.is_on_demand(direction) {
            self.has_written_on_demand(direction);
        }
    }

    /// Disables `EPOLLOUT`, unless a task waits for room.
    #[inline(never)]
    fn has_written_on_demand(&self, direction: Direction) {
        // A forked child leaves epoll, and the lock, as they are.
        if self.reactor.inner().is_ours() {
            let fd = self.registered(self.get_ref());
            let has_waiter = || self.slot.state().has_waiter(direction.into());
            // If this fails, epoll goes on reporting room, without harm.
            let disable = || drop(self.set_interest(fd, self.interest));
            self.write_interest.disable_if_idle(has_waiter, disable);
        }
    }

    pub(super) fn outcome(
        &self,
        direction: Direction,
        status: Status,
    ) -> Poll<io::Result<Readiness>> {
        match status {
            Status::Ready(state) => Poll::Ready(Ok(Readiness { direction, state })),
            Status::Pending if self.interest.includes(direction) => Poll::Pending,
            Status::Pending => Poll::Ready(Err(never_ready(direction))),
            Status::Expired => Poll::Ready(Err(DeadlineExceeded.into())),
            Status::Closed => Poll::Ready(Err(closed(&self.reactor))),
        }
    }

    /// Makes attempts until one does not block. `is_first` is true before the first attempt; `ready` gets its value.
    #[inline]
    pub(super) fn poll_attempts<R>(
        &self,
        cx: &mut Context<'_>,
        direction: Direction,
        is_first: &mut bool,
        mut ready: impl FnMut(&mut Context<'_>, bool) -> Poll<io::Result<Readiness>>,
        mut operation: impl FnMut(&T) -> io::Result<R>,
        short: impl Fn(&R) -> bool,
    ) -> Poll<io::Result<R>> {
        loop {
            let readiness = ready!(ready(cx, *is_first))?;
            ready!(budget::poll_spend(cx, Key::of(self, direction)));
            *is_first = false;
            match self.attempt(readiness, &mut operation, &short) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                done => return Poll::Ready(done),
            }
        }
    }

    #[inline]
    pub(super) fn attempt<R>(
        &self,
        Readiness { direction, state }: Readiness,
        operation: impl FnOnce(&T) -> io::Result<R>,
        short: impl FnOnce(&R) -> bool,
    ) -> io::Result<R> {
        let result = {
            let _inside = OpGuard::enter(self)?;
            operation(self.get_ref())
        };
        self.report(direction, state, &result, short);
        result
    }

    /// Clears the slot's readiness if the result of an operation, which began at `before`, shows that the descriptor is drained.
    #[inline]
    pub(super) fn report<R>(
        &self,
        direction: Direction,
        before: State,
        result: &io::Result<R>,
        short: impl FnOnce(&R) -> bool,
    ) {
        match result {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.slot.drained(direction, before);
            }
            Ok(moved) => {
                if short(moved) {
                    self.slot.short(direction, before);
                }
                self.has_moved(direction);
            }
            Err(_) => {}
        }
    }
}

/// The error of a wait that would never end.
fn never_ready(direction: Direction) -> io::Error {
    let message = format!("wait: the descriptor is not registered for {direction:?}");
    io::Error::new(io::ErrorKind::InvalidInput, message)
}

pub(super) fn is_short(moved: usize, len: usize) -> bool {
    moved > 0 && moved < len
}
