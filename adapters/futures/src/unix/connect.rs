//! Connecting a Unix socket, which succeeds or fails at once (`unix(7)`): a connect is never in
//! progress, as there is no handshake.
//!
//! There is one exception: the listener's queue is full. A blocking `connect(2)` then waits until there
//! is room. A non-blocking one fails with `EAGAIN`, and no event reports room later. So the connect is
//! tried again, after pauses that double. Go and tokio return the error to their users.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{self, SocketAddr};
use std::path::Path;
use std::time::{Duration, Instant};

use crate::sys::{self, Credentials};
use netpoll::{Deadline, OpError, Reactor, Timer};

use super::{UnixStream, address};
use crate::blocking::before;
use crate::events;

/// The pauses between tries while the queue is full: the first and the longest. They double.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

impl UnixStream {
    /// Connects to the listener at `path`; if `path` begins with a zero byte, at the abstract name that
    /// follows. A relative path starts at the working directory.
    ///
    /// While the listener's queue is full, this waits for room. The kernel has no event for that, so
    /// the connect is tried again, at most 50 ms apart. Looking up the path may block the thread on its
    /// file system.
    ///
    /// # Errors
    ///
    /// An [`OpError`] with the path: the path does not exist, no listener is bound to it, access is
    /// denied, or the path is longer than 107 bytes.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the socket.
    pub async fn connect(path: impl AsRef<Path>) -> io::Result<Self> {
        Self::connect_on(Reactor::global()?, path).await
    }

    /// [`connect`](Self::connect) with a reactor that the caller names; see
    /// [`register_on`](Self::register_on). Its timers make the pauses between tries.
    ///
    /// # Errors
    ///
    /// As for [`connect`](Self::connect).
    pub async fn connect_on(reactor: &Reactor, path: impl AsRef<Path>) -> io::Result<Self> {
        Self::connect_deadline_on(reactor, path, None).await
    }

    /// [`connect`](Self::connect) to an address, a path or an abstract name.
    ///
    /// # Errors
    ///
    /// As for [`connect`](Self::connect).
    pub async fn connect_addr(address: &SocketAddr) -> io::Result<Self> {
        Self::connect_addr_on(Reactor::global()?, address).await
    }

    /// [`connect_addr`](Self::connect_addr) with a reactor that the caller names.
    ///
    /// # Errors
    ///
    /// As for [`connect`](Self::connect).
    pub async fn connect_addr_on(reactor: &Reactor, address: &SocketAddr) -> io::Result<Self> {
        connect(reactor, address, None).await
    }

    /// [`connect`](Self::connect), for at most `timeout`.
    ///
    /// # Errors
    ///
    /// Also [`DeadlineExceeded`](crate::DeadlineExceeded), if the listener's queue stays full.
    pub async fn connect_timeout(path: impl AsRef<Path>, timeout: Duration) -> io::Result<Self> {
        Self::connect_deadline_on(Reactor::global()?, path, timeout).await
    }

    /// [`connect`](Self::connect), until `deadline`.
    ///
    /// # Errors
    ///
    /// Also [`DeadlineExceeded`](crate::DeadlineExceeded), if the listener's queue stays full.
    pub async fn connect_deadline(path: impl AsRef<Path>, deadline: Instant) -> io::Result<Self> {
        Self::connect_deadline_on(Reactor::global()?, path, deadline).await
    }

    /// [`connect_deadline`](Self::connect_deadline) with a reactor that the caller names. The deadline, a
    /// time or a duration from now, is one of that reactor's clock.
    ///
    /// # Errors
    ///
    /// As for [`connect_deadline`](Self::connect_deadline).
    pub async fn connect_deadline_on(
        reactor: &Reactor,
        path: impl AsRef<Path>,
        deadline: impl Into<Deadline>,
    ) -> io::Result<Self> {
        let address = address::of("connect", path.as_ref())?;
        connect(reactor, &address, deadline.into().instant(reactor)).await
    }

    /// Connects a socket that the caller has created, and perhaps bound. The socket is made
    /// non-blocking; its options stay as they are. While the listener's queue is full, this waits for
    /// room, as [`connect`](Self::connect) does.
    ///
    /// # Errors
    ///
    /// An [`OpError`] with the address.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the socket.
    pub async fn connect_with(
        socket: impl Into<net::UnixStream>,
        address: &SocketAddr,
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
        socket: impl Into<net::UnixStream>,
        address: &SocketAddr,
    ) -> io::Result<Self> {
        let socket = socket.into();
        let connected = async {
            socket.set_nonblocking(true)?;
            attempts(reactor, socket.into(), address).await
        };
        let connected = events::connecting(|| address::name(address), connected).await;
        connected.map_err(|error| OpError::wrap("connect", address::name(address), error))
    }

    /// Creates two unnamed streams that are connected to each other.
    ///
    /// # Errors
    ///
    /// The error of `socketpair(2)`, or of [registering](netpoll::Registration::with).
    pub fn pair() -> io::Result<(Self, Self)> {
        Self::pair_on(Reactor::global()?)
    }

    /// [`pair`](Self::pair) with a reactor that the caller names.
    ///
    /// # Errors
    ///
    /// As for [`pair`](Self::pair).
    pub fn pair_on(reactor: &Reactor) -> io::Result<(Self, Self)> {
        let (one, other) = net::UnixStream::pair()?;
        Ok((Self::register_on(reactor, one)?, Self::register_on(reactor, other)?))
    }

    /// The process that connected, that listened, or that made the pair (`SO_PEERCRED`).
    ///
    /// # Errors
    ///
    /// [`Closed`](crate::Closed), or an error of `getsockopt(2)`.
    pub fn peer_cred(&self) -> io::Result<Credentials> {
        self.registration().while_open(|socket| sys::peer_cred(socket.as_fd()))
    }
}

async fn connect(
    reactor: &Reactor,
    address: &SocketAddr,
    deadline: Option<Instant>,
) -> io::Result<UnixStream> {
    let connected = async { attempts(reactor, sys::unix_stream()?, address).await };
    let connected = before(deadline.map(|deadline| (reactor, deadline)), connected);
    let connected = events::connecting(|| address::name(address), connected).await;
    connected.map_err(|error| OpError::wrap("connect", address::name(address), error))
}

/// Waits until there is room in the queue.
async fn attempts(
    reactor: &Reactor,
    socket: OwnedFd,
    address: &SocketAddr,
) -> io::Result<UnixStream> {
    let mut pause = FIRST_PAUSE;
    loop {
        match sys::connect_unix(socket.as_fd(), address) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            done => {
                return done.and_then(|()| UnixStream::register_nonblocking(reactor, socket));
            }
        }
        Timer::at(reactor, reactor.now() + pause)?.await?;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}
