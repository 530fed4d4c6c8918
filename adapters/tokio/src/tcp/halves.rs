//! The addresses of a TCP stream, by its halves.

use std::io;
use std::net::{self, SocketAddr};

use crate::stream::{OwnedReadHalf, OwnedWriteHalf, ReadHalf, WriteHalf};

macro_rules! addresses {
    ($($half:ty),+) => {$(
        impl $half {
            /// Our address.
            ///
            /// # Errors
            ///
            /// What `getsockname(2)` says.
            pub fn local_addr(&self) -> io::Result<SocketAddr> {
                self.as_ref().local_addr()
            }

            /// The peer's address.
            ///
            /// # Errors
            ///
            /// What `getpeername(2)` says.
            pub fn peer_addr(&self) -> io::Result<SocketAddr> {
                self.as_ref().peer_addr()
            }
        }
    )+};
}

addresses!(
    ReadHalf<'_, net::TcpStream>,
    WriteHalf<'_, net::TcpStream>,
    OwnedReadHalf<net::TcpStream>,
    OwnedWriteHalf<net::TcpStream>
);
