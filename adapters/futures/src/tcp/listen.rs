//! Listening on TCP, with Go's defaults.

use std::io;
use std::net::{self, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};

use netpoll::{Interest, Reactor, Registration};

use super::TcpListener;
#[cfg(doc)]
use crate::Listener;
use crate::address::{Families, ToSocketAddrs, first_of};
use crate::listener::Listening;
use crate::sealed::ListenerSocket;
use crate::sys::{self, KeepAlive};

impl ListenerSocket for net::TcpListener {
    type Stream = net::TcpStream;

    fn accept_one(&self) -> io::Result<(OwnedFd, SocketAddr)> {
        sys::accept(self.as_fd())
    }
}

/// Makes TCP listeners with options of their own, as Go's `ListenConfig` does. The defaults are those of
/// [`TcpListener::bind`].
///
/// ```
/// use netpoll_futures::ListenConfig;
///
/// # fn main() -> std::io::Result<()> { netpoll_futures::block_on(async {
/// let config = ListenConfig::new().reuse_port(true).backlog(4096);
/// let first = config.bind("127.0.0.1:0").await?;
/// let second = config.bind(first.local_addr()?).await?;
/// # drop(second); Ok(()) }) }
/// ```
#[derive(Clone, Debug)]
#[must_use = "a configuration does nothing until it binds"]
pub struct ListenConfig {
    backlog: u32,
    reuse_address: bool,
    reuse_port: bool,
    families: Families,
    fast_open: Option<u32>,
    is_exclusive: bool,
}

impl ListenConfig {
    /// The defaults.
    pub fn new() -> Self {
        Self {
            backlog: u32::MAX,
            reuse_address: true,
            reuse_port: false,
            families: Families::Both,
            fast_open: None,
            is_exclusive: false,
        }
    }

    /// The length of the queue of connections that wait to be accepted: by default, and at most, as long as
    /// the system allows (`net.core.somaxconn`).
    pub fn backlog(mut self, backlog: u32) -> Self {
        self.backlog = backlog;
        self
    }

    /// `SO_REUSEADDR`: whether the address may be bound directly after another listener has closed. On by
    /// default.
    pub fn reuse_address(mut self, on: bool) -> Self {
        self.reuse_address = on;
        self
    }

    /// `SO_REUSEPORT`: whether several listeners of one user may have the same address, each with a queue of
    /// its own. The system distributes connections among them. Off by default.
    pub fn reuse_port(mut self, on: bool) -> Self {
        self.reuse_port = on;
        self
    }

    /// `IPV6_V6ONLY`: whether a listener on `[::]` excludes IPv4. Off by default, regardless of
    /// `net.ipv6.bindv6only`.
    pub fn only_v6(mut self, on: bool) -> Self {
        self.families = if on { Families::OnlyV6 } else { Families::Both };
        self
    }

    /// `TCP_FASTOPEN`: accepts the bytes of a first segment, from at most `queue` clients whose handshake is
    /// not complete. Off by default. The system must allow it (`net.ipv4.tcp_fastopen`).
    pub fn fast_open(mut self, queue: u32) -> Self {
        self.fast_open = Some(queue);
        self
    }

    /// For a listener that other processes have inherited: a connection wakes one of them. See
    /// [`Listener::register_exclusive_on`]. Off by default.
    pub fn exclusive(mut self, on: bool) -> Self {
        self.is_exclusive = on;
        self
    }

    /// Binds to the first address that can be bound, and listens.
    ///
    /// # Errors
    ///
    /// As for [`TcpListener::bind`].
    pub async fn bind(&self, addresses: impl ToSocketAddrs) -> io::Result<TcpListener> {
        self.bind_on(Reactor::global()?, addresses).await
    }

    /// [`bind`](Self::bind) with a reactor that the caller names.
    ///
    /// # Errors
    ///
    /// As for [`TcpListener::bind`].
    pub async fn bind_on(
        &self,
        reactor: &Reactor,
        addresses: impl ToSocketAddrs,
    ) -> io::Result<TcpListener> {
        let addresses = addresses.to_addresses().resolve(None).await?;
        let bound = first_of(&addresses, "bind", |address| self.bind_one(address))?;
        let interest = if self.is_exclusive { Interest::Exclusive } else { Interest::Readable };
        let registration = Registration::with(reactor, net::TcpListener::from(bound), interest)?;
        // Connections inherit `TCP_NODELAY`.
        Ok(TcpListener::with_extra(registration, Listening::default()))
    }

    fn bind_one(&self, address: &SocketAddr) -> io::Result<OwnedFd> {
        let socket = sys::stream(address)?;
        let fd = socket.as_fd();
        self.families.apply(fd, address)?;
        if self.reuse_address {
            sys::set_reuse_address(fd, true)?;
        }
        if self.reuse_port {
            sys::set_reuse_port(fd, true)?;
        }
        if let Some(queue) = self.fast_open {
            sys::set_fast_open(fd, queue)?;
        }
        // Set once, here: accepted connections inherit the options.
        sys::set_nodelay(fd, true)?;
        sys::set_keepalive(fd, Some(KeepAlive::default()))?;
        sys::bind(fd, address)?;
        sys::listen_with_backlog(fd, self.backlog)?;
        Ok(socket)
    }
}

impl Default for ListenConfig {
    fn default() -> Self {
        Self::new()
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
        ListenConfig::new().bind_on(reactor, addresses).await
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
        let config = ListenConfig { families: Families::AsConfigured, ..ListenConfig::new() };
        config.bind_on(reactor, addresses).await
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
