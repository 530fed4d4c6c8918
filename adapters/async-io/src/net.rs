//! Sockets, with the options that the standard library gives them. Each operation waits, and fails as
//! [`Async::read_with`] does.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
#[cfg(target_os = "android")]
use std::os::android::net::SocketAddrExt;
use std::os::fd::{AsFd, BorrowedFd};
#[cfg(target_os = "linux")]
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr as UnixSocketAddr, UnixDatagram, UnixListener, UnixStream};
use std::path::Path;

use futures_core::Stream;
use futures_util::stream;
use netpoll::{Direction, Eager, Interest};
use netpoll_futures::sys;

use crate::Async;

/// The longest path or abstract name of a Unix socket (`unix(7)`: 108 bytes with its zero).
const LONGEST: usize = 107;

impl<T: AsFd> Async<T> {
    /// A call on the descriptor itself: if that blocks, the descriptor is drained.
    async fn recv_by<R>(
        &self,
        mut call: impl FnMut(BorrowedFd<'_>) -> io::Result<R>,
    ) -> io::Result<R> {
        let read = Eager(Direction::Read);
        self.0.registration().io(read, |io| call(io.as_fd())).await
    }
}

impl Async<TcpListener> {
    /// Binds and listens, as [`TcpListener::bind`] does.
    ///
    /// # Errors
    ///
    /// An error of `bind(2)` or `listen(2)`.
    pub fn bind<A: Into<SocketAddr>>(addr: A) -> io::Result<Self> {
        Self::new(TcpListener::bind(addr.into())?)
    }

    /// Accepts a connection.
    ///
    /// # Errors
    ///
    /// An error of `accept(2)`.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped before it completes, it has accepted no connection.
    pub async fn accept(&self) -> io::Result<(Async<TcpStream>, SocketAddr)> {
        let (socket, peer) = self.recv_by(sys::accept).await?;
        Ok((Async::register(socket.into(), Interest::Both)?, peer))
    }

    /// The connections, as a stream that does not end.
    pub fn incoming(&self) -> impl Stream<Item = io::Result<Async<TcpStream>>> + Send + '_ {
        stream::unfold(self, async |listener| {
            Some((listener.accept().await.map(|(stream, _)| stream), listener))
        })
    }
}

impl Async<TcpStream> {
    /// Connects. The connection has none of the options that other crates of netpoll set.
    ///
    /// # Errors
    ///
    /// An error of `connect(2)`.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the socket.
    pub async fn connect<A: Into<SocketAddr>>(addr: A) -> io::Result<Self> {
        let addr = addr.into();
        let connected = netpoll_futures::Async::connect_with(sys::stream(&addr)?, addr);
        connected.await.map(Self)
    }

    /// Reads, and leaves the bytes in the socket's queue.
    pub async fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.recv_by(|fd| sys::peek(fd, buf)).await
    }
}

impl Async<UdpSocket> {
    /// Binds, as [`UdpSocket::bind`] does.
    ///
    /// # Errors
    ///
    /// An error of `bind(2)`.
    pub fn bind<A: Into<SocketAddr>>(addr: A) -> io::Result<Self> {
        Self::new(UdpSocket::bind(addr.into())?)
    }

    /// Receives a datagram. Returns its length and the sender's address. A datagram that is longer than the buffer is
    /// cut off.
    pub async fn recv_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        let (len, origin) = self.recv_by(|fd| sys::recv_from(fd, buf)).await?;
        Ok((len, origin.internet()?))
    }

    /// [`recv_from`](Self::recv_from), but leaves the datagram in the socket's queue.
    pub async fn peek_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        let (len, origin) = self.recv_by(|fd| sys::peek_from(fd, buf)).await?;
        Ok((len, origin.internet()?))
    }

    /// Sends a datagram.
    pub async fn send_to<A: Into<SocketAddr>>(&self, buf: &[u8], addr: A) -> io::Result<usize> {
        let addr = addr.into();
        self.write_with(|socket| sys::send_to(socket.as_fd(), buf, &addr)).await
    }

    /// Receives a datagram of the connected peer. Returns its length.
    pub async fn recv(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.recv_by(|fd| sys::recv(fd, buf)).await
    }

    /// [`recv`](Self::recv), but leaves the datagram in the socket's queue.
    pub async fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.recv_by(|fd| sys::peek(fd, buf)).await
    }

    /// Sends a datagram to the connected peer.
    pub async fn send(&self, buf: &[u8]) -> io::Result<usize> {
        self.write_with(|socket| sys::send(socket.as_fd(), buf)).await
    }
}

impl Async<UnixListener> {
    /// Binds to a path, which must not exist, and listens.
    ///
    /// # Errors
    ///
    /// An error of `bind(2)` or `listen(2)`.
    pub fn bind<P: AsRef<Path>>(path: P) -> io::Result<Self> {
        Self::new(UnixListener::bind(path)?)
    }

    /// Accepts a connection.
    ///
    /// # Errors
    ///
    /// An error of `accept(2)`.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped before it completes, it has accepted no connection.
    pub async fn accept(&self) -> io::Result<(Async<UnixStream>, UnixSocketAddr)> {
        let (socket, peer) = self.recv_by(sys::accept_unix).await?;
        Ok((Async::register(socket.into(), Interest::WriteOnDemand)?, peer))
    }

    /// The connections, as a stream that does not end.
    pub fn incoming(&self) -> impl Stream<Item = io::Result<Async<UnixStream>>> + Send + '_ {
        stream::unfold(self, async |listener| {
            Some((listener.accept().await.map(|(stream, _)| stream), listener))
        })
    }
}

impl Async<UnixStream> {
    /// Connects to a path; if it begins with a zero byte, to the abstract name that follows. It does not wait: a Unix
    /// socket connects at once.
    ///
    /// # Errors
    ///
    /// An error of `connect(2)`. If the listener's queue is full, `ENOTCONN`, as in async-io.
    pub async fn connect<P: AsRef<Path>>(path: P) -> io::Result<Self> {
        let (address, socket) =
            (unix_address(path.as_ref())?, UnixStream::from(sys::unix_stream()?));
        match sys::connect_unix(socket.as_fd(), &address) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                socket.peer_addr()?;
            }
            done => done?,
        }
        Self::register(socket, Interest::WriteOnDemand)
    }

    /// Creates two sockets that are connected to each other.
    ///
    /// # Errors
    ///
    /// An error of `socketpair(2)`.
    pub fn pair() -> io::Result<(Self, Self)> {
        let (one, other) = UnixStream::pair()?;
        Ok((Self::new(one)?, Self::new(other)?))
    }
}

impl Async<UnixDatagram> {
    /// Binds to a path, which must not exist.
    ///
    /// # Errors
    ///
    /// An error of `bind(2)`.
    pub fn bind<P: AsRef<Path>>(path: P) -> io::Result<Self> {
        Self::new(UnixDatagram::bind(path)?)
    }

    /// Creates a socket without an address.
    ///
    /// # Errors
    ///
    /// An error of `socket(2)`.
    pub fn unbound() -> io::Result<Self> {
        Self::new(UnixDatagram::unbound()?)
    }

    /// Creates two sockets that are connected to each other.
    ///
    /// # Errors
    ///
    /// An error of `socketpair(2)`.
    pub fn pair() -> io::Result<(Self, Self)> {
        let (one, other) = UnixDatagram::pair()?;
        Ok((Self::new(one)?, Self::new(other)?))
    }

    /// Receives a datagram. Returns its length and the sender's address. A datagram that is longer than the buffer is
    /// cut off.
    pub async fn recv_from(&self, buf: &mut [u8]) -> io::Result<(usize, UnixSocketAddr)> {
        let (len, origin) = self.recv_by(|fd| sys::recv_from(fd, buf)).await?;
        Ok((len, origin.unix()?))
    }

    /// Sends a datagram to the socket that is bound to `path`. While the receiver's queue is full, each poll makes an
    /// attempt: epoll does not report room there.
    pub async fn send_to<P: AsRef<Path>>(&self, buf: &[u8], path: P) -> io::Result<usize> {
        self.write_with(|socket| socket.send_to(buf, &path)).await
    }

    /// Receives a datagram of the connected peer. Returns its length.
    pub async fn recv(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.recv_by(|fd| sys::recv(fd, buf)).await
    }

    /// Sends a datagram to the connected peer.
    pub async fn send(&self, buf: &[u8]) -> io::Result<usize> {
        self.write_with(|socket| sys::send(socket.as_fd(), buf)).await
    }
}

/// The address that a path, or a zero byte and an abstract name, stands for. Its errors are those of the system.
fn unix_address(path: &Path) -> io::Result<UnixSocketAddr> {
    let bytes = path.as_os_str().as_bytes();
    let name = bytes.strip_prefix(b"\0");
    if name.unwrap_or(bytes).len() > LONGEST {
        return Err(io::Error::from_raw_os_error(libc::ENAMETOOLONG));
    }
    let address = match name {
        Some(name) => UnixSocketAddr::from_abstract_name(name),
        None => UnixSocketAddr::from_pathname(path),
    };
    address.map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))
}
