//! Connecting, listening and conversions.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{self, SocketAddr};

use netpoll::socket;

use crate::listener::ListenerSocket;

impl ListenerSocket for net::UnixListener {
    type Stream = net::UnixStream;
    type Address = SocketAddr;

    fn accept_one(&self) -> io::Result<(OwnedFd, SocketAddr)> {
        socket::accept_unix(self.as_fd())
    }

    fn address(&self) -> io::Result<SocketAddr> {
        self.local_addr()
    }

    fn name(address: &SocketAddr) -> String {
        format!("{address:?}")
    }
}
