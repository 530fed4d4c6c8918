//! Readiness for code that does not keep the rules of an edge-triggered registration: it makes
//! system calls without the registration, or returns `WouldBlock` where the descriptor did not.
//!
//! Code for a level-triggered reactor may do both: there, a wait ends at once
//! while data is left. Here, `poll(2)` checks the readiness of the slot:
//! once in each wait for readiness, and once for each `WouldBlock`.
//!
//! The kernel keeps some flags though an operation finds no data: for a message in a
//! socket's error queue, for instance, which a remote peer can put there. A flag alone therefore causes
//! one more attempt of an operation, and ends one wait for readiness, for each event.
//!
//! If `poll(2)` fails (a sandbox refuses it, or the limit of descriptors was lowered to zero), the registration renews
//! its interest, so that epoll reports the present readiness of the descriptor as a new event.

use std::borrow::Borrow;
use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll, ready};

use super::Registration;
use super::operation::Readiness;
use crate::budget::{self, Key};
use crate::ready::{Direction, Ready};
use crate::sys::descriptor::{self, Polled};

impl<T> Registration<T> {
    /// Waits until the kernel reports that `direction` is ready: [`ready`](Self::ready) for code that makes
    /// its own system calls, and does not [`clear_ready`](Self::clear_ready) when they block.
    ///
    /// Each event of another kind ends one wait: urgent data, or a message in the
    /// error queue of a socket, which a plain `recv` does not find. Read that queue until it is empty.
    ///
    /// # Errors
    ///
    /// As for [`poll_ready`](Self::poll_ready).
    ///
    /// # Cancel safety
    ///
    /// Dropped, it has changed nothing.
    pub async fn ready_level_triggered(&self, direction: Direction) -> io::Result<()> {
        let mut waiting = self.readiness_wait(direction);
        poll_fn(|cx| waiting.poll_ready_level_triggered(cx)).await
    }

    /// [`ready_level_triggered`](Self::ready_level_triggered) as a poll.
    pub fn poll_ready_level_triggered(
        &self,
        cx: &mut Context<'_>,
        direction: Direction,
    ) -> Poll<io::Result<()>> {
        self.confirm_ready(direction, || self.poll_ready(cx, direction))
    }

    /// Urgent data ([`PRIORITY`](Ready::PRIORITY)) and errors ([`ERROR`](Ready::ERROR)) that the kernel flags
    /// now, `poll(2)`. An error that an operation has taken from a socket still counts if it ended the socket.
    ///
    /// If `poll(2)` fails, it returns the flags of past events.
    ///
    /// # Errors
    ///
    /// [`Closed`](crate::Closed).
    pub fn flagged(&self) -> io::Result<Ready> {
        let seen = self.seen(Direction::Read);
        let ask = |io: &T| {
            Ok(match descriptor::poll_flags((self.as_fd)(io)) {
                Ok(flags) if flags.contains(Ready::READ_HANGUP) => {
                    flags.union(seen.ready().both(Ready::ERROR))
                }
                Ok(flags) => flags,
                Err(_) => seen.ready(),
            })
        };
        let flags = self.attempt(seen, ask, |_| false)?;
        Ok(flags.both(Ready::PRIORITY.union(Ready::ERROR)))
    }

    /// As [`try_io`](Self::try_io), for an operation that may return `WouldBlock` where the descriptor did
    /// not: because it read half a message, for instance. Only if the kernel agrees, the descriptor
    /// counts as drained.
    pub fn try_io_checked<R>(
        &self,
        direction: Direction,
        operation: impl FnOnce(&T) -> io::Result<R>,
    ) -> io::Result<R> {
        let readiness = self.now_ready_or_first(direction)?;
        let checked =
            self.attempt(readiness, |io| self.once_checked(direction, operation(io)), |_| false);
        checked?.ok_or_else(|| io::ErrorKind::WouldBlock.into())
    }

    /// [`try_io_checked`](Self::try_io_checked), but makes the operation even where the direction is not
    /// ready, as [`attempt_io`](Self::attempt_io) does.
    pub fn attempt_io_checked<R>(
        &self,
        direction: Direction,
        operation: impl FnOnce(&T) -> io::Result<R>,
    ) -> io::Result<R> {
        let checked = self.attempt_io(direction, |io| self.once_checked(direction, operation(io)));
        checked?.ok_or_else(|| io::ErrorKind::WouldBlock.into())
    }

    /// As [`io`](Self::io), for such an operation; see [`try_io_checked`](Self::try_io_checked). While
    /// data is left, the operation is repeated, and other tasks run in between. If the kernel
    /// flags only an error or a hang-up, the operation is repeated once for each event.
    ///
    /// # Errors
    ///
    /// As for [`io`](Self::io).
    pub async fn io_checked<R>(
        &self,
        direction: Direction,
        mut operation: impl FnMut(&T) -> io::Result<R>,
    ) -> io::Result<R> {
        loop {
            let attempt = |_: &T| checked(self, direction, |this| operation(this.get_ref()));
            let Some(done) = self.io(direction, attempt).await? else {
                let_others_run().await;
                continue;
            };
            return Ok(done);
        }
    }

    /// [`io_checked`](Self::io_checked) as a poll.
    pub fn poll_io_checked<R>(
        &self,
        cx: &mut Context<'_>,
        direction: Direction,
        mut operation: impl FnMut(&T) -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        let attempt = |_: &T| checked(self, direction, |this| operation(this.get_ref()));
        let done = self.poll_io(cx, direction, attempt);
        or_again(cx, done)
    }

    /// [`poll_io`](Self::poll_io) by `&mut`, for an operation that changes
    /// the object. See [`get_mut`](Self::get_mut).
    pub fn poll_io_mut<R>(
        &mut self,
        cx: &mut Context<'_>,
        direction: Direction,
        mut operation: impl FnMut(&mut T) -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        self.poll_attempts_mut(cx, direction, |this| operation(this.get_mut()))
    }

    fn poll_attempts_mut<R>(
        &mut self,
        cx: &mut Context<'_>,
        direction: Direction,
        mut operation: impl FnMut(&mut Self) -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        let mut is_first = true;
        loop {
            let readiness = ready!(self.poll_attempt(cx, direction, is_first))?;
            ready!(budget::poll_spend(cx, Key::of(self, direction)));
            is_first = false;
            let done = operation(self);
            match self.attempt(readiness, |_| done, |_| false) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                done => return Poll::Ready(done),
            }
        }
    }

    /// [`try_io`](Self::try_io) by `&mut`, for an operation that changes
    /// the object. See [`get_mut`](Self::get_mut).
    pub fn try_io_mut<R>(
        &mut self,
        direction: Direction,
        operation: impl FnOnce(&mut T) -> io::Result<R>,
    ) -> io::Result<R> {
        let readiness = self.now_ready(direction)?;
        let done = operation(self.get_mut());
        self.attempt(readiness, |_| done, |_| false)
    }

    /// [`poll_io_mut`](Self::poll_io_mut) for an operation that may return `WouldBlock` where the
    /// descriptor did not; see [`io_checked`](Self::io_checked).
    pub fn poll_io_mut_checked<R>(
        &mut self,
        cx: &mut Context<'_>,
        direction: Direction,
        mut operation: impl FnMut(&mut T) -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        let done = self.poll_attempts_mut(cx, direction, |this| {
            checked(this, direction, |this| operation(this.get_mut()))
        });
        or_again(cx, done)
    }

    /// Repeats `ready` until `poll(2)` confirms the readiness, or an event ends the wait once.
    pub(super) fn confirm_ready(
        &self,
        direction: Direction,
        mut ready: impl FnMut() -> Poll<io::Result<Readiness>>,
    ) -> Poll<io::Result<()>> {
        loop {
            let readiness = ready!(ready())?;
            // Some descriptors report priority once, and `poll(2)` takes that report. On the others a read does not
            // take the urgent data.
            let is_urgent = readiness.ready().intersects(Ready::PRIORITY);
            let mut ends_once = is_urgent && direction == Direction::Read;
            let ask = |io: &T| {
                match self.poll_kernel(io, direction)? {
                    Polled::Ready => return Ok(()),
                    // A pipe or a terminal flags its end, or that its other end is closed: no operation blocks.
                    Polled::Flagged if !descriptor::is_socket((self.as_fd)(io)) => return Ok(()),
                    Polled::Flagged | Polled::Unknown => ends_once = true,
                    Polled::NotReady => {}
                }
                Err(io::ErrorKind::WouldBlock.into())
            };
            match self.attempt(readiness, ask, |()| false) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if ends_once {
                        return Poll::Ready(Ok(()));
                    }
                }
                done => return Poll::Ready(done),
            }
        }
    }

    /// Polls this direction with `poll(2)`.
    ///
    /// If `poll(2)` fails, epoll reports the readiness later, as an event.
    fn poll_kernel(&self, io: &T, direction: Direction) -> io::Result<Polled> {
        match descriptor::poll((self.as_fd)(io), direction) {
            Err(_) => self.report_anew(direction).map(|()| Polled::Unknown),
            polled => polled,
        }
    }

    /// The result of an operation that is made once; `None` if it returned `WouldBlock` and the kernel reports readiness, so that
    /// the direction stays ready.
    fn once_checked<R>(
        &self,
        direction: Direction,
        result: io::Result<R>,
    ) -> io::Result<Option<R>> {
        match result {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                match self.poll_kernel(self.get_ref(), direction)? {
                    Polled::Ready | Polled::Flagged => Ok(None),
                    Polled::NotReady | Polled::Unknown => Err(error),
                }
            }
            done => done.map(Some),
        }
    }
}

/// Makes an operation; `None` if it returned `WouldBlock` and the kernel reports readiness. If the kernel flags only
/// an error or a hang-up, it makes the operation once more, and returns the second result.
fn checked<T, S: Borrow<Registration<T>>, R>(
    mut this: S,
    direction: Direction,
    mut operation: impl FnMut(&mut S) -> io::Result<R>,
) -> io::Result<Option<R>> {
    let blocked = match operation(&mut this) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => error,
        done => return done.map(Some),
    };
    let registration = this.borrow();
    match registration.poll_kernel(registration.get_ref(), direction)? {
        Polled::Ready => Ok(None),
        Polled::Flagged => operation(&mut this).map(Some),
        Polled::NotReady | Polled::Unknown => Err(blocked),
    }
}

fn or_again<R>(cx: &mut Context<'_>, done: Poll<io::Result<Option<R>>>) -> Poll<io::Result<R>> {
    match ready!(done)? {
        Some(done) => Poll::Ready(Ok(done)),
        None => {
            cx.waker().wake_by_ref();
            Poll::Pending
        }
    }
}

async fn let_others_run() {
    let mut have_run = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut have_run, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
