//! Operations: wait until the slot is ready, enter the descriptor, make the call, and report its result.
//!
//! # The first attempt of an operation
//!
//! The kernel reports room from a third of a TCP socket's buffer on (half for UDP, three quarters for Unix
//! sockets), and `send` takes bytes as soon as there is any. So a *new* write makes one attempt even where
//! the slot says that it is not ready, and waits only if that blocks. A write that waits, and is polled
//! again or woken, makes no attempt of this kind. A new read makes one only where an event has reported an error, an
//! end or urgent data. There, another operation may have returned `WouldBlock` and cleared the readiness, and this one
//! may still succeed: `recvmsg` with `MSG_ERRQUEUE`, for instance, finds a message of the error queue that `recv` does not.
//!
//! - A future is new until it has made an attempt, which its [`Place`] stores.
//! - Under the rule [`Eager`](super::Eager), each poll makes one, in either direction.
//! - A `poll_*` call cannot tell whether it is new. A `poll_*` read counts as new if no task waits to read. A
//!   `poll_*` write counts as new if no task waits to write and a write deadline of the socket has expired before:
//!   the expiry has woken all waiters, so the call likely begins anew. Without such an expiry, a `poll_*` write
//!   waits, as tokio's does: mostly it continues a write that has just filled the buffer.
//!
//! The state before the attempt is loaded first, as for any operation, so an event that comes meanwhile is
//! newer, and `WouldBlock` clears no readiness of it (I4).
//!
//! # Level-triggered code
//!
//! `poll(2)` keeps some flags set although an operation finds no data: for a message in a
//! socket's error queue, for instance, which a remote peer can put there. If each flag caused an attempt, the task would
//! spin. So if `poll(2)` returns only such flags, a [`Checked`](super::Checked) operation makes one more attempt for each
//! event, and a wait for readiness ends once for each event.
//!
//! If `poll(2)` fails (a sandbox refuses it, or the limit of descriptors was lowered to zero), the registration renews
//! its interest, so that epoll reports the present readiness of the descriptor as a new event.

use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll, ready};

use super::Registration;
use super::close::OpGuard;
use super::rule::Rule;
use super::write_lock::WriteLock;
use crate::budget::{self, Key};
use crate::ready::{Direction, Ready};
use crate::slot::WaiterId;
use crate::slot::state::State;
use crate::sys::descriptor::{self, Polled};
use crate::wake::wake;

/// The readiness of a direction at one moment. [`Registration::clear_ready`] clears it, unless an event has come since.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Readiness {
    pub(super) direction: Direction,
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

/// The state that a wait or an operation keeps between two polls.
pub(super) struct Place {
    /// [`WaiterId::NONE`] while it has not had to wait.
    pub(super) id: WaiterId,
    pub(super) direction: Direction,
    pub(super) write_lock: WriteLock,
    /// No attempt was made yet.
    pub(super) is_new: bool,
    /// False for a `poll_*` call, which keeps nothing.
    pub(super) is_kept: bool,
}

impl Place {
    #[inline]
    pub(super) fn kept(direction: Direction) -> Self {
        let (id, write_lock) = (WaiterId::NONE, WriteLock::No);
        Self { id, direction, write_lock, is_new: true, is_kept: true }
    }

    #[inline]
    fn of_a_poll(direction: Direction) -> Self {
        Self { is_kept: false, ..Self::kept(direction) }
    }

    #[inline]
    pub(super) fn id(&mut self) -> Option<&mut WaiterId> {
        self.is_kept.then_some(&mut self.id)
    }
}

/// Whether an operation is one of several that belong together, under one write lock.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Whole,
    /// If it writes less than it could, more operations follow, and the lock is kept for them.
    OfMany,
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
        if self.reactor().inner().is_ours() {
            let _ = self.slot.deliver(self.slot.generation(), ready, wake);
        }
    }

    /// The readiness of the descriptor until now, whether `direction` is ready or not.
    /// [`clear_ready`](Self::clear_ready) with it clears nothing if an event has come since.
    #[must_use]
    pub fn seen(&self, direction: Direction) -> Readiness {
        Readiness { direction, state: self.slot.state() }
    }

    /// Forgets that the direction was ready, unless an event has come since `readiness`. For
    /// operations that are made without [`try_io`](Self::try_io), after they blocked.
    pub fn clear_ready(&self, readiness: Readiness) {
        self.slot.drained(readiness.direction, readiness.state);
    }

    /// The readiness of a direction, if it is ready now.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if it is not; otherwise as for [`poll_ready`](Self::poll_ready).
    pub fn try_ready(&self, rule: impl Rule<()>) -> io::Result<Readiness> {
        let direction = rule.direction();
        let readiness = Readiness { direction, state: self.now(direction, || None)? };
        if self.is_confirmed(rule, readiness)? {
            Ok(readiness)
        } else {
            Err(io::ErrorKind::WouldBlock.into())
        }
    }

    /// Ready when an operation of this direction may succeed, or must fail: in this order, when the
    /// registration is closed ([`Closed`](crate::Closed)), when the deadline has passed
    /// ([`DeadlineExceeded`](crate::DeadlineExceeded)), when the descriptor is ready. Go's order (`netpollcheckerr`), at
    /// every poll.
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
        rule: impl Rule<()>,
    ) -> Poll<io::Result<Readiness>> {
        self.poll_ready_at(cx, rule, &mut Place::of_a_poll(rule.direction()))
    }

    /// Waits until a direction is ready.
    ///
    /// # Errors
    ///
    /// As for [`poll_ready`](Self::poll_ready).
    ///
    /// # Cancel safety
    ///
    /// Dropped, it has changed nothing.
    pub async fn ready(&self, rule: impl Rule<()>) -> io::Result<Readiness> {
        let mut waiting = self.readiness_wait(rule.direction());
        poll_fn(|cx| waiting.poll_ready(cx, rule)).await
    }

    #[inline]
    pub(super) fn poll_ready_at(
        &self,
        cx: &mut Context<'_>,
        rule: impl Rule<()>,
        place: &mut Place,
    ) -> Poll<io::Result<Readiness>> {
        let direction = rule.direction();
        loop {
            let state = ready!(self.poll_wait(cx, direction, place, |_| None))?;
            let readiness = Readiness { direction, state };
            if self.is_confirmed(rule, readiness)? {
                ready!(budget::poll_spend(cx, Key::of(self, direction)));
                return Poll::Ready(Ok(readiness));
            }
        }
    }

    /// Makes an operation without waiting: if the direction is ready, or for the first attempt of a new operation (a
    /// write always makes one; see [`io`](Self::io)).
    ///
    /// `operation` must return `WouldBlock` if and only if the descriptor did: by this the
    /// reactor learns that it is drained. See [`Rule`] for operations of another kind.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if it is not ready, or another task has the write lock; otherwise as for [`io`](Self::io).
    #[inline]
    pub fn try_io<R, O: Rule<R>>(
        &self,
        rule: O,
        operation: impl FnOnce(&T) -> io::Result<R>,
    ) -> io::Result<R> {
        let direction = rule.direction();
        let before = self.now(direction, || self.first_attempt(direction, O::IS_EAGER))?;
        let _inside = if O::IS_LOCKED { self.try_lock() } else { OpGuard::enter(self) }?;
        let result = operation(self.get_ref());
        if matches!(self.ask_after(rule, before, &result)?, Polled::Ready | Polled::Flagged) {
            return result;
        }
        self.report(rule, before, &result);
        result
    }

    /// Makes an operation as soon as the direction is ready, and again until it does not block. A new write
    /// is attempted once at first, ready or not: the kernel reports room to write from a third of a socket's buffer on, or
    /// more, and takes bytes before. A new read is attempted at once only where an event has reported an error, the peer's
    /// end or urgent data.
    ///
    /// # Errors
    ///
    /// [`Closed`](crate::Closed), [`DeadlineExceeded`](crate::DeadlineExceeded), [`ReactorGone`](crate::ReactorGone), or
    /// the error of `operation`.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is ready, `operation` has not succeeded.
    pub fn io<R>(
        &self,
        rule: impl Rule<R>,
        mut operation: impl FnMut(&T) -> io::Result<R>,
    ) -> impl Future<Output = io::Result<R>> {
        // Not an `async fn`: that keeps its arguments twice, for as long as it waits.
        let mut waiting = self.readiness_wait(rule.direction());
        poll_fn(move |cx| waiting.poll_io(cx, rule, &mut operation))
    }

    /// [`io`](Self::io) as a poll. A write makes its first attempt without readiness only where no task waits
    /// to write, and the write deadline has passed before: a poll does not know whether it begins a new
    /// operation or repeats the last one.
    pub fn poll_io<R>(
        &self,
        cx: &mut Context<'_>,
        rule: impl Rule<R>,
        operation: impl FnMut(&T) -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        self.poll_operation(
            cx,
            rule,
            Part::Whole,
            &mut Place::of_a_poll(rule.direction()),
            operation,
        )
    }

    /// [`poll_io`](Self::poll_io) by `&mut`, for an operation that changes
    /// the object. See [`get_mut`](Self::get_mut). It takes no write lock: no other operation runs.
    pub fn poll_io_mut<R>(
        &mut self,
        cx: &mut Context<'_>,
        rule: impl Rule<R>,
        mut operation: impl FnMut(&mut T) -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        let mut place = Place::of_a_poll(rule.direction());
        loop {
            let before = ready!(self.poll_begin(cx, rule, &mut place))?;
            drop(OpGuard::enter(self)?);
            place.is_new = false;
            let mut result = operation(self.get_mut());
            match self.ask_after(rule, before, &result)? {
                Polled::Ready => return again(cx),
                Polled::Flagged => result = operation(self.get_mut()),
                Polled::NotReady | Polled::Unknown => {}
            }
            self.report(rule, before, &result);
            if !would_block(&result) {
                return Poll::Ready(result);
            }
        }
    }

    /// Makes attempts until one does not block.
    #[inline]
    pub(super) fn poll_operation<R, O: Rule<R>>(
        &self,
        cx: &mut Context<'_>,
        rule: O,
        part: Part,
        place: &mut Place,
        mut operation: impl FnMut(&T) -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        place.is_new |= O::IS_EAGER;
        loop {
            let before = ready!(self.poll_begin(cx, rule, place))?;
            let mut inside = if O::IS_LOCKED {
                let locked = ready!(self.poll_lock(cx, place));
                match locked.inspect_err(|_| place.is_new = true)? {
                    Some(inside) => inside,
                    None => continue,
                }
            } else {
                OpGuard::enter(self)?
            };
            place.is_new = false;
            let mut result = operation(self.get_ref());
            match self.ask_after(rule, before, &result)? {
                Polled::Ready => return again(cx),
                Polled::Flagged => result = operation(self.get_ref()),
                Polled::NotReady | Polled::Unknown => {}
            }
            self.report(rule, before, &result);
            let is_over = !would_block(&result);
            if O::IS_LOCKED && place.is_kept {
                let continues = |moved| part == Part::OfMany && rule.is_short(moved);
                if result.as_ref().map_or(!is_over, continues) {
                    inside.keep_lock();
                    place.write_lock = WriteLock::Held;
                }
            }
            if is_over {
                // An operation that has failed is over: the next one is new.
                place.is_new = result.is_err();
                return Poll::Ready(result);
            }
        }
    }

    /// Ready when the next attempt may be made, with the state before it. The thread's budget has paid for the attempt.
    #[inline(always)] // A call would cost as much as the rest.
    fn poll_begin<R, O: Rule<R>>(
        &self,
        cx: &mut Context<'_>,
        rule: O,
        place: &mut Place,
    ) -> Poll<io::Result<State>> {
        let direction = rule.direction();
        let first = |place: &Place| {
            let first = || self.first_attempt_at(direction, place, O::IS_EAGER);
            place.is_new.then(first).flatten()
        };
        let waited = ready!(self.poll_wait(cx, direction, place, first));
        let before = waited.inspect_err(|_| place.is_new = true)?;
        if !O::IS_EAGER {
            ready!(budget::poll_spend(cx, Key::of(self, direction)));
        }
        Poll::Ready(Ok(before))
    }

    /// [`first_attempt`](Self::first_attempt), if the operation may be new.
    #[cold]
    fn first_attempt_at(
        &self,
        direction: Direction,
        place: &Place,
        is_eager: bool,
    ) -> Option<State> {
        let state = self.first_attempt(direction, is_eager)?;
        let is_new = direction == Direction::Read || state.has_expired(direction);
        let may_be_new = place.is_kept || (is_new && !state.has_waiter(direction.into()));
        (is_eager || may_be_new).then_some(state)
    }

    /// The state for the first attempt of a new operation that is not ready; `None` if the operation must wait.
    #[cold]
    fn first_attempt(&self, direction: Direction, is_eager: bool) -> Option<State> {
        let state = self.slot.state();
        let may_find = direction == Direction::Write || state.is_doubtful(direction);
        (is_eager || (may_find && self.interest.includes(direction))).then_some(state)
    }

    /// Clears the slot's readiness if the result of an operation, which began at `before`, shows that the descriptor is
    /// drained.
    #[inline]
    fn report<R>(&self, rule: impl Rule<R>, before: State, result: &io::Result<R>) {
        let direction = rule.direction();
        match result {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.slot.drained(direction, before);
            }
            Ok(moved) => {
                if rule.is_short(moved) {
                    self.slot.short(direction, before);
                }
                self.has_moved(direction);
            }
            Err(_) => {}
        }
    }

    /// Whether the readiness ends a wait of this rule. If the kernel does not agree, clears it.
    #[inline]
    fn is_confirmed<O: Rule<()>>(&self, _rule: O, readiness: Readiness) -> io::Result<bool> {
        if O::IS_CHECKED { self.confirm(readiness) } else { Ok(true) }
    }

    fn confirm(&self, readiness: Readiness) -> io::Result<bool> {
        let Readiness { direction, state } = readiness;
        let _inside = OpGuard::enter(self)?;
        let polled = self.poll_kernel(direction)?;
        // An event of urgent data ends one wait, whatever `poll(2)` returns: the call does not ask for urgent data. Some
        // descriptors report priority only once. If this call consumed the report, the caller would not see it.
        let is_urgent = direction == Direction::Read && state.ready().intersects(Ready::PRIORITY);
        match polled {
            Polled::Ready => return Ok(true),
            // A pipe or a terminal flags its end, or that its other end is closed: no operation blocks.
            Polled::Flagged if !descriptor::is_socket((self.as_fd)(self.get_ref())) => {
                return Ok(true);
            }
            Polled::Flagged | Polled::Unknown | Polled::NotReady => {}
        }
        self.slot.drained(direction, state);
        Ok(is_urgent || polled != Polled::NotReady)
    }

    /// Asks the kernel after an operation that is [checked](super::Checked) and returned `WouldBlock`. After any other
    /// operation, it returns `NotReady`. It does so too if the slot was not ready before: data that comes later causes an
    /// event.
    #[inline]
    fn ask_after<R, O: Rule<R>>(
        &self,
        rule: O,
        before: State,
        result: &io::Result<R>,
    ) -> io::Result<Polled> {
        let direction = rule.direction();
        if O::IS_CHECKED && would_block(result) && before.is_ready(direction) {
            self.poll_kernel(direction)
        } else {
            Ok(Polled::NotReady)
        }
    }

    /// Polls this direction with `poll(2)`. If that fails, epoll reports the readiness later, as an event.
    fn poll_kernel(&self, direction: Direction) -> io::Result<Polled> {
        match descriptor::poll((self.as_fd)(self.get_ref()), direction) {
            Err(_) => self.report_anew(direction).map(|()| Polled::Unknown),
            polled => polled,
        }
    }

    /// Urgent data ([`PRIORITY`](Ready::PRIORITY)) and errors ([`ERROR`](Ready::ERROR)) that the kernel flags
    /// now, `poll(2)`. If an error ended the socket, the result has `ERROR` even after an operation has returned that error.
    ///
    /// If `poll(2)` fails, it returns the flags of past events.
    ///
    /// # Errors
    ///
    /// [`Closed`](crate::Closed).
    pub fn flagged(&self) -> io::Result<Ready> {
        let seen = self.seen(Direction::Read).ready();
        let flags = self.while_open(|io| {
            Ok(match descriptor::poll_flags((self.as_fd)(io)) {
                Ok(flags) if flags.contains(Ready::READ_HANGUP) => {
                    flags.union(seen.both(Ready::ERROR))
                }
                Ok(flags) => flags,
                Err(_) => seen,
            })
        })?;
        Ok(flags.both(Ready::PRIORITY.union(Ready::ERROR)))
    }
}

fn would_block<R>(result: &io::Result<R>) -> bool {
    matches!(result, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
}

/// Has the task polled again, after other tasks have run.
fn again<R>(cx: &mut Context<'_>) -> Poll<R> {
    cx.waker().wake_by_ref();
    Poll::Pending
}
