//! async-net's interface over the netpoll reactor.
//!
//! A program that uses `smol::net`, or async-net itself, and has `adapters/async-io` in place of async-io runs on netpoll's
//! reactor already. With this crate beside it, a TCP connection also makes no more system calls than netpoll's own sockets:
//!
//! ```toml
//! [patch.crates-io]
//! async-io = { path = "netpoll/adapters/async-io" }
//! async-net = { path = "netpoll/adapters/async-net" }
//! ```
//!
//! Its code stays as it is. Every socket then also has Go's deadlines and close:
//!
//! ```
//! use std::time::Duration;
//! use async_net::{TcpListener, TcpStream, is_deadline_exceeded};
//! use futures_lite::{AsyncReadExt, AsyncWriteExt};
//!
//! # fn main() -> std::io::Result<()> { async_io::block_on(async {
//! let listener = TcpListener::bind("127.0.0.1:0").await?;
//! let mut client = TcpStream::connect(listener.local_addr()?).await?;
//! let (mut server, _) = listener.accept().await?;
//!
//! // No byte arrives, so the read fails after 10 ms.
//! client.set_read_deadline(Duration::from_millis(10))?;
//! let late = client.read(&mut [0]).await.unwrap_err();
//! assert!(is_deadline_exceeded(&late));
//!
//! client.set_read_deadline(None)?;
//! server.write_all(b"x").await?;
//! assert_eq!(client.read(&mut [0]).await?, 1);
//! # Ok(()) }) }
//! ```
//!
//! # Why async-net itself costs more
//!
//! async-net reads by the standard library, outside of the reactor, and only then waits for readiness. async-io's waits are
//! level-triggered: a second wait ends as well while bytes are left. The reactor sees no read, so each wait must ask the
//! kernel, by `poll(2)` here and by `epoll_ctl(2)` in async-io, and it cannot keep async-net from its read before the wait.
//! Here the reactor makes the reads, so it knows when the socket is drained. System calls for each echo, by `strace -f -c` of a
//! TCP server in `smol::block_on` with one connection, whose client waits 2 ms before each of 2,000 messages:
//!
//! | | async-io, async-net | `adapters/async-io`, async-net | both adapters |
//! | --- | ---: | ---: | ---: |
//! | `recv`, `send` | 2, 1 | 2, 1 | 1, 1 |
//! | `epoll_wait` | 1 | 1 | 1 |
//! | `epoll_ctl` | 3 | 0 | 0 |
//! | `poll` | 0 | 1 | 0 |
//! | `read` of an eventfd | 1 | 0 | 0 |
//!
//! # As in async-net
//!
//! - The items, their names and arguments, and the conversions from and to [`Async`](async_io::Async) and `Arc<Async<_>>`.
//! - Errors are those of the system, unchanged.
//! - A connection has the options that the system gives it: no `TCP_NODELAY`, no keep-alive probes.
//! - A clone is the same socket, and the last one closes it.
//! - `AsyncWriteExt::close` shuts down writing.
//!
//! # Differences from async-net
//!
//! | | in async-net | here |
//! | --- | --- | --- |
//! | systems | many | Linux |
//! | oldest Rust | 1.63 | 1.88 |
//! | deadlines and close | | [`Socket::set_deadline`] and its kin, [`Socket::close_socket`] |
//! | the types | a struct each | aliases of [`Socket`] and of [`Connections`] |
//! | a read of a TCP stream | makes an attempt at each poll | makes one when the reactor has seen bytes: the first poll may be pending although they have just arrived, and in a forked child, which sees no event, it fails with `ReactorGone` |
//! | a TCP stream that always has bytes | is read without a pause | yields to other tasks once in 128 operations |
//! | [`UdpSocket::peek_from`](Socket::peek_from) without a datagram | fails with `WouldBlock` | waits for one |
//! | [`AsyncToSocketAddrs`] | is sealed | is open, and arrays have it; a scope may be an interface's name |
//!
//! Those of async-io's adapter apply as well.

mod listener;
mod socket;
mod stream;
mod tcp;
mod udp;
pub mod unix;

use std::io;

#[doc(no_inline)]
pub use std::net::{
    AddrParseError, IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, SocketAddrV4, SocketAddrV6,
};

pub use async_io::{
    Closed, Deadline, DeadlineExceeded, Deadlines, deadline_in, is_closed, is_deadline_exceeded,
};
pub use netpoll_futures::ToSocketAddrs as AsyncToSocketAddrs;

pub use listener::Connections;
pub use socket::Socket;
pub use tcp::{Incoming, TcpListener, TcpStream};
pub use udp::UdpSocket;

/// Resolves names to addresses. An empty list gives an empty list.
///
/// # Errors
///
/// The error of the lookup.
pub async fn resolve<A: AsyncToSocketAddrs>(addr: A) -> io::Result<Vec<SocketAddr>> {
    netpoll_futures::resolve(addr).await.map_err(netpoll_futures::OpError::strip)
}

/// The programs of the README, which must compile.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
