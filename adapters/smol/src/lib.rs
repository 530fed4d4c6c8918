//! smol's shape, over the netpoll reactor.
//!
//! With one changed line, `use netpoll_smol as smol;`, a program for smol runs on this reactor
//! instead of async-io's. Every socket then has `set_deadline`, `set_read_deadline` and
//! `set_write_deadline`, with the semantics of Go's `net`.
//!
//! ```
//! use netpoll_smol as smol;
//! use smol::{io, net, prelude::*};
//! use std::time::{Duration, Instant};
//!
//! fn main() -> io::Result<()> {
//!     smol::block_on(async {
//!         let listener = net::TcpListener::bind("127.0.0.1:0").await?;
//!         let mut client = net::TcpStream::connect(listener.local_addr()?).await?;
//!         let (mut server, _) = listener.accept().await?;
//!
//!         let echo = smol::spawn(async move {
//!             let mut line = [0; 6];
//!             server.read_exact(&mut line).await?;
//!             server.write_all(&line).await
//!         });
//!         client.write_all(b"hello\n").await?;
//!         let mut line = [0; 6];
//!         client.set_read_deadline(Some(Instant::now() + Duration::from_secs(5)))?;
//!         client.read_exact(&mut line).await?;
//!         assert_eq!(&line, b"hello\n");
//!         echo.await
//!     })
//! }
//! ```
//!
//! # Modules and types
//!
//! | item | from |
//! | --- | --- |
//! | [`block_on`], [`spawn`] | this crate: their threads turn the reactor while they have no task to run |
//! | [`net`], [`Async`], [`Timer`], [`timeout()`], [`deadline()`]; for servers [`Limit`], [`Backoff`], [`TimeoutStream`], [`Signals`] | `netpoll-futures` |
//! | [`Executor`], [`LocalExecutor`], [`Task`] | async-executor |
//! | [`channel`], [`lock`], [`fs`], [`unblock`], [`Unblock`] | async-channel, async-lock, async-fs, blocking |
//! | [`future`], [`io`], [`stream`], [`prelude`], [`pin!`], [`ready!`] | futures-lite |
//! | [`process`] | async-process, which uses async-io's reactor for the pipes of a process |
//!
//! | type | traits |
//! | --- | --- |
//! | [`net::TcpStream`], [`net::unix::UnixStream`] | `AsyncRead`, `AsyncWrite`, `Clone`, `AsFd`, `AsRawFd`, `TryFrom` std and `OwnedFd`, and both ways `From` the stream of `netpoll-futures` |
//! | [`net::TcpListener`], [`net::unix::UnixListener`] | `Clone`, `AsFd`, `AsRawFd`, `TryFrom` std and `OwnedFd`, and both ways `From` the listener of `netpoll-futures` |
//! | [`net::UdpSocket`], [`net::unix::UnixDatagram`] | `Clone`, `AsFd`, `AsRawFd`, `TryFrom` std and `OwnedFd`, and both ways `From` the socket of `netpoll-futures` |
//! | [`net::Incoming`], [`net::IntoIncoming`] | `Stream` |
//!
//! # Differences from smol
//!
//! - `close` of a stream is `AsyncWriteExt::close`, as in smol: it shuts down writing. The full close, which fails
//!   pending operations of every clone, is [`close_socket`](net::Socket::close_socket) of every socket.
//! - Further methods of a socket, such as `set_linger`, are those of `get_ref()`.
#![doc = include_str!("public.md")]

pub mod net;
mod spawn;

#[doc(inline)]
pub use {async_channel as channel, async_fs as fs, async_lock as lock, async_process as process};
#[doc(inline)]
pub use {
    async_executor::{Executor, LocalExecutor, Task},
    blocking::{Unblock, unblock},
    futures_lite::{future, io, pin, prelude, ready, stream},
    netpoll_futures::block_on,
    spawn::spawn,
};

pub use netpoll_futures::{
    Async, Backoff, Closed, Deadline, DeadlineExceeded, Deadlines, Limit, Readable, ReadableOwned,
    SignalKind, Signals, Timeout, TimeoutStream, Timeouts, Timer, Writable, WritableOwned,
    deadline, deadline_in, is_closed, is_deadline_exceeded, timeout,
};

/// The programs of the README, which must compile.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
