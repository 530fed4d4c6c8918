//! The server: it accepts connections, sets the deadlines of each, and shuts down gracefully.
//!
//! # Deadlines
//!
//! Each limit is a deadline of the socket, which an event sets. No task polls a timer: when a deadline passes, the
//! socket wakes the connection's task, whatever that task waits for. (Only the limit of a whole request is a timer, which the request's
//! task polls.) At each moment one of these limits holds:
//!
//! | the connection | limit | begins with |
//! | --- | --- | --- |
//! | is in the [handshake](Server::serve_with) of TLS | [`handshake`](Deadlines::handshake), for the whole handshake | the accept |
//! | waits for the head of a request | [`header`](Deadlines::header), for the whole head | the accept or the end of the handshake, for the first head. For a later head of HTTP/1: its first byte that is not CR or LF |
//! | has requests in flight | [`request`](Deadlines::request), for each whole request to the end of its response, beside the limit for writes. None by default | the call of the service |
//! | is idle | [`idle`](Deadlines::idle) | the end of the last response, or the last byte of a request's body that arrives after its response |
//! | has data to write and no room | [`write_stall`](Deadlines::write_stall) with [`write_rate`](Deadlines::write_rate), at most twice that | the wait, and each period in which the peer took the bytes of the least rate. This limit replaces the idle limit |
//!
//! - **A deadline measures the peer's progress**, not the moment at which the server runs. Before the server closes a
//!   connection, it reads the bytes that have arrived and writes where there is room. So it serves a request that
//!   arrived in time, however long the server's thread was busy.
//! - **In flight** is a request from the end of its head until the kernel has the last byte of the response's body, or
//!   hyper has dropped the body.
//! - **A request that is late** gets the response 408, if its service has not answered. With HTTP/1 its connection closes then. With HTTP/2
//!   its stream ends, and the connection continues. A response that has begun ends incomplete. The time of the service counts.
//! - **The size of a request's body** has no limit of the server. A service limits it by `http_body_util::Limited` (in axum by
//!   `DefaultBodyLimit`), and answers 413.
//! - **The rate of a request's body** has no limit of the server either: a service sets it by [`LeastRate`](crate::LeastRate), for the requests
//!   that it chooses. The server cannot set it: silence on the socket does not show whether the client is slow. hyper reads an HTTP/1
//!   connection also after the body has ended. A silent HTTP/2 client may be waiting for the service to read, or, in a stream of
//!   gRPC, have nothing to send.
//! - **After the response**, the rest of the request's body may still arrive. Each byte of it renews the idle
//!   deadline. With HTTP/1, a service that keeps the body without reading it keeps the connection, since hyper then
//!   does not read either. With HTTP/2, its client must be able to send a byte within the idle limit.
//! - **TLS**: the deadlines are those of the socket beneath. A byte of a request or a response is progress, and a record of TLS without
//!   such a byte is none. No byte renews the limit of a handshake.
//! - **Progress** is progress of a request, a response or a body. A ping or its reply, a window update and an empty
//!   line between two requests renew no deadline.
//! - **Acknowledged** means by the peer's system, or on a Unix socket that the peer has read it. So a peer that
//!   reads at the least rate has not stalled, even if the socket never has room. (Acknowledgements cover whole segments: a
//!   limit below the time for a few segments is too short.)
//! - **The least rate** counts the bytes that the peer takes while a response waits for it. With HTTP/2 the peer takes the bytes for which
//!   it opens windows. Time in which the service has no data does not count.
//! - **A connection that has stalled is reset**, so that the kernel discards the bytes that the peer has not taken, instead of keeping
//!   them for minutes.
//! - **HTTP/2**: the header limit is for the first request only; later heads have the idle limit. A client that
//!   opens no window for a response stalls like one that acknowledges nothing. Before the server closes a
//!   connection because of a deadline, it sends a GOAWAY, serves the requests that cross it, and closes when the client
//!   has replied, or one second after the last progress. (If the socket has no room, the server sends no GOAWAY.)
//! - **Upgrades**: after a 101 response, or a successful response to CONNECT, the limit of its request ends, and the only deadlines
//!   are those that the new owner of the connection sets ([`ServedIo::into_inner`]). With HTTP/2, where
//!   CONNECT opens a tunnel in one stream, the connection is never idle from then on, and its other streams keep
//!   their limits.
//!
//! While the server has a connection, only the server may set deadlines of its stream.
//!
//! # Shutdown
//!
//! [`Server::shutdown`] lets requests in flight finish, including a request that has arrived and that the server has
//! not read yet, also on a connection that still waits to be accepted (up to 4,096 of them, and up to
//! [`max_connections`](Server::max_connections)). Their HTTP/1 responses have `Connection: close`, so the first request of a pipeline is the
//! last that is served. Every other connection closes at once: in a handshake, without a request, with an incomplete head or frame, between
//! two requests. A client of HTTP/2 gets a GOAWAY and one second to reply; a body that still arrives after
//! its response continues while each byte arrives within one second.
//!
//! A connection that a service has taken over (`hyper::upgrade::on`, for WebSocket or CONNECT) is one of the server's until its
//! `Upgraded` is dropped. The server waits for it. Its task learns of the shutdown by [`Server::shutting_down`], and when
//! the server is closed, its operations fail with [`Closed`](netpoll::Closed).
//!
//! ```
//! use std::convert::Infallible;
//! use std::time::Duration;
//! # use hyper::Response;
//! use hyper::service::service_fn;
//! use netpoll_futures::{SignalKind, Signals, TcpListener};
//! use netpoll_hyper::{Executor, Server};
//!
//! # fn main() -> std::io::Result<()> {
//! smol::block_on(async {
//!     let listener = TcpListener::bind("127.0.0.1:0").await?;
//!     let signals = Signals::new([SignalKind::interrupt(), SignalKind::terminate()])?;
//!     let server = Server::new(Executor::new(|task| smol::spawn(task).detach()));
//! #   let hello = |_| async { Ok::<_, Infallible>(Response::new("hello".to_owned())) };
//!     let serving = smol::spawn({
//!         let server = server.clone();
//!         async move { server.serve(&listener, |_peer| service_fn(hello)).await }
//!     });
//! #   std::process::Command::new("sh").args(["-c", "kill -TERM $PPID"]).status()?;
//!
//!     // Until `systemctl stop`, `docker stop` or Ctrl-C.
//!     signals.recv().await?;
//!     let cut_off = server.shutdown_within(Duration::from_secs(10)).await;
//!     println!("{cut_off} connections had not finished");
//!     serving.await
//! })
//! # }
//! ```
//!
//! # Fork
//!
//! A server belongs to the process that made it. In a forked child, [`serve`](Server::serve) fails with
//! [`ReactorGone`](netpoll::ReactorGone), a connection ends, and the other methods see a server without
//! connections. hyper's own objects (senders, bodies, connections of HTTP/2) have locks of their own, so a child must
//! not use those that it inherits.

mod connection;
mod connections;
mod deadlines;
#[cfg(all(feature = "http1", feature = "http2"))]
mod detect;
#[cfg(feature = "http2")]
mod frames;
#[cfg(feature = "http1")]
mod head_timer;
mod io;
mod progress;
mod service;

use std::error::Error;
use std::fmt;
use std::future::{pending, poll_fn};
use std::io::Result;
use std::iter;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{Either, select};
use futures_util::io::{AsyncRead, AsyncWrite};
use hyper::body::{Body, Incoming};
#[cfg(feature = "http1")]
use hyper::server::conn::http1;
#[cfg(feature = "http2")]
use hyper::server::conn::http2;
use hyper::service::Service;
use hyper::{Request, Response};
use netpoll::{Direction, Timer};
use netpoll_futures::{Backoff, Limit, Listener, ListenerSocket, Stream, StreamSocket};

use crate::Executor;
use connection::{Accepted, until_shutdown};
use connections::{ConnectionGuard, Connections, Role, ShutdownPhase};

pub use crate::Version;
pub use connection::End;
pub use deadlines::{Deadline, Deadlines};
pub use io::{ServedIo, ServedStream};

/// The number of connections that the server accepts after its shutdown began, at most: as many as the kernel queues
/// by default (`net.core.somaxconn`).
const MAX_QUEUED: usize = 4096;

/// The error of services and bodies.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// A server: it accepts connections, and spawns a task for each, in which hyper serves the connection.
///
/// It serves an axum `Router` as well, under any executor: the README of this crate has the program.
///
/// Clones are the same server: it may serve several listeners at once, and any clone shuts it down.
/// A setting affects the clone on which it is made, and later clones of that clone.
///
/// ```
/// use std::convert::Infallible;
/// use hyper::body::{Bytes, Incoming};
/// use hyper::{Request, Response, service::service_fn};
/// use netpoll_futures::{TcpListener, TcpStream};
/// use netpoll_hyper::{Executor, Server};
///
/// async fn hello(_: Request<Incoming>) -> Result<Response<String>, Infallible> {
///     Ok(Response::new("hello".to_owned()))
/// }
///
/// # fn main() -> std::io::Result<()> {
/// smol::block_on(async {
///     let listener = TcpListener::bind("127.0.0.1:0").await?;
///     let address = listener.local_addr()?;
///     let server = Server::new(Executor::new(|task| smol::spawn(task).detach()));
///     let serving = smol::spawn({
///         let server = server.clone();
///         async move { server.serve(&listener, |_peer| service_fn(hello)).await }
///     });
///
///     let client = TcpStream::connect(address).await?;
///     client.write_all(b"GET / HTTP/1.1\r\nhost: here\r\nconnection: close\r\n\r\n").await?;
///     let mut answer = Vec::new();
///     let mut buffer = [0; 1024];
///     while let count @ 1.. = client.read(&mut buffer).await? {
///         answer.extend_from_slice(&buffer[..count]);
///     }
///     assert!(answer.starts_with(b"HTTP/1.1 200 OK\r\n"));
///     assert!(answer.ends_with(b"\r\n\r\nhello"));
///
///     server.shutdown();
///     serving.await
/// })
/// # }
/// ```
#[derive(Clone)]
pub struct Server {
    settings: Arc<Settings>,
    connections: Arc<Connections>,
    executor: Executor,
}

#[derive(Clone)]
struct Settings {
    deadlines: Deadlines,
    limit: Option<Limit>,
    /// `None` to detect it.
    version: Option<Version>,
    #[cfg(feature = "http1")]
    http1: http1::Builder,
    #[cfg(feature = "http2")]
    http2: http2::Builder<Executor>,
    on_end: Arc<dyn Fn(&End) + Send + Sync>,
}

impl Server {
    /// A server with the default [`Deadlines`] and any number of connections. It detects the version of HTTP
    /// from the first bytes of each connection.
    #[must_use]
    pub fn new(executor: Executor) -> Self {
        let settings = Settings {
            deadlines: Deadlines::default(),
            limit: None,
            version: None,
            #[cfg(feature = "http1")]
            http1: http1::Builder::new(),
            #[cfg(feature = "http2")]
            http2: http2::Builder::new(executor.clone()),
            on_end: Arc::new(|_| {}),
        };
        Self { settings: Arc::new(settings), connections: Connections::new(), executor }
    }

    /// Sets the limits of every connection.
    #[must_use]
    pub fn deadlines(mut self, deadlines: Deadlines) -> Self {
        self.set().deadlines = deadlines;
        self
    }

    /// Limits the number of connections at once, over all listeners that the server [serves](Self::serve).
    /// At the limit the server accepts none until one ends: further clients wait in the kernel's
    /// queue. The limit is a [`Limit`] of the listeners, which keep it. So an upgraded connection counts
    /// while it is open, and a connection of your own accept loop does not count.
    ///
    /// # Panics
    ///
    /// If `max` is zero.
    #[must_use]
    pub fn max_connections(mut self, max: usize) -> Self {
        self.set().limit = Some(Limit::new(max));
        self
    }

    /// Speaks one version only, without detection.
    #[must_use]
    pub fn only(mut self, version: Version) -> Self {
        self.set().version = Some(version);
        self
    }

    /// Sets hyper's options for HTTP/1. `timer` and `header_read_timeout` have no effect: the server sets them
    /// for each connection, and [`Deadlines::header`] is the limit.
    #[cfg(feature = "http1")]
    #[must_use]
    pub fn http1(mut self, options: impl FnOnce(&mut http1::Builder)) -> Self {
        options(&mut self.set().http1);
        self
    }

    /// Sets hyper's options for HTTP/2. `timer` has no effect: each connection has one of its own reactor.
    #[cfg(feature = "http2")]
    #[must_use]
    pub fn http2(mut self, options: impl FnOnce(&mut http2::Builder<Executor>)) -> Self {
        options(&mut self.set().http2);
        self
    }

    /// Calls `on_end` after each connection, for logs or statistics: also if a service panics in the
    /// connection's task, or the task is dropped.
    #[must_use]
    pub fn on_end(mut self, on_end: impl Fn(&End) + Send + Sync + 'static) -> Self {
        self.set().on_end = Arc::new(on_end);
        self
    }

    fn set(&mut self) -> &mut Settings {
        Arc::make_mut(&mut self.settings)
    }

    /// Accepts connections until the server is [shut down](Self::shutdown), then closes the
    /// listener and waits until the last connection, of any listener, has ended. `service` makes the
    /// service of a connection, from the address of the peer.
    ///
    /// While the process is out of descriptors or memory, it pauses and tries again ([`Backoff`]).
    ///
    /// # Errors
    ///
    /// Another error of an accept: [`Closed`](netpoll::Closed) after another task has closed
    /// the listener, [`ReactorGone`](netpoll::ReactorGone) in a forked child. The connections continue.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, it accepts no more. The connections continue.
    pub async fn serve<L, V, B>(
        &self,
        listener: &Listener<L>,
        mut service: impl FnMut(&L::Address) -> V,
    ) -> Result<()>
    where
        L: ListenerSocket,
        V: Service<Request<Incoming>, Response = Response<B>, Error: Into<BoxError>>,
        V: Send + 'static,
        V::Future: Send + 'static,
        B: Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
    {
        self.accept_loop(listener, |stream, peer, guard| {
            let (settings, service) = (self.settings.clone(), service(&peer));
            self.executor.spawn(async move {
                connection::serve(&settings, stream, service, &guard).await;
            });
        })
        .await
    }

    /// As [`serve`](Self::serve), over the stream that `handshake` makes of each connection: one of TLS, from any
    /// library that takes the traits of futures-io. tokio's take a [`ServedStream`] through `compat` of tokio-util.
    ///
    /// `handshake` returns the stream and the version of HTTP, if the handshake has negotiated one
    /// ([`Version::of_alpn`]). It runs in the connection's task, and [`Deadlines::handshake`] limits all of it. A
    /// handshake that fails ends its connection with [`End::HandshakeFailed`], and the server goes on. Every other
    /// limit holds as without TLS.
    ///
    /// ```no_run
    /// use std::{io, sync::Arc};
    /// use futures_rustls::{TlsAcceptor, rustls::ServerConfig};
    /// # use hyper::{Response, service::service_fn};
    /// # use netpoll_futures::TcpListener;
    /// use netpoll_hyper::{Server, Version};
    ///
    /// async fn serve(server: &Server, listener: &TcpListener, mut tls: ServerConfig) -> io::Result<()> {
    ///     tls.alpn_protocols = vec![b"h2".into(), b"http/1.1".into()];
    ///     let acceptor = TlsAcceptor::from(Arc::new(tls));
    ///     let handshake = |tcp| {
    ///         let accepted = acceptor.accept(tcp); // tokio-rustls: acceptor.accept(tcp.compat())
    ///         async {
    ///             let tls = accepted.await?;
    ///             let version = Version::of_alpn(tls.get_ref().1.alpn_protocol())?;
    ///             Ok((tls, version)) // tokio-rustls: Ok((tls.compat(), version))
    ///         }
    ///     };
    /// #   let hello = || service_fn(async |_| io::Result::Ok(Response::new("hello".to_owned())));
    ///     server.serve_with(listener, handshake, |_peer| hello()).await
    /// }
    /// ```
    ///
    /// # Errors and cancel safety
    ///
    /// As for [`serve`](Self::serve).
    pub async fn serve_with<L, F, T, V, B>(
        &self,
        listener: &Listener<L>,
        mut handshake: impl FnMut(ServedStream<L::Stream>) -> F,
        mut service: impl FnMut(&L::Address) -> V,
    ) -> Result<()>
    where
        L: ListenerSocket,
        F: Future<Output = Result<(T, Option<Version>)>> + Send + 'static,
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        V: Service<Request<Incoming>, Response = Response<B>, Error: Into<BoxError>>,
        V: Send + 'static,
        V::Future: Send + 'static,
        B: Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
    {
        self.accept_loop(listener, |stream, peer, guard| {
            let (settings, service) = (self.settings.clone(), service(&peer));
            let accepted = Accepted::new(&settings, stream, &mut handshake);
            self.executor.spawn(async move {
                accepted.serve(&settings, service, &guard).await;
            });
        })
        .await
    }

    /// Accepts until the server is shut down, and passes each connection with its guard to `spawn`.
    async fn accept_loop<L: ListenerSocket>(
        &self,
        listener: &Listener<L>,
        mut spawn: impl FnMut(Stream<L::Stream>, L::Address, Arc<ConnectionGuard>),
    ) -> Result<()> {
        self.connections.check_process()?;
        self.connections.set_reactor(listener.reactor());
        let guard = self.connections.enter(Role::Observer);
        if self.settings.limit.is_some() {
            listener.set_limit(self.settings.limit.as_ref())?;
        }
        let mut spawn = |(stream, peer): (Stream<L::Stream>, L::Address)| {
            spawn(stream, peer, self.connections.enter(Role::Connection));
        };
        let mut backoff = Backoff::with(listener.registration().reactor());
        while let Some(accepted) = until_shutdown(&guard, listener.accept()).await {
            match accepted {
                Ok(accepted) => {
                    backoff.reset();
                    spawn(accepted);
                }
                Err(error) => {
                    until_shutdown(&guard, backoff.pause(error)).await.transpose()?;
                }
            }
        }
        self.connections.check_process()?;
        if self.connections.phase() == ShutdownPhase::Graceful {
            // The kernel resets the connections that are still in its queue when the listener is closed.
            listener.registration().assume_ready(Direction::Read);
            iter::from_fn(|| listener.try_accept().ok()).take(MAX_QUEUED).for_each(spawn);
        }
        // Another task may have closed it already.
        let _ = listener.close().await;
        self.wait_for_last(&guard).await;
        Ok(())
    }

    /// Serves one connection to its end, as one of the server's connections. For your own accept loop.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, it closes the connection.
    pub async fn serve_connection<S, V, B>(&self, stream: Stream<S>, service: V) -> End
    where
        S: StreamSocket,
        V: Service<Request<Incoming>, Response = Response<B>, Error: Into<BoxError>>,
        V: Send + 'static,
        V::Future: Send + 'static,
        B: Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
    {
        self.connections.set_reactor(stream.reactor());
        let guard = self.connections.enter(Role::Connection);
        connection::serve(&self.settings, stream, service, &guard).await
    }

    /// As [`serve_connection`](Self::serve_connection), over the stream that `handshake` makes of the connection, as for
    /// [`serve_with`](Self::serve_with).
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, it closes the connection.
    pub async fn serve_connection_with<S, F, T, V, B>(
        &self,
        stream: Stream<S>,
        handshake: impl FnOnce(ServedStream<S>) -> F,
        service: V,
    ) -> End
    where
        S: StreamSocket,
        F: Future<Output = Result<(T, Option<Version>)>>,
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        V: Service<Request<Incoming>, Response = Response<B>, Error: Into<BoxError>>,
        V: Send + 'static,
        V::Future: Send + 'static,
        B: Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
    {
        self.connections.set_reactor(stream.reactor());
        let guard = self.connections.enter(Role::Connection);
        Accepted::new(&self.settings, stream, handshake)
            .serve(&self.settings, service, &guard)
            .await
    }

    /// Begins a graceful shutdown: the server accepts no more connections, finishes the requests in flight,
    /// and closes connections without a request at once; see [the module](self#shutdown).
    /// [`serve`](Self::serve) returns when the last connection has ended.
    ///
    /// That takes as long as the slowest service or client of a request in flight, and as the connections that were
    /// upgraded; see [`shutdown_within`](Self::shutdown_within) and [`close`](Self::close).
    pub fn shutdown(&self) {
        self.connections.advance(ShutdownPhase::Graceful);
    }

    /// Shuts down gracefully, and waits until the last connection has ended. If that takes longer than `limit`, it
    /// [closes](Self::close) the connections that are left. Returns their number: zero if all have finished.
    ///
    /// The limit follows the clock of the reactor of the first listener or connection.
    ///
    /// # Cancel safety
    ///
    /// The first poll begins the shutdown. If the future is dropped after that, the shutdown has no limit.
    pub async fn shutdown_within(&self, limit: Duration) -> usize {
        self.shutdown();
        let limit = self.connections.reactor().and_then(|reactor| {
            let deadline = reactor.now().checked_add(limit)?;
            Timer::at(reactor, deadline).ok()
        });
        let Some(limit) = limit else {
            self.finished().await;
            return 0;
        };
        match select(pin!(self.finished()), limit).await {
            Either::Left(_) => 0,
            Either::Right(_) => {
                let left = self.connections();
                self.close();
                self.finished().await;
                left
            }
        }
    }

    /// Waits until the server begins to shut down: for a task that has taken over a connection, which then says so to its
    /// peer (for WebSocket, a close frame with 1001) and ends. The server does not close an upgraded connection during a
    /// graceful shutdown, and waits for it.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, nothing changes.
    pub async fn shutting_down(&self) {
        let guard = self.connections.enter(Role::Observer);
        while until_shutdown(&guard, pending::<()>()).await.is_some() {}
    }

    /// Shuts down at once: the server closes every connection, with requests in flight or without, and upgraded ones. (With
    /// HTTP/2, services run in tasks of their own, which end when they next wait.)
    pub fn close(&self) {
        self.connections.advance(ShutdownPhase::Closed);
    }

    /// Waits until the server is shut down and its last connection has ended.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, nothing changes.
    pub async fn finished(&self) {
        self.shutting_down().await;
        self.wait_for_last(&self.connections.enter(Role::Observer)).await;
    }

    /// The number of open connections, those included that were upgraded. An upgraded connection ends with the drop of its
    /// `Upgraded`, or when [`ServedIo::into_inner`] takes the stream out of it.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.connections.count()
    }

    async fn wait_for_last(&self, guard: &ConnectionGuard) {
        poll_fn(|cx| guard.poll_no_connections(cx)).await;
    }
}

/// Prints the number of connections, and the settings.
impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("connections", &self.connections())
            .field("deadlines", &self.settings.deadlines)
            .field("limit", &self.settings.limit)
            .field("version", &self.settings.version)
            .finish_non_exhaustive()
    }
}
