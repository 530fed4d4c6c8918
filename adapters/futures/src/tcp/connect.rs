//! Connecting, as Go does it (`net/fd_unix.go`, `net/tcpsock_posix.go`, `net/dial.go`): connect first,
//! then register; trust only `SO_ERROR` and the peer's address; and reject a socket that has connected
//! to itself.

use std::io;
use std::net::{self, SocketAddr};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use crate::sys;
use netpoll::{Deadline, DeadlineExceeded, Direction, OpError, Reactor, Registration};

use super::{Dialer, TcpStream};
use crate::address::ToSocketAddrs;
use crate::events;
use crate::sealed::StdSocket;

/// How often a self-connection, or a lack of local ports, is tried again (Go's number).
const RETRIES: usize = 2;

impl TcpStream {
    /// Connects to the first address that answers, with Go's defaults: `TCP_NODELAY`, and keep-alive
    /// probes every 15 seconds. A [`Dialer`] has other options, and tells how several addresses are tried.
    ///
    /// # Errors
    ///
    /// As for [`Dialer::connect`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the socket.
    pub async fn connect(addresses: impl ToSocketAddrs) -> io::Result<Self> {
        Self::connect_on(Reactor::global()?, addresses).await
    }

    /// [`connect`](Self::connect) with a reactor that the caller names; see
    /// [`register_on`](Self::register_on).
    ///
    /// # Errors
    ///
    /// As for [`connect`](Self::connect).
    pub async fn connect_on(reactor: &Reactor, addresses: impl ToSocketAddrs) -> io::Result<Self> {
        Self::connect_deadline_on(reactor, addresses, None).await
    }

    /// [`connect`](Self::connect), for at most `timeout`. With a timeout of zero it makes no call.
    ///
    /// # Errors
    ///
    /// Also [`DeadlineExceeded`](crate::DeadlineExceeded).
    pub async fn connect_timeout(
        addresses: impl ToSocketAddrs,
        timeout: Duration,
    ) -> io::Result<Self> {
        Self::connect_deadline_on(Reactor::global()?, addresses, timeout).await
    }

    /// [`connect`](Self::connect), until `deadline`. Looking up a name counts. After the deadline, no
    /// address is tried.
    ///
    /// # Errors
    ///
    /// Also [`DeadlineExceeded`](crate::DeadlineExceeded).
    pub async fn connect_deadline(
        addresses: impl ToSocketAddrs,
        deadline: Instant,
    ) -> io::Result<Self> {
        Self::connect_deadline_on(Reactor::global()?, addresses, deadline).await
    }

    /// [`connect_deadline`](Self::connect_deadline) with a reactor that the caller names. The deadline, a
    /// time or a duration from now, is one of that reactor's clock.
    ///
    /// # Errors
    ///
    /// As for [`connect_deadline`](Self::connect_deadline).
    pub async fn connect_deadline_on(
        reactor: &Reactor,
        addresses: impl ToSocketAddrs,
        deadline: impl Into<Deadline>,
    ) -> io::Result<Self> {
        Dialer::new().deadline(deadline).connect_on(reactor, addresses).await
    }

    /// Connects a socket that the caller has created, and perhaps bound, to one address, without a
    /// retry and without a deadline. The socket is made non-blocking; its options stay as they are.
    ///
    /// # Errors
    ///
    /// An [`OpError`](crate::OpError) with the address.
    pub async fn connect_with(
        socket: impl Into<net::TcpStream>,
        address: SocketAddr,
    ) -> io::Result<Self> {
        Self::connect_with_on(Reactor::global()?, socket, address).await
    }

    /// [`connect_with`](Self::connect_with) with a reactor that the caller names.
    ///
    /// # Errors
    ///
    /// As for [`connect_with`](Self::connect_with).
    pub async fn connect_with_on(
        reactor: &Reactor,
        socket: impl Into<net::TcpStream>,
        address: SocketAddr,
    ) -> io::Result<Self> {
        let socket = socket.into();
        let connected = async {
            socket.set_nonblocking(true)?;
            connect_socket(reactor, socket, &address, None).await
        };
        let connected = events::connecting(|| address.to_string(), connected).await;
        connected.map_err(|error| OpError::wrap("connect", address, error))
    }
}

/// Connects to one address, with the options of a dialer. If the system picks the port, a self-connection
/// and a lack of ports are tried again.
pub(super) async fn to(
    dialer: &Dialer,
    reactor: &Reactor,
    address: &SocketAddr,
    deadline: Option<Instant>,
) -> io::Result<TcpStream> {
    let attempts = attempts(dialer, reactor, address, deadline);
    events::connecting(|| address.to_string(), attempts).await
}

async fn attempts(
    dialer: &Dialer,
    reactor: &Reactor,
    address: &SocketAddr,
    deadline: Option<Instant>,
) -> io::Result<TcpStream> {
    let retries = if dialer.has_any_port() { RETRIES } else { 0 };
    for _ in 0..retries {
        match attempt(dialer, reactor, address, deadline).await {
            Ok(stream) if is_self_connected(stream.registration()) => {}
            Err(error) if error.kind() == io::ErrorKind::AddrNotAvailable => {}
            done => return done,
        }
    }
    attempt(dialer, reactor, address, deadline).await
}

async fn attempt(
    dialer: &Dialer,
    reactor: &Reactor,
    address: &SocketAddr,
    deadline: Option<Instant>,
) -> io::Result<TcpStream> {
    // Without this check, a connect to a local peer would succeed at once, even after the deadline.
    if let Some(deadline) = deadline
        && deadline <= reactor.now()
    {
        return Err(DeadlineExceeded::error());
    }
    connect_socket(reactor, dialer.socket(address)?.into(), address, deadline).await
}

/// Connects, and waits until a pending connection is established. If `connect(2)` has succeeded, there
/// may be no peer yet: with `TCP_FASTOPEN_CONNECT`, the connection's first segment carries the first
/// write.
async fn connect_socket(
    reactor: &Reactor,
    socket: net::TcpStream,
    address: &SocketAddr,
    deadline: Option<Instant>,
) -> io::Result<TcpStream> {
    let is_in_progress = match sys::connect(socket.as_fd(), address) {
        Err(error) if is_in_progress(&error) => true,
        done => done.map(|()| false)?,
    };
    let registration = Registration::with(reactor, socket, net::TcpStream::INTEREST)?;
    if is_in_progress {
        registration.set_write_deadline(deadline)?;
        until_connected(&registration).await?;
        registration.set_write_deadline(None)?;
    }
    Ok(TcpStream::from(registration))
}

/// Whether `connect(2)` is in progress. After `EAGAIN` it is not: a wait for its end would never
/// finish.
fn is_in_progress(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock && error.raw_os_error().is_none()
}

async fn until_connected(registration: &Registration<net::TcpStream>) -> io::Result<()> {
    loop {
        let writable = registration.ready(Direction::Write).await?;
        if is_connected(registration.get_ref())? {
            return Ok(());
        }
        registration.clear_ready(writable);
    }
}

/// Whether the connection is established. Readiness alone is a hint, and has been wrong
/// (golang/go#14548).
fn is_connected(socket: &net::TcpStream) -> io::Result<bool> {
    if let Some(error) = socket.take_error()? {
        return Err(error);
    }
    match socket.peer_addr() {
        Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(false),
        peer => peer.map(|_| true),
    }
}

/// If the client's own port is the one that it connects to, TCP connects the socket to itself.
fn is_self_connected(registration: &Registration<net::TcpStream>) -> bool {
    let socket = registration.get_ref();
    match (socket.local_addr(), socket.peer_addr()) {
        (Ok(local), Ok(peer)) => local == peer,
        _ => true,
    }
}
