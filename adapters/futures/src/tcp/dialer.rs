//! The dialer: the options of a connection, and the race for it between several addresses.
//!
//! The race is that of RFC 8305: an attempt begins for the first address; the next one begins when an
//! attempt has failed, or after the attempt delay. Earlier attempts go on meanwhile. The first that connects
//! wins, and the others are dropped, which closes their sockets.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::task::Poll;
use std::time::{Duration, Instant};

use futures_util::stream::{FuturesUnordered, StreamExt};
use netpoll::{Deadline, OpError, Reactor, Timer, is_deadline_exceeded};

use super::{TcpStream, connect};
use crate::address::ToSocketAddrs;
use crate::sys::{self, KeepAlive};

/// How long an attempt is alone before the next one begins (RFC 8305, section 5).
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// Makes TCP connections with options of their own, as Go's `Dialer` does.
///
/// Of several addresses, it tries IPv6 and IPv4 in turn, beginning with the first address, and keeps the
/// resolver's order within each family. The next attempt begins 250 ms after the one before, or when one has
/// failed; the first that connects wins, and the other sockets are closed ("Happy Eyeballs", RFC 8305). So
/// one family without a route, or one address without an answer, costs 250 ms.
///
/// [`TcpStream::connect`] is a dialer with the defaults: `TCP_NODELAY`, keep-alive probes every 15 seconds,
/// and no deadline.
///
/// ```
/// use std::time::Duration;
/// use netpoll_futures::{Dialer, TcpListener};
///
/// # fn main() -> std::io::Result<()> { netpoll_futures::block_on(async {
/// let listener = TcpListener::bind("127.0.0.1:0").await?;
/// let dialer = Dialer::new()
///     .deadline(Duration::from_secs(10))
///     .user_timeout(Duration::from_secs(30));
/// let stream = dialer.connect(("localhost", listener.local_addr()?.port())).await?;
/// # drop(stream); Ok(()) }) }
/// ```
#[derive(Clone, Debug)]
#[must_use = "a dialer does nothing until it connects"]
pub struct Dialer {
    deadline: Deadline,
    attempt_delay: Duration,
    local_addr: Option<SocketAddr>,
    device: Option<String>,
    mark: Option<u32>,
    keepalive: Option<KeepAlive>,
    user_timeout: Option<Duration>,
    fast_open: bool,
}

impl Dialer {
    /// A dialer with the defaults.
    pub fn new() -> Self {
        Self {
            deadline: None.into(),
            attempt_delay: ATTEMPT_DELAY,
            local_addr: None,
            device: None,
            mark: None,
            keepalive: Some(KeepAlive::default()),
            user_timeout: None,
            fast_open: false,
        }
    }

    /// The deadline of each [`connect`](Self::connect), with the lookup of the name and all attempts: a
    /// duration from the call on, or a time. After it, no address is tried. It does not limit the
    /// connection. There is none by default; the kernel then gives up each attempt after about two minutes.
    pub fn deadline(mut self, deadline: impl Into<Deadline>) -> Self {
        self.deadline = deadline.into();
        self
    }

    /// How long an attempt may take before the next address is tried beside it: 250 ms by default. With
    /// [`Duration::MAX`], an address is tried only after those before it have failed.
    pub fn attempt_delay(mut self, delay: Duration) -> Self {
        self.attempt_delay = delay;
        self
    }

    /// The address that the connection begins at. With port 0, the system picks a port. The connect to an
    /// address of the other family fails.
    pub fn local_addr(mut self, address: SocketAddr) -> Self {
        self.local_addr = Some(address);
        self
    }

    /// `SO_BINDTODEVICE`: the connection uses the network device of this name alone.
    pub fn device(mut self, name: impl Into<String>) -> Self {
        self.device = Some(name.into());
        self
    }

    /// `SO_MARK`, which takes the capability `CAP_NET_ADMIN`.
    pub fn mark(mut self, mark: u32) -> Self {
        self.mark = Some(mark);
        self
    }

    /// The keep-alive probes. `None` turns them off.
    pub fn keepalive(mut self, keepalive: impl Into<Option<KeepAlive>>) -> Self {
        self.keepalive = keepalive.into();
        self
    }

    /// `TCP_USER_TIMEOUT`, rounded up to milliseconds: the kernel ends a connection with `ETIMEDOUT` if the
    /// peer has not acknowledged sent bytes, or the connect, for so long.
    pub fn user_timeout(mut self, timeout: Duration) -> Self {
        self.user_timeout = Some(timeout);
        self
    }

    /// `TCP_FASTOPEN_CONNECT`: if the peer gave a cookie to this system before, the connect returns at once,
    /// and the first write makes the connection. Such a connect wins against other addresses even if its
    /// peer does not answer.
    pub fn fast_open(mut self, on: bool) -> Self {
        self.fast_open = on;
        self
    }

    /// Looks up the name, if it is one, and connects to the first address that answers.
    ///
    /// # Errors
    ///
    /// - An [`OpError`] with the name that could not be looked up, or with the only address.
    /// - For several addresses, a [`DialError`] that lists them all.
    ///
    /// In either, [`is_deadline_exceeded`](crate::is_deadline_exceeded) is true if the deadline passed, and
    /// [`raw_os_error`](crate::raw_os_error) is the errno of the first address otherwise.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes its sockets.
    pub async fn connect(&self, addresses: impl ToSocketAddrs) -> io::Result<TcpStream> {
        self.connect_on(Reactor::global()?, addresses).await
    }

    /// [`connect`](Self::connect) with a reactor that the caller names. Deadline and delay are those of its
    /// clock.
    ///
    /// # Errors
    ///
    /// As for [`connect`](Self::connect).
    pub async fn connect_on(
        &self,
        reactor: &Reactor,
        addresses: impl ToSocketAddrs,
    ) -> io::Result<TcpStream> {
        let deadline = self.deadline.instant(reactor);
        let limit = deadline.map(|deadline| (reactor, deadline));
        let addresses = addresses.to_addresses().resolve(limit).await?;
        match &addresses[..] {
            [address] => {
                let connected = connect::to(self, reactor, address, deadline).await;
                connected.map_err(|error| OpError::wrap("connect", address, error))
            }
            _ => self.race(reactor, in_turn(addresses), deadline).await,
        }
    }

    /// Connects to the first address that answers. Each address is tried once.
    async fn race(
        &self,
        reactor: &Reactor,
        addresses: Vec<SocketAddr>,
        deadline: Option<Instant>,
    ) -> io::Result<TcpStream> {
        let timer = Timer::never(reactor)?;
        let mut attempts = FuturesUnordered::new();
        let mut failed = BTreeMap::new();
        let mut untried = addresses.into_iter().enumerate();
        loop {
            if let Some((index, address)) = untried.next() {
                attempts.push(async move {
                    (index, address, connect::to(self, reactor, &address, deadline).await)
                });
            } else if attempts.is_empty() {
                return Err(DialError { failed: failed.into_values().collect() }.into());
            }
            let next = reactor.now().checked_add(self.attempt_delay);
            timer.set(next.filter(|_| untried.len() > 0));
            let ended = poll_fn(|cx| match attempts.poll_next_unpin(cx) {
                Poll::Pending => timer.poll_fired(cx).map_ok(|()| None),
                ended => ended.map(Ok),
            });
            match ended.await? {
                Some((_, _, Ok(stream))) => return Ok(stream),
                Some((index, address, Err(error))) => drop(failed.insert(index, (address, error))),
                None => {}
            }
        }
    }

    /// A socket for a connection to `address`, with its options, and bound to the local address.
    pub(super) fn socket(&self, address: &SocketAddr) -> io::Result<OwnedFd> {
        let socket = sys::stream(address)?;
        let fd = socket.as_fd();
        let set = |option, result: io::Result<()>| {
            result.map_err(|error| OpError::wrap("set", option, error))
        };
        set("TCP_NODELAY", sys::set_nodelay(fd, true))?;
        set("SO_KEEPALIVE", sys::set_keepalive(fd, self.keepalive))?;
        if let Some(timeout) = self.user_timeout {
            set("TCP_USER_TIMEOUT", sys::set_user_timeout(fd, timeout))?;
        }
        if self.fast_open {
            set("TCP_FASTOPEN_CONNECT", sys::set_fast_open_connect(fd, true))?;
        }
        if let Some(mark) = self.mark {
            set("SO_MARK", sys::set_mark(fd, mark))?;
        }
        if let Some(device) = &self.device {
            set("SO_BINDTODEVICE", sys::bind_to_device(fd, Some(device.as_bytes())))?;
        }
        if let Some(local) = &self.local_addr {
            let bound = if local.is_ipv4() == address.is_ipv4() {
                sys::bind(fd, local)
            } else {
                Err(io::Error::new(io::ErrorKind::InvalidInput, "it is of the other family"))
            };
            bound.map_err(|error| OpError::wrap("bind", local, error))?;
        }
        Ok(socket)
    }

    /// Whether the system picks the port of the connection.
    pub(super) fn has_any_port(&self) -> bool {
        self.local_addr.is_none_or(|local| local.port() == 0)
    }
}

impl Default for Dialer {
    fn default() -> Self {
        Self::new()
    }
}

/// Alternates between the families, beginning with that of the first address (RFC 8305, section 4).
fn in_turn(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let is_v4 = addresses.first().is_some_and(SocketAddr::is_ipv4);
    let (first, second): (Vec<_>, Vec<_>) =
        addresses.into_iter().partition(|address| address.is_ipv4() == is_v4);
    let mut second = second.into_iter();
    let pairs = first.into_iter().flat_map(|address| [Some(address), second.next()]);
    let mut in_turn: Vec<_> = pairs.flatten().collect();
    in_turn.extend(second);
    in_turn
}

/// A connect to several addresses that has failed at each. It is the payload of an [`io::Error`], whose kind
/// is that of the [source](Error::source): the deadline, if it ended the connect, or else the error of the
/// first address.
///
/// ```
/// # fn main() -> std::io::Result<()> { netpoll_futures::block_on(async {
/// use netpoll_futures::{DialError, TcpStream};
///
/// # let taken = [std::net::UdpSocket::bind("127.0.0.1:0")?, std::net::UdpSocket::bind("127.0.0.1:0")?];
/// # let addresses = [taken[0].local_addr()?, taken[1].local_addr()?];
/// let error = TcpStream::connect(&addresses[..]).await.unwrap_err();
/// let dial = error.get_ref().unwrap().downcast_ref::<DialError>().unwrap();
/// for (address, error) in dial.failed() {
///     println!("{address}: {error}");
/// }
/// # Ok(()) }) }
/// ```
#[derive(Debug)]
pub struct DialError {
    /// Never empty. In the order in which the addresses were tried.
    failed: Vec<(SocketAddr, io::Error)>,
}

impl DialError {
    /// The addresses in the order in which they were tried, each with the error of its attempt. An address
    /// that the deadline left untried has [`DeadlineExceeded`](crate::DeadlineExceeded).
    pub fn failed(&self) -> impl Iterator<Item = (SocketAddr, &io::Error)> {
        self.failed.iter().map(|(address, error)| (*address, error))
    }

    fn cause(&self) -> &io::Error {
        let mut errors = self.failed.iter().map(|(_, error)| error);
        errors
            .clone()
            .find(|error| is_deadline_exceeded(error))
            .unwrap_or_else(|| errors.next().expect("at least two addresses"))
    }
}

/// One line: `connect [2001:db8::1]:80: deadline exceeded; 192.0.2.1:80: Connection refused (os error 111)`.
impl fmt::Display for DialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, (address, error)) in self.failed.iter().enumerate() {
            let before = if number == 0 { "connect " } else { "; " };
            write!(f, "{before}{address}: {error}")?;
        }
        Ok(())
    }
}

impl Error for DialError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(self.cause())
    }
}

impl From<DialError> for io::Error {
    fn from(error: DialError) -> Self {
        io::Error::new(error.cause().kind(), error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_alternate_beginning_with_the_first() {
        let order = |texts: &[&str]| {
            let addresses = texts.iter().map(|ip| SocketAddr::new(ip.parse().unwrap(), 1));
            let in_turn = in_turn(addresses.collect());
            in_turn.iter().map(|address| address.ip().to_string()).collect::<Vec<_>>()
        };
        let resolved = ["::1", "::2", "::3", "0.0.0.1", "0.0.0.2"];
        assert_eq!(order(&resolved), ["::1", "0.0.0.1", "::2", "0.0.0.2", "::3"]);
        let resolved = ["0.0.0.1", "::1", "::2", "::3"];
        assert_eq!(order(&resolved), ["0.0.0.1", "::1", "::2", "::3"]);
        assert_eq!(order(&["0.0.0.2", "0.0.0.1"]), ["0.0.0.2", "0.0.0.1"]);
    }
}
