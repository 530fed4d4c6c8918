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
use netpoll::{Checked, Deadline, Direction, OpError, OwnsFd, Reactor, Registration};

use crate::deadlines::{Deadlines, SetDeadlines};
use crate::socket::check_open;

pub use wait::{Readable, ReadableOwned, Writable, WritableOwned};

/// Any descriptor that epoll supports: a pipe, an eventfd, a timerfd, an inotify instance, a child's
/// standard streams, a TUN device, a socket of any kind. The interface is that of async-io's `Async`.
///
/// Most methods take `&self`: any number of tasks may use the descriptor at once, in either direction.
/// An event wakes all tasks that wait in its direction, and no task wakes another without need. As on
/// every socket of this crate, each operation first checks for close, then for the deadline, then for
/// readiness. It is called once the descriptor has been reported ready.
///
/// An operation that returns [`WouldBlock`](io::ErrorKind::WouldBlock) is called again when the
/// descriptor is ready again: after a new event, or at once if the kernel still reports it ready. So an
/// operation may discard useless input and return `WouldBlock`, and after [`readable`](Self::readable)
/// any code may make any system call. To make this work, the first `WouldBlock` after an event is followed
/// by a `poll(2)`.
///
/// Some conditions keep a descriptor ready although a read would block: a message in a socket's error
/// queue, or a shutdown of a datagram socket for reading. For each event, such a condition ends one
/// wait for readiness and causes at most one more call of an operation; then the task waits for a new
/// event. To read the error queue, pass `recvmsg(2)` with `MSG_ERRQUEUE` to
/// [`read_with`](Self::read_with), or call it after [`readable`](Self::readable), each time until the
/// queue is empty.
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
/// // No byte arrives, so the read fails after 10 ms.
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
/// A descriptor is registered for the directions that it was opened for. Waiting to write to the read
/// end of a pipe fails with [`InvalidInput`](io::ErrorKind::InvalidInput), and so does waiting to read
/// from the write end: such a wait would never end. (epoll accepts a registration for a direction that
/// the descriptor does not have.) To choose other directions, create a [`Registration`] and convert it
/// to an `Async`.
///
/// # In a struct
///
/// As with async-io's, a struct may hold and use an `Async<T>` without a bound on `T`: only the
/// constructors require [`AsFd`], and [`close`](Self::close) requires [`OwnsFd`].
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
/// `Async<T>` implements `AsyncRead` if `T` implements [`Read`](io::Read), and `&Async<T>` does if `&T`
/// does; the same holds for writing. These implementations make no `poll(2)`: they assume that `T`
/// returns `WouldBlock` only if the descriptor has. Read a `T` with a buffer of its own, such as
/// [`std::io::Stdin`], with [`read_with`](Self::read_with) or not at all.
///
/// Closing the writer (`AsyncWriteExt::close`, not [`close`](Self::close)) only flushes it, as in
/// async-io. No socket is shut down, and the peer sees the end when the descriptor is dropped, or
/// closed by [`close`](Self::close). To end one direction of a socket, call `shutdown` of
/// [`get_ref`](Self::get_ref).
///
/// # Errors
///
/// System errors are returned unchanged, as in async-io: code may match
/// [`raw_os_error`](io::Error::raw_os_error).
///
/// # Blocking
///
/// An operation that blocks occupies its thread, and no deadline ends it. `O_NONBLOCK` belongs to the
/// open file description: duplicates share it, and so do other processes that have inherited or
/// received the descriptor, each of which may clear it at any time. The socket methods of this type
/// (`recv`, `send_to`, `peek` and the like) do not rely on it: they pass `MSG_DONTWAIT`. All other
/// operations do: `accept`, [`read_with`](Self::read_with) and [`write_with`](Self::write_with) with
/// calls such as `read(2)`, and the traits of futures-io, which call `T`'s own `read` and `write`. For
/// a descriptor that other processes share, pass an operation that never blocks: `recv(2)` with
/// `MSG_DONTWAIT` for a socket, `preadv2(2)` with `RWF_NOWAIT` for a pipe.
///
/// # Not for
///
/// Regular files and directories: epoll refuses them, as they are always ready. Standard streams that
/// other processes share: they would become non-blocking for those processes too.
pub struct Async<T> {
    registration: Registration<T>,
}

/// Prints the object.
impl<T: fmt::Debug> fmt::Debug for Async<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Async").field("io", self.get_ref()).finish_non_exhaustive()
    }
}

/// No field is ever pinned.
impl<T> Unpin for Async<T> {}

impl<T: AsFd> Async<T> {
    /// Registers a descriptor with the global reactor, and makes it non-blocking.
    ///
    /// # Errors
    ///
    /// An error of `epoll_ctl(2)`, as in async-io: `EPERM` for a regular file or a directory, `EEXIST`
    /// if this descriptor is registered already, `EBADF` if it is not open. The object is then dropped,
    /// and has not been made non-blocking.
    pub fn new(io: T) -> io::Result<Self> {
        Self::new_on(global()?, io)
    }

    /// [`new`](Self::new) with a reactor that the caller names: the descriptor uses that reactor for all
    /// that it needs, and never the global one. The connections that a listener accepts are registered
    /// with the listener's reactor.
    ///
    /// # Errors
    ///
    /// As for [`new`](Self::new).
    pub fn new_on(reactor: &Reactor, io: T) -> io::Result<Self> {
        let registered = Self::new_nonblocking_on(reactor, io)?;
        sys::set_nonblocking(registered.as_fd(), true)?;
        Ok(registered)
    }

    /// [`new`](Self::new) for a descriptor that is non-blocking already. If the descriptor is blocking,
    /// operations block the thread.
    ///
    /// # Errors
    ///
    /// As for [`new`](Self::new).
    pub fn new_nonblocking(io: T) -> io::Result<Self> {
        Self::new_nonblocking_on(global()?, io)
    }

    /// [`new_nonblocking`](Self::new_nonblocking) with a reactor that the caller names.
    ///
    /// # Errors
    ///
    /// As for [`new`](Self::new).
    pub fn new_nonblocking_on(reactor: &Reactor, io: T) -> io::Result<Self> {
        let interest = sys::interest(io.as_fd());
        Registration::with(reactor, io, interest).map(Self::from).map_err(OpError::strip)
    }
}

fn global() -> io::Result<&'static Reactor> {
    Reactor::global().map_err(OpError::strip)
}

impl<T> Async<T> {
    /// The object itself. Calls on it are made directly: they neither wait for readiness nor check
    /// deadlines.
    #[must_use]
    pub fn get_ref(&self) -> &T {
        self.registration.get_ref()
    }

    /// The object itself, with exclusive access. Do not replace its descriptor: the reactor does not
    /// watch another one, and a wait for it never ends.
    #[must_use]
    pub fn get_mut(&mut self) -> &mut T {
        self.registration.get_mut()
    }

    /// The registration, for operations that have no method here.
    #[must_use]
    pub fn registration(&self) -> &Registration<T> {
        &self.registration
    }

    /// The registration, with exclusive access.
    #[must_use]
    pub fn registration_mut(&mut self) -> &mut Registration<T> {
        &mut self.registration
    }

    /// Returns the object, which stays non-blocking.
    ///
    /// # Errors
    ///
    /// [`Closed`](crate::Closed) if the descriptor has been closed.
    pub fn into_inner(self) -> io::Result<T> {
        self.registration.into_inner()
    }

    /// Waits until a read would not block: it would return bytes, the end, or an error. Any number of
    /// tasks may wait.
    ///
    /// # Errors
    ///
    /// [`Closed`](crate::Closed), [`DeadlineExceeded`](crate::DeadlineExceeded), or
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) if the descriptor was opened for writing only.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future has no effect.
    pub fn readable(&self) -> Readable<'_, T> {
        Readable::new(&self.registration)
    }

    /// Waits until a write would not block: it would succeed or fail at once. See
    /// [`readable`](Self::readable).
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

    /// [`readable`](Self::readable) as a poll function. Any number of tasks may poll; each task that
    /// gets `Pending` is woken.
    pub fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.registration.poll_ready(cx, Checked(Direction::Read)).map_ok(drop)
    }

    /// [`writable`](Self::writable) as a poll function.
    pub fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.registration.poll_ready(cx, Checked(Direction::Write)).map_ok(drop)
    }

    /// Calls `operation`, which reads, when the descriptor is readable, again and again until it
    /// returns anything but `WouldBlock`.
    ///
    /// # Errors
    ///
    /// As for [`readable`](Self::readable), or an error of `operation`.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped before it completes, `operation` has not succeeded.
    pub async fn read_with<R>(&self, operation: impl FnMut(&T) -> io::Result<R>) -> io::Result<R> {
        self.io(Direction::Read, operation).await
    }

    /// Calls `operation`, which writes, when there is room. See [`read_with`](Self::read_with).
    pub async fn write_with<R>(&self, operation: impl FnMut(&T) -> io::Result<R>) -> io::Result<R> {
        self.io(Direction::Write, operation).await
    }

    /// [`read_with`](Self::read_with) for an operation that needs `&mut T`. See
    /// [`get_mut`](Self::get_mut).
    pub async fn read_with_mut<R>(
        &mut self,
        mut operation: impl FnMut(&mut T) -> io::Result<R>,
    ) -> io::Result<R> {
        let (registration, read) = (&mut self.registration, Checked(Direction::Read));
        poll_fn(|cx| registration.poll_io_mut(cx, read, &mut operation)).await
    }

    /// [`write_with`](Self::write_with) for an operation that needs `&mut T`. See
    /// [`get_mut`](Self::get_mut).
    pub async fn write_with_mut<R>(
        &mut self,
        mut operation: impl FnMut(&mut T) -> io::Result<R>,
    ) -> io::Result<R> {
        let (registration, write) = (&mut self.registration, Checked(Direction::Write));
        poll_fn(|cx| registration.poll_io_mut(cx, write, &mut operation)).await
    }

    /// [`read_with`](Self::read_with) or [`write_with`](Self::write_with).
    pub async fn io<R>(
        &self,
        direction: Direction,
        operation: impl FnMut(&T) -> io::Result<R>,
    ) -> io::Result<R> {
        self.registration.io(Checked(direction), operation).await
    }

    /// [`io`](Self::io) as a poll function.
    pub fn poll_io<R>(
        &self,
        cx: &mut Context<'_>,
        direction: Direction,
        operation: impl FnMut(&T) -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        self.registration.poll_io(cx, Checked(direction), operation)
    }

    /// Calls `operation` once, without waiting, or fails with `WouldBlock`. A write is tried even if
    /// the kernel has reported no room: there may be some.
    ///
    /// # Errors
    ///
    /// As for [`io`](Self::io).
    pub fn try_io<R>(
        &self,
        direction: Direction,
        operation: impl FnOnce(&T) -> io::Result<R>,
    ) -> io::Result<R> {
        self.registration.try_io(Checked(direction), operation)
    }

    /// Sets or clears the deadline of both directions. [`Registration::set_read_deadline`] explains
    /// deadlines.
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

    /// A handle that sets these deadlines after the descriptor was moved into a library.
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
        self.registration.set(direction, deadline)
    }
}

impl<T: OwnsFd> Async<T> {
    /// Closes the descriptor: pending operations fail with [`Closed`](crate::Closed), and the
    /// descriptor is closed once this future resolves. See [`Registration::close`]. Closing a socket
    /// with `SO_LINGER` blocks the thread.
    ///
    /// This requires a type that owns its descriptor; see [`OwnsFd`]. To close another object, drop the
    /// result of [`into_inner`](Self::into_inner).
    ///
    /// # Errors
    ///
    /// [`Closed`](crate::Closed) if it was closed before.
    pub async fn close(&self) -> io::Result<()> {
        self.registration.close().await
    }
}
