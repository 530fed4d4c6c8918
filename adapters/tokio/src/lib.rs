//! tokio's sockets with Go's deadlines, over the netpoll reactor.
//!
//! [`net`] and [`io`] have the shape and the names of `tokio::net` and of `AsyncFd` in `tokio::io`. A program changes its `use` lines, and every socket gains `set_deadline`,
//! `set_read_deadline`, `set_write_deadline` and [`close`](Stream::close). The
//! streams implement tokio's own [`AsyncRead`](tokio::io::AsyncRead) and
//! [`AsyncWrite`](tokio::io::AsyncWrite), so libraries for these traits take them. `Interest` and `Ready` are tokio's own.
//!
//! ```
//! use std::time::{Duration, Instant};
//! use netpoll_tokio::is_deadline_exceeded;
//! use netpoll_tokio::net::{TcpListener, TcpStream};
//! use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
//!
//! # fn main() -> std::io::Result<()> {
//! let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
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
//!     // A peer that is silent for too long: the read fails.
//!     let reader = lines.get_ref().get_ref();
//!     reader.set_read_deadline(Some(Instant::now() + Duration::from_millis(10)))?;
//!     assert!(is_deadline_exceeded(&lines.next_line().await.unwrap_err()));
//!     writer.shutdown().await
//! })
//! # }
//! ```
//!
//! # Inside a runtime, and without one
//!
//! The sockets that are made in a runtime belong to a reactor of that runtime ([`reactor`]): tokio's I/O driver watches its
//! descriptor, and a task of the runtime makes its turns. So an event wakes its task without a switch to another thread.
//!
//! - The first socket makes the reactor. It ends with the runtime: operations on its sockets then fail with
//!   [`ReactorGone`], as tokio's operations fail.
//! - A socket may be used in another runtime, or in none. Its own runtime must run meanwhile, as with tokio's sockets: a
//!   current-thread runtime runs only inside its `block_on`.
//! - Deadlines follow tokio's clock where its time is enabled, `tokio::time::pause` and `advance` included.
//! - Where a runtime has no I/O (no `enable_io`) and outside of any runtime, the sockets work as well: they belong to the
//!   global reactor, which has a thread of its own. tokio says only by a panic that a runtime has no I/O. The first socket
//!   of each runtime causes it, and catches it before its message is printed. In a program that is built with
//!   `panic = "abort"`, a runtime without I/O therefore ends the program, as with tokio's sockets.
//!
//! Signals are tokio's own: `tokio::signal` works beside these sockets.
//!
//! Inside a tokio task, each operation that completes takes one
//! unit of the task's [budget](tokio::task::coop), as tokio's own operations do, so a task that always finds
//! data yields now and then. `try_*`, `readable`, `writable` and `ready` take none. As with
//! every operation under the budget, do not block a tokio task on another executor
//! (`futures::executor::block_on` inside `async`): once the budget is spent, the operation waits for the
//! task to yield.
//!
//! # Features
//!
//! None is on by default.
//!
//! | feature | adds |
//! | --- | --- |
//! | `axum` | `axum::serve` takes a [`TcpListener`](net::TcpListener#impl-Listener-for-Socket<S>) or a [`UnixListener`](net::UnixListener); `ConnectionInfo` has the peer's address and the deadlines of a connection, for axum's `ConnectInfo` |
//! | `tonic` | tonic's server takes the streams of [`into_incoming`](Listener::into_incoming) and finds the addresses of a connection |
//! | `codec` | `UdpFramed`, as tokio-util's, which takes tokio's own socket only. For streams, tokio-util's `Framed` takes ours |
//!
//! # Types
//!
//! | type | `AsyncRead` | `AsyncWrite` | deadlines, `close` | conversions |
//! | --- | --- | --- | --- | --- |
//! | [`TcpStream`](net::TcpStream), [`UnixStream`](net::UnixStream) | yes | yes, vectored | three, `close` | `from_std`, `into_std`, `TryFrom` std; `From` netpoll-futures' [`Stream`](netpoll_futures::Stream) and back; `AsFd`, `AsRawFd` |
//! | [`ReadHalf`](net::tcp::ReadHalf), [`unix::ReadHalf`](net::unix::ReadHalf) | yes | | `set_read_deadline` | `AsRef` to the stream |
//! | [`WriteHalf`](net::tcp::WriteHalf), [`unix::WriteHalf`](net::unix::WriteHalf) | | yes, vectored | `set_write_deadline` | `AsRef` to the stream |
//! | [`OwnedReadHalf`](net::tcp::OwnedReadHalf), [`unix::OwnedReadHalf`](net::unix::OwnedReadHalf) | yes | | `set_read_deadline` | `AsRef` to the stream, `reunite` |
//! | [`OwnedWriteHalf`](net::tcp::OwnedWriteHalf), [`unix::OwnedWriteHalf`](net::unix::OwnedWriteHalf) | | yes, vectored | `set_write_deadline` | `AsRef` to the stream, `reunite` |
//! | [`TcpListener`](net::TcpListener), [`UnixListener`](net::UnixListener) | | | three, `close` | `from_std`, `into_std`, `TryFrom` std; `From` netpoll-futures' [`Listener`](netpoll_futures::Listener) and back; `AsFd`, `AsRawFd` |
//! | [`UdpSocket`](net::UdpSocket), [`UnixDatagram`](net::UnixDatagram) | | | three, `close` | `from_std`, `into_std`, `TryFrom` std; `From` netpoll-futures' [`Datagram`](netpoll_futures::Datagram) and back; `AsFd`, `AsRawFd` |
//! | [`TcpSocket`](net::TcpSocket) | | | none: it is not registered yet | `From` `OwnedFd` and back, `from_std_stream`; `AsFd`, `AsRawFd`, `FromRawFd`, `IntoRawFd` |
//! | [`UnixSocket`](net::UnixSocket) | | | none: it is not registered yet | `From` `OwnedFd` and back; `AsFd`, `AsRawFd`, `FromRawFd`, `IntoRawFd` |
//! | [`TimeoutStream`] | yes | yes, vectored | its own, `close` | `new` of a stream, `into_inner` |
//! | [`Receiver`](net::unix::pipe::Receiver) | yes | | `set_read_deadline`, `close` | `from_file`, `from_owned_fd`, `into_blocking_fd`, `into_nonblocking_fd`; `AsFd`, `AsRawFd` |
//! | [`Sender`](net::unix::pipe::Sender) | | yes, vectored | `set_write_deadline`, `close` | as the receiver's |
//! | [`AsyncFd`](io::unix::AsyncFd) | | | three, `close` | `From` netpoll's [`Registration`], `into_inner`; `AsFd`, `AsRawFd` |
//!
//! The streams, their halves, the listeners and the datagram sockets are each one generic type;
//! the names in `net` are aliases. Everything of a table row that has deadlines, except the halves, has a handle that sets
//! them after a library has taken the object: [`Deadlines`]; an `AsyncFd` has it in an [`Arc`](std::sync::Arc).
//!
//! Parts for servers: [`Limit`] bounds the number of connections ([`set_limit`](Listener::set_limit)), [`Backoff`] makes the
//! pauses of an accept loop when descriptors have run out, and [`into_incoming`](Listener::into_incoming) is an accept loop
//! with both, as a stream.
//!
//! [`Dialer`](net::Dialer) and [`ListenConfig`](net::ListenConfig) make streams and listeners with further options; of several
//! addresses, a dialer takes the first that answers (RFC 8305).
//!
//! # Errors, order, cancel safety
//!
//! An operation after its deadline fails with [`TimedOut`](std::io::ErrorKind::TimedOut) and [`DeadlineExceeded`] inside; an
//! operation on a socket that was closed on this side fails with [`Closed`]. A system error is returned as tokio's calls return it, with its
//! `raw_os_error()`. The methods of the socket underneath ([`get_ref`](Stream::get_ref)) return the errors of
//! [`netpoll_futures`], with operation and address.
//!
//! An event wakes every task that waits for its direction of the socket; no order is promised among them.
//!
//! If the future of a wait, a `peek`, a receive, a send or an accept is dropped, the socket is unchanged. With tokio's
//! extension traits, the documentation of each method applies.
#![doc = include_str!("public.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

// rustdoc lists the methods of `Socket` in the order of these modules: how a socket is made comes first.
mod tcp;
mod tcp_socket;
mod udp;
mod unix;
mod unix_datagram;
mod unix_socket;

mod datagram;
mod halves;
mod listener;
mod stream;

mod socket;

mod async_fd;
#[cfg(feature = "axum")]
mod axum;
mod budget;
mod clock;
mod config;
mod forward;
mod io_traits;
mod limited;
mod pipe;
mod raw_fd;
mod read_buf;
mod ready;
mod runtime;
mod select_ready;
mod timeout;
#[cfg(feature = "tonic")]
mod tonic;
#[cfg(feature = "codec")]
mod udp_framed;

pub mod io;
pub mod net;

#[cfg(feature = "axum")]
pub use axum::ConnectionInfo;
pub use datagram::Datagram;
pub use halves::{OwnedReadHalf, OwnedWriteHalf, ReadHalf, ReuniteError, WriteHalf};
pub use limited::{deadline, timeout};
pub use listener::{IntoIncoming, Listener};
pub use netpoll::Registration;
pub use netpoll_futures::{
    Address, Backoff, Closed, DatagramSocket, Deadline, DeadlineExceeded, Deadlines, DialError,
    Direction, KeepAlive, Limit, ListenerSocket, OpError, OwnsFd, PartialWrite, PeerSocket,
    Reactor, ReactorGone, StdSocket, StreamSocket, Timeout, Timeouts, bytes_written, deadline_in,
    is_closed, is_deadline_exceeded, raw_os_error,
};
pub use runtime::reactor;
pub use socket::Socket;
pub use stream::Stream;
pub use timeout::TimeoutStream;
#[cfg(feature = "codec")]
pub use udp_framed::UdpFramed;

/// The programs of the README, which must compile.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
