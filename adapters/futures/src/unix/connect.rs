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
use netpoll::{OpError, Reactor, Timer};

use super::{UnixStream, address};
use crate::blocking::before;

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
        let address = address::of("connect", path.as_ref())?;
        connect(&address, None).await
    }

    /// [`connect`](Self::connect) to an address, a path or an abstract name.
    ///
    /// # Errors
    ///
    /// As for [`connect`](Self::connect).
    pub async fn connect_addr(address: &SocketAddr) -> io::Result<Self> {
        connect(address, None).await
    }

    /// [`connect`](Self::connect), for at most `timeout`.
    ///
    /// # Errors
    ///
    /// Also [`DeadlineExceeded`](crate::DeadlineExceeded), if the listener's queue stays full.
    pub async fn connect_timeout(path: impl AsRef<Path>, timeout: Duration) -> io::Result<Self> {
        let address = address::of("connect", path.as_ref())?;
        // A time beyond the range of the clock is no limit.
        connect(&address, Instant::now().checked_add(timeout)).await
    }

    /// [`connect`](Self::connect), until `deadline`.
    ///
    /// # Errors
    ///
    /// Also [`DeadlineExceeded`](crate::DeadlineExceeded), if the listener's queue stays full.
    pub async fn connect_deadline(path: impl AsRef<Path>, deadline: Instant) -> io::Result<Self> {
        let address = address::of("connect", path.as_ref())?;
        connect(&address, Some(deadline)).await
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
        let socket = socket.into();
        let connected = match socket.set_nonblocking(true) {
            Ok(()) => attempts(socket.into(), address).await,
            Err(error) => Err(error),
        };
        connected.map_err(|error| OpError::wrap("connect", address::name(address), error))
    }

    /// Creates two unnamed streams that are connected to each other.
    ///
    /// # Errors
    ///
    /// The error of `socketpair(2)`, or of [registering](netpoll::Registration::with).
    pub fn pair() -> io::Result<(Self, Self)> {
        let (one, other) = net::UnixStream::pair()?;
        Ok((one.try_into()?, other.try_into()?))
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

async fn connect(address: &SocketAddr, deadline: Option<Instant>) -> io::Result<UnixStream> {
    let connected = async { attempts(sys::unix_stream()?, address).await };
    let connected = before(deadline, connected).await;
    connected.map_err(|error| OpError::wrap("connect", address::name(address), error))
}

/// Waits until there is room in the queue.
async fn attempts(socket: OwnedFd, address: &SocketAddr) -> io::Result<UnixStream> {
    let mut pause = FIRST_PAUSE;
    loop {
        match sys::connect_unix(socket.as_fd(), address) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            done => return done.and_then(|()| UnixStream::register(socket)),
        }
        let reactor = Reactor::global()?;
        Timer::at(reactor, reactor.now() + pause)?.await?;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}
