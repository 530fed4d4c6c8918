//! The sockets of `tokio::net`.

use std::io;
use std::net::SocketAddr;

use netpoll::OpError;

pub use crate::config::{Dialer, ListenConfig};
pub use crate::tcp::{TcpListener, TcpStream};
pub use crate::tcp_socket::TcpSocket;
pub use crate::udp::UdpSocket;
pub use crate::unix::{UnixListener, UnixStream};
pub use crate::unix_datagram::UnixDatagram;
pub use crate::unix_socket::UnixSocket;
pub use netpoll_futures::ToSocketAddrs;

/// The halves of a TCP stream, as in `tokio::net::tcp`.
pub mod tcp {
    use std::net::TcpStream;

    /// The half for reading, of [`split`](crate::Stream::split).
    pub type ReadHalf<'a> = crate::ReadHalf<'a, TcpStream>;
    /// The half for writing, of [`split`](crate::Stream::split).
    pub type WriteHalf<'a> = crate::WriteHalf<'a, TcpStream>;
    /// The half for reading, of [`into_split`](crate::Stream::into_split).
    pub type OwnedReadHalf = crate::OwnedReadHalf<TcpStream>;
    /// The half for writing, of [`into_split`](crate::Stream::into_split).
    pub type OwnedWriteHalf = crate::OwnedWriteHalf<TcpStream>;
    /// The two halves do not belong to the same stream.
    pub type ReuniteError = crate::ReuniteError<TcpStream>;
}

/// The halves of a Unix stream, addresses and credentials, as in `tokio::net::unix`.
pub mod unix {
    use std::os::unix::net::UnixStream;

    pub use crate::unix::UCred;
    pub use libc::{gid_t, pid_t, uid_t};
    pub use std::os::unix::net::SocketAddr;

    /// The half for reading, of [`split`](crate::Stream::split).
    pub type ReadHalf<'a> = crate::ReadHalf<'a, UnixStream>;
    /// The half for writing, of [`split`](crate::Stream::split).
    pub type WriteHalf<'a> = crate::WriteHalf<'a, UnixStream>;
    /// The half for reading, of [`into_split`](crate::Stream::into_split).
    pub type OwnedReadHalf = crate::OwnedReadHalf<UnixStream>;
    /// The half for writing, of [`into_split`](crate::Stream::into_split).
    pub type OwnedWriteHalf = crate::OwnedWriteHalf<UnixStream>;
    /// The two halves do not belong to the same stream.
    pub type ReuniteError = crate::ReuniteError<UnixStream>;

    /// The two ends of a pipe or of a FIFO, as in `tokio::net::unix::pipe`.
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
/// The error of the lookup.
pub async fn lookup_host(host: impl ToSocketAddrs) -> io::Result<impl Iterator<Item = SocketAddr>> {
    netpoll_futures::resolve(host).await.map(Vec::into_iter).map_err(OpError::strip)
}
