//! Addresses, and who the peer is.

use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::{self, SocketAddr};

use crate::sys::{self, Credentials};

use super::UnixStream;

/// Each fails with what `getsockname(2)`, `getpeername(2)` or `getsockopt(2)` says, and after
/// [`close`](UnixStream::close) with [`Closed`](crate::Closed).
impl UnixStream {
    /// Our address: of the side that connected, most often none.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.registration().while_open(net::UnixStream::local_addr)
    }

    /// The peer's address.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.registration().while_open(net::UnixStream::peer_addr)
    }

    /// Who connected to us, or listened, or made the pair (`SO_PEERCRED`).
    pub fn peer_cred(&self) -> io::Result<Credentials> {
        self.registration().while_open(|socket| sys::peer_cred(socket.as_fd()))
    }

    /// `SO_ERROR`, which reading it clears.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.registration().while_open(net::UnixStream::take_error)
    }
}
