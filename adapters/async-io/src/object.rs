//! The object: a descriptor of any kind. It adds async-io's rule of attempts to `netpoll_futures::Async`.

use std::fmt;
use std::io;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::task::{Context, Poll};

use netpoll::{
    Checked, Deadline, Direction, Eager, Interest, OpError, OwnsFd, Reactor, Registration,
};
use netpoll_futures::{Readable, Writable, sys};

/// Each poll makes an attempt, and `poll(2)` decides whether `WouldBlock` means that the descriptor is drained.
pub(crate) const READ: Eager<Checked> = Eager(Checked(Direction::Read));
/// [`READ`] for writing.
pub(crate) const WRITE: Eager<Checked> = Eager(Checked(Direction::Write));

/// A descriptor that the reactor watches: a socket, a pipe, a timerfd, an inotify instance. It puts the object into
/// non-blocking mode and owns it.
///
/// ```
/// use std::net::{TcpListener, TcpStream};
/// use async_io::Async;
/// use futures_lite::{AsyncReadExt, AsyncWriteExt, future};
///
/// # fn main() -> std::io::Result<()> { async_io::block_on(async {
/// let listener = Async::<TcpListener>::bind(([127, 0, 0, 1], 0))?;
/// let address = listener.get_ref().local_addr()?;
/// let (accepted, connected) =
///     future::try_zip(listener.accept(), Async::<TcpStream>::connect(address)).await?;
/// let ((mut server, _), mut client) = (accepted, connected);
/// client.write_all(b"hello").await?;
/// let mut buffer = [0; 5];
/// server.read_exact(&mut buffer).await?;
/// assert_eq!(&buffer, b"hello");
/// # Ok(()) }) }
/// ```
///
/// `&Async<T>` implements the traits of futures-io if `&T` reads or writes, and `Async<T>` does if `T` does and is
/// [`IoSafe`](crate::IoSafe). Any number of tasks may use one object at once, in either direction.
///
/// Not for regular files, which epoll refuses, nor for a standard stream that other processes share: it would become
/// non-blocking for those too.
#[repr(transparent)] // `readable_owned` relies on it.
pub struct Async<T>(pub(crate) netpoll_futures::Async<T>);

impl<T: AsFd> Async<T> {
    /// Puts an object into non-blocking mode and registers it with the reactor.
    ///
    /// # Errors
    ///
    /// The error of `epoll_ctl(2)`: `EPERM` for a regular file, `EEXIST` if the descriptor is registered already. The
    /// object is then dropped.
    pub fn new(io: T) -> io::Result<Self> {
        sys::set_nonblocking(io.as_fd(), true)?;
        Self::new_nonblocking(io)
    }

    /// [`new`](Self::new) for an object that is in non-blocking mode already. One that is not blocks its thread.
    ///
    /// # Errors
    ///
    /// As for [`new`](Self::new).
    pub fn new_nonblocking(io: T) -> io::Result<Self> {
        // An object that was opened for one direction may wait for the other: that reports the end of its peer.
        let interest = match sys::interest(io.as_fd()) {
            Interest::Both => Interest::Both,
            _ => Interest::WriteOnDemand,
        };
        Self::register(io, interest)
    }

    pub(crate) fn register(io: T, interest: Interest) -> io::Result<Self> {
        let registered =
            Reactor::global().and_then(|reactor| Registration::with(reactor, io, interest));
        registered.map(|registration| Self(registration.into())).map_err(OpError::strip)
    }
}

impl<T> Async<T> {
    /// The object.
    pub fn get_ref(&self) -> &T {
        self.0.get_ref()
    }

    /// The registration of the object, for operations that async-io does not have.
    #[must_use]
    pub fn registration(&self) -> &Registration<T> {
        self.0.registration()
    }

    /// Returns the object, which stays in non-blocking mode.
    ///
    /// # Errors
    ///
    /// [`Closed`](crate::Closed) after [`close`](Self::close).
    pub fn into_inner(self) -> io::Result<T> {
        self.0.into_inner()
    }

    /// Waits until a read would not block.
    ///
    /// # Errors
    ///
    /// [`DeadlineExceeded`](crate::DeadlineExceeded) or [`Closed`](crate::Closed).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future has no effect.
    pub fn readable(&self) -> Readable<'_, T> {
        self.0.readable()
    }

    /// Waits until a write would not block. See [`readable`](Self::readable).
    pub fn writable(&self) -> Writable<'_, T> {
        self.0.writable()
    }

    /// [`readable`](Self::readable) as a poll function. Any number of tasks may call it: each that gets
    /// [`Pending`](Poll::Pending) is woken.
    pub fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_readable(cx)
    }

    /// [`writable`](Self::writable) as a poll function. See [`poll_readable`](Self::poll_readable).
    pub fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_writable(cx)
    }

    /// Calls `op`, which reads, until it returns anything but [`WouldBlock`](io::ErrorKind::WouldBlock): first at once,
    /// then at each poll, of which an event causes one.
    ///
    /// # Errors
    ///
    /// An error of `op`, or as for [`readable`](Self::readable).
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped before it completes, `op` has not succeeded.
    pub async fn read_with<R>(&self, op: impl FnMut(&T) -> io::Result<R>) -> io::Result<R> {
        self.0.registration().io(READ, op).await
    }

    /// [`read_with`](Self::read_with) for an `op` that writes.
    pub async fn write_with<R>(&self, op: impl FnMut(&T) -> io::Result<R>) -> io::Result<R> {
        self.0.registration().io(WRITE, op).await
    }

    /// Sets or clears the deadline of both directions. [`Registration::set_read_deadline`] explains deadlines.
    ///
    /// # Errors
    ///
    /// [`Closed`](crate::Closed) after [`close`](Self::close).
    pub fn set_deadline(&self, deadline: impl Into<Deadline>) -> io::Result<()> {
        self.0.set_deadline(deadline)
    }

    /// Sets or clears the deadline of reading. See [`set_deadline`](Self::set_deadline).
    pub fn set_read_deadline(&self, deadline: impl Into<Deadline>) -> io::Result<()> {
        self.0.set_read_deadline(deadline)
    }

    /// Sets or clears the deadline of writing. See [`set_deadline`](Self::set_deadline).
    pub fn set_write_deadline(&self, deadline: impl Into<Deadline>) -> io::Result<()> {
        self.0.set_write_deadline(deadline)
    }
}

impl<T: OwnsFd> Async<T> {
    /// Closes the descriptor: pending operations fail with [`Closed`](crate::Closed), and the future resolves when the
    /// descriptor is closed. See [`Registration::close`].
    ///
    /// It is no method, since code calls `close` of `AsyncWriteExt` as one, and that only flushes:
    /// `Async::close(&stream).await`.
    ///
    /// # Errors
    ///
    /// [`Closed`](crate::Closed) if it was closed before.
    ///
    /// # Cancel safety
    ///
    /// The first poll begins the close. Dropped after that, it still closes the descriptor.
    pub async fn close(this: &Self) -> io::Result<()> {
        this.0.close().await
    }
}

/// Prints the object.
impl<T: fmt::Debug> fmt::Debug for Async<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<T> AsRef<T> for Async<T> {
    fn as_ref(&self) -> &T {
        self.get_ref()
    }
}

impl<T: AsRawFd> AsRawFd for Async<T> {
    fn as_raw_fd(&self) -> RawFd {
        self.get_ref().as_raw_fd()
    }
}

impl<T: AsFd> AsFd for Async<T> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.get_ref().as_fd()
    }
}

/// [`Async::new`]
impl<T: AsFd + From<OwnedFd>> TryFrom<OwnedFd> for Async<T> {
    type Error = io::Error;

    fn try_from(fd: OwnedFd) -> io::Result<Self> {
        Self::new(fd.into())
    }
}

/// [`Async::into_inner`]
impl<T: Into<OwnedFd>> TryFrom<Async<T>> for OwnedFd {
    type Error = io::Error;

    fn try_from(object: Async<T>) -> io::Result<Self> {
        object.into_inner().map(Into::into)
    }
}

macro_rules! try_from_std {
    ($($socket:ty),+) => {$(
        /// [`Async::new`]
        impl TryFrom<$socket> for Async<$socket> {
            type Error = io::Error;

            fn try_from(socket: $socket) -> io::Result<Self> {
                Self::new(socket)
            }
        }
    )+};
}
try_from_std!(TcpListener, TcpStream, UdpSocket, UnixDatagram, UnixListener, UnixStream);
