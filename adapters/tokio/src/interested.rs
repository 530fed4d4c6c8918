//! Waiting for, and trying in, whichever of the directions one is interested in.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::ops::Deref;
use std::os::fd::AsFd;
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
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
    /// Urgent data or an error, and when the kernel flagged it.
    pub(crate) flags: Option<(Ready, Readiness)>,
}

impl Found {
    pub(crate) fn ready(&self) -> Ready {
        let of = |found: Option<Readiness>, interest| {
            found.map_or(Ready::EMPTY, |found| Ready::from(found.ready()).of(interest))
        };
        let flags = self.flags.map_or(Ready::EMPTY, |(flags, _)| flags);
        of(self.read, Interest::READABLE) | of(self.write, Interest::WRITABLE) | flags
    }

    /// Clears what is in `ready`, once.
    pub(crate) fn clear<T: AsFd>(
        &mut self,
        registration: &Registration<T>,
        cleared: &Cleared,
        ready: Ready,
    ) {
        let read = if ready.is_readable() { self.read.take() } else { None };
        let write = if ready.is_writable() { self.write.take() } else { None };
        for found in read.into_iter().chain(write) {
            registration.clear_ready(found);
        }
        if let Some((flags, seen)) = &mut self.flags {
            cleared.clear(registration, *flags & ready, *seen);
            *flags = *flags - ready;
        }
    }
}

/// Which flags were cleared, urgent data and errors, and what the reactor had seen then. They count again after
/// the next event of the read direction, if the kernel flags them then.
///
/// The reactor's own readiness cannot say that: an error stays in it for good, and urgent data until a read
/// blocks, which may be another task's.
#[derive(Debug, Default)]
pub(crate) struct Cleared(Mutex<[Option<Readiness>; 2]>);

const FLAGS: [Ready; 2] = [Ready::PRIORITY, Ready::ERROR];

impl Cleared {
    fn clear<T: AsFd>(&self, registration: &Registration<T>, flags: Ready, seen: Readiness) {
        // An event has come since: what it told of is not cleared.
        if registration.seen(Direction::Read).is_after(&seen) {
            return;
        }
        for (cleared, flag) in self.lock().iter_mut().zip(FLAGS) {
            if flags & flag == flag {
                *cleared = Some(seen);
            }
        }
    }

    /// Those that count, of `flags`.
    fn without(&self, flags: Ready, seen: Readiness) -> Ready {
        let cleared = self.lock().into_iter().zip(FLAGS);
        let cleared = cleared.filter(|(at, _)| at.is_some_and(|at| !seen.is_after(&at)));
        cleared.fold(flags, |flags, (_, flag)| flags - flag)
    }

    fn lock(&self) -> MutexGuard<'_, [Option<Readiness>; 2]> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What of `interest` the kernel flags now: urgent data, errors, and the end of what the peer sends, which comes
/// with urgent data in tokio.
fn flagged<T: AsFd>(
    registration: &Registration<T>,
    cleared: &Cleared,
    interest: Interest,
    seen: Readiness,
) -> io::Result<Ready> {
    if interest.is_priority() && registration.interest() == netpoll::Interest::Writable {
        let message = "wait: the descriptor is not registered for PRIORITY";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    }
    let flags = cleared.without(Ready::from(registration.flagged()?), seen);
    let end = Ready::from(seen.ready()) & Ready::READ_CLOSED;
    Ok((flags | end).of(interest))
}

/// `interest` without the directions.
fn flags_of(interest: Interest) -> Option<Interest> {
    interest.remove(Interest::READABLE | Interest::WRITABLE)
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
    cleared: &Cleared,
    interest: Interest,
) -> io::Result<Found> {
    Wait::new(registration, cleared, interest).await
}

/// [`ready`] for the only user of the registration. The future is `Send` where `T` is, be it `Sync` or not: it
/// holds no `&Registration<T>`.
pub(crate) async fn ready_mut<T: AsFd>(
    registration: &mut Registration<T>,
    cleared: &Cleared,
    interest: Interest,
) -> io::Result<Found> {
    Wait::new(registration, cleared, interest).await
}

/// A wait for any direction of an interest, by way of `R`, a `&` or a `&mut` to the registration.
struct Wait<'a, R: Deref<Target = Registration<T>>, T: AsFd> {
    registration: R,
    cleared: &'a Cleared,
    read: Option<WaitOnce>,
    write: Option<WaitOnce>,
    flags: Option<(Interest, OwnedWait)>,
}

impl<'a, R: Deref<Target = Registration<T>>, T: AsFd> Wait<'a, R, T> {
    fn new(registration: R, cleared: &'a Cleared, interest: Interest) -> Self {
        let read = interest.is_readable().then(|| WaitOnce::new(Direction::Read));
        let write = interest.is_writable().then(|| WaitOnce::new(Direction::Write));
        let flags = flags_of(interest).map(|flags| (flags, OwnedWait::new(Direction::Read)));
        Self { registration, cleared, read, write, flags }
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

impl<R: Deref<Target = Registration<T>> + Unpin, T: AsFd> Wait<'_, R, T> {
    /// Ready when one of the directions is, and the thread's budget has a unit left for the operation that
    /// follows.
    fn poll_and_spend(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Found>> {
        let found = ready!(Pin::new(&mut *self).poll(cx))?;
        poll_spend(cx, Key::of(&*self.registration, Direction::Read)).map(|()| Ok(found))
    }
}

impl<R: Deref<Target = Registration<T>> + Unpin, T: AsFd> Future for Wait<'_, R, T> {
    type Output = io::Result<Found>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<Found>> {
        let Self { registration, cleared, read, write, flags } = &mut *self;
        let mut now = |wait: &mut Option<WaitOnce>| match wait {
            Some(wait) => match wait.poll(registration, cx) {
                Poll::Ready(found) => found.map(Some),
                Poll::Pending => Ok(None),
            },
            None => Ok(None),
        };
        let (read, write) = (now(read)?, now(write)?);
        let flags = match flags {
            Some((interest, wait)) => {
                match poll_flags(registration, cleared, *interest, wait, cx) {
                    Poll::Ready(flags) => Some(flags?),
                    Poll::Pending => None,
                }
            }
            None => None,
        };
        match (Found { read, write, flags }) {
            Found { read: None, write: None, flags: None } => Poll::Pending,
            some => Poll::Ready(Ok(some)),
        }
    }
}

impl<R: Deref<Target = Registration<T>>, T: AsFd> Drop for Wait<'_, R, T> {
    fn drop(&mut self) {
        for WaitOnce { wait, .. } in self.read.iter_mut().chain(&mut self.write) {
            wait.leave(&self.registration);
        }
        if let Some((_, wait)) = &mut self.flags {
            wait.leave(&self.registration);
        }
    }
}

/// Ready when the kernel flags something of `interest`, which it is asked for after each event.
fn poll_flags<T: AsFd>(
    registration: &Registration<T>,
    cleared: &Cleared,
    interest: Interest,
    wait: &mut OwnedWait,
    cx: &mut Context<'_>,
) -> Poll<io::Result<(Ready, Readiness)>> {
    loop {
        let seen = registration.seen(Direction::Read);
        let flags = flagged(registration, cleared, interest, seen)?;
        if !flags.is_empty() {
            return Poll::Ready(Ok((flags, seen)));
        }
        ready!(wait.poll_after(registration, cx, seen))?;
    }
}

/// Makes an operation in the first of the directions that is ready, or fails with `WouldBlock`.
pub(crate) fn try_io<T: AsFd, R>(
    registration: &Registration<T>,
    cleared: &Cleared,
    interest: Interest,
    operation: impl FnOnce(&T) -> io::Result<R>,
) -> io::Result<R> {
    let mut once = Once(Some(operation));
    let done = in_the_first(interest, &mut once, |direction, once| {
        registration.try_io(direction, |io| once.take()(io))
    });
    let Some((flags, operation)) = flags_of(interest).zip(once.0) else { return done };
    // It may block where the direction does not, which the kernel is asked for before the direction is cleared.
    let direction = match registration.interest() {
        netpoll::Interest::Writable => Direction::Write,
        _ => Direction::Read,
    };
    let seen = registration.seen(Direction::Read);
    let flags = flagged(registration, cleared, flags, seen)?;
    if flags.is_empty() {
        return Err(io::ErrorKind::WouldBlock.into());
    }
    let done = registration.attempt_io_checked(direction, operation);
    if matches!(&done, Err(error) if error.kind() == io::ErrorKind::WouldBlock) {
        cleared.clear(registration, flags, seen);
    }
    done
}

/// [`try_io`] for an operation that changes the object.
pub(crate) fn try_io_mut<T: AsFd, R>(
    registration: &mut Registration<T>,
    cleared: &Cleared,
    interest: Interest,
    operation: impl FnOnce(&mut T) -> io::Result<R>,
) -> io::Result<R> {
    let mut once = Once(Some(operation));
    let done = in_the_first(interest, &mut once, |direction, once| {
        registration.try_io_mut(direction, |io| once.take()(io))
    });
    let Some((flags, operation)) = flags_of(interest).zip(once.0) else { return done };
    let seen = registration.seen(Direction::Read);
    let flags = flagged(registration, cleared, flags, seen)?;
    if flags.is_empty() {
        return Err(io::ErrorKind::WouldBlock.into());
    }
    let done = operation(registration.get_mut());
    if matches!(&done, Err(error) if error.kind() == io::ErrorKind::WouldBlock) {
        cleared.clear(registration, flags, seen);
    }
    done
}

/// Makes an operation as soon as one of the directions is ready, and again until it does not block.
pub(crate) async fn io<T: AsFd, R>(
    registration: &Registration<T>,
    cleared: &Cleared,
    interest: Interest,
    mut operation: impl FnMut(&T) -> io::Result<R>,
) -> io::Result<R> {
    loop {
        let key = Key::of(registration, Direction::Read);
        budget::spend(wait_and_spend(key, || ready(registration, cleared, interest))).await?;
        match try_io(registration, cleared, interest, &mut operation) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            done => return done,
        }
    }
}

/// [`io`] for an operation that changes the object.
pub(crate) async fn io_mut<T: AsFd, R>(
    registration: &mut Registration<T>,
    cleared: &Cleared,
    interest: Interest,
    mut operation: impl FnMut(&mut T) -> io::Result<R>,
) -> io::Result<R> {
    loop {
        let mut wait = Wait::new(&mut *registration, cleared, interest);
        budget::spend(poll_fn(|cx| wait.poll_and_spend(cx))).await?;
        drop(wait);
        match try_io_mut(registration, cleared, interest, &mut operation) {
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
    once: &mut Once<F>,
    mut attempt: impl FnMut(Direction, &mut Once<F>) -> io::Result<R>,
) -> io::Result<R> {
    let mut last = Err(io::ErrorKind::WouldBlock.into());
    for direction in directions(interest) {
        last = attempt(direction, once);
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
