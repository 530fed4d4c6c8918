//! The sockets of the standard library that a [`Socket`](crate::Socket) can hold. The traits are
//! sealed: only this crate implements them.

use std::fmt::Debug;
use std::io;
use std::mem::MaybeUninit;
use std::net;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net as unix;

use netpoll::{Interest, OwnsFd};

use crate::listener::Listening;
use crate::socket_file::SocketFile;
use crate::sys::{self, Origin};
use crate::unix::address;

/// A socket of the standard library.
pub trait StdSocket: OwnsFd + From<OwnedFd> + Into<OwnedFd> + private::Sealed {
    /// The address of the socket and of its peers.
    type Address: Address;

    /// The state that a socket of this kind has besides its registration.
    #[doc(hidden)]
    type Extra: Extra;

    /// The interest of the registration. Unix sockets and datagram sockets enable `EPOLLOUT` only while
    /// a task waits to write: otherwise each read by the peer would cause an event.
    #[doc(hidden)]
    const INTEREST: Interest;

    /// In the words of OpenTelemetry.
    #[doc(hidden)]
    const TRANSPORT: &'static str;

    /// Whether `SO_LINGER` makes closing wait.
    #[doc(hidden)]
    const LINGERS: bool = false;

    #[doc(hidden)]
    fn extra(&self) -> Self::Extra {
        Self::Extra::default()
    }

    #[doc(hidden)]
    fn own_address(&self) -> io::Result<Self::Address>;

    #[doc(hidden)]
    fn error(&self) -> io::Result<Option<io::Error>>;
}

/// A socket that has a peer: a stream, or a connected datagram socket.
pub trait PeerSocket: StdSocket {
    #[doc(hidden)]
    const IS_STREAM: bool;

    #[doc(hidden)]
    fn peer_address(&self) -> io::Result<Self::Address>;
}

/// A stream socket of the standard library, the inner type of a [`Stream`](crate::Stream).
pub trait StreamSocket: PeerSocket<Extra = ()> {
    /// Whether each read that fills less than its buffer has drained the socket. On a Unix socket, a read
    /// also stops after bytes that carry descriptors (`unix(7)`), even if more bytes follow.
    #[doc(hidden)]
    const SHORT_READ_DRAINS: bool;

    /// Reads. Returns the number of bytes, and whether more may be there although the read was short.
    #[doc(hidden)]
    fn receive(&self, buffer: &mut [u8]) -> io::Result<(usize, bool)>;

    /// The same into memory that need not be initialised. As many bytes as it returns are initialised then.
    #[doc(hidden)]
    fn receive_uninit(&self, buffer: &mut [MaybeUninit<u8>]) -> io::Result<(usize, bool)>;
}

/// A listener of the standard library, the inner type of a [`Listener`](crate::Listener).
pub trait ListenerSocket: StdSocket<Extra = Listening> {
    /// The connections that it accepts.
    type Stream: StreamSocket;

    #[doc(hidden)]
    fn accept_one(&self) -> io::Result<(OwnedFd, Self::Address)>;
}

/// A datagram socket of the standard library, the inner type of a [`Datagram`](crate::Datagram).
pub trait DatagramSocket: PeerSocket<Extra = ()> {
    #[doc(hidden)]
    fn send_one_to(&self, datagram: &[u8], to: &Self::Address) -> io::Result<usize>;
}

/// The address of a socket.
pub trait Address: Debug + Clone + Send + Sync + private::Sealed + 'static {
    /// The address in its usual text form.
    #[doc(hidden)]
    fn text(&self) -> String;

    #[doc(hidden)]
    fn of(origin: &Origin) -> io::Result<Self>;
}

/// State that is dropped with its socket.
#[doc(hidden)]
pub trait Extra: Default + Send + Sync + 'static {
    /// Makes the connections of a listener keep the options that they inherit.
    fn keep_options(&mut self) {}

    /// Called directly before the socket is closed.
    fn closing(&self) {}

    /// Called when the socket is converted to one of the standard library.
    fn given_back(&self) {}
}

impl Extra for () {}

impl private::Sealed for net::SocketAddr {}
impl private::Sealed for unix::SocketAddr {}

impl Address for net::SocketAddr {
    fn text(&self) -> String {
        self.to_string()
    }

    fn of(origin: &Origin) -> io::Result<Self> {
        origin.internet()
    }
}

impl Address for unix::SocketAddr {
    fn text(&self) -> String {
        address::name(self)
    }

    fn of(origin: &Origin) -> io::Result<Self> {
        origin.unix()
    }
}

macro_rules! sockets {
    ($($socket:ty, $transport:literal, $address:ty, $extra:ty, $interest:ident { $($item:item)* })+) => {$(
        impl private::Sealed for $socket {}

        impl StdSocket for $socket {
            type Address = $address;
            type Extra = $extra;

            const INTEREST: Interest = Interest::$interest;
            const TRANSPORT: &'static str = $transport;
            $($item)*

            fn own_address(&self) -> io::Result<$address> {
                self.local_addr()
            }

            fn error(&self) -> io::Result<Option<io::Error>> {
                self.take_error()
            }
        }
    )+};
}

sockets! {
    net::TcpStream, "tcp", net::SocketAddr, (), Both { const LINGERS: bool = true; }
    net::TcpListener, "tcp", net::SocketAddr, Listening, Readable {
        fn extra(&self) -> Listening {
            // If the system refuses the question, each accept sets the option.
            Listening::with_nodelay(!matches!(sys::nodelay(self.as_fd()), Ok(true)))
        }
    }
    net::UdpSocket, "udp", net::SocketAddr, (), WriteOnDemand {}
    unix::UnixStream, "unix", unix::SocketAddr, (), WriteOnDemand {}
    unix::UnixListener, "unix", unix::SocketAddr, Listening, Readable {
        fn extra(&self) -> Listening {
            let address = self.local_addr().ok();
            let path = address.as_ref().and_then(unix::SocketAddr::as_pathname);
            Listening::with_file(SocketFile::of(path))
        }
    }
    unix::UnixDatagram, "unix", unix::SocketAddr, (), WriteOnDemand {}
}

macro_rules! with_peers {
    ($($socket:ty, $is_stream:literal;)+) => {$(
        impl PeerSocket for $socket {
            const IS_STREAM: bool = $is_stream;

            fn peer_address(&self) -> io::Result<Self::Address> {
                self.peer_addr()
            }
        }
    )+};
}

with_peers! {
    net::TcpStream, true;
    unix::UnixStream, true;
    net::UdpSocket, false;
    unix::UnixDatagram, false;
}

impl StreamSocket for net::TcpStream {
    const SHORT_READ_DRAINS: bool = true;

    #[inline]
    fn receive(&self, buffer: &mut [u8]) -> io::Result<(usize, bool)> {
        Ok((sys::recv(self.as_fd(), buffer)?, false))
    }

    #[inline]
    fn receive_uninit(&self, buffer: &mut [MaybeUninit<u8>]) -> io::Result<(usize, bool)> {
        Ok((sys::recv_uninit(self.as_fd(), buffer)?.len(), false))
    }
}

impl StreamSocket for unix::UnixStream {
    const SHORT_READ_DRAINS: bool = false;

    #[inline]
    fn receive(&self, buffer: &mut [u8]) -> io::Result<(usize, bool)> {
        sys::recv_unix(self.as_fd(), buffer)
    }

    #[inline]
    fn receive_uninit(&self, buffer: &mut [MaybeUninit<u8>]) -> io::Result<(usize, bool)> {
        sys::recv_unix_uninit(self.as_fd(), buffer)
    }
}

mod private {
    pub trait Sealed: std::fmt::Debug + Send + Sync + 'static {}
}
