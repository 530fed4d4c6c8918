//! The stream, of any family.

mod read;
mod write;

mod poll;
mod uninit;

use std::io;
use std::net::Shutdown;
use std::os::fd::OwnedFd;

use netpoll::{Direction, Reactor, Registration};

use crate::limit::Place;
use crate::sealed::{PeerSocket, StreamSocket};
use crate::socket::Socket;
use crate::{is_closed, sys};

pub(crate) use write::{poll_write, poll_write_all};

/// A connection: a [`TcpStream`](crate::TcpStream) or a [`UnixStream`](crate::UnixStream).
///
/// Deadlines, readiness, close and conversions are those of every [`Socket`].
pub type Stream<S> = Socket<S>;

impl<S: StreamSocket> Stream<S> {
    /// Ends reading, writing or both, for all clones: pending reads return the end of the stream, and
    /// pending writes fail. The descriptor stays open.
    ///
    /// # Errors
    ///
    /// [`Closed`](crate::Closed), or an error of `shutdown(2)`.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        shutdown(self.registration(), how)
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
}

/// [`Stream::shutdown`], for adapters with sockets of their own.
#[doc(hidden)]
pub fn shutdown<S: PeerSocket>(registration: &Registration<S>, how: Shutdown) -> io::Result<()> {
    registration.while_open(|socket| sys::shutdown(socket.as_fd(), how))?;
    // `shutdown` of a Unix socket causes no event on its own side.
    if how != Shutdown::Write {
        registration.assume_ready(Direction::Read);
    }
    if how != Shutdown::Read {
        registration.assume_ready(Direction::Write);
    }
    Ok(())
}
