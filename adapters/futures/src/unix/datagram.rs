//! Datagrams over Unix sockets: names and conversions. [`Datagram`] has the methods that receive and
//! send.

use std::io;
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::os::unix::net::{self, SocketAddr};
use std::path::Path;
use std::task::{Context, Poll};

use crate::sys;
use netpoll::{OpError, Reactor};

use super::{UnixDatagram, address};
use crate::sealed::DatagramSocket;
use crate::socket_file::SocketFile;

impl DatagramSocket for net::UnixDatagram {
    fn send_one_to(&self, datagram: &[u8], to: &SocketAddr) -> io::Result<usize> {
        // The standard library's call fails with the address of a path of 108 bytes.
        sys::send_to_unix(self.as_fd(), datagram, to)
    }
}

impl UnixDatagram {
    /// Binds to a path and creates a socket file there. As in Go and in the standard library, neither
    /// [`close`](Self::close) nor a drop removes the file. If an earlier run has left one, binding
    /// fails with `EADDRINUSE` until the file is removed.
    ///
    /// # Errors
    ///
    /// An [`OpError`] with the path, also if it is longer than 107 bytes or contains a zero byte.
    pub fn bind(path: impl AsRef<Path>) -> io::Result<Self> {
        Self::bind_on(Reactor::global()?, path)
    }

    /// [`bind`](Self::bind) with a reactor that the caller names; see
    /// [`register_on`](Self::register_on).
    ///
    /// # Errors
    ///
    /// As for [`bind`](Self::bind).
    pub fn bind_on(reactor: &Reactor, path: impl AsRef<Path>) -> io::Result<Self> {
        Self::bind_addr_on(reactor, &at_path("bind", path.as_ref())?)
    }

    /// Binds to an address: a path, or an abstract name, which is free again when the socket is
    /// closed (see `std::os::linux::net::SocketAddrExt`).
    ///
    /// # Errors
    ///
    /// An [`OpError`] with the address.
    pub fn bind_addr(address: &SocketAddr) -> io::Result<Self> {
        Self::bind_addr_on(Reactor::global()?, address)
    }

    /// [`bind_addr`](Self::bind_addr) with a reactor that the caller names.
    ///
    /// # Errors
    ///
    /// As for [`bind_addr`](Self::bind_addr).
    pub fn bind_addr_on(reactor: &Reactor, address: &SocketAddr) -> io::Result<Self> {
        let failed = |error| failed("bind", address, error);
        let bound = net::UnixDatagram::bind_addr(address).map_err(failed)?;
        let file = SocketFile::of(address.as_pathname());
        file.set_removed_on_close(true);
        let socket = Self::register_on(reactor, bound).map_err(failed)?;
        // Binding has succeeded, so the file stays from here on.
        file.set_removed_on_close(false);
        Ok(socket)
    }

    /// Creates a socket without a name. It can send, but can receive only from a socket that is
    /// connected to it.
    ///
    /// # Errors
    ///
    /// An error of `socket(2)`.
    pub fn unbound() -> io::Result<Self> {
        Self::unbound_on(Reactor::global()?)
    }

    /// [`unbound`](Self::unbound) with a reactor that the caller names.
    ///
    /// # Errors
    ///
    /// As for [`unbound`](Self::unbound).
    pub fn unbound_on(reactor: &Reactor) -> io::Result<Self> {
        Self::register_on(reactor, net::UnixDatagram::unbound()?)
    }

    /// Creates two unnamed sockets that are connected to each other.
    ///
    /// # Errors
    ///
    /// An error of `socketpair(2)`.
    pub fn pair() -> io::Result<(Self, Self)> {
        Self::pair_on(Reactor::global()?)
    }

    /// [`pair`](Self::pair) with a reactor that the caller names.
    ///
    /// # Errors
    ///
    /// As for [`pair`](Self::pair).
    pub fn pair_on(reactor: &Reactor) -> io::Result<(Self, Self)> {
        let (near, far) = net::UnixDatagram::pair()?;
        Ok((Self::register_on(reactor, near)?, Self::register_on(reactor, far)?))
    }

    /// Connects to the socket at a path: [`send`](Self::send) sends to it, and this socket receives
    /// only its datagrams. The socket may be connected again at any time.
    ///
    /// # Errors
    ///
    /// [`Closed`](crate::Closed), or an [`OpError`] with the path.
    pub fn connect(&self, path: impl AsRef<Path>) -> io::Result<()> {
        self.connect_addr(&at_path("connect", path.as_ref())?)
    }

    /// [`connect`](Self::connect) to an address: a path or an abstract name.
    ///
    /// # Errors
    ///
    /// [`Closed`](crate::Closed), or an [`OpError`] with the address.
    pub fn connect_addr(&self, address: &SocketAddr) -> io::Result<()> {
        self.registration().while_open(|socket| {
            let connected = sys::connect_unix(socket.as_fd(), address);
            connected.map_err(|error| failed("connect", address, error))
        })
    }

    /// Sends a datagram to the socket at a path, as soon as there is room. See
    /// [`send_to_addr`](Self::send_to_addr).
    ///
    /// If the receiver is slow, [`connect`](Self::connect) to it and use [`send`](Self::send): the
    /// kernel reports room in the receiver's queue only to a connected socket. For an unconnected
    /// socket it reports room after every failed send, so a send that waits for the receiver is tried
    /// again and again. (Each try is one poll, so other tasks of the executor run in between.)
    ///
    /// # Errors
    ///
    /// As for every [datagram](crate::Datagram#errors), or that the path does not exist.
    pub async fn send_to(&self, datagram: &[u8], path: impl AsRef<Path>) -> io::Result<usize> {
        let to = at_path("send", path.as_ref())?;
        self.send_to_addr(datagram, &to).await
    }

    /// [`send_to`](Self::send_to) without waiting: fails with `WouldBlock` if there is no room.
    pub fn try_send_to(&self, datagram: &[u8], path: impl AsRef<Path>) -> io::Result<usize> {
        self.try_send_to_addr(datagram, &at_path("send", path.as_ref())?)
    }

    /// [`send_to`](Self::send_to) as a poll function.
    pub fn poll_send_to(
        &self,
        cx: &mut Context<'_>,
        datagram: &[u8],
        path: impl AsRef<Path>,
    ) -> Poll<io::Result<usize>> {
        self.poll_send_to_addr(cx, datagram, &at_path("send", path.as_ref())?)
    }

    /// Ends receiving, sending or both, for all clones. Later sends in that direction fail with
    /// `EPIPE`, on this side or the peer's. On Linux, a receive still waits if no datagram is queued;
    /// use [`close`](Self::close) or a deadline to end it.
    ///
    /// # Errors
    ///
    /// [`Closed`](crate::Closed), or an error of `shutdown(2)`.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.registration().while_open(|socket| sys::shutdown(socket.as_fd(), how))
    }
}

fn at_path(operation: &'static str, path: &Path) -> io::Result<SocketAddr> {
    let address = SocketAddr::from_pathname(path);
    address.map_err(|error| OpError::wrap(operation, path.display(), error))
}

fn failed(operation: &'static str, address: &SocketAddr, error: io::Error) -> io::Error {
    OpError::wrap(operation, address::name(address), error)
}
