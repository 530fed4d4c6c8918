//! Waiting for, and trying in, whichever of the directions one is interested in.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::ops::Deref;
use std::os::fd::AsFd;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use netpoll::budget::{Key, poll_spend, wait_and_spend};
use netpoll::{Direction, OwnedWait, Readiness, Registration};

use crate::budget;
use crate::ready::{Interest, Ready};

/// What was found to be ready, by direction: proof to clear it by.
#[derive(Clone, Copy)]
pub(crate) struct Found {
    pub(crate) read: Option<Readiness>,
    pub(crate) write: Option<Readiness>,
}

impl Found {
    pub(crate) fn ready(&self) -> Ready {
        let of = |found: Option<Readiness>, interest| {
            found.map_or(Ready::EMPTY, |found| Ready::from(found.ready()).of(interest))
        };
        of(self.read, Interest::READABLE) | of(self.write, Interest::WRITABLE)
    }

    /// Clears the directions that are in `ready`, once.
    pub(crate) fn clear<T: AsFd>(&mut self, registration: &Registration<T>, ready: Ready) {
        let read = if ready.is_readable() { self.read.take() } else { None };
        let write = if ready.is_writable() { self.write.take() } else { None };
        for found in read.into_iter().chain(write) {
            registration.clear_ready(found);
        }
    }
}

/// Prints what is ready.
impl fmt::Debug for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.ready().fmt(f)
    }
}

/// Waits until one of the directions is ready. It fails as soon as one of them must.
///
/// It takes nothing from a budget, as in tokio: the operation that follows does, where it is awaited.
pub(crate) async fn ready<T: AsFd>(
    registration: &Registration<T>,
    interest: Interest,
) -> io::Result<Found> {
    Wait::new(registration, interest).await
}

/// [`ready`] for the only user of the registration. The future is `Send` where `T` is, be it `Sync` or not: it
/// holds no `&Registration<T>`.
pub(crate) async fn ready_mut<T: AsFd>(
    registration: &mut Registration<T>,
    interest: Interest,
) -> io::Result<Found> {
    Wait::new(registration, interest).await
}

/// A wait for any direction of an interest, by way of `R`, a `&` or a `&mut` to the registration.
struct Wait<R: Deref<Target = Registration<T>>, T: AsFd> {
    registration: R,
    read: Option<WaitOnce>,
    write: Option<WaitOnce>,
}

impl<R: Deref<Target = Registration<T>>, T: AsFd> Wait<R, T> {
    fn new(registration: R, interest: Interest) -> Self {
        let read = interest.is_readable().then(|| WaitOnce::new(Direction::Read));
        let write = interest.is_writable().then(|| WaitOnce::new(Direction::Write));
        Self { registration, read, write }
    }
}

/// A wait of one direction for readiness, or for one event.
///
/// An event ends every wait that has begun before it, as in tokio, even if another task has cleared the
/// readiness before this one is polled: tasks that clear what they were all woken for would wait for ever
/// otherwise. The set of what is ready is empty then.
struct WaitOnce {
    direction: Direction,
    wait: OwnedWait,
    /// What the reactor had seen when it began to wait.
    since: Option<Readiness>,
}

impl WaitOnce {
    fn new(direction: Direction) -> Self {
        Self { direction, wait: OwnedWait::new(direction), since: None }
    }

    fn poll<T: AsFd>(
        &mut self,
        registration: &Registration<T>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Readiness>> {
        let since = *self.since.get_or_insert_with(|| registration.seen(self.direction));
        let polled = self.wait.poll_ready(registration, cx);
        let seen = registration.seen(self.direction);
        if polled.is_pending() && seen.is_after(&since) { Poll::Ready(Ok(seen)) } else { polled }
    }
}

impl<R: Deref<Target = Registration<T>> + Unpin, T: AsFd> Wait<R, T> {
    /// Ready when one of the directions is, and the thread's budget has a unit left for the operation that
    /// follows.
    fn poll_and_spend(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Found>> {
        let found = ready!(Pin::new(&mut *self).poll(cx))?;
        poll_spend(cx, Key::of(&*self.registration, Direction::Read)).map(|()| Ok(found))
    }
}

impl<R: Deref<Target = Registration<T>> + Unpin, T: AsFd> Future for Wait<R, T> {
    type Output = io::Result<Found>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<Found>> {
        let Self { registration, read, write } = &mut *self;
        let mut now = |wait: &mut Option<WaitOnce>| match wait {
            Some(wait) => match wait.poll(registration, cx) {
                Poll::Ready(found) => found.map(Some),
                Poll::Pending => Ok(None),
            },
            None => Ok(None),
        };
        match (Found { read: now(read)?, write: now(write)? }) {
            Found { read: None, write: None } => Poll::Pending,
            some => Poll::Ready(Ok(some)),
        }
    }
}

impl<R: Deref<Target = Registration<T>>, T: AsFd> Drop for Wait<R, T> {
    fn drop(&mut self) {
        for WaitOnce { wait, .. } in self.read.iter_mut().chain(&mut self.write) {
            wait.leave(&self.registration);
        }
    }
}

/// Makes an operation in the first of the directions that is ready, or fails with `WouldBlock`.
pub(crate) fn try_io<T: AsFd, R>(
    registration: &Registration<T>,
    interest: Interest,
    operation: impl FnOnce(&T) -> io::Result<R>,
) -> io::Result<R> {
    in_the_first(interest, operation, |direction, once| {
        registration.try_io(direction, |io| once.take()(io))
    })
}

/// [`try_io`] for an operation that changes the object.
pub(crate) fn try_io_mut<T: AsFd, R>(
    registration: &mut Registration<T>,
    interest: Interest,
    operation: impl FnOnce(&mut T) -> io::Result<R>,
) -> io::Result<R> {
    in_the_first(interest, operation, |direction, once| {
        registration.try_io_mut(direction, |io| once.take()(io))
    })
}

/// Makes an operation as soon as one of the directions is ready, and again until it does not block.
pub(crate) async fn io<T: AsFd, R>(
    registration: &Registration<T>,
    interest: Interest,
    mut operation: impl FnMut(&T) -> io::Result<R>,
) -> io::Result<R> {
    loop {
        let key = Key::of(registration, Direction::Read);
        budget::spend(wait_and_spend(key, || ready(registration, interest))).await?;
        match try_io(registration, interest, &mut operation) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            done => return done,
        }
    }
}

/// [`io`] for an operation that changes the object.
pub(crate) async fn io_mut<T: AsFd, R>(
    registration: &mut Registration<T>,
    interest: Interest,
    mut operation: impl FnMut(&mut T) -> io::Result<R>,
) -> io::Result<R> {
    loop {
        let mut wait = Wait::new(&mut *registration, interest);
        budget::spend(poll_fn(|cx| wait.poll_and_spend(cx))).await?;
        drop(wait);
        match try_io_mut(registration, interest, &mut operation) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            done => return done,
        }
    }
}

/// An operation that is made once, if at all.
struct Once<F>(Option<F>);

impl<F> Once<F> {
    fn take(&mut self) -> F {
        self.0.take().expect("it is made once")
    }
}

/// Attempts an operation in one direction after the other, until it was made or must fail.
fn in_the_first<F, R>(
    interest: Interest,
    operation: F,
    mut attempt: impl FnMut(Direction, &mut Once<F>) -> io::Result<R>,
) -> io::Result<R> {
    let mut once = Once(Some(operation));
    let mut last = Err(io::ErrorKind::WouldBlock.into());
    for direction in directions(interest) {
        last = attempt(direction, &mut once);
        let blocked = matches!(&last, Err(error) if error.kind() == io::ErrorKind::WouldBlock);
        if once.0.is_none() || !blocked {
            break;
        }
    }
    last
}

fn directions(interest: Interest) -> impl Iterator<Item = Direction> {
    let read = interest.is_readable().then_some(Direction::Read);
    let write = interest.is_writable().then_some(Direction::Write);
    read.into_iter().chain(write)
}
