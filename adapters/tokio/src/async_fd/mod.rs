//! Any descriptor, in tokio's shape.

mod exclusive;
mod guard;
mod register_error;

use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::task::{Context, Poll};
use std::time::Instant;

use netpoll::{OwnsFd, Reactor, Registration};

use crate::interested::{Cleared, Found};
use crate::io::Interest;
use crate::{budget, interested};

pub use exclusive::AsyncFdReadyMutGuard;
pub use guard::{AsyncFdReadyGuard, TryIoError};
pub use register_error::AsyncFdRegisterError;

/// Any descriptor that epoll takes: a pipe, an `eventfd`, a `timerfd`, `inotify`, a socket of another
/// crate. It must be non-blocking, which is the caller's to see to.
///
/// `T` is [`AsFd`], where tokio's is `AsRawFd`: the descriptor is then known to be `T`'s, and nothing
/// here is `unsafe`.
///
/// ```
/// use std::io::{Read, Write};
/// use netpoll_tokio::io::{Interest, unix::AsyncFd};
///
/// # fn nonblocking(_: &impl std::os::fd::AsFd) {}
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let (receiver, mut sender) = std::io::pipe()?;
/// nonblocking(&receiver); // However you like to do that.
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
pub struct AsyncFd<T: AsFd> {
    pub(crate) registration: Registration<T>,
    cleared: Cleared,
}

/// Prints the object.
impl<T: AsFd + fmt::Debug> fmt::Debug for AsyncFd<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsyncFd").field("inner", self.get_ref()).finish_non_exhaustive()
    }
}

impl<T: AsFd> AsyncFd<T> {
    /// Registers a descriptor for both directions.
    ///
    /// # Errors
    ///
    /// What `epoll_ctl(2)` says, as in tokio: `EEXIST` if this descriptor is registered already, `EPERM` for
    /// regular files and directories. See [`Registration::with`].
    pub fn new(inner: T) -> io::Result<Self> {
        Ok(Self::try_new(inner)?)
    }

    /// Registers a descriptor. To wait for a direction that is left out is an error.
    ///
    /// # Errors
    ///
    /// As for [`Registration::with`].
    pub fn with_interest(inner: T, interest: Interest) -> io::Result<Self> {
        Ok(Self::try_with_interest(inner, interest)?)
    }

    /// As [`new`](Self::new), but an object that cannot be registered is given back.
    ///
    /// # Errors
    ///
    /// As for [`Registration::with`].
    pub fn try_new(inner: T) -> Result<Self, AsyncFdRegisterError<T>> {
        Self::try_with_interest(inner, Interest::READABLE | Interest::WRITABLE)
    }

    /// As [`with_interest`](Self::with_interest), but an object that cannot be registered is given
    /// back.
    ///
    /// # Errors
    ///
    /// As for [`Registration::with`].
    pub fn try_with_interest(
        inner: T,
        interest: Interest,
    ) -> Result<Self, AsyncFdRegisterError<T>> {
        let reactor = match Reactor::global() {
            Ok(reactor) => reactor,
            Err(cause) => return Err(AsyncFdRegisterError::new(inner, cause)),
        };
        Registration::try_with(reactor, inner, interest.into())
            .map(Self::from)
            .map_err(|(inner, cause)| AsyncFdRegisterError::new(inner, cause))
    }

    /// The same as [`try_new`](Self::try_new), and as safe: tokio's name for it.
    ///
    /// # Errors
    ///
    /// As for [`Registration::with`].
    pub fn register(inner: T) -> Result<Self, AsyncFdRegisterError<T>> {
        Self::try_new(inner)
    }

    /// The same as [`try_with_interest`](Self::try_with_interest), and as safe: tokio's name for it.
    ///
    /// # Errors
    ///
    /// As for [`Registration::with`].
    pub fn register_with_interest(
        inner: T,
        interest: Interest,
    ) -> Result<Self, AsyncFdRegisterError<T>> {
        Self::try_with_interest(inner, interest)
    }

    /// The object.
    #[must_use]
    pub fn get_ref(&self) -> &T {
        self.registration.get_ref()
    }

    /// Ends the registration and gives the object back.
    ///
    /// # Panics
    ///
    /// After [`close`](Self::close): there is nothing left to give.
    #[must_use]
    pub fn into_inner(self) -> T {
        self.registration.into_inner().expect("into_inner: the descriptor is closed")
    }

    /// Waits until there may be something to read.
    ///
    /// # Errors
    ///
    /// [`Closed`](netpoll::Closed), [`DeadlineExceeded`](netpoll::DeadlineExceeded), or
    /// `InvalidInput` for a direction that it is not registered for.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it has changed nothing.
    pub async fn readable(&self) -> io::Result<AsyncFdReadyGuard<'_, T>> {
        self.ready(Interest::READABLE).await
    }

    /// Waits until there may be room to write. See [`readable`](Self::readable).
    ///
    /// # Errors
    ///
    /// As for [`readable`](Self::readable).
    pub async fn writable(&self) -> io::Result<AsyncFdReadyGuard<'_, T>> {
        self.ready(Interest::WRITABLE).await
    }

    /// Waits until a direction of `interest` is ready. See [`readable`](Self::readable).
    ///
    /// # Errors
    ///
    /// As for [`readable`](Self::readable), as soon as it must in one of the directions.
    pub async fn ready(&self, interest: Interest) -> io::Result<AsyncFdReadyGuard<'_, T>> {
        interested::ready(&self.registration, &self.cleared, interest)
            .await
            .map(|found| self.guard(found))
    }

    /// [`readable`](Self::readable) for those who poll. Any number of tasks may: each is woken.
    pub fn poll_read_ready<'a>(
        &'a self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<AsyncFdReadyGuard<'a, T>>> {
        budget::poll_ready(cx, &self.registration, netpoll::Direction::Read)
            .map_ok(|read| self.guard(Found { read: Some(read), write: None, flags: None }))
    }

    /// [`writable`](Self::writable) for those who poll. Any number of tasks may: each is woken.
    pub fn poll_write_ready<'a>(
        &'a self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<AsyncFdReadyGuard<'a, T>>> {
        budget::poll_ready(cx, &self.registration, netpoll::Direction::Write)
            .map_ok(|write| self.guard(Found { read: None, write: Some(write), flags: None }))
    }

    /// Makes an operation, if a direction of `interest` is ready. It must return `WouldBlock` if and
    /// only if the descriptor did.
    ///
    /// With two directions, `WouldBlock` must mean both: the one that was thought to be ready is taken
    /// for not ready, until the next event.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if none is ready, [`Closed`](netpoll::Closed),
    /// [`DeadlineExceeded`](netpoll::DeadlineExceeded), or what `operation` says.
    pub fn try_io<R>(
        &self,
        interest: Interest,
        operation: impl FnOnce(&T) -> io::Result<R>,
    ) -> io::Result<R> {
        interested::try_io(&self.registration, &self.cleared, interest, operation)
    }

    /// Makes an operation as soon as a direction of `interest` is ready, and again until it does not
    /// return `WouldBlock`.
    ///
    /// # Errors
    ///
    /// As for [`readable`](Self::readable), or what `operation` says.
    ///
    /// # Cancel safety
    ///
    /// Dropped, `operation` has not succeeded.
    pub async fn async_io<R>(
        &self,
        interest: Interest,
        operation: impl FnMut(&T) -> io::Result<R>,
    ) -> io::Result<R> {
        interested::io(&self.registration, &self.cleared, interest, operation).await
    }

    /// Sets or clears the deadline of both directions; for what a deadline is, see
    /// [`Registration::set_read_deadline`].
    ///
    /// # Errors
    ///
    /// [`Closed`](netpoll::Closed).
    pub fn set_deadline(&self, deadline: Option<Instant>) -> io::Result<()> {
        self.registration.set_deadline(deadline)
    }

    /// Sets or clears the deadline of reading.
    ///
    /// # Errors
    ///
    /// [`Closed`](netpoll::Closed).
    pub fn set_read_deadline(&self, deadline: Option<Instant>) -> io::Result<()> {
        self.registration.set_read_deadline(deadline)
    }

    /// Sets or clears the deadline of writing.
    ///
    /// # Errors
    ///
    /// [`Closed`](netpoll::Closed).
    pub fn set_write_deadline(&self, deadline: Option<Instant>) -> io::Result<()> {
        self.registration.set_write_deadline(deadline)
    }

    fn guard(&self, found: Found) -> AsyncFdReadyGuard<'_, T> {
        AsyncFdReadyGuard { async_fd: self, found }
    }
}

impl<T: OwnsFd> AsyncFd<T> {
    /// Closes the descriptor: pending operations fail with [`Closed`](netpoll::Closed). See
    /// [`Registration::close`].
    ///
    /// Only of a type that owns its descriptor; see [`OwnsFd`]. Other objects are closed by
    /// [`into_inner`](Self::into_inner) and dropping the result.
    ///
    /// # Errors
    ///
    /// [`Closed`](netpoll::Closed) if it was closed before.
    pub async fn close(&self) -> io::Result<()> {
        self.registration.close().await
    }
}

/// A descriptor in the care of another reactor than the global one, for instance.
impl<T: AsFd> From<Registration<T>> for AsyncFd<T> {
    fn from(registration: Registration<T>) -> Self {
        Self { registration, cleared: Cleared::default() }
    }
}

impl<T: AsFd> AsFd for AsyncFd<T> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.registration.as_fd()
    }
}

impl<T: AsFd> AsRawFd for AsyncFd<T> {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}
