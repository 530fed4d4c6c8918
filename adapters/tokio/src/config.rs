//! The dialer and the configuration of listeners of netpoll-futures, for the sockets of this crate.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use netpoll::Deadline;
use netpoll_futures::{KeepAlive, ToSocketAddrs};

use crate::runtime::reactor;
use crate::tcp::{TcpListener, TcpStream};

/// Makes TCP connections with options of their own, and to the first of several addresses that answers (RFC 8305). See
/// [`netpoll_futures::Dialer`].
///
/// ```
/// use std::time::Duration;
/// use netpoll_tokio::net::{Dialer, TcpListener};
///
/// # fn main() -> std::io::Result<()> { netpoll::block_on(async {
/// let listener = TcpListener::bind("127.0.0.1:0").await?;
/// let dialer = Dialer::new().deadline(Duration::from_secs(10));
/// let stream = dialer.connect(("localhost", listener.local_addr()?.port())).await?;
/// # drop(stream); Ok(()) }) }
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "a dialer does nothing until it connects"]
pub struct Dialer(netpoll_futures::Dialer);

/// Makes TCP listeners with options of their own. See [`netpoll_futures::ListenConfig`].
///
/// ```
/// use netpoll_tokio::net::ListenConfig;
///
/// # fn main() -> std::io::Result<()> { netpoll::block_on(async {
/// let listener = ListenConfig::new().backlog(4096).reuse_port(true).bind("127.0.0.1:0").await?;
/// # drop(listener); Ok(()) }) }
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "a configuration does nothing until it binds"]
pub struct ListenConfig(netpoll_futures::ListenConfig);

/// Setters that call those of the type inside.
macro_rules! setters {
    ($type:ident: $(fn $name:ident($arg:ident: $arg_type:ty);)+) => {
        impl $type {
            /// The defaults.
            pub fn new() -> Self {
                Self::default()
            }

            $(
                #[doc = concat!("See [`netpoll_futures::", stringify!($type), "::", stringify!($name), "`].")]
                pub fn $name(self, $arg: $arg_type) -> Self {
                    Self(self.0.$name($arg))
                }
            )+
        }
    };
}

setters! { Dialer:
    fn deadline(deadline: impl Into<Deadline>);
    fn attempt_delay(delay: Duration);
    fn local_addr(address: SocketAddr);
    fn device(name: impl Into<String>);
    fn mark(mark: u32);
    fn keepalive(keepalive: impl Into<Option<KeepAlive>>);
    fn user_timeout(timeout: Duration);
    fn fast_open(on: bool);
}

setters! { ListenConfig:
    fn backlog(backlog: u32);
    fn reuse_address(on: bool);
    fn reuse_port(on: bool);
    fn only_v6(on: bool);
    fn fast_open(queue: u32);
}

impl Dialer {
    /// Looks up the name, if it is one, and connects to the first address that answers.
    ///
    /// # Errors
    ///
    /// As for [`netpoll_futures::Dialer::connect`]: with operation and address, and a list of the addresses if there are
    /// several.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes its sockets.
    pub async fn connect(&self, addresses: impl ToSocketAddrs) -> io::Result<TcpStream> {
        self.0.connect_on(&reactor()?, addresses).await.map(Into::into)
    }
}

impl ListenConfig {
    /// Binds to the first address that can be bound, and listens.
    ///
    /// # Errors
    ///
    /// As for [`netpoll_futures::TcpListener::bind`]: with operation and address.
    pub async fn bind(&self, addresses: impl ToSocketAddrs) -> io::Result<TcpListener> {
        self.0.bind_on(&reactor()?, addresses).await.map(Into::into)
    }
}
