//! Readiness for code that does not keep the rules of an edge-triggered registration: it makes its
//! system calls behind our back, or says `WouldBlock` where the descriptor did not.
//!
//! Code that was written for a reactor that is level-triggered may do both: there, waiting ends at once
//! while there is something left. Here, what the slot says is checked against the kernel (`poll(2)`)
//! before anybody relies on it: once in each wait for readiness, and once for each `WouldBlock`.

use std::future::poll_fn;
use std::io;
use std::os::fd::AsFd;
use std::task::{Context, Poll, ready};

use super::Registration;
use super::operation::Readiness;
use crate::budget::{self, Key};
use crate::ready::{Direction, Ready};
use crate::sys::descriptor;

impl<T: AsFd> Registration<T> {
    /// Waits until `direction` is ready by the kernel's word: [`ready`](Self::ready) for code that makes
    /// its system calls on its own, and does not [`clear_ready`](Self::clear_ready) when they block.
    ///
    /// What has come besides ordinary readiness, such as urgent data, ends it once each time.
    ///
    /// # Errors
    ///
    /// As for [`poll_ready`](Self::poll_ready).
    ///
    /// # Cancel safety
    ///
    /// Dropped, it has changed nothing.
    pub async fn level(&self, direction: Direction) -> io::Result<()> {
        let mut waiting = self.waiting(direction);
        poll_fn(|cx| waiting.poll_level(cx)).await
    }

    /// [`level`](Self::level) for those who poll.
    pub fn poll_level(&self, cx: &mut Context<'_>, direction: Direction) -> Poll<io::Result<()>> {
        self.level_of(direction, || self.poll_ready(cx, direction))
    }

    /// As [`try_io`](Self::try_io), for an operation that may say `WouldBlock` where the descriptor did
    /// not: because what it read was of no use, for instance. Only if the kernel agrees is the descriptor
    /// taken for drained.
    pub fn try_io_checked<R>(
        &self,
        direction: Direction,
        operation: impl FnOnce(&T) -> io::Result<R>,
    ) -> io::Result<R> {
        let checked = self.try_io(direction, |io| checked(io, direction, operation(io)));
        checked?.ok_or_else(|| io::ErrorKind::WouldBlock.into())
    }

    /// [`try_io_checked`](Self::try_io_checked), but makes the operation even where the direction is not
    /// ready, as [`attempt_io`](Self::attempt_io) does.
    pub fn attempt_io_checked<R>(
        &self,
        direction: Direction,
        operation: impl FnOnce(&T) -> io::Result<R>,
    ) -> io::Result<R> {
        let checked = self.attempt_io(direction, |io| checked(io, direction, operation(io)));
        checked?.ok_or_else(|| io::ErrorKind::WouldBlock.into())
    }

    /// As [`io`](Self::io), for such an operation; see [`try_io_checked`](Self::try_io_checked). While
    /// there is something left it is made again and again, and other tasks run in between.
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
            let done = self.io(direction, |io| checked(io, direction, operation(io))).await?;
            let Some(done) = done else {
                let_others_run().await;
                continue;
            };
            return Ok(done);
        }
    }

    /// [`io_checked`](Self::io_checked) for those who poll.
    pub fn poll_io_checked<R>(
        &self,
        cx: &mut Context<'_>,
        direction: Direction,
        mut operation: impl FnMut(&T) -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        let done = self.poll_io(cx, direction, |io| checked(io, direction, operation(io)));
        or_again(cx, done)
    }

    /// [`poll_io`](Self::poll_io) for who has the registration to himself, and an operation that changes
    /// the object. See [`get_mut`](Self::get_mut).
    pub fn poll_io_mut<R>(
        &mut self,
        cx: &mut Context<'_>,
        direction: Direction,
        mut operation: impl FnMut(&mut T) -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        let mut is_first = true;
        loop {
            let readiness = ready!(self.poll_attempt(cx, direction, is_first))?;
            ready!(budget::poll_spend(cx, Key::of(self, direction)));
            is_first = false;
            let done = operation(self.get_mut());
            match self.attempt(readiness, |_| done, |_| false) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                done => return Poll::Ready(done),
            }
        }
    }

    /// [`try_io`](Self::try_io) for who has the registration to himself, and an operation that changes
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

    /// [`poll_io_mut`](Self::poll_io_mut) for an operation that may say `WouldBlock` where the
    /// descriptor did not; see [`io_checked`](Self::io_checked).
    pub fn poll_io_mut_checked<R>(
        &mut self,
        cx: &mut Context<'_>,
        direction: Direction,
        mut operation: impl FnMut(&mut T) -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        let done = self.poll_io_mut(cx, direction, |io| {
            let done = operation(io);
            checked(io, direction, done)
        });
        or_again(cx, done)
    }

    pub(super) fn level_of(
        &self,
        direction: Direction,
        mut ready: impl FnMut() -> Poll<io::Result<Readiness>>,
    ) -> Poll<io::Result<()>> {
        loop {
            let readiness = ready!(ready())?;
            let is_urgent = readiness.ready().intersects(Ready::PRIORITY);
            match self.attempt(readiness, |io| ask(io, direction), |()| false) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    // Asking has taken it, for descriptors that report it once; reading does not get
                    // it, of the others.
                    if is_urgent && direction == Direction::Read {
                        return Poll::Ready(Ok(()));
                    }
                }
                done => return Poll::Ready(done),
            }
        }
    }
}

fn ask(io: &impl AsFd, direction: Direction) -> io::Result<()> {
    let ready = descriptor::is_ready(io.as_fd(), direction);
    if ready { Ok(()) } else { Err(io::ErrorKind::WouldBlock.into()) }
}

/// What an operation said; `None` if it said `WouldBlock` and the kernel does not.
fn checked<R>(io: &impl AsFd, direction: Direction, said: io::Result<R>) -> io::Result<Option<R>> {
    match said {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            ask(io, direction).map(|()| None).map_err(|_| error)
        }
        done => done.map(Some),
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
