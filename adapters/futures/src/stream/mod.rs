//! The stream, of any family: reading, writing, deadlines and close.

mod io_traits;
mod kinds;
mod linger;
mod poll;
mod uninit;
mod write;

use std::fmt;
use std::future::poll_fn;
use std::io::{self, IoSlice, IoSliceMut};
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::task::Poll;
use std::time::Instant;

use crate::sys;
use netpoll::{Direction, Reactor, Registration};

use crate::limit::Place;
use crate::readiness;

use linger::Lingering;

pub use kinds::StreamSocket;
pub(crate) use write::{poll_write, poll_write_all};

/// A connection: a [`TcpStream`](crate::TcpStream) or a [`UnixStream`](crate::UnixStream).
///
/// Everything takes `&self`, so that one task may read while another writes, and a third sets their
/// deadlines. Clones are the same socket; it is closed with the last of them, or by
/// [`close`](Self::close).
pub struct Stream<S: StreamSocket> {
    pub(crate) shared: Arc<Shared<S>>,
}

pub(crate) struct Shared<S: StreamSocket> {
    pub(crate) registration: Registration<S>,
}

/// Prints the socket as the standard library does: its descriptor and its addresses.
impl<S: StreamSocket> fmt::Debug for Stream<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.registration().get_ref().fmt(f)
    }
}

/// A clone is the same socket.
impl<S: StreamSocket> Clone for Stream<S> {
    fn clone(&self) -> Self {
        Self { shared: self.shared.clone() }
    }
}

impl<S: StreamSocket> Stream<S> {
    /// Reads what there is, as soon as there is something. Zero is the end of the stream.
    ///
    /// An empty buffer reads nothing, and needs nothing to be there.
    ///
    /// # Errors
    ///
    /// [`Closed`](crate::Closed), [`DeadlineExceeded`](crate::DeadlineExceeded), or the system's.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it has read nothing.
    pub fn read(&self, buffer: &mut [u8]) -> impl Future<Output = io::Result<usize>> {
        // Not an `async fn`, which keeps its arguments twice while it waits.
        let mut waiting = self.registration().waiting(Direction::Read);
        poll_fn(move |cx| {
            let len = buffer.len();
            if len == 0 {
                return Poll::Ready(nothing_to_read(waiting.registration()));
            }
            let read = |socket: &S| sys::recv(socket.as_fd(), buffer);
            waiting.poll_transfer(cx, Self::short_of(len), read)
        })
    }

    /// As [`read`](Self::read), into several buffers.
    pub async fn read_vectored(&self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        let (window, len) = sys::window(buffers);
        if len == 0 {
            return self.nothing_to_read();
        }
        let read = |socket: &S| sys::recv_vectored(socket.as_fd(), &mut buffers[window.clone()]);
        self.registration().transfer(Direction::Read, Self::short_of(len), read).await
    }

    /// As [`read`](Self::read), but leaves what it reads to be read again.
    pub async fn peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return self.nothing_to_read();
        }
        let peek = |socket: &S| sys::peek(socket.as_fd(), buffer);
        self.registration().io(Direction::Read, peek).await
    }

    /// Waits until there is something to read, the end included.
    ///
    /// # Errors
    ///
    /// [`Closed`](crate::Closed) or [`DeadlineExceeded`](crate::DeadlineExceeded).
    pub async fn readable(&self) -> io::Result<()> {
        readiness::ready(self.registration(), Direction::Read).await
    }

    /// Waits until there is room to write, or writing must fail.
    ///
    /// # Errors
    ///
    /// [`Closed`](crate::Closed) or [`DeadlineExceeded`](crate::DeadlineExceeded).
    pub async fn writable(&self) -> io::Result<()> {
        readiness::ready(self.registration(), Direction::Write).await
    }

    /// [`read`](Self::read) now, or `WouldBlock`.
    pub fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return self.nothing_to_read();
        }
        let len = buffer.len();
        let read = |socket: &S| sys::recv(socket.as_fd(), buffer);
        self.registration().try_transfer(Direction::Read, Self::short_of(len), read)
    }

    /// [`read_vectored`](Self::read_vectored) now, or `WouldBlock`.
    pub fn try_read_vectored(&self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        let (window, len) = sys::window(buffers);
        if len == 0 {
            return self.nothing_to_read();
        }
        let read = |socket: &S| sys::recv_vectored(socket.as_fd(), &mut buffers[window.clone()]);
        self.registration().try_transfer(Direction::Read, Self::short_of(len), read)
    }

    /// [`peek`](Self::peek) now, or `WouldBlock`.
    pub fn try_peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return self.nothing_to_read();
        }
        let peek = |socket: &S| sys::peek(socket.as_fd(), buffer);
        self.registration().try_io(Direction::Read, peek)
    }

    /// [`write`](Self::write) now, or `WouldBlock`: also where another writer is in the middle. It uses
    /// what room there is, also where that is too little for the socket to be
    /// [`writable`](Self::writable).
    pub fn try_write(&self, buffer: &[u8]) -> io::Result<usize> {
        let write = |socket: &S| sys::send(socket.as_fd(), buffer);
        self.registration().try_write(buffer.len(), write)
    }

    /// [`write_vectored`](Self::write_vectored) now, or `WouldBlock`.
    pub fn try_write_vectored(&self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        let (window, len) = sys::window(buffers);
        let write = |socket: &S| sys::send_vectored(socket.as_fd(), &buffers[window.clone()]);
        self.registration().try_write(len, write)
    }

    /// Any operation on the socket, if the direction is ready. See [`Registration::try_io`].
    pub fn try_io<R>(
        &self,
        direction: Direction,
        operation: impl FnOnce(&S) -> io::Result<R>,
    ) -> io::Result<R> {
        self.registration().try_io(direction, operation)
    }

    /// Any operation on the socket, as soon as the direction is ready. See [`Registration::io`].
    pub async fn io<R>(
        &self,
        direction: Direction,
        operation: impl FnMut(&S) -> io::Result<R>,
    ) -> io::Result<R> {
        self.registration().io(direction, operation).await
    }

    /// Sets or clears the deadline of reading and writing. See
    /// [`Registration::set_read_deadline`] for what a deadline is.
    ///
    /// # Errors
    ///
    /// [`Closed`](crate::Closed).
    #[inline]
    pub fn set_deadline(&self, deadline: Option<Instant>) -> io::Result<()> {
        self.registration().set_deadline(deadline)
    }

    /// Sets or clears the deadline of reading.
    ///
    /// # Errors
    ///
    /// [`Closed`](crate::Closed).
    #[inline]
    pub fn set_read_deadline(&self, deadline: Option<Instant>) -> io::Result<()> {
        self.registration().set_read_deadline(deadline)
    }

    /// Sets or clears the deadline of writing.
    ///
    /// # Errors
    ///
    /// [`Closed`](crate::Closed).
    #[inline]
    pub fn set_write_deadline(&self, deadline: Option<Instant>) -> io::Result<()> {
        self.registration().set_write_deadline(deadline)
    }

    /// Closes the connection, Go's way: pending operations of all clones fail with
    /// [`Closed`](crate::Closed), and when it resolves the descriptor is closed.
    /// See [`Registration::close`].
    ///
    /// With `SO_LINGER`, TCP sends the end of the stream at once, behind what was written, and this resolves
    /// when the peer has acknowledged all of it, or after that time. The task waits, and no thread does. The
    /// connection ends for duplicates of the descriptor too.
    ///
    /// # Errors
    ///
    /// [`Closed`](crate::Closed) if it was closed before.
    ///
    /// # Cancel safety
    ///
    /// It closes when it is first polled. Dropped after that, it closes all the same, and does not linger.
    pub async fn close(&self) -> io::Result<()> {
        let lingering = self.registration().while_open(|socket| Ok(Lingering::of(socket)))?;
        let closed = self.registration().close().await;
        if let Some(lingering) = lingering {
            lingering.wait(self.reactor()).await;
        }
        closed
    }

    /// Ends reading, writing or both, for all clones: what is pending in that direction finds the end,
    /// or fails. The descriptor stays open.
    ///
    /// # Errors
    ///
    /// [`Closed`](crate::Closed), or what `shutdown(2)` says.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.registration().while_open(|socket| sys::shutdown(socket.as_fd(), how))?;
        // A Unix socket does not tell its own side.
        if how != Shutdown::Write {
            self.registration().assume_ready(Direction::Read);
        }
        if how != Shutdown::Read {
            self.registration().assume_ready(Direction::Write);
        }
        Ok(())
    }

    /// The reactor that has it in its care, whose time is that of the deadlines.
    #[must_use]
    pub fn reactor(&self) -> &Reactor {
        self.registration().reactor()
    }

    /// The registration underneath, for what the stream has no method for.
    pub fn registration(&self) -> &Registration<S> {
        &self.shared.registration
    }

    pub(crate) fn from_registration(registration: Registration<S>) -> Self {
        Self { shared: Arc::new(Shared { registration }) }
    }

    /// A connection that a listener accepted: there is room to write, and most likely something to
    /// read.
    pub(crate) fn accepted(
        reactor: &Reactor,
        socket: OwnedFd,
        place: Option<Place>,
    ) -> io::Result<Self> {
        let registration = Registration::with(reactor, S::from(socket), S::INTEREST)?;
        registration.assume_ready(Direction::Read);
        registration.assume_ready(Direction::Write);
        if let Some(place) = place {
            registration.hold_until_closed(place);
        }
        Ok(Self::from_registration(registration))
    }

    pub(crate) fn check_open(&self) -> io::Result<()> {
        check_open(self.registration())
    }

    pub(crate) fn nothing_to_read(&self) -> io::Result<usize> {
        nothing_to_read(self.registration())
    }

    /// What a read of `len` bytes must fall short of, to say that there is no more.
    pub(crate) fn short_of(len: usize) -> usize {
        if S::SHORT_READ_DRAINS { len } else { 0 }
    }
}

fn check_open<S: StreamSocket>(registration: &Registration<S>) -> io::Result<()> {
    if registration.is_closed() { Err(crate::Closed::error()) } else { Ok(()) }
}

fn nothing_to_read<S: StreamSocket>(registration: &Registration<S>) -> io::Result<usize> {
    check_open(registration).map(|()| 0)
}

/// A socket in the care of another reactor than the global one. It must be non-blocking and
/// registered for both directions.
impl<S: StreamSocket> From<Registration<S>> for Stream<S> {
    fn from(registration: Registration<S>) -> Self {
        Self::from_registration(registration)
    }
}

impl<S: StreamSocket> AsFd for Stream<S> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.registration().as_fd()
    }
}

impl<S: StreamSocket> AsRawFd for Stream<S> {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}
