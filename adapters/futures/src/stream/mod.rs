//! The stream, of any family: reading and writing.

mod poll;
mod uninit;
mod write;

use std::future::poll_fn;
use std::io::{self, IoSlice, IoSliceMut};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::task::Poll;

use netpoll::{Direction, Reactor, Registration};

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

    /// Ends writing, for all clones. It is no error where the peer has reset the connection, or writing was ended
    /// before.
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

    /// A connection that a listener accepted: there is room to write, and most likely something to
    /// read.
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

    /// What a read of `len` bytes must fall short of, to say that there is no more.
    pub(crate) fn short_of(len: usize) -> usize {
        if S::SHORT_READ_DRAINS { len } else { 0 }
    }
}

fn nothing_to_read<S>(registration: &Registration<S>) -> io::Result<usize> {
    check_open(registration).map(|()| 0)
}
