//! The datagram socket, of any family: receiving, sending, deadlines and close.

use std::io;
use std::mem::MaybeUninit;
use std::task::{Context, Poll};

use netpoll::{Direction, OpError};

use crate::events;
use crate::sealed::{Address, DatagramSocket};
use crate::socket::{Socket, is_of_the_system};
use crate::sys::{self, Origin};

/// A socket for datagrams: a [`UdpSocket`](crate::UdpSocket) or a
/// [`UnixDatagram`](crate::UnixDatagram).
///
/// Every method takes `&self`: any number of tasks may receive and send at once. Each call transfers a
/// whole datagram, so no task waits for another. An event wakes all tasks that wait for a datagram or
/// for room, in no promised order. Clones share one socket; it is closed by [`close`](Socket::close),
/// or when the last clone is dropped.
///
/// # Lengths
///
/// - An empty datagram is received as 0 bytes. Datagram sockets have no end of stream.
/// - A datagram longer than the buffer is cut off without an error, as by Go's `ReadFrom`, and its rest
///   is lost. [`recv_msg`](Self::recv_msg) returns its full length.
/// - Receiving into an empty buffer waits for a datagram and takes it, as Go's `ReadFrom` does.
///
/// # Errors
///
/// After a deadline, an operation fails with [`DeadlineExceeded`](crate::DeadlineExceeded); on a socket
/// that was closed on this side, with [`Closed`](crate::Closed). A system error of a receive or a send
/// is an [`OpError`] with an address: the destination of a `send_to`, else the peer of a connected
/// socket, else the socket's own address. [`raw_os_error`](crate::raw_os_error) finds the errno in it.
/// Such an error concerns one operation; the socket stays usable:
///
/// - `ECONNREFUSED`: no socket received an *earlier* datagram of a connected UDP socket. The next
///   operation reports this once; a send that reports it has sent nothing. A connected Unix socket
///   whose peer is closed reports it at once, and the kernel disconnects the socket.
/// - `EMSGSIZE`: the bytes do not fit into one datagram. Nothing was sent.
/// - `EDESTADDRREQ` (UDP) or `ENOTCONN` (Unix): [`send`](Self::send) without
///   [`connect`](crate::UdpSocket::connect).
pub type Datagram<S> = Socket<S>;

/// A received datagram: its length, the number of bytes received, and the sender's address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message<A> {
    /// The number of bytes in the buffer.
    pub filled: usize,
    /// The length of the datagram. Bytes that did not fit into the buffer are lost.
    pub len: usize,
    /// The sender's address.
    pub from: A,
}

impl<A> Message<A> {
    /// Whether the buffer was too short for the datagram.
    #[must_use]
    pub fn is_truncated(&self) -> bool {
        self.filled < self.len
    }
}

/// Defines each operation in three forms: as a future, without waiting, and as a poll function.
macro_rules! operations {
    ($(
        $(#[$doc:meta])*
        $name:ident, $try_name:ident, $poll_name:ident($($argument:ident: $type:ty),+) -> $result:ty:
            $direction:ident, $verb:literal, $call:expr;
    )+) => {
        /// The [type's documentation](Datagram#errors) lists the errors.
        ///
        /// All futures are cancel safe: a dropped receive has taken no datagram, and a dropped send has
        /// sent none. Any number of tasks may poll; each task that gets `Pending` is woken.
        impl<S: DatagramSocket> Datagram<S> {$(
            $(#[$doc])*
            pub async fn $name(&self, $($argument: $type),+) -> io::Result<$result> {
                let done = self.registration().io(Direction::$direction, $call).await;
                events::done(self.registration(), Direction::$direction, &done);
                self.explain($verb, done)
            }

            #[doc = concat!("[`", stringify!($name), "`](Self::", stringify!($name), ") without waiting:")]
            /// fails with `WouldBlock` if it would have to wait.
            pub fn $try_name(&self, $($argument: $type),+) -> io::Result<$result> {
                self.explain($verb, self.registration().try_io(Direction::$direction, $call))
            }

            #[doc = concat!("[`", stringify!($name), "`](Self::", stringify!($name), ") as a poll function.")]
            pub fn $poll_name(
                &self,
                cx: &mut Context<'_>,
                $($argument: $type),+
            ) -> Poll<io::Result<$result>> {
                let done = self.registration().poll_io(cx, Direction::$direction, $call);
                let done = events::polled(self.registration(), Direction::$direction, done);
                done.map(|done| self.explain($verb, done))
            }
        )+}
    };
}

operations! {
    /// Receives a datagram from any sender, or only from the peer if the socket is connected. Returns
    /// the number of bytes in `buffer`.
    recv, try_recv, poll_recv(buffer: &mut [u8]) -> usize:
        Read, "recv", |socket: &S| sys::recv(socket.as_fd(), buffer);

    /// As [`recv`](Self::recv), with the sender's address.
    recv_from, try_recv_from, poll_recv_from(buffer: &mut [u8]) -> (usize, S::Address):
        Read, "recv", |socket: &S| with_sender::<S>(sys::recv_from(socket.as_fd(), buffer));

    /// As [`recv_from`](Self::recv_from), with the length that the datagram had.
    recv_msg, try_recv_msg, poll_recv_msg(buffer: &mut [u8]) -> Message<S::Address>:
        Read, "recv", |socket: &S| measured(socket, buffer);

    /// As [`recv`](Self::recv), but appends to `buffer`, into its spare capacity. Reserve that before
    /// the call; it needs no initialising. Returns the number of bytes appended.
    ///
    /// ```no_run
    /// # async fn receive(socket: netpoll_futures::UdpSocket) -> std::io::Result<()> {
    /// let mut buffer = Vec::with_capacity(65_535);
    /// let received = socket.recv_buf(&mut buffer).await?;
    /// assert_eq!(buffer.len(), received);
    /// # Ok(())
    /// # }
    /// ```
    recv_buf, try_recv_buf, poll_recv_buf(buffer: &mut Vec<u8>) -> usize:
        Read, "recv", |socket: &S| sys::recv_spare(socket.as_fd(), buffer);

    /// As [`recv_buf`](Self::recv_buf), with the sender's address.
    recv_buf_from, try_recv_buf_from, poll_recv_buf_from(buffer: &mut Vec<u8>)
        -> (usize, S::Address):
        Read, "recv", |socket: &S| with_sender::<S>(sys::recv_from_spare(socket.as_fd(), buffer));

    /// [`recv`](Self::recv) into memory that need not be initialised, for adapters with such buffers.
    ///
    /// Unsafe code may rely on this for each form of it, and of
    /// [`recv_from_uninit`](Self::recv_from_uninit): it initialises the first `n` bytes of the buffer,
    /// where `n` is the returned count, and makes no other byte uninitialised.
    recv_uninit, try_recv_uninit, poll_recv_uninit(buffer: &mut [MaybeUninit<u8>]) -> usize:
        Read, "recv", |socket: &S| Ok(sys::recv_uninit(socket.as_fd(), buffer)?.len());

    /// As [`recv_uninit`](Self::recv_uninit), with the sender's address.
    recv_from_uninit, try_recv_from_uninit, poll_recv_from_uninit(buffer: &mut [MaybeUninit<u8>])
        -> (usize, S::Address):
        Read, "recv", |socket: &S| {
            let received = sys::recv_from_uninit(socket.as_fd(), buffer);
            with_sender::<S>(received.map(|(filled, origin)| (filled.len(), origin)))
        };

    /// As [`recv_from`](Self::recv_from), but leaves the datagram in the queue. With an empty buffer,
    /// it returns the sender of the next datagram.
    peek_from, try_peek_from, poll_peek_from(buffer: &mut [u8]) -> (usize, S::Address):
        Read, "peek", |socket: &S| with_sender::<S>(sys::peek_from(socket.as_fd(), buffer));

    /// Sends a datagram to the peer that the socket is connected to, as soon as there is room.
    ///
    /// Room means space in this socket's send buffer. On a Unix socket, the send also waits for room in
    /// the peer's queue; UDP drops datagrams for which the peer has no room.
    ///
    /// [`try_send`](Self::try_send) uses any room, even too little for the socket to be
    /// [`writable`](Self::writable).
    send, try_send, poll_send(datagram: &[u8]) -> usize:
        Write, "send", |socket: &S| sys::send(socket.as_fd(), datagram);
}

impl<S: DatagramSocket> Datagram<S> {
    /// Sends a datagram to an address, as soon as there is room. On a connected socket, Linux sends it
    /// to that address all the same, and the socket stays connected.
    pub async fn send_to_addr(&self, datagram: &[u8], to: &S::Address) -> io::Result<usize> {
        let send = |socket: &S| socket.send_one_to(datagram, to);
        let sent = self.registration().io(Direction::Write, send).await;
        events::done(self.registration(), Direction::Write, &sent);
        explain_to::<S>(to, sent)
    }

    /// [`send_to_addr`](Self::send_to_addr) without waiting; see [`try_send`](Self::try_send).
    pub fn try_send_to_addr(&self, datagram: &[u8], to: &S::Address) -> io::Result<usize> {
        let send = |socket: &S| socket.send_one_to(datagram, to);
        explain_to::<S>(to, self.registration().try_io(Direction::Write, send))
    }

    /// [`send_to_addr`](Self::send_to_addr) as a poll function.
    pub fn poll_send_to_addr(
        &self,
        cx: &mut Context<'_>,
        datagram: &[u8],
        to: &S::Address,
    ) -> Poll<io::Result<usize>> {
        let send = |socket: &S| socket.send_one_to(datagram, to);
        let sent = self.registration().poll_io(cx, Direction::Write, send);
        let sent = events::polled(self.registration(), Direction::Write, sent);
        sent.map(|sent| explain_to::<S>(to, sent))
    }

    /// [`readable`](Self::readable) as a poll function.
    pub fn poll_recv_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.registration().poll_ready(cx, Direction::Read).map_ok(drop)
    }

    /// [`writable`](Self::writable) as a poll function.
    pub fn poll_send_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.registration().poll_ready(cx, Direction::Write).map_ok(drop)
    }
}

/// Adds the destination address to a system error.
fn explain_to<S: DatagramSocket>(to: &S::Address, sent: io::Result<usize>) -> io::Result<usize> {
    sent.map_err(|error| match is_of_the_system(&error) {
        true => OpError::wrap("send", to.text(), error),
        false => error,
    })
}

pub(crate) fn with_sender<S: DatagramSocket>(
    received: io::Result<(usize, Origin)>,
) -> io::Result<(usize, S::Address)> {
    let (len, origin) = received?;
    Ok((len, S::Address::of(&origin)?))
}

fn measured<S: DatagramSocket>(socket: &S, buffer: &mut [u8]) -> io::Result<Message<S::Address>> {
    let (len, origin) = sys::recv_measured(socket.as_fd(), buffer)?;
    Ok(Message { filled: len.min(buffer.len()), len, from: S::Address::of(&origin)? })
}
