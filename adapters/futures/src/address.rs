//! Addresses and names. A name is looked up on another thread: `getaddrinfo(3)` blocks.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::BorrowedFd;
use std::time::Instant;

use crate::sys;
use crate::sys::interface_index;
use netpoll::{OpError, Reactor};

use crate::blocking;

/// The argument of `bind` and `connect`: one address, several addresses, or a name with a port, such as
/// `"localhost:80"` or `("localhost", 80)`. The scope of an IPv6 address may be an interface's name, as
/// in `"[fe80::1%eth0]:80"`.
pub trait ToSocketAddrs {
    /// The addresses, or the name to look up.
    fn to_addresses(&self) -> Addresses;
}

/// Addresses, or a name to look up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Addresses {
    /// The addresses, tried in this order.
    Known(Vec<SocketAddr>),
    /// A name and a port, as in `localhost:80`.
    Name(String),
}

/// Resolves an argument of `bind` or `connect` to addresses. Names are looked up. An empty list gives
/// an empty list.
///
/// Names are looked up by `getaddrinfo(3)`, on a pool of at most 32 threads, which end when no lookup
/// is queued. Further lookups wait in a queue. The names of one domain use at most a quarter of the
/// threads: a name server that does not answer leaves threads for other names.
///
/// # Errors
///
/// An [`OpError`](crate::OpError) with the name that could not be looked up. Its kind is
/// [`Other`](io::ErrorKind::Other) if no thread could be started to look it up.
///
/// # Cancel safety
///
/// Dropping the future removes the lookup from the queue. A lookup that has begun goes on, and its
/// result is dropped.
pub async fn resolve(addresses: impl ToSocketAddrs) -> io::Result<Vec<SocketAddr>> {
    addresses.to_addresses().look_up(None).await
}

/// Calls `attempt` with each address until one call succeeds, as tokio and async-net do for several
/// addresses. For adapters with their interfaces.
///
/// # Errors
///
/// The error of the last address. [`InvalidInput`](io::ErrorKind::InvalidInput) if there is none, or as
/// for [`resolve`].
#[doc(hidden)]
pub async fn try_each<T, F: Future<Output = io::Result<T>>>(
    addresses: impl ToSocketAddrs,
    mut attempt: impl FnMut(SocketAddr) -> F,
) -> io::Result<T> {
    let mut last_error = None;
    for address in resolve(addresses).await? {
        // In a box, so that the future of a connect stays small in the task that awaits it.
        match Box::pin(attempt(address)).await {
            Err(error) => last_error = Some(error),
            done => return done,
        }
    }
    Err(last_error.unwrap_or_else(none))
}

/// The result for the first address that succeeds, or else the error of the first address.
pub(crate) fn first_of<T>(
    addresses: &[SocketAddr],
    operation: &'static str,
    attempt: impl Fn(&SocketAddr) -> io::Result<T>,
) -> io::Result<T> {
    let mut first_error = None;
    for address in addresses {
        match attempt(address) {
            Ok(done) => return Ok(done),
            Err(error) => {
                first_error.get_or_insert_with(|| OpError::wrap(operation, address, error));
            }
        }
    }
    Err(first_error.expect("resolving yields at least one address"))
}

fn none() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "no addresses")
}

/// The address families of a socket that is bound to `[::]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Families {
    /// IPv6 and IPv4, as in Go (`net/sockopt_linux.go`).
    Both,
    /// IPv6 alone.
    OnlyV6,
    /// The system's default (`net.ipv6.bindv6only`).
    AsConfigured,
}

impl Families {
    /// Sets the families on a socket before it is bound. As in Go, a failure to add IPv4 is ignored: the
    /// system's default stays.
    pub(crate) fn apply(self, socket: BorrowedFd<'_>, address: &SocketAddr) -> io::Result<()> {
        match self {
            Families::Both if address.is_ipv6() => drop(sys::set_only_v6(socket, false)),
            Families::OnlyV6 if address.is_ipv6() => sys::set_only_v6(socket, true)?,
            _ => {}
        }
        Ok(())
    }
}

impl Addresses {
    /// The addresses, at least one.
    pub(crate) async fn resolve(
        self,
        deadline: Option<(&Reactor, Instant)>,
    ) -> io::Result<Vec<SocketAddr>> {
        let addresses = self.look_up(deadline).await?;
        if addresses.is_empty() {
            return Err(OpError::wrap("resolve", "an empty list", none()));
        }
        Ok(addresses)
    }

    async fn look_up(self, deadline: Option<(&Reactor, Instant)>) -> io::Result<Vec<SocketAddr>> {
        let name = match self {
            Addresses::Known(addresses) => return Ok(addresses),
            Addresses::Name(name) => name,
        };
        let host = name.rsplit_once(':').map_or(&*name, |(host, _)| host);
        let ask = {
            let name = name.clone();
            move || std::net::ToSocketAddrs::to_socket_addrs(name.as_str()).map(Iterator::collect)
        };
        // In a box, so that each future which may begin with a lookup stays small. A lookup allocates in any case.
        let found = Box::pin(blocking::before(deadline, blocking::run(host, ask))).await;
        found.map_err(|error| OpError::wrap("resolve", &name, error))
    }
}

fn known(address: impl Into<SocketAddr>) -> Addresses {
    Addresses::Known(vec![address.into()])
}

/// An address with an interface as its scope, such as `[fe80::1%eth0]:80`.
fn with_scope(text: &str) -> Option<SocketAddr> {
    let (host, port) = text.strip_prefix('[')?.rsplit_once("]:")?;
    scoped(host, port.parse().ok()?).map(SocketAddr::from)
}

/// The host of an address with an interface as its scope, by name or by number, such as `fe80::1%eth0`.
fn scoped(host: &str, port: u16) -> Option<SocketAddrV6> {
    let (ip, scope) = host.split_once('%')?;
    let ip = ip.parse().ok()?;
    let scope = scope.parse().ok().or_else(|| interface_index(scope).ok())?;
    Some(SocketAddrV6::new(ip, port, 0, scope))
}

/// Implements the trait for types that need one expression.
macro_rules! to_socket_addrs {
    ($([$($generics:tt)*] $type:ty: $this:ident => $addresses:expr;)+) => {$(
        impl<$($generics)*> ToSocketAddrs for $type {
            fn to_addresses(&self) -> Addresses {
                let $this = self;
                $addresses
            }
        }
    )+};
}

to_socket_addrs! {
    [] SocketAddr: this => known(*this);
    [] SocketAddrV4: this => known(*this);
    [] SocketAddrV6: this => known(*this);
    [] (IpAddr, u16): this => known(*this);
    [] (Ipv4Addr, u16): this => known(*this);
    [] (Ipv6Addr, u16): this => known(*this);
    [] [SocketAddr]: this => Addresses::Known(this.to_vec());
    [const N: usize] [SocketAddr; N]: this => Addresses::Known(this.to_vec());
    [] String: this => this.as_str().to_addresses();
    [] (String, u16): this => (this.0.as_str(), this.1).to_addresses();
    [T: ToSocketAddrs + ?Sized] &T: this => (**this).to_addresses();
}

impl ToSocketAddrs for str {
    fn to_addresses(&self) -> Addresses {
        let address = self.parse::<SocketAddr>().ok().or_else(|| with_scope(self));
        address.map_or_else(|| Addresses::Name(self.to_owned()), known)
    }
}

impl ToSocketAddrs for (&str, u16) {
    fn to_addresses(&self) -> Addresses {
        let (host, port) = *self;
        let address = host.parse::<IpAddr>().map(|ip| (ip, port).into()).ok();
        let address = address.or_else(|| scoped(host, port).map(SocketAddr::from));
        address.map_or_else(|| Addresses::Name(format!("{host}:{port}")), known)
    }
}
