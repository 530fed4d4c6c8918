//! The guards of an `AsyncFd`: its readiness, and the methods that clear it.

use std::error::Error;
use std::fmt;
use std::io;

use super::AsyncFd;
use crate::io::Ready;
use crate::select_ready::ReadySet;

/// The readiness of a descriptor. After an operation that returned `WouldBlock`, its holder calls
/// [`clear_ready`](Self::clear_ready); [`try_io`](Self::try_io) does so itself.
#[derive(Debug)]
#[must_use = "after `WouldBlock`, call `clear_ready`, or the descriptor stays marked ready"]
pub struct AsyncFdReadyGuard<'a, T> {
    pub(super) async_fd: &'a AsyncFd<T>,
    pub(super) found: ReadySet,
}

/// [`AsyncFdReadyGuard`] for an exclusive borrow.
#[derive(Debug)]
#[must_use = "after `WouldBlock`, call `clear_ready`, or the descriptor stays marked ready"]
pub struct AsyncFdReadyMutGuard<'a, T> {
    pub(super) async_fd: &'a mut AsyncFd<T>,
    pub(super) found: ReadySet,
}

/// The operation returned `WouldBlock`. The readiness is cleared.
#[derive(Debug)]
pub struct TryIoError(());

macro_rules! guard {
    ($guard:ident<$life:lifetime>, $async_fd:ty) => {
        impl<$life, T> $guard<$life, T> {
            /// Clears the readiness, unless an event has come since. Only for use after an operation that returned
            /// `WouldBlock`.
            pub fn clear_ready(&mut self) {
                self.clear_ready_matching(Ready::ALL);
            }

            /// Clears the parts in `ready`.
            pub fn clear_ready_matching(&mut self, ready: Ready) {
                self.found.clear(&self.async_fd.registration, &self.async_fd.cleared, ready);
            }

            /// Keeps the readiness.
            pub fn retain_ready(&mut self) {
                // Only `clear_ready` changes it.
            }

            /// The parts that were ready, without those that this guard has cleared.
            #[must_use]
            pub fn ready(&self) -> Ready {
                self.found.ready()
            }

            /// Makes an operation, and clears the readiness if it returns `WouldBlock`.
            ///
            /// # Errors
            ///
            /// [`TryIoError`] for `WouldBlock`. Every other result is inside `Ok`.
            pub fn try_io<R>(
                &mut self,
                operation: impl FnOnce($async_fd) -> io::Result<R>,
            ) -> Result<io::Result<R>, TryIoError> {
                match operation(self.async_fd) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        self.clear_ready();
                        Err(TryIoError(()))
                    }
                    done => Ok(done),
                }
            }
        }
    };
}

guard!(AsyncFdReadyGuard<'a>, &'a AsyncFd<T>);
guard!(AsyncFdReadyMutGuard<'a>, &mut AsyncFd<T>);

impl<'a, T> AsyncFdReadyGuard<'a, T> {
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

impl<T> AsyncFdReadyMutGuard<'_, T> {
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

impl fmt::Display for TryIoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the descriptor is not ready")
    }
}

impl Error for TryIoError {}
