//! tokio's sockets with Go's deadlines, over the netpoll reactor.
//!
//! [`net`] and [`io`] have the shape and the names of `tokio::net` and of what belongs to it in
//! `tokio::io`, so that a program changes its `use` lines and gains `set_deadline`,
//! `set_read_deadline`, `set_write_deadline` and [`close`](Stream::close) on every socket. The
//! streams have tokio's own [`AsyncRead`](tokio::io::AsyncRead) and
//! [`AsyncWrite`](tokio::io::AsyncWrite), and so fit all that is written for these.
//!
//! ```
//! use std::time::{Duration, Instant};
//! use netpoll_tokio::is_deadline_exceeded;
//! use netpoll_tokio::net::{TcpListener, TcpStream};
//! use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
//!
//! # fn main() -> std::io::Result<()> {
//! // No `enable_io`, no `enable_time`: the sockets bring their own.
//! let runtime = tokio::runtime::Builder::new_current_thread().build()?;
//! runtime.block_on(async {
//!     let listener = TcpListener::bind("127.0.0.1:0").await?;
//!     let mut client = TcpStream::connect(listener.local_addr()?).await?;
//!     let (server, _) = listener.accept().await?;
//!
//!     let (reader, mut writer) = server.into_split();
//!     let mut lines = BufReader::new(reader).lines();
//!     client.write_all(b"hello\nnot a whole li").await?;
//!     assert_eq!(lines.next_line().await?.as_deref(), Some("hello"));
//!
//!     // Whoever is silent for too long is hung up on.
//!     let reader = lines.get_ref().get_ref();
//!     reader.set_read_deadline(Some(Instant::now() + Duration::from_millis(10)))?;
//!     assert!(is_deadline_exceeded(&lines.next_line().await.unwrap_err()));
//!     writer.shutdown().await
//! })
//! # }
//! ```
//!
//! # Without a runtime, and inside one
//!
//! Nothing here needs a runtime: the sockets work on any thread, under any executor. Of tokio, only
//! the feature `rt` is asked for, which has no dependencies: the cooperative budget is there.
//!
//! Inside of a tokio task, each operation that is awaited or polled, and comes to its end, takes one
//! unit of the task's [budget](tokio::task::coop), as tokio's own do: a task that always finds
//! something to read yields now and then. `try_*`, `readable`, `writable` and `ready` take none. As with
//! everything that takes part in it, do not block a task of tokio's on another executor
//! (`futures::executor::block_on` inside of `async`): when the budget is used up, the operation waits for the
//! task to yield.
//!
//! # What is what
//!
//! | type | `AsyncRead` | `AsyncWrite` | deadlines, `close` | conversions |
//! | --- | --- | --- | --- | --- |
//! | [`net::TcpStream`], [`net::UnixStream`] | yes | yes, vectored | three, `close` | `from_std`, `into_std`, `TryFrom` std; `From` [`netpoll_futures::Stream`] and back; `AsFd`, `AsRawFd` |
//! | [`net::tcp::ReadHalf`], [`net::unix::ReadHalf`] | yes | | `set_read_deadline` | `AsRef` to the stream |
//! | [`net::tcp::WriteHalf`], [`net::unix::WriteHalf`] | | yes, vectored | `set_write_deadline` | `AsRef` to the stream |
//! | [`net::tcp::OwnedReadHalf`], [`net::unix::OwnedReadHalf`] | yes | | `set_read_deadline` | `AsRef` to the stream, `reunite` |
//! | [`net::tcp::OwnedWriteHalf`], [`net::unix::OwnedWriteHalf`] | | yes, vectored | `set_write_deadline` | `AsRef` to the stream, `reunite` |
//! | [`net::TcpListener`], [`net::UnixListener`] | | | three, `close` | `from_std`, `into_std`, `TryFrom` std; `From` [`netpoll_futures::Listener`] and back; `AsFd`, `AsRawFd` |
//! | [`net::UdpSocket`], [`net::UnixDatagram`] | | | three, `close` | `from_std`, `into_std`, `TryFrom` std; `From` [`netpoll_futures::Datagram`] and back; `AsFd`, `AsRawFd` |
//! | [`net::TcpSocket`] | | | it is not in the reactor's care yet | `From` `OwnedFd` and back, `from_std_stream`; `AsFd`, `AsRawFd`, `FromRawFd`, `IntoRawFd` |
//! | [`net::UnixSocket`] | | | it is not in the reactor's care yet | `From` `OwnedFd` and back; `AsFd`, `AsRawFd`, `FromRawFd`, `IntoRawFd` |
//! | [`net::unix::pipe::Receiver`] | yes | | `set_read_deadline`, `close` | `from_file`, `from_owned_fd`, `into_blocking_fd`, `into_nonblocking_fd`; `AsFd`, `AsRawFd` |
//! | [`net::unix::pipe::Sender`] | | yes, vectored | `set_write_deadline`, `close` | as the receiver's |
//! | [`io::unix::AsyncFd`] | | | three, `close` | `From` [`netpoll::Registration`], `into_inner`; `AsFd`, `AsRawFd` |
//!
//! The streams, their halves, the listeners and the datagram sockets are each one generic type here,
//! and what `net` names are aliases.
//!
//! # Errors
//!
//! A deadline is [`TimedOut`](std::io::ErrorKind::TimedOut) with [`DeadlineExceeded`] inside, and what was
//! closed on this side is [`Closed`]. Every error of the system comes as tokio's calls return it, with its
//! `raw_os_error()`; those of [`netpoll_futures`], with operation and address, are what
//! [`get_ref`](Stream::get_ref) leads to.
//!
//! Several tasks that wait for one socket are all woken by an event; no order is promised among them.
#![doc = include_str!("public.md")]

mod async_fd;
mod budget;
mod datagram;
mod interested;
mod listener;
mod pipe;
mod raw_fd;
mod ready;
mod stream;
mod tcp;
mod uninit;
mod unix;
mod unix_socket;

pub mod io;
pub mod net;

pub use datagram::Datagram;
pub use listener::Listener;
pub use netpoll_futures::{
    Closed, DatagramSocket, DeadlineExceeded, ListenerSocket, OpError, ReactorGone, StreamSocket,
    bytes_written, is_closed, is_deadline_exceeded, raw_os_error,
};
pub use stream::{OwnedReadHalf, OwnedWriteHalf, ReadHalf, ReuniteError, Stream, WriteHalf};

/// The programs of the README, which must compile.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
