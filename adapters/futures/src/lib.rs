//! Sockets with Go's deadlines, for any executor: TCP, UDP, Unix sockets, any other descriptor, and timers.
//!
//! The sockets use the `netpoll` reactor, and their methods have the names of async-net and tokio. They
//! need no runtime, no context and no feature flag, and work on any thread under any executor. Every
//! socket has `set_deadline`, `set_read_deadline` and `set_write_deadline` with the semantics of Go's
//! `net`, and a `close` that fails pending operations.
//!
//! ```
//! use std::time::{Duration, Instant};
//! use netpoll_futures::{TcpListener, TcpStream, is_deadline_exceeded};
//!
//! # fn main() -> std::io::Result<()> { netpoll_futures::block_on(async {
//! let listener = TcpListener::bind("127.0.0.1:0").await?;
//! let client = TcpStream::connect(listener.local_addr()?).await?;
//! let (server, _) = listener.accept().await?;
//!
//! // No byte arrives, so the read fails after 10 ms. The stream stays usable.
//! let mut buffer = [0; 16];
//! server.set_read_deadline(Some(Instant::now() + Duration::from_millis(10)))?;
//! let late = server.read(&mut buffer).await.unwrap_err();
//! assert!(is_deadline_exceeded(&late));
//!
//! server.set_read_deadline(None)?;
//! client.write_all(b"hello").await?;
//! assert_eq!(server.read(&mut buffer).await?, 5);
//! client.close().await
//! # }) }
//! ```
//!
//! # Types
//!
//! Streams, listeners and datagram sockets are one generic type, [`Socket`], which defines deadlines,
//! `readable`, `writable`, `close`, addresses and conversions for all of them.
//!
//! | type | `&self` | futures-io, for `T` and `&T` | deadlines | conversions |
//! | --- | --- | --- | --- | --- |
//! | [`TcpListener`] | [`accept`](TcpListener::accept), [`incoming`](TcpListener::incoming), [`into_incoming`](TcpListener::into_incoming), `poll_accept`, `try_accept` | | three | `TryFrom` std and `OwnedFd`, both ways; `AsFd` |
//! | [`TcpStream`] | `read`, `write`, `write_all`, `peek`, vectored, `try_*`, `poll_*`, `readable`, `writable` | `AsyncRead`, `AsyncWrite` | three | the same |
//! | [`UnixListener`] | as TCP's, and [`set_unlink_on_close`](UnixListener::set_unlink_on_close) | | three | the same |
//! | [`UnixStream`] | as TCP's, and [`pair`](UnixStream::pair), [`peer_cred`](UnixStream::peer_cred), [`send_with_fds`](UnixStream::send_with_fds), [`recv_with_fds`](UnixStream::recv_with_fds) | `AsyncRead`, `AsyncWrite` | three | the same |
//! | [`UdpSocket`], [`UnixDatagram`] | `recv`, `recv_from`, `recv_msg`, `peek`, `send`, `send_to`, `connect`, `try_*`, `poll_*`, `readable`, `writable` | | three | the same |
//! | [`Async<T>`](Async): any descriptor | `read_with`, `write_with`, `try_io`, `poll_*`, `readable`, `writable` | `AsyncRead`, `AsyncWrite` where std has `Read`, `Write` for `T`, `&T` | three | `TryFrom` std and `OwnedFd`; `From<Registration<T>>`; `AsFd` |
//! | [`Timer`] | | `Future`, `Stream` of `Instant` | | |
//! | [`Timeout`]: any future with a deadline, of [`timeout()`] and [`deadline()`] | | `Future` | its own | [`into_inner`](Timeout::into_inner) |
//! | [`Signals`], with the feature `signal` | `recv`, `poll_recv` | `Stream` of [`SignalKind`], for `T` and `&T` | | |
//! | [`TimeoutStream`]: a stream for servers of your own protocol | `read`, `write`, `write_all`, vectored, `poll_*` | `AsyncRead`, `AsyncWrite` | its own | [`into_inner`](TimeoutStream::into_inner) |
//!
//! [`Dialer`] makes TCP connections with options of their own, and [`ListenConfig`] listeners.
//!
//! Two more types for servers: [`Limit`] bounds the number of connections, and [`Backoff`] pauses an
//! accept loop when descriptors have run out. The example of [`TimeoutStream`] uses all three. For
//! HTTP, the server of `netpoll-hyper` has separate limits for heads, idle connections and responses.
//!
//! # Reactors
//!
//! Sockets belong to [`Reactor::global`], and a function that makes one also
//! fails with its error. The functions whose names end in `_on` take another reactor:
//! [`TcpListener::bind_on`], [`TcpStream::connect_on`], [`Socket::register_on`] for a socket that exists
//! already, [`Async::new_on`]. Such a socket uses its own reactor for all that it needs: the deadline of
//! the connect and of the lookup before it, the connections that it accepts, the end of a close. So a
//! test may turn an [embedded](netpoll::Builder::embedded) reactor itself, and move its clock:
//!
//! ```
//! use std::pin::pin;
//! use std::task::{Context, Poll, Waker};
//! use std::time::Duration;
//! use netpoll_futures::{Reactor, UnixStream, is_deadline_exceeded};
//!
//! # fn main() -> std::io::Result<()> {
//! let reactor = Reactor::builder().embedded().manual_clock().build()?;
//! let (near, _far) = UnixStream::pair_on(&reactor)?;
//! near.set_read_deadline(Duration::from_secs(3600))?;
//! let mut buffer = [0];
//! let mut read = pin!(near.read(&mut buffer));
//! let mut cx = Context::from_waker(Waker::noop());
//! assert!(read.as_mut().poll(&mut cx).is_pending());
//! reactor.advance(Duration::from_secs(3601));
//! reactor.turn(Some(Duration::ZERO))?;
//! let Poll::Ready(late) = read.poll(&mut cx) else { panic!("an hour is over") };
//! assert!(is_deadline_exceeded(&late.unwrap_err()));
//! # Ok(()) }
//! ```
//!
//! # Inherited listeners
//!
//! A listener that systemd, or an earlier instance of the server, passes to the process (`LISTEN_FDS`) becomes one of these by
//! the conversion from the standard library. The crate [`listenfd`](https://docs.rs/listenfd) checks the environment and the kind
//! of each socket, and makes the descriptors close-on-exec:
//!
//! ```
//! use listenfd::ListenFd;
//! use netpoll_futures::TcpListener;
//!
//! # fn main() -> std::io::Result<()> { netpoll_futures::block_on(async {
//! let listener = match ListenFd::from_env().take_tcp_listener(0)? {
//!     Some(inherited) => TcpListener::try_from(inherited)?,
//!     None => TcpListener::bind("127.0.0.1:0").await?,
//! };
//! # drop(listener);
//! # Ok(()) }) }
//! ```
//!
//! - The conversion makes the listener non-blocking, for all processes that share it. Other options of the listener stay as they are.
//!   Accepted connections have `TCP_NODELAY`: with `NoDelay=` of systemd they inherit it, else each accept sets it, by one system call. They
//!   have keep-alive probes only if the listener has (`KeepAlive=`).
//! - An error for a Unix socket where TCP is expected comes from `listenfd`: `fd 4 is not a valid tcp socket`. The conversion from
//!   an `OwnedFd` does not check the kind. A listener that is passed twice may be used twice.
//! - The file of an inherited Unix listener stays when the listener is closed.
//! - To execute itself anew without losing a connection, a server stops accepting, takes the listeners back
//!   (`OwnedFd::try_from`), finishes the connections that it has, and passes the listeners to the new program. Clients that connect
//!   meanwhile wait in the kernel's queue. An example is `tests/process/activation.rs`.
//!
//! # Errors
//!
//! An operation after its deadline fails with [`io::ErrorKind::TimedOut`](std::io::ErrorKind::TimedOut)
//! and [`DeadlineExceeded`] inside; an operation on a socket that was closed on this side fails with
//! [`Closed`]. Test with [`is_deadline_exceeded`] and [`is_closed`]; [`deadline_in`] finds a deadline in the error of a library
//! that owns the socket, and [`command_deadlines`] describes its effect there. An error of `bind`, `connect` and
//! `accept` names the operation and the address ([`OpError`]); [`raw_os_error`] finds the errno in it.
//! Reads and writes return system errors unchanged; receiving and sending datagrams adds the operation
//! and an address to them.
//!
//! # Many tasks, one socket
//!
//! Any number of tasks may use a socket at once. An event wakes all tasks that wait in its direction:
//! each tries again, and waits again if its call would block. There is no guaranteed order among them.
//!
//! The bytes of a `write_all` are contiguous, even if it has to wait midway. A stream has a write lock
//! for that: `write`, `write_all` and `poll_write` hold it during the write, and `try_write` fails with
//! `WouldBlock` while another writer holds it. A task that waits for the lock sees the write deadline,
//! `close` and a shutdown of the reactor. A write that waits for room holds the lock until its future
//! completes or is dropped: a future that is kept but not polled blocks the other writers of the
//! stream.
//!
//! # Events for tracing
//!
//! With the feature `tracing`, the sockets emit events for the crate of that name. The target is `netpoll`. The fields have
//! OpenTelemetry's names, and the same as other layers of a server where they have one (`error`, `latency`).
//!
//! | event | level | when | fields besides the addresses |
//! | --- | --- | --- | --- |
//! | `accepted` | debug | a listener has accepted a connection | |
//! | `connected`, `connect failed` | debug | a connect has ended, in a span `connect`; each attempt of a [`Dialer`] has its own, and one that lost a race has no event | `latency`; `error` |
//! | `closed` | debug | the descriptor of such a connection was closed, or given back | `duration`, since the first event |
//! | `deadline exceeded` | debug | an operation has failed with [`DeadlineExceeded`] | `direction`: `read` or `write` |
//! | `limit reached` | debug | an accept has found no free place in its [`Limit`] | `limit` |
//! | `back-off` | warn | an accept loop pauses ([`Backoff`]); without addresses | `error`, `pause` |
//!
//! The addresses: `network.transport` (`tcp`, `udp` or `unix`), `network.peer.address`, `network.peer.port`,
//! `network.local.address`, `network.local.port`. A Unix socket has a path for an address, and no port. A field without a
//! value is left out. An event whose level is disabled costs one load, and reads no address. An operation by
//! `try_*`, on an [`Async`] or on a [`registration`](Socket::registration) has no events. Of a [`TimeoutStream`] and of
//! netpoll-hyper's server, a deadline may be exceeded and the operation go on, since the peer has made progress.
#![doc = include_str!("differences.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

// rustdoc lists the methods of `Socket` in the order of these modules: how a socket is made comes first.
mod tcp;
mod udp;
mod unix;

mod datagram;
mod listener;
mod stream;

mod socket;

mod address;
mod any;
mod backoff;
mod blocking;
mod deadlines;
mod events;
mod io_traits;
mod limit;
mod linger;
mod partial;
#[doc(hidden)]
pub mod peer;
#[doc(hidden)]
pub mod per_process;
mod sealed;
#[cfg(feature = "signal")]
mod signal;
mod socket_file;
mod sync;
pub mod sys;
mod timeout;
mod timer;

#[cfg(doc)]
#[doc = include_str!("command_deadlines.md")]
pub mod command_deadlines {}

pub use address::{Addresses, ToSocketAddrs, resolve, try_each};
pub use any::{Async, Readable, ReadableOwned, Writable, WritableOwned};
pub use backoff::Backoff;
pub use datagram::{Datagram, Message};
pub use deadlines::Deadlines;
#[doc(hidden)]
pub use deadlines::SetDeadlines;
pub use limit::Limit;
pub use listener::{Incoming, IntoIncoming, Listener};
pub use netpoll::{
    Closed, Deadline, DeadlineExceeded, Direction, OpError, OwnsFd, Reactor, ReactorGone, block_on,
    deadline_in, fork_generation, is_closed, is_deadline_exceeded, raw_os_error, spawn_helper,
};
pub use partial::{PartialWrite, bytes_written};
pub use sealed::{Address, DatagramSocket, ListenerSocket, PeerSocket, StdSocket, StreamSocket};
#[cfg(feature = "signal")]
pub use signal::{SignalKind, Signals};
pub use socket::Socket;
pub use stream::{Stream, shutdown};
pub use sys::{Credentials, KeepAlive};
pub use tcp::{DialError, Dialer, ListenConfig, TcpListener, TcpStream};
pub use timeout::{TimeoutStream, Timeouts};
pub use timer::{Timeout, Timer, deadline, deadline_on, timeout, timeout_on};
pub use udp::UdpSocket;
pub use unix::{UnixDatagram, UnixListener, UnixStream};

#[cfg(doc)]
#[doc = include_str!("../EMBEDDING.md")]
pub mod embedding {}

/// Compiles the programs of that page.
#[cfg(doctest)]
#[doc = include_str!("../EMBEDDING.md")]
struct Embedding;

/// Compiles the programs of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
