//! Any descriptor.

mod convert;
mod io_traits;
mod net;
mod unix;
mod wait;

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::sys;
use netpoll::{Deadline, Direction, OpError, OwnsFd, Reactor, Registration};

use crate::deadlines::{self, Deadlines, SetDeadlines};
use crate::readiness;
use crate::socket::check_open;

pub use wait::{Readable, ReadableOwned, Writable, WritableOwned};

/// Any descriptor that epoll takes: a pipe, an eventfd, a timerfd, an inotify instance, a child's
/// standard streams, a TUN device, a socket of any kind. In the shape of async-io's type of this name.
///
/// Everything but what says so takes `&self`: any number of tasks may use it at once, in either
/// direction. An event wakes all tasks that wait in its direction, and no task wakes another in vain. Each
/// operation begins with the questions of all sockets here: closed? too late? ready? It is not made before
/// the descriptor has been reported ready.
///
/// An operation that says [`WouldBlock`](io::ErrorKind::WouldBlock) is made again when the descriptor is
/// ready again: when there is something new, or at once if the kernel says that there is something left.
/// So it may throw away what is of no use and say `WouldBlock`, and
/// [`readable`](Self::readable) may be followed by any system call, made by any code. For that, each
/// `WouldBlock` is followed by a `poll(2)`.
///
/// Some things stay flagged though a read finds nothing: a message in a socket's error queue, a shutdown of
/// a datagram socket for reading. Such a flag ends one wait for readiness, and leads to at most one more call
/// of an operation, for each event; then they wait for what is new. To read the error queue, pass
/// `recvmsg(2)` with `MSG_ERRQUEUE` to [`read_with`](Self::read_with), or read it after
/// [`readable`](Self::readable), each time until it is empty.
///
/// ```
/// use std::io::{PipeReader, Read, Write};
/// use std::time::{Duration, Instant};
/// use netpoll_futures::{Async, is_deadline_exceeded};
///
/// # fn main() -> std::io::Result<()> { netpoll_futures::block_on(async {
/// let (receiver, mut sender) = std::io::pipe()?;
/// let receiver: Async<PipeReader> = Async::new(receiver)?;
///
/// // Nothing comes, and after 10 ms that is enough.
/// receiver.set_read_deadline(Some(Instant::now() + Duration::from_millis(10)))?;
/// let mut buffer = [0; 16];
/// let late = receiver.read_with(|mut pipe| pipe.read(&mut buffer)).await.unwrap_err();
/// assert!(is_deadline_exceeded(&late));
///
/// receiver.set_read_deadline(None)?;
/// sender.write_all(b"hello")?;
/// assert_eq!(receiver.read_with(|mut pipe| pipe.read(&mut buffer)).await?, 5);
/// receiver.close().await
/// # }) }
/// ```
///
/// # Directions
///
/// A descriptor is registered for what it was opened for. Waiting to write to the read end of a pipe
/// fails with [`InvalidInput`](io::ErrorKind::InvalidInput), and so does waiting to read from the write
/// end: they would wait for ever. (To registering a descriptor for more than it can do epoll has
/// nothing to say.) Whoever knows better makes the [`Registration`], and an `Async` of that.
///
/// # In a struct
///
/// `T` needs no bound where an `Async<T>` is held or used, as with async-io's: only making one asks for
/// [`AsFd`], and [`close`](Self::close) for [`OwnsFd`].
///
/// ```
/// use std::io::{self, Read};
/// use netpoll_futures::Async;
///
/// struct Messages<T> {
///     source: Async<T>,
/// }
///
/// impl<T: Read> Messages<T> {
///     async fn next(&mut self) -> io::Result<u8> {
///         let mut byte = [0];
///         self.source.read_with_mut(|source| source.read_exact(&mut byte)).await?;
///         Ok(byte[0])
///     }
/// }
/// ```
///
/// # futures-io
///
/// `Async<T>` has `AsyncRead` where `T` has [`Read`](io::Read), and `&Async<T>` where `&T` has it; the
/// same for writing. They rely on `T`'s `WouldBlock` being the descriptor's, and spare the `poll(2)`. A
/// `T` that keeps back what it has read ([`std::io::Stdin`] does) has to be read with
/// [`read_with`](Self::read_with) or not at all.
///
/// Closing the writer (`AsyncWriteExt::close`, not [`close`](Self::close)) only flushes it, as in async-io: no
/// socket is shut down, and the peer finds the end when the descriptor is dropped, or closed by
/// [`close`](Self::close). To end one direction of a socket, call `shutdown` of [`get_ref`](Self::get_ref).
///
/// # Errors
///
/// The system's errors are returned as they are, as async-io returns them: code may match
/// [`raw_os_error`](io::Error::raw_os_error).
///
/// # Blocking
///
/// An operation that blocks keeps its thread, and no deadline ends it. `O_NONBLOCK` belongs to the open
/// file description: duplicates share it, and so do other processes that have inherited or received
/// the descriptor, each of which may clear it at any time. The operations of sockets that are
/// methods here (`recv`, `send_to`, `peek` and their kin) do not rely on it, as each call says itself that
/// it must not block (`MSG_DONTWAIT`). Everything else does: `accept`, [`read_with`](Self::read_with)
/// and [`write_with`](Self::write_with) with calls such as `read(2)`, and the traits of futures-io,
/// which call `T`'s own `read` and `write`. For a descriptor that others share, pass an operation that does
/// not block by itself: `recv(2)` with `MSG_DONTWAIT` for a socket, `preadv2(2)` with `RWF_NOWAIT` for
/// a pipe.
///
/// # Not for
///
/// Regular files and directories: epoll refuses them, as they are always ready. Standard streams that
/// other processes share: non-blocking they are then for all.
pub struct Async<T> {
    registration: Registration<T>,
}

/// Prints the object.
impl<T: fmt::Debug> fmt::Debug for Async<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Async").field("io", self.get_ref()).finish_non_exhaustive()
    }
}

/// Nothing in it is ever pinned.
impl<T> Unpin for Async<T> {}

impl<T: AsFd> Async<T> {
    /// Takes a descriptor into the care of the global reactor, and makes it non-blocking.
    ///
    /// # Errors
    ///
    /// What `epoll_ctl(2)` says, as in async-io: `EPERM` for a regular file or a directory, `EEXIST` if this
    /// very descriptor is registered already, `EBADF` if it is not open. The object is then dropped, and has
    /// not been made non-blocking.
    pub fn new(io: T) -> io::Result<Self> {
        let registered = Self::new_nonblocking(io)?;
        sys::set_nonblocking(registered.as_fd(), true)?;
        Ok(registered)
    }

    /// [`new`](Self::new) for a descriptor that is non-blocking already. If it is not, operations block
    /// the thread.
    ///
    /// # Errors
    ///
    /// As for [`new`](Self::new).
    pub fn new_nonblocking(io: T) -> io::Result<Self> {
        let interest = sys::interest(io.as_fd());
        let registered =
            Reactor::global().and_then(|reactor| Registration::with(reactor, io, interest));
        registered.map(Self::from).map_err(OpError::strip)
    }
}

impl<T> Async<T> {
    /// The object itself. What is done with it directly is done at once: it neither waits nor asks for
    /// deadlines.
    #[must_use]
    pub fn get_ref(&self) -> &T {
        self.registration.get_ref()
    }

    /// The object itself, for who has it to himself. It must stay the descriptor that it was: another
    /// put into its place is watched by nobody, and waiting for it waits for ever.
    #[must_use]
    pub fn get_mut(&mut self) -> &mut T {
        self.registration.get_mut()
    }

    /// Gives the object back, non-blocking still.
    ///
    /// # Errors
    ///
    /// [`Closed`](crate::Closed) if there is nothing left to give.
    pub fn into_inner(self) -> io::Result<T> {
        self.registration.into_inner()
    }

    /// Waits until reading would not block, be it to find the end or to fail. Any number may wait.
    ///
    /// # Errors
    ///
    /// [`Closed`](crate::Closed), [`DeadlineExceeded`](crate::DeadlineExceeded), or
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) if it was opened for writing only.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it has changed nothing.
    pub fn readable(&self) -> Readable<'_, T> {
        Readable::new(&self.registration)
    }

    /// Waits until writing would not block, be it to fail. See [`readable`](Self::readable).
    pub fn writable(&self) -> Writable<'_, T> {
        Writable::new(&self.registration)
    }

    /// [`readable`](Self::readable), as a future that borrows nothing.
    pub fn readable_owned(self: Arc<Self>) -> ReadableOwned<T> {
        ReadableOwned::new(self)
    }

    /// [`writable`](Self::writable), as a future that borrows nothing.
    pub fn writable_owned(self: Arc<Self>) -> WritableOwned<T> {
        WritableOwned::new(self)
    }

    /// [`readable`](Self::readable) for those who poll: any number of tasks, and each that gets
    /// `Pending` is woken.
    pub fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        readiness::poll_level(&self.registration, cx, Direction::Read)
    }

    /// [`writable`](Self::writable) for those who poll.
    pub fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        readiness::poll_level(&self.registration, cx, Direction::Write)
    }

    /// Makes an operation that reads as soon as there is something to read, and again until it does
    /// not say `WouldBlock`.
    ///
    /// # Errors
    ///
    /// As for [`readable`](Self::readable), or what `operation` says.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is ready, `operation` has not succeeded.
    pub async fn read_with<R>(&self, operation: impl FnMut(&T) -> io::Result<R>) -> io::Result<R> {
        self.io(Direction::Read, operation).await
    }

    /// Makes an operation that writes as soon as there is room. See [`read_with`](Self::read_with).
    pub async fn write_with<R>(&self, operation: impl FnMut(&T) -> io::Result<R>) -> io::Result<R> {
        self.io(Direction::Write, operation).await
    }

    /// [`read_with`](Self::read_with), for who has the object to himself, and an operation that changes
    /// it. See [`get_mut`](Self::get_mut).
    pub async fn read_with_mut<R>(
        &mut self,
        mut operation: impl FnMut(&mut T) -> io::Result<R>,
    ) -> io::Result<R> {
        let (registration, read) = (&mut self.registration, Direction::Read);
        poll_fn(|cx| registration.poll_io_mut_checked(cx, read, &mut operation)).await
    }

    /// [`write_with`](Self::write_with), for who has the object to himself, and an operation that
    /// changes it. See [`get_mut`](Self::get_mut).
    pub async fn write_with_mut<R>(
        &mut self,
        mut operation: impl FnMut(&mut T) -> io::Result<R>,
    ) -> io::Result<R> {
        let (registration, write) = (&mut self.registration, Direction::Write);
        poll_fn(|cx| registration.poll_io_mut_checked(cx, write, &mut operation)).await
    }

    /// [`read_with`](Self::read_with) or [`write_with`](Self::write_with).
    pub async fn io<R>(
        &self,
        direction: Direction,
        operation: impl FnMut(&T) -> io::Result<R>,
    ) -> io::Result<R> {
        self.registration.io_checked(direction, operation).await
    }

    /// [`io`](Self::io) for those who poll.
    pub fn poll_io<R>(
        &self,
        cx: &mut Context<'_>,
        direction: Direction,
        operation: impl FnMut(&T) -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        self.registration.poll_io_checked(cx, direction, operation)
    }

    /// Makes an operation now, or fails with `WouldBlock`. One that writes is made even where the kernel has reported no room: it may have some.
    ///
    /// # Errors
    ///
    /// As for [`io`](Self::io).
    pub fn try_io<R>(
        &self,
        direction: Direction,
        operation: impl FnOnce(&T) -> io::Result<R>,
    ) -> io::Result<R> {
        match direction {
            Direction::Read => self.registration.try_io_checked(direction, operation),
            Direction::Write => self.registration.attempt_io_checked(direction, operation),
        }
    }

    /// Sets or clears the deadline of both directions. See [`Registration::set_read_deadline`] for what
    /// a deadline is.
    ///
    /// # Errors
    ///
    /// [`Closed`](crate::Closed).
    #[inline]
    pub fn set_deadline(&self, deadline: impl Into<Deadline>) -> io::Result<()> {
        self.registration.set_deadline(deadline)
    }

    /// Sets or clears the deadline of reading, and of [`readable`](Self::readable).
    ///
    /// # Errors
    ///
    /// [`Closed`](crate::Closed).
    #[inline]
    pub fn set_read_deadline(&self, deadline: impl Into<Deadline>) -> io::Result<()> {
        self.registration.set_read_deadline(deadline)
    }

    /// Sets or clears the deadline of writing, and of [`writable`](Self::writable).
    ///
    /// # Errors
    ///
    /// [`Closed`](crate::Closed).
    #[inline]
    pub fn set_write_deadline(&self, deadline: impl Into<Deadline>) -> io::Result<()> {
        self.registration.set_write_deadline(deadline)
    }

    /// A handle that sets these deadlines, for the owner of a descriptor that a library has taken.
    pub fn deadlines(self: &Arc<Self>) -> Deadlines
    where
        T: Send + Sync + 'static,
    {
        Deadlines::of(self)
    }

    fn check_open(&self) -> io::Result<()> {
        check_open(&self.registration)
    }
}

impl<T: Send + Sync> SetDeadlines for Async<T> {
    fn set(&self, direction: Option<Direction>, deadline: Deadline) -> io::Result<()> {
        deadlines::set(&self.registration, direction, deadline)
    }
}

impl<T: OwnsFd> Async<T> {
    /// Closes the descriptor: pending operations fail with [`Closed`](crate::Closed), and when it
    /// resolves the descriptor is closed. See [`Registration::close`]. A socket that lingers blocks the
    /// thread meanwhile.
    ///
    /// Only of a type that owns its descriptor; see [`OwnsFd`]. Other objects are closed by
    /// [`into_inner`](Self::into_inner) and dropping the result.
    ///
    /// # Errors
    ///
    /// [`Closed`](crate::Closed) if it was closed before.
    pub async fn close(&self) -> io::Result<()> {
        self.registration.close().await
    }
}
