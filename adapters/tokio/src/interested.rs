//! Waiting for, and trying in, whichever of the directions one is interested in.

use std::future::poll_fn;
use std::io;
use std::os::fd::AsFd;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use netpoll::{Direction, Readiness, Registration};

use crate::budget;
use crate::ready::{Interest, Ready};

/// What was found to be ready, by direction: proof to clear it by.
#[derive(Clone, Copy, Debug)]
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
}

/// Waits until one of the directions is ready. It fails as soon as one of them must.
pub(crate) async fn ready<T: AsFd>(
    registration: &Registration<T>,
    interest: Interest,
) -> io::Result<Found> {
    let mut read = pin!(interest.is_readable().then(|| registration.readable()));
    let mut write = pin!(interest.is_writable().then(|| registration.writable()));
    let any = poll_fn(|cx| {
        let found = Found { read: now(read.as_mut(), cx)?, write: now(write.as_mut(), cx)? };
        match found {
            Found { read: None, write: None } => Poll::Pending,
            some => Poll::Ready(Ok(some)),
        }
    });
    budget::spend(any).await
}

fn now<F>(waiting: Pin<&mut Option<F>>, cx: &mut Context<'_>) -> io::Result<Option<Readiness>>
where
    F: Future<Output = io::Result<Readiness>>,
{
    match waiting.as_pin_mut().map(|waiting| waiting.poll(cx)) {
        Some(Poll::Ready(found)) => found.map(Some),
        Some(Poll::Pending) | None => Ok(None),
    }
}

/// Makes an operation in the first of the directions that is ready, or fails with `WouldBlock`.
pub(crate) fn try_io<T: AsFd, R>(
    registration: &Registration<T>,
    interest: Interest,
    operation: impl FnOnce(&T) -> io::Result<R>,
) -> io::Result<R> {
    let mut operation = Some(operation);
    let mut last = Err(io::ErrorKind::WouldBlock.into());
    for direction in directions(interest) {
        last = registration.try_io(direction, |io| operation.take().expect("made once")(io));
        let blocked = matches!(&last, Err(error) if error.kind() == io::ErrorKind::WouldBlock);
        if operation.is_none() || !blocked {
            break;
        }
    }
    last
}

/// Makes an operation as soon as one of the directions is ready, and again until it does not block.
pub(crate) async fn io<T: AsFd, R>(
    registration: &Registration<T>,
    interest: Interest,
    mut operation: impl FnMut(&T) -> io::Result<R>,
) -> io::Result<R> {
    loop {
        ready(registration, interest).await?;
        match try_io(registration, interest, &mut operation) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            done => return done,
        }
    }
}

fn directions(interest: Interest) -> impl Iterator<Item = Direction> {
    let read = interest.is_readable().then_some(Direction::Read);
    let write = interest.is_writable().then_some(Direction::Write);
    read.into_iter().chain(write)
}
