//! The sockets of the standard library, with their defaults unless documented otherwise.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::sys;
use futures_core::Stream;
use futures_util::stream;
use netpoll::{Direction, OpError, Registration};

use super::Async;
use crate::datagram::with_sender;
use crate::sealed::{DatagramSocket, ListenerSocket, PeerSocket, StdSocket};

type Accepted<L> = (Async<<L as ListenerSocket>::Stream>, <L as StdSocket>::Address);

/// Listeners of TCP and of Unix sockets.
impl<L: ListenerSocket> Async<L> {
    /// Waits for a connection. Connections that end before they are accepted are skipped.
    ///
    /// # Errors
    ///
    /// [`DeadlineExceeded`](crate::DeadlineExceeded), [`Closed`](crate::Closed), or an error of `accept(2)`.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, no connection has been accepted.
    pub async fn accept(&self) -> io::Result<Accepted<L>> {
        let accepted = self.registration.io(Direction::Read, L::accept_one).await;
        self.accepted(accepted)
    }

    /// [`accept`](Self::accept) as a poll function.
    pub fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<Accepted<L>>> {
        let accepted = self.registration.poll_io(cx, Direction::Read, L::accept_one);
        accepted.map(|accepted| self.accepted(accepted))
    }

    /// The connections, as a stream that does not end.
    pub fn incoming(&self) -> impl Stream<Item = io::Result<Async<L::Stream>>> + Send + Unpin + '_ {
        stream::poll_fn(|cx| self.poll_accept(cx).map_ok(|(stream, _)| stream).map(Some))
    }

    fn accepted(
        &self,
        accepted: io::Result<(std::os::fd::OwnedFd, L::Address)>,
    ) -> io::Result<Accepted<L>> {
        let (socket, peer) = accepted?;
        let (reactor, socket) = (self.registration.reactor(), L::Stream::from(socket));
        let stream = Registration::with(reactor, socket, L::Stream::INTEREST);
        let stream = stream.map_err(OpError::strip)?;
        Direction::BOTH.iter().for_each(|direction| stream.assume_ready(*direction));
        Ok((stream.into(), peer))
    }
}

impl Async<TcpListener> {
    /// Binds and listens, as [`std::net::TcpListener::bind`] does.
    ///
    /// # Errors
    ///
    /// An error of `bind(2)` or `listen(2)`.
    pub fn bind<A: Into<SocketAddr>>(address: A) -> io::Result<Self> {
        Self::new(TcpListener::bind(address.into())?)
    }
}

impl Async<TcpStream> {
    /// Connects, as [`TcpStream::connect`](crate::TcpStream::connect) does, and with its defaults.
    ///
    /// # Errors
    ///
    /// An error of `connect(2)`.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the socket.
    pub async fn connect<A: Into<SocketAddr>>(address: A) -> io::Result<Self> {
        connected(crate::TcpStream::connect(address.into()).await)
    }

    /// Connects a socket that the caller has created, as
    /// [`TcpStream::connect_with`](crate::TcpStream::connect_with) does. Its options stay as they are.
    ///
    /// # Errors
    ///
    /// An error of `connect(2)`.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the socket.
    pub async fn connect_with(
        socket: impl Into<TcpStream>,
        address: SocketAddr,
    ) -> io::Result<Self> {
        connected(crate::TcpStream::connect_with(socket, address).await)
    }
}

fn connected(stream: io::Result<crate::TcpStream>) -> io::Result<Async<TcpStream>> {
    let stream = stream.map_err(OpError::strip)?;
    let only = Arc::into_inner(stream.shared).expect("there is no clone of it yet");
    Ok(only.registration.into())
}

/// Each method waits, and fails as [`read_with`](Self::read_with) does.
impl<S: PeerSocket> Async<S> {
    /// Reads or receives, and leaves the bytes or the datagram in the socket's queue.
    pub async fn peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.registration.io(Direction::Read, |socket| sys::peek(socket.as_fd(), buffer)).await
    }
}

/// UDP sockets and Unix sockets for datagrams. Each method waits, and fails as
/// [`read_with`](Self::read_with) does. A datagram that is longer than the buffer is cut off.
impl<S: DatagramSocket> Async<S> {
    /// Receives a datagram. Returns its length and the sender's address.
    pub async fn recv_from(&self, buffer: &mut [u8]) -> io::Result<(usize, S::Address)> {
        let recv = |socket: &S| with_sender::<S>(sys::recv_from(socket.as_fd(), buffer));
        self.registration.io(Direction::Read, recv).await
    }

    /// [`recv_from`](Self::recv_from), but leaves the datagram in the queue.
    pub async fn peek_from(&self, buffer: &mut [u8]) -> io::Result<(usize, S::Address)> {
        let peek = |socket: &S| with_sender::<S>(sys::peek_from(socket.as_fd(), buffer));
        self.registration.io(Direction::Read, peek).await
    }

    /// Receives a datagram of the connected peer. Returns its length.
    pub async fn recv(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.registration.io(Direction::Read, |socket| sys::recv(socket.as_fd(), buffer)).await
    }

    /// Sends a datagram to the connected peer.
    pub async fn send(&self, buffer: &[u8]) -> io::Result<usize> {
        self.registration.io(Direction::Write, |socket| sys::send(socket.as_fd(), buffer)).await
    }
}

impl Async<UdpSocket> {
    /// Binds, as [`std::net::UdpSocket::bind`] does.
    ///
    /// # Errors
    ///
    /// An error of `bind(2)`.
    pub fn bind<A: Into<SocketAddr>>(address: A) -> io::Result<Self> {
        Self::new(UdpSocket::bind(address.into())?)
    }

    /// Sends a datagram. It waits, and fails as [`write_with`](Self::write_with) does.
    pub async fn send_to<A: Into<SocketAddr>>(
        &self,
        buffer: &[u8],
        address: A,
    ) -> io::Result<usize> {
        let address = address.into();
        let send = |socket: &UdpSocket| sys::send_to(socket.as_fd(), buffer, &address);
        self.registration.io(Direction::Write, send).await
    }
}
