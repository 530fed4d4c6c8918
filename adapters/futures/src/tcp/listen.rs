//! Listening on TCP, with Go's defaults.

use std::io;
use std::net::{self, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};

use netpoll::Reactor;

use super::TcpListener;
use crate::address::{Families, ToSocketAddrs, first_of};
use crate::sealed::ListenerSocket;
use crate::sys::{self, KeepAlive};

impl ListenerSocket for net::TcpListener {
    type Stream = net::TcpStream;

    fn accept_one(&self) -> io::Result<(OwnedFd, SocketAddr)> {
        sys::accept(self.as_fd())
    }
}

impl TcpListener {
    /// Binds to the first address that can be bound, with Go's defaults: the address may be reused
    /// directly after another listener has closed, the accept queue is as long as the system allows,
    /// and accepted connections have `TCP_NODELAY` and keep-alive probes every 15 seconds.
    ///
    /// For port 0, the system picks a free port; see [`local_addr`](Self::local_addr). A listener on
    /// `[::]` also accepts IPv4, regardless of `net.ipv6.bindv6only`.
    ///
    /// # Errors
    ///
    /// An [`OpError`](crate::OpError) with the first address tried, or the name that could not be looked up.
    pub async fn bind(addresses: impl ToSocketAddrs) -> io::Result<Self> {
        Self::bind_on(Reactor::global()?, addresses).await
    }

    /// [`bind`](Self::bind) with a reactor that the caller names; see
    /// [`register_on`](Self::register_on).
    ///
    /// # Errors
    ///
    /// As for [`bind`](Self::bind).
    pub async fn bind_on(reactor: &Reactor, addresses: impl ToSocketAddrs) -> io::Result<Self> {
        Self::bind_for(reactor, addresses, Families::Both).await
    }

    /// [`bind`](Self::bind), but the system decides whether a listener on `[::]` also accepts IPv4
    /// (`net.ipv6.bindv6only`), as for listeners of the standard library, tokio and async-net.
    ///
    /// # Errors
    ///
    /// As for [`bind`](Self::bind).
    pub async fn bind_as_configured(addresses: impl ToSocketAddrs) -> io::Result<Self> {
        Self::bind_as_configured_on(Reactor::global()?, addresses).await
    }

    /// [`bind_as_configured`](Self::bind_as_configured) with a reactor that the caller names.
    ///
    /// # Errors
    ///
    /// As for [`bind`](Self::bind).
    pub async fn bind_as_configured_on(
        reactor: &Reactor,
        addresses: impl ToSocketAddrs,
    ) -> io::Result<Self> {
        Self::bind_for(reactor, addresses, Families::AsConfigured).await
    }

    async fn bind_for(
        reactor: &Reactor,
        addresses: impl ToSocketAddrs,
        families: Families,
    ) -> io::Result<Self> {
        let addresses = addresses.to_addresses().resolve(None).await?;
        let bound = first_of(&addresses, "bind", |address| bind_one(address, families))?;
        Self::register_nonblocking(reactor, bound)
    }

    /// `IP_TTL`
    ///
    /// # Errors
    ///
    /// [`Closed`](crate::Closed), or an error of `getsockopt(2)`.
    pub fn ttl(&self) -> io::Result<u32> {
        self.registration().while_open(net::TcpListener::ttl)
    }

    /// `IP_TTL`
    ///
    /// # Errors
    ///
    /// [`Closed`](crate::Closed), or an error of `setsockopt(2)`.
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        self.registration().while_open(|socket| socket.set_ttl(ttl))
    }
}

fn bind_one(address: &SocketAddr, families: Families) -> io::Result<OwnedFd> {
    let socket = sys::stream(address)?;
    families.apply(socket.as_fd(), address);
    sys::set_reuse_address(socket.as_fd(), true)?;
    // Set once, here: accepted connections inherit the options.
    sys::set_nodelay(socket.as_fd(), true)?;
    sys::set_keepalive(socket.as_fd(), Some(KeepAlive::default()))?;
    sys::bind(socket.as_fd(), address)?;
    sys::listen(socket.as_fd())?;
    Ok(socket)
}
