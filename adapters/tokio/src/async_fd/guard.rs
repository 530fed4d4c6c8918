//! Readiness that its holder uses up, or leaves.

use std::error::Error;
use std::fmt;
use std::io;
use std::os::fd::AsFd;

use super::AsyncFd;
use crate::interested::Found;
use crate::io::Ready;

/// That a descriptor was found ready. Its holder says what became of it: after an operation said
/// `WouldBlock`, [`clear_ready`](Self::clear_ready), which [`try_io`](Self::try_io) does by itself.
#[derive(Debug)]
#[must_use = "who finds the descriptor not ready has to clear it, or will find it ready for ever"]
pub struct AsyncFdReadyGuard<'a, T: AsFd> {
    pub(super) async_fd: &'a AsyncFd<T>,
    pub(super) found: Found,
}

/// The descriptor was not ready after all. Its readiness has been cleared.
#[derive(Debug)]
pub struct TryIoError(pub(super) ());

impl<'a, T: AsFd> AsyncFdReadyGuard<'a, T> {
    /// Forgets that it was ready, unless an event has come since. For after an operation that said
    /// `WouldBlock`, and then only.
    pub fn clear_ready(&mut self) {
        self.clear_ready_matching(Ready::ALL);
    }

    /// The same for the directions that are in `ready`: its readable or its writable part.
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

    /// Makes an operation, and [clears](Self::clear_ready) what it finds not to be ready.
    ///
    /// # Errors
    ///
    /// [`TryIoError`] if it said `WouldBlock`. What else it says is inside of `Ok`.
    pub fn try_io<R>(
        &mut self,
        operation: impl FnOnce(&'a AsyncFd<T>) -> io::Result<R>,
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
    pub fn get_ref(&self) -> &'a AsyncFd<T> {
        self.async_fd
    }

    /// The object.
    #[must_use]
    pub fn get_inner(&self) -> &'a T {
        self.async_fd.get_ref()
    }
}

impl fmt::Display for TryIoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the descriptor is not ready")
    }
}

impl Error for TryIoError {}
