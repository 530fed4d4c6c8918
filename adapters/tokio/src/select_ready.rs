//! Waits and attempts for several directions and flags at once.

use std::fmt;
use std::io;
use std::ops::Deref;
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use netpoll::{Direction, OwnedReadinessWait, Readiness, Registration};

use crate::budget;
use crate::io::{Interest, Ready};
use crate::ready::{from_reactor, parts};

/// The directions that were ready, reading and writing, and the flags: urgent data and errors.
#[derive(Clone, Copy, Default)]
pub(crate) struct ReadySet([Option<Found>; 3]);

/// The parts of readiness of a direction or of the flags, and the events that the reactor had seen when it found them.
type Found = (Ready, Readiness);

fn found(direction: Direction, readiness: Readiness) -> Found {
    let interest = match direction {
        Direction::Read => Interest::READABLE,
        Direction::Write => Interest::WRITABLE,
    };
    (from_reactor(readiness.ready()) & parts(interest), readiness)
}

impl ReadySet {
    /// The set of one direction.
    fn of(direction: Direction, readiness: Readiness) -> Self {
        let found = Some(found(direction, readiness));
        match direction {
            Direction::Read => Self([found, None, None]),
            Direction::Write => Self([None, found, None]),
        }
    }

    pub(crate) fn ready(&self) -> Ready {
        self.0.iter().flatten().fold(Ready::EMPTY, |all, (ready, _)| all | *ready)
    }

    /// The first direction that is ready.
    fn direction(&self) -> Option<Direction> {
        let [read, write, _] = self.0;
        read.map(|_| Direction::Read).or(write.map(|_| Direction::Write))
    }

    /// Clears the parts in `ready`, each at most once.
    pub(crate) fn clear<T>(
        &mut self,
        registration: &Registration<T>,
        cleared: &ClearedFlags,
        ready: Ready,
    ) {
        let [read, write, flags] = &mut self.0;
        let read = read.take_if(|_| ready.is_readable());
        let write = write.take_if(|_| ready.is_writable());
        for (_, readiness) in read.into_iter().chain(write) {
            registration.clear_ready(readiness);
        }
        if let Some((flags, seen)) = flags {
            cleared.clear(registration, *flags & (ready - Ready::READ_CLOSED), *seen);
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
pub(crate) struct ClearedFlags(Mutex<Option<Found>>);

impl ClearedFlags {
    fn clear<T>(&self, registration: &Registration<T>, flags: Ready, seen: Readiness) {
        // An event after `seen` may have flagged them again. And a forked child does not take the lock.
        if registration.seen(Direction::Read).is_after(&seen) || registration.reactor().is_gone() {
            return;
        }
        let mut cleared = self.lock();
        let before = cleared.filter(|(_, at)| !seen.is_after(at));
        *cleared = Some((before.map_or(flags, |(before, _)| before | flags), seen));
    }

    /// `flags` without those that are cleared.
    fn remaining(&self, flags: Ready, seen: Readiness) -> Ready {
        match *self.lock() {
            Some((cleared, at)) if !seen.is_after(&at) => flags - cleared,
            _ => flags,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Found>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits and attempts for any part of `interest`. `R` borrows the registration, shared or exclusively.
///
/// A future that has an exclusive borrow is `Send` also if the object is not `Sync`, since it holds no shared one.
pub(crate) struct Select<'a, R> {
    pub(crate) registration: R,
    pub(crate) cleared: &'a ClearedFlags,
    pub(crate) interest: Interest,
}

impl<T, R: Deref<Target = Registration<T>>> Select<'_, R> {
    /// The same with a shared borrow, for the time of a poll or an attempt.
    fn shared(&self) -> Select<'_, &Registration<T>> {
        Select { registration: &self.registration, cleared: self.cleared, interest: self.interest }
    }

    /// Waits until a part is ready. It fails as soon as one of the directions must fail.
    ///
    /// As in tokio, it takes no unit of a budget: the operation that follows takes one, if it is awaited.
    pub(crate) async fn ready(mut self) -> io::Result<ReadySet> {
        Wait::new(&mut self).await
    }

    /// Repeats `attempt` as soon as a part is ready, while it blocks.
    async fn repeat<O>(
        &mut self,
        mut attempt: impl FnMut(&mut Self) -> io::Result<O>,
    ) -> io::Result<O> {
        loop {
            budget::spend(Wait::new(&mut *self)).await?;
            let done = attempt(self);
            if !would_block(&done) {
                return done;
            }
        }
    }

    /// Makes `operation` if a part is ready, or fails with `WouldBlock`. `operation` gets the first direction that is
    /// ready.
    fn attempt<O>(
        &mut self,
        operation: impl FnOnce(&mut R, Option<Direction>) -> io::Result<O>,
    ) -> io::Result<O> {
        let mut ready = self.shared().ready_now()?;
        let done = operation(&mut self.registration, ready.direction());
        if would_block(&done) {
            ready.clear(&self.registration, self.cleared, Ready::ALL);
        }
        done
    }
}

impl<T> Select<'_, &Registration<T>> {
    /// Makes `operation` if a part is ready, or fails with `WouldBlock`.
    pub(crate) fn try_io<O>(
        &mut self,
        operation: impl FnOnce(&T) -> io::Result<O>,
    ) -> io::Result<O> {
        self.attempt(|registration, direction| match direction {
            Some(direction) => registration.try_io(direction, operation),
            None => registration.while_open(operation),
        })
    }

    /// Makes `operation` as soon as a part is ready, and repeats it while it blocks.
    pub(crate) async fn io<O>(
        mut self,
        mut operation: impl FnMut(&T) -> io::Result<O>,
    ) -> io::Result<O> {
        self.repeat(|select| select.try_io(&mut operation)).await
    }

    /// The first direction that is ready, otherwise the flags; `WouldBlock` if there is none.
    fn ready_now(&self) -> io::Result<ReadySet> {
        for direction in [Direction::Read, Direction::Write] {
            if self.includes(direction) {
                let ready = self.registration.try_ready(direction);
                if !would_block(&ready) {
                    return ready.map(|readiness| ReadySet::of(direction, readiness));
                }
            }
        }
        match self.flagged(self.registration.seen(Direction::Read))? {
            None => Err(io::ErrorKind::WouldBlock.into()),
            flags => Ok(ReadySet([None, None, flags])),
        }
    }

    fn includes(&self, direction: Direction) -> bool {
        match direction {
            Direction::Read => self.interest.is_readable(),
            Direction::Write => self.interest.is_writable(),
        }
    }

    /// The interest without the directions.
    fn flags(&self) -> Option<Interest> {
        self.interest.remove(Interest::READABLE | Interest::WRITABLE)
    }

    /// The flags of the interest that the kernel has now: urgent data, errors, and the end of the peer's data, which
    /// tokio reports with urgent data.
    fn flagged(&self, seen: Readiness) -> io::Result<Option<Found>> {
        let Some(flags) = self.flags() else { return Ok(None) };
        let registration = self.registration;
        if flags.is_priority() && registration.interest() == netpoll::Interest::Writable {
            let message = "wait: the descriptor is not registered for PRIORITY";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        // A thread of the parent may have held the lock of `cleared` at a fork.
        registration.reactor().check_usable()?;
        let flagged = self.cleared.remaining(from_reactor(registration.flagged()?), seen);
        let end = from_reactor(seen.ready()) & Ready::READ_CLOSED;
        let ready = (flagged | end) & parts(flags);
        Ok((!ready.is_empty()).then_some((ready, seen)))
    }

    /// Waits for the readiness of a direction of the interest, or for one event after `since`.
    ///
    /// As in tokio, an event ends every wait that began before it, even if another task has cleared the
    /// readiness before this task is polled. Otherwise tasks that clear the readiness for which all of them were woken
    /// would wait for ever. The set of ready parts is empty then.
    fn poll_direction(
        &self,
        cx: &mut Context<'_>,
        direction: Direction,
        (wait, since): &mut (OwnedReadinessWait, Readiness),
    ) -> io::Result<Option<Found>> {
        if !self.includes(direction) {
            return Ok(None);
        }
        let readiness = match wait.poll_ready(self.registration, cx, direction)? {
            Poll::Ready(readiness) => Some(readiness),
            Poll::Pending => {
                Some(self.registration.seen(direction)).filter(|it| it.is_after(since))
            }
        };
        Ok(readiness.map(|readiness| found(direction, readiness)))
    }

    /// Waits until the kernel has a flag of the interest. It asks the kernel after each event.
    fn poll_flags(
        &self,
        cx: &mut Context<'_>,
        wait: &mut OwnedReadinessWait,
    ) -> io::Result<Option<Found>> {
        while self.flags().is_some() {
            let seen = self.registration.seen(Direction::Read);
            let flags = self.flagged(seen)?;
            if flags.is_some() || wait.poll_after(self.registration, cx, seen)?.is_pending() {
                return Ok(flags);
            }
        }
        Ok(None)
    }
}

impl<T> Select<'_, &mut Registration<T>> {
    /// For an operation that changes the object.
    pub(crate) fn try_io<O>(
        &mut self,
        operation: impl FnOnce(&mut T) -> io::Result<O>,
    ) -> io::Result<O> {
        self.attempt(|registration, _| operation(registration.get_mut()))
    }

    /// For an operation that changes the object.
    pub(crate) async fn io<O>(
        mut self,
        mut operation: impl FnMut(&mut T) -> io::Result<O>,
    ) -> io::Result<O> {
        self.repeat(|select| select.try_io(&mut operation)).await
    }
}

/// Polls one direction, within both budgets.
pub(crate) fn poll_ready<T>(
    cx: &mut Context<'_>,
    registration: &Registration<T>,
    direction: Direction,
) -> Poll<io::Result<ReadySet>> {
    let polled = budget::poll(cx, |cx| registration.poll_ready(cx, direction));
    polled.map_ok(|readiness| ReadySet::of(direction, readiness))
}

/// The wait of a [`Select`].
struct Wait<'s, 'a, R: Deref<Target = Registration<T>>, T> {
    select: &'s mut Select<'a, R>,
    /// The events that the reactor had seen when the wait began stand beside the wait.
    read: (OwnedReadinessWait, Readiness),
    write: (OwnedReadinessWait, Readiness),
    /// Urgent data and errors are events of the read direction.
    flags: OwnedReadinessWait,
}

impl<'s, 'a, R: Deref<Target = Registration<T>>, T> Wait<'s, 'a, R, T> {
    fn new(select: &'s mut Select<'a, R>) -> Self {
        let [read, write] = [Direction::Read, Direction::Write].map(|direction| {
            (OwnedReadinessWait::new(direction), select.registration.seen(direction))
        });
        Self { select, read, write, flags: OwnedReadinessWait::new(Direction::Read) }
    }
}

impl<R: Deref<Target = Registration<T>>, T> Future for Wait<'_, '_, R, T> {
    type Output = io::Result<ReadySet>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<ReadySet>> {
        budget::leave_to_tokio();
        let Self { select, read, write, flags } = &mut *self;
        let select = select.shared();
        match [
            select.poll_direction(cx, Direction::Read, read)?,
            select.poll_direction(cx, Direction::Write, write)?,
            select.poll_flags(cx, flags)?,
        ] {
            [None, None, None] => Poll::Pending,
            ready => Poll::Ready(Ok(ReadySet(ready))),
        }
    }
}

impl<R: Deref<Target = Registration<T>>, T> Drop for Wait<'_, '_, R, T> {
    fn drop(&mut self) {
        for wait in [&mut self.read.0, &mut self.write.0, &mut self.flags] {
            wait.leave(&self.select.registration);
        }
    }
}

fn would_block<R>(result: &io::Result<R>) -> bool {
    matches!(result, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
}
