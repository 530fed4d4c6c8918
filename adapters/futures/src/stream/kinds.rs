//! What a stream can be made of.

use std::net;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

use netpoll::{Interest, OwnsFd};

/// What a [`Stream`](super::Stream) is made of: a stream socket of the standard library. It is
/// implemented here, and nowhere else.
pub trait StreamSocket: OwnsFd + From<OwnedFd> + Into<OwnedFd> + sealed::Sealed {
    /// What epoll is asked for: a Unix socket's peer would have it report room at every read.
    #[doc(hidden)]
    const INTEREST: Interest;

    /// Whether a read that fills less than its buffer has taken all there was. A Unix socket's also
    /// stops where descriptors came along (`unix(7)`), whatever follows.
    #[doc(hidden)]
    const SHORT_READ_DRAINS: bool;

    /// Whether `SO_LINGER` has closing wait.
    #[doc(hidden)]
    const LINGERS: bool;
}

impl StreamSocket for net::TcpStream {
    const INTEREST: Interest = Interest::Both;
    const SHORT_READ_DRAINS: bool = true;
    const LINGERS: bool = true;
}

impl StreamSocket for UnixStream {
    const INTEREST: Interest = Interest::WriteOnDemand;
    const SHORT_READ_DRAINS: bool = false;
    const LINGERS: bool = false;
}

mod sealed {
    pub trait Sealed: std::fmt::Debug + Send + Sync + 'static {}
    impl Sealed for std::net::TcpStream {}
    impl Sealed for std::os::unix::net::UnixStream {}
}
