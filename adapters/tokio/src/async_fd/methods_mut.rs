//! An `AsyncFd` that is borrowed exclusively, for operations that change the object.

use std::io;
use std::os::fd::AsFd;
use std::task::{Context, Poll, ready};

use netpoll::{Direction, Registration};

use super::{AsyncFd, AsyncFdReadyMutGuard};
use crate::budget;
use crate::io::Interest;
use crate::select_ready::{ReadySet, Select};

/// Each method is the one without `_mut`, for an exclusive borrow.
impl<T: AsFd> AsyncFd<T> {
    /// The object. It must keep the descriptor that was registered: the reactor does not watch another one in its
    /// place.
    pub fn get_mut(&mut self) -> &mut T {
        self.registration.get_mut()
    }

    /// Waits until a read may succeed, or must fail.
    pub async fn readable_mut(&mut self) -> io::Result<AsyncFdReadyMutGuard<'_, T>> {
        self.ready_mut(Interest::READABLE).await
    }

    /// Waits until a write may succeed, or must fail.
    pub async fn writable_mut(&mut self) -> io::Result<AsyncFdReadyMutGuard<'_, T>> {
        self.ready_mut(Interest::WRITABLE).await
    }

    /// Waits until a part of `interest` is ready.
    pub async fn ready_mut(
        &mut self,
        interest: Interest,
    ) -> io::Result<AsyncFdReadyMutGuard<'_, T>> {
        let found = self.select_mut(interest).ready().await?;
        Ok(AsyncFdReadyMutGuard { async_fd: self, found })
    }

    /// Polls [`readable_mut`](Self::readable_mut).
    pub fn poll_read_ready_mut<'a>(
        &'a mut self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<AsyncFdReadyMutGuard<'a, T>>> {
        let read = ready!(budget::poll_ready(cx, &self.registration, Direction::Read))?;
        let found = ReadySet::of(Direction::Read, read);
        Poll::Ready(Ok(AsyncFdReadyMutGuard { async_fd: self, found }))
    }

    /// Polls [`writable_mut`](Self::writable_mut).
    pub fn poll_write_ready_mut<'a>(
        &'a mut self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<AsyncFdReadyMutGuard<'a, T>>> {
        let write = ready!(budget::poll_ready(cx, &self.registration, Direction::Write))?;
        let found = ReadySet::of(Direction::Write, write);
        Poll::Ready(Ok(AsyncFdReadyMutGuard { async_fd: self, found }))
    }

    /// Makes an operation that changes the object, if a part of `interest` is ready.
    pub fn try_io_mut<R>(
        &mut self,
        interest: Interest,
        operation: impl FnOnce(&mut T) -> io::Result<R>,
    ) -> io::Result<R> {
        self.select_mut(interest).try_io_mut(operation)
    }

    /// Makes an operation that changes the object, as soon as a part of `interest` is ready.
    pub async fn async_io_mut<R>(
        &mut self,
        interest: Interest,
        operation: impl FnMut(&mut T) -> io::Result<R>,
    ) -> io::Result<R> {
        self.select_mut(interest).io_mut(operation).await
    }

    fn select_mut(&mut self, interest: Interest) -> Select<'_, &mut Registration<T>> {
        Select { registration: &mut self.registration, cleared: &self.cleared, interest }
    }
}
