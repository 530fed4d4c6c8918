//! As `tokio::net`: the sockets.

use std::io;
use std::net::SocketAddr;

use netpoll::OpError;

pub use crate::datagram::{UdpSocket, UnixDatagram};
pub use crate::tcp::{TcpListener, TcpSocket, TcpStream};
pub use crate::unix::{UnixListener, UnixStream};
pub use crate::unix_socket::UnixSocket;
pub use netpoll_futures::ToSocketAddrs;

/// As `tokio::net::tcp`: the halves of a TCP stream.
pub mod tcp {
    use std::net::TcpStream;

    /// The half that reads, lent by [`split`](crate::Stream::split).
    pub type ReadHalf<'a> = crate::ReadHalf<'a, TcpStream>;
    /// The half that writes, lent by [`split`](crate::Stream::split).
    pub type WriteHalf<'a> = crate::WriteHalf<'a, TcpStream>;
    /// The half that reads, of [`into_split`](crate::Stream::into_split).
    pub type OwnedReadHalf = crate::OwnedReadHalf<TcpStream>;
    /// The half that writes, of [`into_split`](crate::Stream::into_split).
    pub type OwnedWriteHalf = crate::OwnedWriteHalf<TcpStream>;
    /// Two halves that are not of the same stream.
    pub type ReuniteError = crate::ReuniteError<TcpStream>;
}

/// As `tokio::net::unix`: the halves of a Unix stream, and their addresses.
pub mod unix {
    use std::os::unix::net::UnixStream;

    pub use crate::unix::UCred;
    pub use std::os::unix::net::SocketAddr;

    /// The half that reads, lent by [`split`](crate::Stream::split).
    pub type ReadHalf<'a> = crate::ReadHalf<'a, UnixStream>;
    /// The half that writes, lent by [`split`](crate::Stream::split).
    pub type WriteHalf<'a> = crate::WriteHalf<'a, UnixStream>;
    /// The half that reads, of [`into_split`](crate::Stream::into_split).
    pub type OwnedReadHalf = crate::OwnedReadHalf<UnixStream>;
    /// The half that writes, of [`into_split`](crate::Stream::into_split).
    pub type OwnedWriteHalf = crate::OwnedWriteHalf<UnixStream>;
    /// Two halves that are not of the same stream.
    pub type ReuniteError = crate::ReuniteError<UnixStream>;

    /// As `tokio::net::unix::pipe`: the two ends of a pipe or of a FIFO.
    ///
    /// `O_NONBLOCK` belongs to the open file description. Where another process that shares it clears the flag,
    /// reading and writing block the thread: the calls on a pipe have no flag of their own for it.
    pub mod pipe {
        pub use crate::pipe::{OpenOptions, Receiver, Sender, pipe};
    }
}

/// The addresses of a host, as [`netpoll_futures::resolve`] finds them. An empty list has none.
///
/// # Errors
///
/// That the name could not be looked up.
pub async fn lookup_host(host: impl ToSocketAddrs) -> io::Result<impl Iterator<Item = SocketAddr>> {
    netpoll_futures::resolve(host).await.map(Vec::into_iter).map_err(OpError::strip)
}
