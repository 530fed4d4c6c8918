//! Options of a connection.

use std::io;
use std::net;
use std::os::fd::AsFd;
use std::time::Duration;

use crate::sys::{self, KeepAlive};

use super::TcpStream;

/// Each method fails with an error of `getsockopt(2)` or `setsockopt(2)`, and after
/// [`close`](TcpStream::close) with [`Closed`](crate::Closed).
impl TcpStream {
    /// `TCP_NODELAY`: on, unless it was turned off.
    pub fn nodelay(&self) -> io::Result<bool> {
        self.registration().while_open(net::TcpStream::nodelay)
    }

    /// `TCP_NODELAY`
    pub fn set_nodelay(&self, on: bool) -> io::Result<()> {
        self.registration().while_open(|socket| socket.set_nodelay(on))
    }

    /// `IP_TTL`
    pub fn ttl(&self) -> io::Result<u32> {
        self.registration().while_open(net::TcpStream::ttl)
    }

    /// `IP_TTL`
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        self.registration().while_open(|socket| socket.set_ttl(ttl))
    }

    /// `SO_LINGER`
    pub fn linger(&self) -> io::Result<Option<Duration>> {
        self.registration().while_open(|socket| sys::linger(socket.as_fd()))
    }

    /// `SO_LINGER`, rounded up to seconds: how long closing waits until the unsent bytes are
    /// acknowledged. With zero, closing resets the connection.
    ///
    /// Dropping a lingering stream without [`close`](TcpStream::close) blocks the thread, even though
    /// the socket is non-blocking (`socket(7)`).
    pub fn set_linger(&self, linger: Option<Duration>) -> io::Result<()> {
        self.registration().while_open(|socket| sys::set_linger(socket.as_fd(), linger))
    }

    /// The keep-alive probes, if any are sent.
    pub fn keepalive(&self) -> io::Result<Option<KeepAlive>> {
        self.registration().while_open(|socket| sys::keepalive(socket.as_fd()))
    }

    /// Turns keep-alive probes on or off. A connection whose probes are not answered fails with
    /// `ETIMEDOUT`, which is not [`DeadlineExceeded`](crate::DeadlineExceeded).
    pub fn set_keepalive(&self, keepalive: Option<KeepAlive>) -> io::Result<()> {
        self.registration().while_open(|socket| sys::set_keepalive(socket.as_fd(), keepalive))
    }
}
