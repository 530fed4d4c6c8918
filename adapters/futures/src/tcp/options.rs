//! Addresses and options of a connection.

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::time::Duration;

use netpoll::socket::{self, KeepAlive};

use super::TcpStream;

/// Each fails with what `getsockname(2)`, `getpeername(2)`, `getsockopt(2)` or `setsockopt(2)` says;
/// after [`close`](TcpStream::close) that is `EBADF`.
impl TcpStream {
    /// Our address.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.registration().get_ref().local_addr()
    }

    /// The peer's address.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.registration().get_ref().peer_addr()
    }

    /// `TCP_NODELAY`: on, unless it was turned off.
    pub fn nodelay(&self) -> io::Result<bool> {
        self.registration().get_ref().nodelay()
    }

    /// `TCP_NODELAY`
    pub fn set_nodelay(&self, on: bool) -> io::Result<()> {
        self.registration().get_ref().set_nodelay(on)
    }

    /// `IP_TTL`
    pub fn ttl(&self) -> io::Result<u32> {
        self.registration().get_ref().ttl()
    }

    /// `IP_TTL`
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        self.registration().get_ref().set_ttl(ttl)
    }

    /// `SO_LINGER`
    pub fn linger(&self) -> io::Result<Option<Duration>> {
        socket::linger(self.registration().as_fd())
    }

    /// `SO_LINGER`, rounded up to seconds: how long closing waits for what is not sent yet. Zero
    /// makes closing reset the connection.
    ///
    /// A stream that lingers and is dropped instead of closed blocks the thread that drops it, also
    /// though it is non-blocking (`socket(7)`).
    pub fn set_linger(&self, linger: Option<Duration>) -> io::Result<()> {
        socket::set_linger(self.registration().as_fd(), linger)
    }

    /// The keep-alive probes, if any are sent.
    pub fn keepalive(&self) -> io::Result<Option<KeepAlive>> {
        socket::keepalive(self.registration().as_fd())
    }

    /// Sends keep-alive probes, or none. A connection that they find dead fails with `ETIMEDOUT`,
    /// which is not [`DeadlineExceeded`](crate::DeadlineExceeded).
    pub fn set_keepalive(&self, keepalive: Option<KeepAlive>) -> io::Result<()> {
        socket::set_keepalive(self.registration().as_fd(), keepalive)
    }

    /// `SO_ERROR`, which reading it clears.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.registration().get_ref().take_error()
    }
}
