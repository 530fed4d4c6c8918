//! The stream, of any family: reading and writing.

mod poll;
mod uninit;
mod write;

use std::future::poll_fn;
use std::io::{self, IoSlice, IoSliceMut};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::task::Poll;

use netpoll::{Contiguous, Direction, Reactor, Registration, Transfer};

use crate::limit::Place;
use crate::sealed::StreamSocket;
use crate::socket::{Socket, check_open};
use crate::{is_closed, sys};

pub(crate) use write::{poll_write, poll_write_all};

/// A connection: a [`TcpStream`](crate::TcpStream) or a [`UnixStream`](crate::UnixStream).
///
/// Deadlines, readiness, close and conversions are those of every [`Socket`].
pub type Stream<S> = Socket<S>;

impl<S: StreamSocket> Stream<S> {
    /// Waits until bytes have arrived, and reads at most `buffer.len()` of them. Zero is the end of the
    /// stream.
    ///
    /// With an empty buffer, it returns 0 at once.
    ///
    /// # Errors
    ///
    /// [`Closed`](crate::Closed), [`DeadlineExceeded`](crate::DeadlineExceeded), or a system error.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, no byte has been read.
    pub fn read(&self, buffer: &mut [u8]) -> impl Future<Output = io::Result<usize>> {
        // Not an `async fn`: its future would store the arguments twice.
        let mut waiting = self.registration().readiness_wait(Direction::Read);
        poll_fn(move |cx| {
            let len = buffer.len();
            if len == 0 {
                return Poll::Ready(nothing_to_read(waiting.registration()));
            }
            let read = |socket: &S| sys::recv(socket.as_fd(), buffer);
            waiting.poll_io(cx, Self::transfer(len), read)
        })
    }

    /// As [`read`](Self::read), into several buffers.
    pub async fn read_vectored(&self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        let (window, len) = sys::window(buffers);
        if len == 0 {
            return self.nothing_to_read();
        }
        let read = |socket: &S| sys::recv_vectored(socket.as_fd(), &mut buffers[window.clone()]);
        self.registration().io(Self::transfer(len), read).await
    }

    /// [`read`](Self::read) without waiting: fails with `WouldBlock` if no byte has arrived.
    pub fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return self.nothing_to_read();
        }
        let len = buffer.len();
        let read = |socket: &S| sys::recv(socket.as_fd(), buffer);
        self.registration().try_io(Self::transfer(len), read)
    }

    /// [`read_vectored`](Self::read_vectored) without waiting: fails with `WouldBlock` if no byte has
    /// arrived.
    pub fn try_read_vectored(&self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        let (window, len) = sys::window(buffers);
        if len == 0 {
            return self.nothing_to_read();
        }
        let read = |socket: &S| sys::recv_vectored(socket.as_fd(), &mut buffers[window.clone()]);
        self.registration().try_io(Self::transfer(len), read)
    }

    /// [`write`](Self::write) without waiting: fails with `WouldBlock` if there is no room, or while
    /// another writer holds the write lock. It uses any room, even too little for the socket to be
    /// [`writable`](Self::writable).
    pub fn try_write(&self, buffer: &[u8]) -> io::Result<usize> {
        let write = |socket: &S| sys::send(socket.as_fd(), buffer);
        self.registration().try_io(Contiguous(buffer.len()), write)
    }

    /// [`write_vectored`](Self::write_vectored) without waiting. See [`try_write`](Self::try_write).
    pub fn try_write_vectored(&self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        let (window, len) = sys::window(buffers);
        let write = |socket: &S| sys::send_vectored(socket.as_fd(), &buffers[window.clone()]);
        self.registration().try_io(Contiguous(len), write)
    }

    /// Ends reading, writing or both, for all clones: pending reads return the end of the stream, and
    /// pending writes fail. The descriptor stays open.
    ///
    /// # Errors
    ///
    /// [`Closed`](crate::Closed), or an error of `shutdown(2)`.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.registration().while_open(|socket| sys::shutdown(socket.as_fd(), how))?;
        // `shutdown` of a Unix socket causes no event on its own side.
        if how != Shutdown::Write {
            self.registration().assume_ready(Direction::Read);
        }
        if how != Shutdown::Read {
            self.registration().assume_ready(Direction::Write);
        }
        Ok(())
    }

    /// Ends writing, for all clones. It also succeeds if the peer has reset the connection, or if
    /// writing has ended already.
    ///
    /// # Errors
    ///
    /// [`Closed`](crate::Closed), or another error of `shutdown(2)`.
    pub fn end_writing(&self) -> io::Result<()> {
        match self.shutdown(Shutdown::Write) {
            Err(error) if error.kind() == io::ErrorKind::NotConnected && !is_closed(&error) => {
                Ok(())
            }
            done => done,
        }
    }

    /// Registers an accepted connection, marked ready in both directions: it has room to write, and
    /// most likely bytes to read.
    pub(crate) fn of_accepted(
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
        Ok(registration.into())
    }

    /// The rule of a read of up to `len` bytes. If it returns fewer, the socket counts as drained, except on a kind of
    /// socket whose reads may end early.
    pub(crate) fn transfer(len: usize) -> Transfer {
        Transfer(Direction::Read, if S::SHORT_READ_DRAINS { len } else { 0 })
    }
}

fn nothing_to_read<S>(registration: &Registration<S>) -> io::Result<usize> {
    check_open(registration).map(|()| 0)
}
