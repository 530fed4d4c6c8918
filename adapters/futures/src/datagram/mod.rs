//! The datagram socket, of any family: receiving, sending, deadlines and close.

mod poll;
mod try_io;
mod uninit;

use std::io;

use netpoll::{Direction, OpError};

use crate::sealed::{Address, DatagramSocket};
use crate::socket::{Socket, is_of_the_system};
use crate::sys::{self, Origin};

/// A socket for datagrams: a [`UdpSocket`](crate::UdpSocket) or a
/// [`UnixDatagram`](crate::UnixDatagram).
///
/// Everything takes `&self`: any number of tasks may receive and send at once. Datagrams do not mix, so
/// no task waits for another: where several wait for a datagram or for room, an event wakes all of them,
/// and any of them may be first. Clones are the same socket; it is closed with the last of them, or by
/// [`close`](Socket::close).
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
pub type Datagram<S> = Socket<S>;

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

    /// The system's errors get the address that the datagram was sent to.
    fn explain_to<R>(&self, to: &S::Address, done: io::Result<R>) -> io::Result<R> {
        done.map_err(|error| match is_of_the_system(&error) {
            true => OpError::wrap("send", to.text(), error),
            false => error,
        })
    }
}

fn with_sender<S: DatagramSocket>(
    received: io::Result<(usize, Origin)>,
) -> io::Result<(usize, S::Address)> {
    let (len, origin) = received?;
    Ok((len, S::Address::of(&origin)?))
}

fn measured<S: DatagramSocket>(socket: &S, buffer: &mut [u8]) -> io::Result<Message<S::Address>> {
    let (len, origin) = sys::recv_measured(socket.as_fd(), buffer)?;
    Ok(Message { filled: len.min(buffer.len()), len, from: S::Address::of(&origin)? })
}
