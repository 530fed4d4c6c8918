//! Connecting over a Unix socket, which is done at once or not at all (`unix(7)`): there is no
//! connection under way to be waited for, and no three-way handshake that could fail.
//!
//! But for one case: the listener's queue is full. A blocking `connect(2)` then waits until there is
//! room; a non-blocking one says `EAGAIN`, and nothing ever tells that it is worth another try. So it
//! is tried again, after pauses that double. Go and tokio leave that to their users, as an error.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{self, SocketAddr};
use std::path::Path;
use std::time::{Duration, Instant};

use crate::sys::{self, Credentials};
use netpoll::{OpError, Reactor, Timer};

use super::{UnixStream, address};
use crate::blocking::before;

/// Between tries, as long as the queue is full: from the first to the longest, doubling.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

impl UnixStream {
    /// Connects to the listener at `path`, or, where that begins with a zero byte, at the abstract
    /// name that follows. A relative path begins where the process is.
    ///
    /// While the listener's queue is full it waits for room: nothing tells when there is some, so it
    /// tries again and again, 50 ms apart at most. Besides, looking the path up may keep the thread
    /// waiting for the file system that it is on.
    ///
    /// # Errors
    ///
    /// An [`OpError`] with the path: it is not there, or nobody listens, or may not be talked to, or
    /// it is longer than 107 bytes.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it leaves no socket behind.
    pub async fn connect(path: impl AsRef<Path>) -> io::Result<Self> {
        let address = address::of("connect", path.as_ref())?;
        connect(&address, None).await
    }

    /// [`connect`](Self::connect), to an address of either kind.
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
    /// [`DeadlineExceeded`](crate::DeadlineExceeded) as well, if the listener's queue stays full.
    pub async fn connect_timeout(path: impl AsRef<Path>, timeout: Duration) -> io::Result<Self> {
        let address = address::of("connect", path.as_ref())?;
        // A time that no clock can tell is no limit.
        connect(&address, Instant::now().checked_add(timeout)).await
    }

    /// [`connect`](Self::connect), until `deadline`.
    ///
    /// # Errors
    ///
    /// [`DeadlineExceeded`](crate::DeadlineExceeded) as well, if the listener's queue stays full.
    pub async fn connect_deadline(path: impl AsRef<Path>, deadline: Instant) -> io::Result<Self> {
        let address = address::of("connect", path.as_ref())?;
        connect(&address, Some(deadline)).await
    }

    /// Connects with a socket that the caller has made, and perhaps bound; its options stay as they are. It is
    /// made non-blocking. While the listener's queue is full, it waits for room, as [`connect`](Self::connect)
    /// does.
    ///
    /// # Errors
    ///
    /// An [`OpError`] with the address.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it closes the socket.
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

    /// Two streams that are connected to each other, and have no names.
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
    /// [`Closed`](crate::Closed), or what `getsockopt(2)` says.
    pub fn peer_cred(&self) -> io::Result<Credentials> {
        self.registration().while_open(|socket| sys::peer_cred(socket.as_fd()))
    }
}

async fn connect(address: &SocketAddr, deadline: Option<Instant>) -> io::Result<UnixStream> {
    let connected = async { attempts(sys::unix_stream()?, address).await };
    let connected = before(deadline, connected).await;
    connected.map_err(|error| OpError::wrap("connect", address::name(address), error))
}

/// Until there is room in the queue.
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
