//! The datagram socket, of any family: receiving, sending, deadlines and close.

mod attempt;
mod poll;
mod uninit;

use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::time::Instant;

use crate::sys::{self, Origin};
use netpoll::{Direction, Interest, OpError, OwnsFd, Reactor, Registration};

use crate::readiness;

/// A socket for datagrams: a [`UdpSocket`](crate::UdpSocket) or a
/// [`UnixDatagram`](crate::UnixDatagram).
///
/// Everything takes `&self`: any number of tasks may receive and send at once. Datagrams do not mix, so
/// no task waits for another: where several wait for a datagram or for room, an event wakes all of them,
/// and any of them may be first. Clones are the same socket; it is closed with the last of them, or by
/// [`close`](Self::close).
///
/// # Lengths
///
/// - A datagram of no bytes is received as 0. It is not an end: there is none.
/// - A datagram longer than the buffer is cut off without an error, as by Go's `ReadFrom`, and its
///   rest is lost. [`recv_msg`](Self::recv_msg) tells how long it was.
/// - Receiving into an empty buffer waits for a datagram and takes it, as Go's `ReadFrom` does.
///
/// # Errors
///
/// A deadline is [`DeadlineExceeded`](crate::DeadlineExceeded), a socket that was closed on this side
/// is [`Closed`](crate::Closed). What the system says of a receive or a send is an [`OpError`] with
/// the address that was sent to, the peer if the socket is connected, or else its own;
/// [`raw_os_error`](crate::raw_os_error) finds the errno in it. It concerns this operation and not
/// the socket, which goes on:
///
/// - `ECONNREFUSED`: nobody received an *earlier* datagram of a connected UDP socket. It is reported
///   once, by whatever operation comes next; a send that reports it has sent nothing. A connected Unix
///   socket whose peer is closed says so at once, and the kernel disconnects it.
/// - `EMSGSIZE`: too long for one datagram. Nothing was sent.
/// - `EDESTADDRREQ` (UDP) or `ENOTCONN` (Unix): [`send`](Self::send) without
///   [`connect`](crate::UdpSocket::connect).
pub struct Datagram<S: DatagramSocket> {
    pub(crate) shared: Arc<Shared<S>>,
}

pub(crate) struct Shared<S: DatagramSocket> {
    registration: Registration<S>,
}

/// A datagram that was received: how much of it, and from whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message<A> {
    /// How many bytes of it are in the buffer.
    pub filled: usize,
    /// How many bytes it had. What did not fit into the buffer is lost.
    pub len: usize,
    /// Who sent it.
    pub from: A,
}

impl<A> Message<A> {
    /// Whether the buffer was too short for it.
    #[must_use]
    pub fn is_truncated(&self) -> bool {
        self.filled < self.len
    }
}

/// What a [`Datagram`] is made of: a datagram socket of the standard library. It is implemented
/// here, and nowhere else.
pub trait DatagramSocket: OwnsFd + From<OwnedFd> + Into<OwnedFd> + sealed::Sealed {
    /// Where its peers are, and itself.
    type Address: fmt::Debug + Clone + Send + Sync + 'static;

    #[doc(hidden)]
    fn make_nonblocking(&self) -> io::Result<()>;

    #[doc(hidden)]
    fn send_one_to(&self, datagram: &[u8], to: &Self::Address) -> io::Result<usize>;

    #[doc(hidden)]
    fn own_address(&self) -> io::Result<Self::Address>;

    #[doc(hidden)]
    fn peer_address(&self) -> io::Result<Self::Address>;

    #[doc(hidden)]
    fn sender(origin: &Origin) -> io::Result<Self::Address>;

    /// An address as people write it.
    #[doc(hidden)]
    fn name(address: &Self::Address) -> String;
}

/// Prints the socket as the standard library does: its descriptor and its addresses.
impl<S: DatagramSocket> fmt::Debug for Datagram<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.registration().get_ref().fmt(f)
    }
}

/// A clone is the same socket.
impl<S: DatagramSocket> Clone for Datagram<S> {
    fn clone(&self) -> Self {
        Self { shared: self.shared.clone() }
    }
}

/// What receives fail with is told at the [type](Datagram#errors). Dropped, a receive has taken
/// nothing, and a send has sent nothing.
impl<S: DatagramSocket> Datagram<S> {
    /// Receives a datagram, whoever sent it; only the peer's if the socket is connected. Returns how
    /// many bytes of it are in `buffer`.
    pub async fn recv(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let recv = |socket: &S| sys::recv(socket.as_fd(), buffer);
        self.explain("recv", self.registration().io(Direction::Read, recv).await)
    }

    /// As [`recv`](Self::recv), with the sender's address.
    pub async fn recv_from(&self, buffer: &mut [u8]) -> io::Result<(usize, S::Address)> {
        let recv = |socket: &S| with_sender::<S>(sys::recv_from(socket.as_fd(), buffer));
        self.explain("recv", self.registration().io(Direction::Read, recv).await)
    }

    /// As [`recv_from`](Self::recv_from), with the length that the datagram had.
    pub async fn recv_msg(&self, buffer: &mut [u8]) -> io::Result<Message<S::Address>> {
        let recv = |socket: &S| measured::<S>(socket, buffer);
        self.explain("recv", self.registration().io(Direction::Read, recv).await)
    }

    /// As [`recv`](Self::recv), to the end of `buffer`, into the capacity that it has to spare: that
    /// is to be reserved before, and needs no initialising. Returns how much longer `buffer` is.
    ///
    /// ```no_run
    /// # async fn receive(socket: netpoll_futures::UdpSocket) -> std::io::Result<()> {
    /// let mut buffer = Vec::with_capacity(65_535);
    /// let received = socket.recv_buf(&mut buffer).await?;
    /// assert_eq!(buffer.len(), received);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn recv_buf(&self, buffer: &mut Vec<u8>) -> io::Result<usize> {
        let recv = |socket: &S| sys::recv_spare(socket.as_fd(), buffer);
        self.explain("recv", self.registration().io(Direction::Read, recv).await)
    }

    /// As [`recv_buf`](Self::recv_buf), with the sender's address.
    pub async fn recv_buf_from(&self, buffer: &mut Vec<u8>) -> io::Result<(usize, S::Address)> {
        let recv = |socket: &S| with_sender::<S>(sys::recv_from_spare(socket.as_fd(), buffer));
        self.explain("recv", self.registration().io(Direction::Read, recv).await)
    }

    /// As [`recv`](Self::recv), but leaves the datagram to be received.
    pub async fn peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let peek = |socket: &S| sys::peek(socket.as_fd(), buffer);
        self.explain("peek", self.registration().io(Direction::Read, peek).await)
    }

    /// As [`recv_from`](Self::recv_from), but leaves the datagram to be received. With an empty buffer,
    /// it tells who sent the next one.
    pub async fn peek_from(&self, buffer: &mut [u8]) -> io::Result<(usize, S::Address)> {
        let peek = |socket: &S| with_sender::<S>(sys::peek_from(socket.as_fd(), buffer));
        self.explain("peek", self.registration().io(Direction::Read, peek).await)
    }

    /// Sends a datagram to the peer that the socket is connected to, as soon as there is room.
    ///
    /// Room is the socket's own. Where a Unix socket's peer has no room, it waits for that as well;
    /// UDP drops what its peer has no room for.
    pub async fn send(&self, datagram: &[u8]) -> io::Result<usize> {
        let send = |socket: &S| sys::send(socket.as_fd(), datagram);
        let sent = self.registration().io(Direction::Write, send).await;
        self.explain("send", sent)
    }

    /// Sends a datagram to an address, as soon as there is room. What becomes of that on a connected
    /// socket is the kernel's to say; Linux sends it there, and stays connected.
    pub async fn send_to_addr(&self, datagram: &[u8], to: &S::Address) -> io::Result<usize> {
        let send = |socket: &S| socket.send_one_to(datagram, to);
        let sent = self.registration().io(Direction::Write, send).await;
        self.explain_to(to, sent)
    }

    /// Waits until there is something to receive, an error included.
    ///
    /// # Errors
    ///
    /// [`Closed`](crate::Closed) or [`DeadlineExceeded`](crate::DeadlineExceeded).
    pub async fn readable(&self) -> io::Result<()> {
        readiness::ready(self.registration(), Direction::Read).await
    }

    /// Waits until there is room to send. That is taken for granted until a send has blocked.
    ///
    /// # Errors
    ///
    /// [`Closed`](crate::Closed) or [`DeadlineExceeded`](crate::DeadlineExceeded).
    pub async fn writable(&self) -> io::Result<()> {
        readiness::ready(self.registration(), Direction::Write).await
    }

    /// Any operation on the socket, as soon as the direction is ready. See [`Registration::io`].
    pub async fn io<R>(
        &self,
        direction: Direction,
        operation: impl FnMut(&S) -> io::Result<R>,
    ) -> io::Result<R> {
        self.registration().io(direction, operation).await
    }

    /// Sets or clears the deadline of receiving and sending. See
    /// [`Registration::set_read_deadline`] for what a deadline is.
    ///
    /// # Errors
    ///
    /// [`Closed`](crate::Closed).
    #[inline]
    pub fn set_deadline(&self, deadline: Option<Instant>) -> io::Result<()> {
        self.registration().set_deadline(deadline)
    }

    /// Sets or clears the deadline of receiving. It loses no datagram.
    ///
    /// # Errors
    ///
    /// [`Closed`](crate::Closed).
    #[inline]
    pub fn set_read_deadline(&self, deadline: Option<Instant>) -> io::Result<()> {
        self.registration().set_read_deadline(deadline)
    }

    /// Sets or clears the deadline of sending. What fails with it was not sent.
    ///
    /// # Errors
    ///
    /// [`Closed`](crate::Closed).
    #[inline]
    pub fn set_write_deadline(&self, deadline: Option<Instant>) -> io::Result<()> {
        self.registration().set_write_deadline(deadline)
    }

    /// Closes the socket, Go's way: pending operations of all clones fail with
    /// [`Closed`](crate::Closed), and when it resolves the descriptor is closed and a port can be
    /// bound again. See [`Registration::close`].
    ///
    /// # Errors
    ///
    /// [`Closed`](crate::Closed) if it was closed before.
    pub async fn close(&self) -> io::Result<()> {
        self.registration().close().await
    }

    /// The address it is bound to.
    ///
    /// # Errors
    ///
    /// [`Closed`](crate::Closed), or what `getsockname(2)` says.
    pub fn local_addr(&self) -> io::Result<S::Address> {
        self.registration().while_open(S::own_address)
    }

    /// The address it is connected to.
    ///
    /// # Errors
    ///
    /// [`Closed`](crate::Closed), or what `getpeername(2)` says: `ENOTCONN` if there is none.
    pub fn peer_addr(&self) -> io::Result<S::Address> {
        self.registration().while_open(S::peer_address)
    }

    /// The registration underneath, for what the socket has no method for.
    #[inline]
    pub fn registration(&self) -> &Registration<S> {
        &self.shared.registration
    }

    /// One that is non-blocking already.
    pub(crate) fn register(socket: S) -> io::Result<Self> {
        Registration::with(Reactor::global()?, socket, Interest::WriteOnDemand).map(Self::from)
    }

    /// One that may be blocking still.
    pub(crate) fn adopt(socket: S) -> io::Result<Self> {
        socket.make_nonblocking()?;
        Self::register(socket)
    }

    /// The socket itself if this is the last clone, or else a duplicate; non-blocking still.
    pub(crate) fn give_back(self) -> io::Result<S> {
        match Arc::try_unwrap(self.shared) {
            Ok(last) => last.registration.into_inner(),
            Err(shared) => {
                let duplicate = |socket: &S| socket.as_fd().try_clone_to_owned();
                shared.registration.while_open(duplicate).map(S::from)
            }
        }
    }

    /// The system's errors get the operation and an address: the peer's, or else ours.
    fn explain<R>(&self, operation: &'static str, done: io::Result<R>) -> io::Result<R> {
        done.map_err(|error| {
            if !is_of_the_system(&error) {
                return error;
            }
            match self.peer_addr().or_else(|_| self.local_addr()) {
                Ok(address) => OpError::wrap(operation, S::name(&address), error),
                Err(_) => error,
            }
        })
    }

    /// The same where it is known who was to receive it.
    fn explain_to<R>(&self, to: &S::Address, done: io::Result<R>) -> io::Result<R> {
        done.map_err(|error| match is_of_the_system(&error) {
            true => OpError::wrap("send", S::name(to), error),
            false => error,
        })
    }
}

/// Not one of ours, nor that there is nothing to do.
fn is_of_the_system(error: &io::Error) -> bool {
    error.raw_os_error().is_some() && error.kind() != io::ErrorKind::WouldBlock
}

fn with_sender<S: DatagramSocket>(
    received: io::Result<(usize, Origin)>,
) -> io::Result<(usize, S::Address)> {
    let (len, origin) = received?;
    Ok((len, S::sender(&origin)?))
}

fn measured<S: DatagramSocket>(socket: &S, buffer: &mut [u8]) -> io::Result<Message<S::Address>> {
    let (len, origin) = sys::recv_measured(socket.as_fd(), buffer)?;
    Ok(Message { filled: len.min(buffer.len()), len, from: S::sender(&origin)? })
}

/// A socket in the care of another reactor than the global one. It must be non-blocking; it is best
/// registered with [`Interest::WriteOnDemand`].
impl<S: DatagramSocket> From<Registration<S>> for Datagram<S> {
    fn from(registration: Registration<S>) -> Self {
        Self { shared: Arc::new(Shared { registration }) }
    }
}

impl<S: DatagramSocket> AsFd for Datagram<S> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.registration().as_fd()
    }
}

impl<S: DatagramSocket> AsRawFd for Datagram<S> {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

mod sealed {
    pub trait Sealed: std::fmt::Debug + Send + Sync + 'static {}
    impl Sealed for std::net::UdpSocket {}
    impl Sealed for std::os::unix::net::UnixDatagram {}
}
