//! Waiting for a direction: in the slot, with `EPOLLOUT` enabled where it is not always.

use std::fmt;
use std::io;
use std::os::fd::BorrowedFd;
use std::task::{Context, Poll};

use super::close::changed;
use super::operation::{Part, Place, Readiness};
use super::rule::Rule;
use super::write_lock::WriteLock;
use super::{Registration, closed};
use crate::arena::OwnedSlot;
use crate::error::DeadlineExceeded;
use crate::ready::{Direction, Interest};
use crate::slot::state::State;
use crate::slot::{Status, WaiterId};
use crate::token::Token;

impl<T> Registration<T> {
    /// Waits in the slot, and returns the state by which an operation may begin. If the direction is not ready, `first`
    /// decides whether the operation makes a first attempt.
    #[inline(always)] // A call would cost as much as the rest.
    pub(super) fn poll_wait(
        &self,
        cx: &mut Context<'_>,
        direction: Direction,
        place: &mut Place,
        first: impl FnOnce(&Place) -> Option<State>,
    ) -> Poll<io::Result<State>> {
        let mut status = self.slot.status(direction);
        if status == Status::Pending {
            status = match first(place) {
                Some(state) => Status::Ready(state),
                None => self.wait(cx, direction, place),
            };
        }
        self.waited(direction, status)
    }

    /// Adds the task to the waiters, unless the status has changed.
    ///
    /// In a forked child no event will come, and the slot's mutex may be held by a thread that the child does not
    /// have: waiting is over before it begins.
    pub(super) fn wait(
        &self,
        cx: &mut Context<'_>,
        direction: Direction,
        place: &mut Place,
    ) -> Status {
        if !self.reactor().inner().is_ours() {
            return Status::Closed;
        }
        if !self.interest.includes(direction) {
            return Status::Pending;
        }
        self.slot.wait(direction, place.id(), cx.waker())
    }

    /// The outcome of a wait, which may have just begun.
    ///
    /// Inline: a call would hand its result through memory, at 30 instructions a poll.
    #[inline(always)]
    pub(super) fn waited(&self, direction: Direction, status: Status) -> Poll<io::Result<State>> {
        match status {
            Status::Ready(state) => Poll::Ready(Ok(state)),
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

    fn waited_otherwise(&self, direction: Direction, status: Status) -> Poll<io::Result<State>> {
        if status == Status::Pending
            && self.is_on_demand(direction)
            && let Err(error) = self.report_room_on_demand()
        {
            return self.not_enabled(direction, error);
        }
        self.outcome(direction, status)
    }

    /// `EPOLLOUT` could not be enabled, so no event would end the wait: the wait fails, unless it is over. A close is one
    /// cause, since it takes the descriptor out of epoll; the wait then ends with `Closed`.
    #[cold]
    fn not_enabled(&self, direction: Direction, error: io::Error) -> Poll<io::Result<State>> {
        match self.outcome(direction, self.slot.status(direction)) {
            Poll::Pending => Poll::Ready(Err(error)),
            over => over,
        }
    }

    pub(super) fn outcome(&self, direction: Direction, status: Status) -> Poll<io::Result<State>> {
        match status {
            Status::Ready(state) => Poll::Ready(Ok(state)),
            Status::Pending if self.interest.includes(direction) => Poll::Pending,
            Status::Pending => Poll::Ready(Err(never_ready(direction))),
            Status::Expired => Poll::Ready(Err(DeadlineExceeded.into())),
            Status::Closed => Poll::Ready(Err(closed(self.reactor()))),
        }
    }

    /// The state before an operation that does not wait. If the direction is not ready, `first` decides whether the
    /// operation makes a first attempt.
    #[inline]
    pub(super) fn now(
        &self,
        direction: Direction,
        first: impl FnOnce() -> Option<State>,
    ) -> io::Result<State> {
        match self.slot.status(direction) {
            Status::Ready(state) => Ok(state),
            status => self.not_ready_now(direction, status, first),
        }
    }

    #[cold]
    fn not_ready_now(
        &self,
        direction: Direction,
        status: Status,
        first: impl FnOnce() -> Option<State>,
    ) -> io::Result<State> {
        if status == Status::Pending
            && let Some(state) = first()
        {
            return Ok(state);
        }
        match self.outcome(direction, status) {
            Poll::Ready(now) => now,
            Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
        }
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
    /// must not run here, under the slot's mutex.
    fn set_interest(&self, fd: Option<BorrowedFd<'_>>, interest: Interest) -> io::Result<()> {
        let fd = fd.ok_or_else(|| changed("wait"))?;
        self.reactor().inner().modify(fd, self.slot.token(), interest)
    }

    /// An operation has succeeded. If it wrote, there may be no more need of `EPOLLOUT`.
    #[inline]
    pub(super) fn has_moved(&self, direction: Direction) {
        // A forked child leaves epoll, and the mutex, as they are.
        if self.is_on_demand(direction)
            && self.slot.reports_room()
            && self.reactor().inner().is_ours()
        {
            // If this fails, epoll goes on reporting room, without harm.
            let _ = self.report_room_on_demand();
        }
    }

    #[inline(never)]
    fn report_room_on_demand(&self) -> io::Result<()> {
        let fd = self.registered(self.get_ref());
        self.slot.report_room_on_demand(|is_wanted| {
            self.set_interest(fd, if is_wanted { Interest::Both } else { self.interest })
        })
    }

    /// A wait of this direction, which has not begun. See [`ReadinessWait`].
    #[inline]
    #[must_use]
    pub fn readiness_wait(&self, direction: Direction) -> ReadinessWait<'_, T> {
        ReadinessWait { registration: self, place: Place::kept(direction) }
    }
}

/// The error of a wait that would never end.
fn never_ready(direction: Direction) -> io::Error {
    let message = format!("wait: the descriptor is not registered for {direction:?}");
    io::Error::new(io::ErrorKind::InvalidInput, message)
}

/// A wait of one direction, with a place of its own among the waiters, which it leaves when it is
/// dropped. [`Registration::io`] uses it. Use it in a future that is written by hand: an
/// `async fn` around that call keeps its arguments twice.
///
/// Its first operation, if it writes, makes one attempt even where the direction is not ready; the later operations
/// wait. After [`leave`](Self::leave), or after an operation that failed, the next operation is the first again.
///
/// It belongs to one task at a time: an event wakes the task that polled it last. The rules that it is polled with have
/// its direction.
pub struct ReadinessWait<'a, T> {
    registration: &'a Registration<T>,
    place: Place,
}

/// Prints the registration and the direction.
impl<T: fmt::Debug> fmt::Debug for ReadinessWait<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadinessWait")
            .field("io", self.registration.get_ref())
            .field("direction", &self.place.direction)
            .finish_non_exhaustive()
    }
}

impl<'a, T> ReadinessWait<'a, T> {
    /// The registration that it waits for.
    #[inline]
    #[must_use]
    pub fn registration(&self) -> &'a Registration<T> {
        self.registration
    }

    /// As [`Registration::ready`].
    #[inline]
    pub fn poll_ready(
        &mut self,
        cx: &mut Context<'_>,
        rule: impl Rule<()>,
    ) -> Poll<io::Result<Readiness>> {
        debug_assert_eq!(rule.direction(), self.place.direction, "a wait has one direction");
        self.registration.poll_ready_at(cx, rule, &mut self.place)
    }

    /// As [`Registration::io`].
    #[inline]
    pub fn poll_io<R>(
        &mut self,
        cx: &mut Context<'_>,
        rule: impl Rule<R>,
        operation: impl FnMut(&T) -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        debug_assert_eq!(rule.direction(), self.place.direction, "a wait has one direction");
        self.registration.poll_operation(cx, rule, Part::Whole, &mut self.place, operation)
    }

    /// Writes the bytes from `written` up to `len`, under the write lock, which it keeps from the first byte to
    /// the last. `operation` gets the number of bytes that were written before it, and `written` is kept up to
    /// date.
    ///
    /// # Errors
    ///
    /// As for [`Registration::io`], while it waits for the lock as well; [`WriteZero`](io::ErrorKind::WriteZero) if
    /// `operation` writes nothing.
    #[inline]
    pub fn poll_write_all(
        &mut self,
        cx: &mut Context<'_>,
        written: &mut usize,
        len: usize,
        mut operation: impl FnMut(&T, usize) -> io::Result<usize>,
    ) -> Poll<io::Result<()>> {
        self.registration.poll_write_all_at(cx, &mut self.place, written, len, &mut operation)
    }

    /// Leaves the waiters, and gives back the write lock, until it is polled again.
    #[inline]
    pub fn leave(&mut self) {
        // Usually an event has taken its waker out.
        let is_queued = self.place.id != WaiterId::NONE
            && self.registration.slot.state().has_waiter(self.place.direction.into());
        if is_queued || self.place.write_lock != WriteLock::No {
            self.registration.leave(&self.place);
        }
        self.place = Place::kept(self.place.direction);
    }

    fn poll_after(
        &mut self,
        cx: &mut Context<'_>,
        before: Readiness,
    ) -> Poll<io::Result<Readiness>> {
        let (registration, direction) = (self.registration, self.place.direction);
        let slot = &registration.slot;
        let mut status = slot.status_after(direction, before.state);
        if status == Status::Pending && registration.reactor().inner().is_ours() {
            status = slot.wait_after(direction, before.state, self.place.id(), cx.waker());
        } else if status == Status::Pending {
            status = Status::Closed;
        }
        match status {
            Status::Pending => Poll::Pending,
            over => {
                registration.waited(direction, over).map_ok(|state| Readiness { direction, state })
            }
        }
    }
}

impl<T> Drop for ReadinessWait<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.leave();
    }
}

/// A wait of one direction that borrows nothing between two polls: for futures that own the registration, or
/// have it by `&mut`. It is a [`ReadinessWait`] otherwise.
///
/// It must be polled with the same registration each time, and [left](Self::leave) before it is dropped;
/// otherwise the next event wakes its task once in vain.
#[derive(Debug)]
pub struct OwnedReadinessWait {
    /// The slot that gave it its id: in another slot, another waiter may have that id.
    place: Option<(Token, WaiterId)>,
    direction: Direction,
}

impl OwnedReadinessWait {
    /// A wait that has not begun.
    #[must_use]
    pub fn new(direction: Direction) -> Self {
        Self { place: None, direction }
    }

    /// As [`Registration::ready`].
    pub fn poll_ready<T>(
        &mut self,
        registration: &Registration<T>,
        cx: &mut Context<'_>,
        rule: impl Rule<()>,
    ) -> Poll<io::Result<Readiness>> {
        self.with(registration, |waiting| waiting.poll_ready(cx, rule))
    }

    /// Waits for an event of the direction that comes after `before` was [seen](Registration::seen), whether the
    /// direction is ready or not. Urgent data and errors are events of reading as well.
    ///
    /// # Errors
    ///
    /// [`Closed`](crate::Closed) and [`DeadlineExceeded`](crate::DeadlineExceeded).
    pub fn poll_after<T>(
        &mut self,
        registration: &Registration<T>,
        cx: &mut Context<'_>,
        before: Readiness,
    ) -> Poll<io::Result<Readiness>> {
        self.with(registration, |waiting| waiting.poll_after(cx, before))
    }

    /// Leaves the waiters, until it is polled again.
    pub fn leave<T>(&mut self, registration: &Registration<T>) {
        self.with(registration, ReadinessWait::leave);
    }

    fn with<'a, T, R>(
        &mut self,
        registration: &'a Registration<T>,
        act: impl FnOnce(&mut ReadinessWait<'a, T>) -> R,
    ) -> R {
        let (slot, direction) = (OwnedSlot::token(&registration.slot), self.direction);
        let mut waiting = registration.readiness_wait(direction);
        if let Some((_, id)) = self.place.filter(|(token, _)| *token == slot) {
            waiting.place.id = id;
        }
        let done = act(&mut waiting);
        let id = waiting.place.id;
        self.place = (id != WaiterId::NONE).then_some((slot, id));
        // Its destructor would leave the waiters.
        std::mem::forget(waiting);
        done
    }
}
