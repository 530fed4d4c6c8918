//! Addresses and names. A name is looked up on a thread of its own: `getaddrinfo(3)` blocks.

use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::BorrowedFd;
use std::time::Instant;

use netpoll::{OpError, socket};

use crate::off_thread;

/// What `bind` and `connect` take: an address, several, or a name with a port, such as
/// `"localhost:80"` or `("localhost", 80)`.
pub trait ToSocketAddrs {
    /// The addresses, or the name to look up.
    fn to_addresses(&self) -> Addresses;
}

/// Addresses that are known, or must be looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Addresses {
    /// To be tried in this order.
    Known(Vec<SocketAddr>),
    /// A name and a port, as in `localhost:80`.
    Name(String),
}

/// The addresses that these words say, looked up where they are names.
///
/// # Errors
///
/// An [`OpError`](crate::OpError) with the name that could not be looked up, and
/// [`InvalidInput`](io::ErrorKind::InvalidInput) if there is none.
pub async fn resolve(addresses: impl ToSocketAddrs) -> io::Result<Vec<SocketAddr>> {
    addresses.to_addresses().resolve(None).await
}

/// Which families a socket takes that is bound to `[::]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Families {
    /// IPv6 and IPv4, as in Go (`net/sockopt_linux.go`).
    Both,
    /// Those that the system says (`net.ipv6.bindv6only`).
    AsConfigured,
}

impl Families {
    /// Tells a socket that is about to be bound. As in Go, it is no error where the system does not let it
    /// be told: its default stays.
    pub(crate) fn tell(self, socket: BorrowedFd<'_>, address: &SocketAddr) {
        if self == Families::Both && address.is_ipv6() {
            let _ = socket::set_only_v6(socket, false);
        }
    }
}

impl Addresses {
    /// The addresses, at least one.
    pub(crate) async fn resolve(self, deadline: Option<Instant>) -> io::Result<Vec<SocketAddr>> {
        let (addresses, subject) = match self {
            Addresses::Known(addresses) => (addresses, "an empty list".to_owned()),
            Addresses::Name(name) => {
                let look_up = look_up(name.clone());
                let found = off_thread::before(deadline, look_up).await;
                (found.map_err(|error| OpError::wrap("resolve", &name, error))?, name)
            }
        };
        if addresses.is_empty() {
            let none = io::Error::new(io::ErrorKind::InvalidInput, "no addresses");
            return Err(OpError::wrap("resolve", subject, none));
        }
        Ok(addresses)
    }
}

fn look_up(name: String) -> impl Future<Output = io::Result<Vec<SocketAddr>>> {
    off_thread::run("netpoll-resolve", move || {
        std::net::ToSocketAddrs::to_socket_addrs(name.as_str()).map(Iterator::collect)
    })
}

fn known(address: impl Into<SocketAddr>) -> Addresses {
    Addresses::Known(vec![address.into()])
}

impl ToSocketAddrs for SocketAddr {
    fn to_addresses(&self) -> Addresses {
        known(*self)
    }
}

impl ToSocketAddrs for SocketAddrV4 {
    fn to_addresses(&self) -> Addresses {
        known(*self)
    }
}

impl ToSocketAddrs for SocketAddrV6 {
    fn to_addresses(&self) -> Addresses {
        known(*self)
    }
}

impl ToSocketAddrs for (IpAddr, u16) {
    fn to_addresses(&self) -> Addresses {
        known(*self)
    }
}

impl ToSocketAddrs for (Ipv4Addr, u16) {
    fn to_addresses(&self) -> Addresses {
        known(*self)
    }
}

impl ToSocketAddrs for (Ipv6Addr, u16) {
    fn to_addresses(&self) -> Addresses {
        known(*self)
    }
}

impl ToSocketAddrs for [SocketAddr] {
    fn to_addresses(&self) -> Addresses {
        Addresses::Known(self.to_vec())
    }
}

impl ToSocketAddrs for str {
    fn to_addresses(&self) -> Addresses {
        match self.parse::<SocketAddr>() {
            Ok(address) => known(address),
            Err(_) => Addresses::Name(self.to_owned()),
        }
    }
}

impl ToSocketAddrs for String {
    fn to_addresses(&self) -> Addresses {
        self.as_str().to_addresses()
    }
}

impl ToSocketAddrs for (&str, u16) {
    fn to_addresses(&self) -> Addresses {
        match self.0.parse::<IpAddr>() {
            Ok(ip) => known((ip, self.1)),
            Err(_) => Addresses::Name(format!("{}:{}", self.0, self.1)),
        }
    }
}

impl ToSocketAddrs for (String, u16) {
    fn to_addresses(&self) -> Addresses {
        (self.0.as_str(), self.1).to_addresses()
    }
}

impl<T: ToSocketAddrs + ?Sized> ToSocketAddrs for &T {
    fn to_addresses(&self) -> Addresses {
        (**self).to_addresses()
    }
}

impl<const N: usize> ToSocketAddrs for [SocketAddr; N] {
    fn to_addresses(&self) -> Addresses {
        self.as_slice().to_addresses()
    }
}
