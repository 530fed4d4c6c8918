//! hyper over the netpoll reactor, under any executor.
//!
//! hyper has no I/O, timers or tasks of its own: its traits name the ones that it needs. This crate implements
//! them for the sockets of `netpoll-futures`, without a runtime: [`Io`], [`Timer`] and [`Executor`], for clients and
//! servers. Its [`Server`] also sets deadlines on every connection.
//!
//! # Types
//!
//! | type | implements | |
//! | --- | --- | --- |
//! | [`Io`] | [`Read`](hyper::rt::Read) into hyper's uninitialised buffer, [`Write`](hyper::rt::Write) with vectored writes; `From` a stream | TCP, Unix, and any stream of futures-io, as of TLS |
//! | [`ServedIo`] | the same, for the server | the connection inside `Upgraded` |
//! | [`ServedStream`] | the traits of futures-io, with the server's deadlines | the connection beneath TLS |
//! | [`Timer`] | [`hyper::rt::Timer`], `reset` in place | of a reactor |
//! | [`Sleep`] | [`hyper::rt::Sleep`], [`Future`] | never early |
//! | `Connector` | `tower_service::Service<Uri>` | for hyper-util's pooled client, with the feature `connector` |
//! | [`Executor`] | [`hyper::rt::Executor`] for every future that is `Send` | over a closure, or a `Spawn` of futures |
//! | [`LeastRate`] | [`hyper::body::Body`] | a body that fails if its peer sends it too slowly |
//! | [`Server`] | | accepts, serves, and shuts down gracefully |
//!
//! # A client
//!
//! ```
//! use hyper::Request;
//! use netpoll_futures::TcpStream;
//! use netpoll_hyper::{BoxError, Io};
//! # use std::convert::Infallible;
//! # use hyper::{Response, service::service_fn};
//! # use netpoll_hyper::{Executor, Server};
//!
//! # fn main() -> Result<(), BoxError> { smol::block_on(async {
//! # let listener = netpoll_futures::TcpListener::bind("127.0.0.1:0").await?;
//! # let address = listener.local_addr()?;
//! # let server = Server::new(Executor::new(|task| smol::spawn(task).detach()));
//! # let _serving = smol::spawn(async move {
//! #     let answer = || async { Ok::<_, Infallible>(Response::new("hello".to_owned())) };
//! #     server.serve(&listener, |_| service_fn(move |_| answer())).await
//! # });
//! let stream = TcpStream::connect(address).await?;
//! let (mut sender, connection) = hyper::client::conn::http1::handshake(Io::new(stream)).await?;
//! smol::spawn(connection).detach();
//!
//! let request = Request::get("/").header("host", "localhost").body(String::new())?;
//! let answer = sender.send_request(request).await?;
//! assert_eq!(answer.status(), 200);
//! # Ok(()) }) }
//! ```
//!
//! For a server see [`Server`], and [`server`] for the meaning of its deadlines.
//!
//! # Features
//!
//! `server` ([`Server`]), `client` (hyper's client), `connector` (`Connector`), `http1` and `http2` (the versions of
//! HTTP). `server`, `http1` and `http2` are enabled by default. [`Io`], [`Timer`] and [`Executor`] need none of them.
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(all(feature = "connector", any(feature = "http1", feature = "http2")))]
mod connector;
mod executor;
mod io;
mod least_rate;
mod read_buf;
#[cfg(all(feature = "server", any(feature = "http1", feature = "http2")))]
pub mod server;
mod timer;
#[cfg(any(feature = "http1", feature = "http2"))]
mod version;

#[cfg(all(feature = "connector", any(feature = "http1", feature = "http2")))]
pub use connector::{Connector, ConnectorIo};
pub use executor::{Executor, Task};
pub use io::Io;
pub use least_rate::LeastRate;
pub use netpoll_futures::deadline_in;
#[cfg(all(feature = "server", any(feature = "http1", feature = "http2")))]
pub use server::{BoxError, Deadline, Deadlines, End, ServedIo, ServedStream, Server};
pub use timer::{Sleep, Timer};
#[cfg(any(feature = "http1", feature = "http2"))]
pub use version::Version;

/// The programs of the README, which run.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
