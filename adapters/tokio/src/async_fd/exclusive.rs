//! The descriptor for who has it to himself, and an object that operations change.

use std::io;
use std::os::fd::AsFd;
use std::task::{Context, Poll, ready};

use netpoll::Direction;

use super::{AsyncFd, TryIoError};
use crate::interested::Found;
use crate::io::{Interest, Ready};
use crate::{budget, interested};

/// Each is the method without `_mut`, for who has the descriptor to himself.
impl<T: AsFd> AsyncFd<T> {
    /// The object. It must stay the descriptor that was registered: another put into its place is
    /// watched by nobody.
    pub fn get_mut(&mut self) -> &mut T {
        self.registration.get_mut()
    }

    /// Waits until there may be something to read.
    pub async fn readable_mut(&mut self) -> io::Result<AsyncFdReadyMutGuard<'_, T>> {
        self.ready_mut(Interest::READABLE).await
    }

    /// Waits until there may be room to write.
    pub async fn writable_mut(&mut self) -> io::Result<AsyncFdReadyMutGuard<'_, T>> {
        self.ready_mut(Interest::WRITABLE).await
    }

    /// Waits until a direction of `interest` is ready.
    pub async fn ready_mut(
        &mut self,
        interest: Interest,
    ) -> io::Result<AsyncFdReadyMutGuard<'_, T>> {
        let found = interested::ready_mut(&mut self.registration, &self.cleared, interest).await?;
        Ok(AsyncFdReadyMutGuard { async_fd: self, found })
    }

    /// [`readable_mut`](Self::readable_mut) for those who poll.
    pub fn poll_read_ready_mut<'a>(
        &'a mut self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<AsyncFdReadyMutGuard<'a, T>>> {
        let read = ready!(budget::poll_ready(cx, &self.registration, Direction::Read))?;
        let found = Found { read: Some(read), write: None, flags: None };
        Poll::Ready(Ok(AsyncFdReadyMutGuard { async_fd: self, found }))
    }

    /// [`writable_mut`](Self::writable_mut) for those who poll.
    pub fn poll_write_ready_mut<'a>(
        &'a mut self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<AsyncFdReadyMutGuard<'a, T>>> {
        let write = ready!(budget::poll_ready(cx, &self.registration, Direction::Write))?;
        let found = Found { read: None, write: Some(write), flags: None };
        Poll::Ready(Ok(AsyncFdReadyMutGuard { async_fd: self, found }))
    }

    /// Makes an operation that changes the object, if a direction of `interest` is ready.
    pub fn try_io_mut<R>(
        &mut self,
        interest: Interest,
        operation: impl FnOnce(&mut T) -> io::Result<R>,
    ) -> io::Result<R> {
        interested::try_io_mut(&mut self.registration, &self.cleared, interest, operation)
    }

    /// Makes an operation that changes the object, as soon as a direction of `interest` is ready.
    pub async fn async_io_mut<R>(
        &mut self,
        interest: Interest,
        operation: impl FnMut(&mut T) -> io::Result<R>,
    ) -> io::Result<R> {
        interested::io_mut(&mut self.registration, &self.cleared, interest, operation).await
    }
}

/// [`AsyncFdReadyGuard`](super::AsyncFdReadyGuard) for who has the descriptor to himself.
#[derive(Debug)]
#[must_use = "who finds the descriptor not ready has to clear it, or will find it ready for ever"]
pub struct AsyncFdReadyMutGuard<'a, T: AsFd> {
    async_fd: &'a mut AsyncFd<T>,
    found: Found,
}

/// Each is that of [`AsyncFdReadyGuard`](super::AsyncFdReadyGuard).
impl<T: AsFd> AsyncFdReadyMutGuard<'_, T> {
    /// Forgets that it was ready, unless an event has come since.
    pub fn clear_ready(&mut self) {
        self.clear_ready_matching(Ready::ALL);
    }

    /// The same for the directions that are in `ready`.
    pub fn clear_ready_matching(&mut self, ready: Ready) {
        self.found.clear(&self.async_fd.registration, &self.async_fd.cleared, ready);
    }

    /// Leaves it as it is: there may be more.
    pub fn retain_ready(&mut self) {
        // Nothing is done unless it is asked for.
    }

    /// What it was found ready for, and has not been cleared by this guard.
    #[must_use]
    pub fn ready(&self) -> Ready {
        self.found.ready()
    }

    /// Makes an operation, and clears what it finds not to be ready.
    ///
    /// # Errors
    ///
    /// [`TryIoError`] if it said `WouldBlock`. What else it says is inside of `Ok`.
    pub fn try_io<R>(
        &mut self,
        operation: impl FnOnce(&mut AsyncFd<T>) -> io::Result<R>,
    ) -> Result<io::Result<R>, TryIoError> {
        match operation(self.async_fd) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.clear_ready();
                Err(TryIoError(()))
            }
            done => Ok(done),
        }
    }

    /// The descriptor.
    #[must_use]
    pub fn get_ref(&self) -> &AsyncFd<T> {
        self.async_fd
    }

    /// The descriptor. See [`AsyncFd::get_mut`].
    pub fn get_mut(&mut self) -> &mut AsyncFd<T> {
        self.async_fd
    }

    /// The object.
    #[must_use]
    pub fn get_inner(&self) -> &T {
        self.async_fd.get_ref()
    }

    /// The object. See [`AsyncFd::get_mut`].
    pub fn get_inner_mut(&mut self) -> &mut T {
        self.async_fd.get_mut()
    }
}
