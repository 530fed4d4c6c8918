//! Addresses, and who the peer is.

use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::SocketAddr;

use netpoll::socket::{self, Credentials};

use super::UnixStream;

/// Each fails with what `getsockname(2)`, `getpeername(2)` or `getsockopt(2)` says; after
/// [`close`](UnixStream::close) that is `EBADF`.
impl UnixStream {
    /// Our address: of the side that connected, most often none.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.registration().get_ref().local_addr()
    }

    /// The peer's address.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.registration().get_ref().peer_addr()
    }

    /// Who connected to us, or listened, or made the pair (`SO_PEERCRED`).
    pub fn peer_cred(&self) -> io::Result<Credentials> {
        socket::peer_cred(self.registration().as_fd())
    }

    /// `SO_ERROR`, which reading it clears.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.registration().get_ref().take_error()
    }
}
