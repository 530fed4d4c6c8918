//! Waits and attempts for several directions and flags at once.

use std::fmt;
use std::io;
use std::ops::Deref;
use std::os::fd::AsFd;
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use netpoll::{Direction, OwnedReadinessWait, ReactorGone, Readiness, Registration};

use crate::budget;
use crate::io::{Interest, Ready};
use crate::ready::{from_reactor, parts};

/// The directions and flags that were ready, each with the [`Readiness`] that clears it.
#[derive(Clone, Copy, Default)]
pub(crate) struct ReadySet {
    read: Option<Readiness>,
    write: Option<Readiness>,
    /// Urgent data or an error, and the events that the reactor had seen when the kernel flagged it.
    flags: Option<(Ready, Readiness)>,
}

impl ReadySet {
    /// The set of one direction.
    pub(crate) fn of(direction: Direction, readiness: Readiness) -> Self {
        match direction {
            Direction::Read => Self { read: Some(readiness), ..Self::default() },
            Direction::Write => Self { write: Some(readiness), ..Self::default() },
        }
    }

    pub(crate) fn ready(&self) -> Ready {
        let of = |found: Option<Readiness>, interest| {
            found.map_or(Ready::EMPTY, |found| from_reactor(found.ready()) & parts(interest))
        };
        let flags = self.flags.map_or(Ready::EMPTY, |(flags, _)| flags);
        of(self.read, Interest::READABLE) | of(self.write, Interest::WRITABLE) | flags
    }

    /// The first direction that is ready.
    fn direction(&self) -> Option<Direction> {
        let write = self.write.map(|_| Direction::Write);
        self.read.map(|_| Direction::Read).or(write)
    }

    /// Clears the parts in `ready`, each at most once.
    pub(crate) fn clear<T: AsFd>(
        &mut self,
        registration: &Registration<T>,
        cleared: &ClearedFlags,
        ready: Ready,
    ) {
        let read = if ready.is_readable() { self.read.take() } else { None };
        let write = if ready.is_writable() { self.write.take() } else { None };
        for readiness in read.into_iter().chain(write) {
            registration.clear_ready(readiness);
        }
        if let Some((flags, seen)) = &mut self.flags {
            cleared.clear(registration, *flags & ready, *seen);
            *flags = *flags - ready;
        }
    }
}

/// Prints the parts that are ready.
impl fmt::Debug for ReadySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.ready().fmt(f)
    }
}

/// The flags that a user has cleared, urgent data and errors, and the events that the reactor had seen then. A flag
/// counts again after the next event of the read direction, if the kernel still reports it.
///
/// The reactor's own readiness does not suffice: an error stays in it, and urgent data stays until a read
/// blocks, which may be a read of another task.
#[derive(Debug, Default)]
pub(crate) struct ClearedFlags(Mutex<[Option<Readiness>; 2]>);

const FLAGS: [Ready; 2] = [Ready::PRIORITY, Ready::ERROR];

impl ClearedFlags {
    fn clear<T: AsFd>(&self, registration: &Registration<T>, flags: Ready, seen: Readiness) {
        // An event after `seen` may have flagged them again. And a forked child does not take the lock.
        if registration.seen(Direction::Read).is_after(&seen) || registration.reactor().is_gone() {
            return;
        }
        for (cleared, flag) in self.lock().iter_mut().zip(FLAGS) {
            if flags & flag == flag {
                *cleared = Some(seen);
            }
        }
    }

    /// `flags` without those that are cleared.
    fn remaining(&self, flags: Ready, seen: Readiness) -> Ready {
        let cleared = self.lock().into_iter().zip(FLAGS);
        let cleared = cleared.filter(|(at, _)| at.is_some_and(|at| !seen.is_after(&at)));
        cleared.fold(flags, |flags, (_, flag)| flags - flag)
    }

    fn lock(&self) -> MutexGuard<'_, [Option<Readiness>; 2]> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The parts of `interest` that the kernel flags now: urgent data, errors, and the end of the peer's data, which tokio
/// reports with urgent data.
fn flagged<T: AsFd>(
    registration: &Registration<T>,
    cleared: &ClearedFlags,
    interest: Interest,
    seen: Readiness,
) -> io::Result<Ready> {
    if interest.is_priority() && registration.interest() == netpoll::Interest::Writable {
        let message = "wait: the descriptor is not registered for PRIORITY";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    }
    // A thread of the parent may have held the lock of `cleared` at a fork.
    if registration.reactor().is_gone() {
        return Err(ReactorGone::error());
    }
    let flags = cleared.remaining(from_reactor(registration.flagged()?), seen);
    let end = from_reactor(seen.ready()) & Ready::READ_CLOSED;
    Ok((flags | end) & parts(interest))
}

/// `interest` without the directions.
fn flags_of(interest: Interest) -> Option<Interest> {
    interest.remove(Interest::READABLE | Interest::WRITABLE)
}

/// Waits until a part of `interest` is ready. It fails as soon as one of the directions must fail.
///
/// As in tokio, it takes no unit of a budget: the operation that follows takes one, if it is awaited.
pub(crate) async fn ready<T: AsFd>(
    registration: &Registration<T>,
    cleared: &ClearedFlags,
    interest: Interest,
) -> io::Result<ReadySet> {
    Wait::new(registration, cleared, interest).await
}

/// [`ready`] for an exclusive borrow. The future is `Send` also if `T` is not `Sync`, since it holds no
/// `&Registration<T>`.
pub(crate) async fn ready_mut<T: AsFd>(
    registration: &mut Registration<T>,
    cleared: &ClearedFlags,
    interest: Interest,
) -> io::Result<ReadySet> {
    Wait::new(registration, cleared, interest).await
}

/// A wait for any part of an interest. `R` borrows the registration, shared or exclusively.
struct Wait<'a, R: Deref<Target = Registration<T>>, T: AsFd> {
    registration: R,
    cleared: &'a ClearedFlags,
    read: Option<WaitOnce>,
    write: Option<WaitOnce>,
    flags: Option<(Interest, OwnedReadinessWait)>,
}

impl<'a, R: Deref<Target = Registration<T>>, T: AsFd> Wait<'a, R, T> {
    fn new(registration: R, cleared: &'a ClearedFlags, interest: Interest) -> Self {
        let read = interest.is_readable().then(|| WaitOnce::new(Direction::Read));
        let write = interest.is_writable().then(|| WaitOnce::new(Direction::Write));
        let flags =
            flags_of(interest).map(|flags| (flags, OwnedReadinessWait::new(Direction::Read)));
        Self { registration, cleared, read, write, flags }
    }
}

impl<R: Deref<Target = Registration<T>> + Unpin, T: AsFd> Future for Wait<'_, R, T> {
    type Output = io::Result<ReadySet>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<ReadySet>> {
        budget::leave_to_tokio();
        let Self { registration, cleared, read, write, flags } = &mut *self;
        let mut poll = |wait: &mut Option<WaitOnce>| match wait {
            Some(wait) => found(wait.poll(registration, cx)),
            None => Ok(None),
        };
        let (read, write) = (poll(read)?, poll(write)?);
        let flags = match flags {
            Some((interest, wait)) => {
                found(poll_flags(registration, cleared, *interest, wait, cx))?
            }
            None => None,
        };
        match (ReadySet { read, write, flags }) {
            ReadySet { read: None, write: None, flags: None } => Poll::Pending,
            some => Poll::Ready(Ok(some)),
        }
    }
}

fn found<R>(polled: Poll<io::Result<R>>) -> io::Result<Option<R>> {
    match polled {
        Poll::Ready(found) => found.map(Some),
        Poll::Pending => Ok(None),
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

/// A wait of one direction for readiness, or for one event.
///
/// As in tokio, an event ends every wait that began before it, even if another task has cleared the
/// readiness before this task is polled. Otherwise tasks that clear the readiness for which all of them were woken
/// would wait for ever. The set of ready parts is empty then.
struct WaitOnce {
    direction: Direction,
    wait: OwnedReadinessWait,
    /// The events that the reactor had seen when the wait began.
    since: Option<Readiness>,
}

impl WaitOnce {
    fn new(direction: Direction) -> Self {
        Self { direction, wait: OwnedReadinessWait::new(direction), since: None }
    }

    fn poll<T: AsFd>(
        &mut self,
        registration: &Registration<T>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Readiness>> {
        let since = *self.since.get_or_insert_with(|| registration.seen(self.direction));
        let polled = self.wait.poll_ready(registration, cx, self.direction);
        let seen = registration.seen(self.direction);
        if polled.is_pending() && seen.is_after(&since) { Poll::Ready(Ok(seen)) } else { polled }
    }
}

/// Ready when the kernel flags a part of `interest`. It asks the kernel after each event.
fn poll_flags<T: AsFd>(
    registration: &Registration<T>,
    cleared: &ClearedFlags,
    interest: Interest,
    wait: &mut OwnedReadinessWait,
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

/// The first direction of `interest` that is ready, otherwise its flags; `WouldBlock` if there is none.
fn ready_now<T: AsFd>(
    registration: &Registration<T>,
    cleared: &ClearedFlags,
    interest: Interest,
) -> io::Result<ReadySet> {
    let read = interest.is_readable().then_some(Direction::Read);
    let write = interest.is_writable().then_some(Direction::Write);
    for direction in read.into_iter().chain(write) {
        let ready = registration.try_ready(direction);
        if !would_block(&ready) {
            return ready.map(|readiness| ReadySet::of(direction, readiness));
        }
    }
    let Some(flags) = flags_of(interest) else {
        return Err(io::ErrorKind::WouldBlock.into());
    };
    let seen = registration.seen(Direction::Read);
    match flagged(registration, cleared, flags, seen)? {
        Ready::EMPTY => Err(io::ErrorKind::WouldBlock.into()),
        flags => Ok(ReadySet { flags: Some((flags, seen)), ..ReadySet::default() }),
    }
}

/// Makes `operation` if a part of `interest` is ready, or fails with `WouldBlock`.
pub(crate) fn try_io<T: AsFd, R>(
    registration: &Registration<T>,
    cleared: &ClearedFlags,
    interest: Interest,
    operation: impl FnOnce(&T) -> io::Result<R>,
) -> io::Result<R> {
    let mut ready = ready_now(registration, cleared, interest)?;
    if let Some(direction) = ready.direction() {
        return registration.try_io(direction, operation);
    }
    let done = registration.while_open(operation);
    if would_block(&done) {
        ready.clear(registration, cleared, Ready::ALL);
    }
    done
}

/// [`try_io`] for an operation that changes the object.
pub(crate) fn try_io_mut<T: AsFd, R>(
    registration: &mut Registration<T>,
    cleared: &ClearedFlags,
    interest: Interest,
    operation: impl FnOnce(&mut T) -> io::Result<R>,
) -> io::Result<R> {
    let mut ready = ready_now(registration, cleared, interest)?;
    let done = operation(registration.get_mut());
    if would_block(&done) {
        ready.clear(registration, cleared, Ready::ALL);
    }
    done
}

/// Makes `operation` as soon as a part of `interest` is ready, and repeats it while it blocks.
pub(crate) async fn io<T: AsFd, R>(
    registration: &Registration<T>,
    cleared: &ClearedFlags,
    interest: Interest,
    mut operation: impl FnMut(&T) -> io::Result<R>,
) -> io::Result<R> {
    loop {
        budget::spend(Wait::new(registration, cleared, interest)).await?;
        let done = try_io(registration, cleared, interest, &mut operation);
        if !would_block(&done) {
            return done;
        }
    }
}

/// [`io`] for an operation that changes the object.
pub(crate) async fn io_mut<T: AsFd, R>(
    registration: &mut Registration<T>,
    cleared: &ClearedFlags,
    interest: Interest,
    mut operation: impl FnMut(&mut T) -> io::Result<R>,
) -> io::Result<R> {
    loop {
        budget::spend(Wait::new(&mut *registration, cleared, interest)).await?;
        let done = try_io_mut(registration, cleared, interest, &mut operation);
        if !would_block(&done) {
            return done;
        }
    }
}

fn would_block<R>(result: &io::Result<R>) -> bool {
    matches!(result, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
}
