//! `AsyncFd`: any descriptor, in tokio's shape.

mod guard;
mod register_error;

use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use netpoll::{Deadline, Direction, OwnsFd, Registration};
use netpoll_futures::{Deadlines, SetDeadlines};

use crate::forward::{descriptor, forward};
use crate::io::Interest;
use crate::ready::directions;
use crate::runtime::reactor;
use crate::select_ready::{ClearedFlags, Select, poll_ready};

pub use guard::{AsyncFdReadyGuard, AsyncFdReadyMutGuard, TryIoError};
pub use register_error::AsyncFdRegisterError;

/// Any descriptor that epoll supports: a pipe, an `eventfd`, a `timerfd`, `inotify`, a socket of another
/// crate. The caller makes it non-blocking.
///
/// An object that is [`AsFd`] lends its descriptor, and is registered by [`new`](Self::new) or
/// [`with_interest`](Self::with_interest). One that is only [`AsRawFd`](std::os::fd::AsRawFd) may return the number of any
/// descriptor, and the end of its registration would then remove the registration of another object:
/// [`register`](Self::register) is `unsafe`, as in tokio, and tokio's `new` is deprecated for this reason.
///
/// ```
/// use std::io::{Read, Write};
/// use netpoll_tokio::io::{Interest, unix::AsyncFd};
///
/// # fn nonblocking(_: &impl std::os::fd::AsFd) {}
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let (receiver, mut sender) = std::io::pipe()?;
/// nonblocking(&receiver); // For example by `fcntl(2)`.
/// let receiver = AsyncFd::with_interest(receiver, Interest::READABLE)?;
///
/// sender.write_all(b"hello")?;
/// let mut buffer = [0; 8];
/// loop {
///     let mut guard = receiver.readable().await?;
///     match guard.try_io(|receiver| receiver.get_ref().read(&mut buffer)) {
///         Ok(read) => break assert_eq!(read?, 5),
///         Err(_would_block) => continue,
///     }
/// }
/// # std::io::Result::Ok(()) })?;
/// # std::io::Result::Ok(())
/// ```
pub struct AsyncFd<T> {
    pub(crate) registration: Registration<T>,
    cleared: ClearedFlags,
}

/// Prints the object.
impl<T: fmt::Debug> fmt::Debug for AsyncFd<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsyncFd").field("inner", self.get_ref()).finish_non_exhaustive()
    }
}

impl<T: AsFd> AsyncFd<T> {
    /// Registers a descriptor for both directions.
    ///
    /// # Errors
    ///
    /// The error of `epoll_ctl(2)`, as in tokio: `EEXIST` if this descriptor is registered already, `EPERM` for
    /// regular files and directories. See [`Registration::with`].
    pub fn new(inner: T) -> io::Result<Self> {
        Ok(Self::try_new(inner)?)
    }

    /// Registers a descriptor for the directions of `interest`. To wait for another direction is an error.
    ///
    /// # Errors
    ///
    /// As for [`Registration::with`].
    pub fn with_interest(inner: T, interest: Interest) -> io::Result<Self> {
        Ok(Self::try_with_interest(inner, interest)?)
    }

    /// As [`new`](Self::new), but the error returns the object.
    ///
    /// # Errors
    ///
    /// As for [`Registration::with`].
    pub fn try_new(inner: T) -> Result<Self, AsyncFdRegisterError<T>> {
        Self::try_with_interest(inner, Interest::READABLE | Interest::WRITABLE)
    }

    /// As [`with_interest`](Self::with_interest), but the error returns the object.
    ///
    /// # Errors
    ///
    /// As for [`Registration::with`].
    pub fn try_with_interest(
        inner: T,
        interest: Interest,
    ) -> Result<Self, AsyncFdRegisterError<T>> {
        Self::register_by(inner, interest, T::as_fd)
    }
}

impl<T> AsyncFd<T> {
    pub(crate) fn register_by(
        inner: T,
        interest: Interest,
        as_fd: for<'a> fn(&'a T) -> BorrowedFd<'a>,
    ) -> Result<Self, AsyncFdRegisterError<T>> {
        let reactor = match reactor() {
            Ok(reactor) => reactor,
            Err(cause) => return Err(AsyncFdRegisterError::new(inner, cause)),
        };
        Registration::try_with_fd(&reactor, inner, directions(interest), as_fd)
            .map(Self::from)
            .map_err(|(inner, cause)| AsyncFdRegisterError::new(inner, cause))
    }

    /// The object.
    #[must_use]
    pub fn get_ref(&self) -> &T {
        self.registration.get_ref()
    }

    /// Ends the registration and returns the object.
    ///
    /// # Panics
    ///
    /// After [`close`](Self::close), which drops the object's descriptor.
    #[must_use]
    pub fn into_inner(self) -> T {
        self.registration.into_inner().expect("into_inner: the descriptor is closed")
    }

    /// The object. It must keep the descriptor that was registered: the reactor does not watch another one in its
    /// place.
    pub fn get_mut(&mut self) -> &mut T {
        self.registration.get_mut()
    }

    forward! { self.registration:
        /// Sets or clears the deadline of both directions. See [`Registration::set_read_deadline`].
        ///
        /// # Errors
        ///
        /// [`Closed`](netpoll::Closed).
        fn set_deadline(&self, deadline: impl Into<Deadline>) -> io::Result<()>;

        /// Sets or clears the deadline of reading.
        fn set_read_deadline(&self, deadline: impl Into<Deadline>) -> io::Result<()>;

        /// Sets or clears the deadline of writing.
        fn set_write_deadline(&self, deadline: impl Into<Deadline>) -> io::Result<()>;
    }

    /// A handle that sets the deadlines and does not keep the descriptor open: for the owner of a descriptor that a library
    /// has taken.
    #[must_use]
    pub fn deadlines(self: &Arc<Self>) -> Deadlines
    where
        T: Send + Sync + 'static,
    {
        Deadlines::of(self)
    }

    fn select(&self, interest: Interest) -> Select<'_, &Registration<T>> {
        Select { registration: &self.registration, cleared: &self.cleared, interest }
    }

    fn select_mut(&mut self, interest: Interest) -> Select<'_, &mut Registration<T>> {
        Select { registration: &mut self.registration, cleared: &self.cleared, interest }
    }
}

/// The waits and the operations of a shared or of an exclusive borrow.
macro_rules! waits {
    (
        $(#[$doc:meta])*
        $select:ident, $guard:ident, &$($mut:ident)?: $readable:ident, $writable:ident, $ready:ident,
        $poll_read_ready:ident, $poll_write_ready:ident, $try_io:ident, $async_io:ident
    ) => {
        $(#[$doc])*
        impl<T> AsyncFd<T> {
            /// Waits until a read may succeed, or must fail.
            ///
            /// # Errors
            ///
            /// [`Closed`](netpoll::Closed), [`DeadlineExceeded`](netpoll::DeadlineExceeded), or
            /// `InvalidInput` for a direction for which the descriptor is not registered.
            ///
            /// # Cancel safety
            ///
            /// If the future is dropped, nothing changes.
            pub async fn $readable(&$($mut)? self) -> io::Result<$guard<'_, T>> {
                self.$ready(Interest::READABLE).await
            }

            /// Waits until a write may succeed, or must fail. See [`readable`](Self::readable).
            ///
            /// # Errors
            ///
            /// As for [`readable`](Self::readable).
            pub async fn $writable(&$($mut)? self) -> io::Result<$guard<'_, T>> {
                self.$ready(Interest::WRITABLE).await
            }

            /// Waits until a part of `interest` is ready. See [`readable`](Self::readable).
            ///
            /// # Errors
            ///
            /// As for [`readable`](Self::readable), as soon as one of the directions must fail.
            pub async fn $ready(&$($mut)? self, interest: Interest) -> io::Result<$guard<'_, T>> {
                let found = self.$select(interest).ready().await?;
                Ok($guard { async_fd: self, found })
            }

            /// Polls [`readable`](Self::readable). An event wakes every task that polled.
            pub fn $poll_read_ready<'a>(
                &'a $($mut)? self,
                cx: &mut Context<'_>,
            ) -> Poll<io::Result<$guard<'a, T>>> {
                let found = ready!(poll_ready(cx, &self.registration, Direction::Read))?;
                Poll::Ready(Ok($guard { async_fd: self, found }))
            }

            /// Polls [`writable`](Self::writable). An event wakes every task that polled.
            pub fn $poll_write_ready<'a>(
                &'a $($mut)? self,
                cx: &mut Context<'_>,
            ) -> Poll<io::Result<$guard<'a, T>>> {
                let found = ready!(poll_ready(cx, &self.registration, Direction::Write))?;
                Poll::Ready(Ok($guard { async_fd: self, found }))
            }

            /// Makes `operation` if a part of `interest` is ready. `operation` must return `WouldBlock` if and
            /// only if the descriptor did.
            ///
            /// With two directions, `WouldBlock` must mean both: the direction that was ready is not ready until the
            /// next event.
            ///
            /// # Errors
            ///
            /// `WouldBlock` if none is ready, [`Closed`](netpoll::Closed),
            /// [`DeadlineExceeded`](netpoll::DeadlineExceeded), or the error of `operation`.
            pub fn $try_io<R>(
                &$($mut)? self,
                interest: Interest,
                operation: impl FnOnce(&$($mut)? T) -> io::Result<R>,
            ) -> io::Result<R> {
                self.$select(interest).try_io(operation)
            }

            /// Makes `operation` as soon as a part of `interest` is ready, and repeats it while it returns
            /// `WouldBlock`.
            ///
            /// # Errors
            ///
            /// As for [`readable`](Self::readable), or the error of `operation`.
            ///
            /// # Cancel safety
            ///
            /// If the future is dropped, `operation` has not succeeded.
            pub async fn $async_io<R>(
                &$($mut)? self,
                interest: Interest,
                operation: impl FnMut(&$($mut)? T) -> io::Result<R>,
            ) -> io::Result<R> {
                self.$select(interest).io(operation).await
            }
        }
    };
}

waits! {
    select, AsyncFdReadyGuard, &: readable, writable, ready, poll_read_ready, poll_write_ready, try_io, async_io
}

waits! {
    /// For operations that change the object. The futures are `Send` also if the object is not `Sync`.
    select_mut, AsyncFdReadyMutGuard, &mut: readable_mut, writable_mut, ready_mut, poll_read_ready_mut,
    poll_write_ready_mut, try_io_mut, async_io_mut
}

impl<T: OwnsFd> AsyncFd<T> {
    /// Closes the descriptor: pending operations fail with [`Closed`](netpoll::Closed). See
    /// [`Registration::close`].
    ///
    /// Only for a type that owns its descriptor; see [`OwnsFd`]. To close another object, drop the result of
    /// [`into_inner`](Self::into_inner).
    ///
    /// # Errors
    ///
    /// [`Closed`](netpoll::Closed) if it was closed before.
    pub async fn close(&self) -> io::Result<()> {
        self.registration.close().await
    }
}

impl<T: Send + Sync> SetDeadlines for AsyncFd<T> {
    fn set(&self, direction: Option<Direction>, deadline: Deadline) -> io::Result<()> {
        self.registration.set(direction, deadline)
    }
}

/// For example a descriptor of another reactor than the global one.
impl<T> From<Registration<T>> for AsyncFd<T> {
    fn from(registration: Registration<T>) -> Self {
        Self { registration, cleared: ClearedFlags::default() }
    }
}

descriptor!(AsyncFd<T>: registration, T);
