//! Serving: the accept loop, the deadlines of every connection, and the end.
//!
//! # The deadlines
//!
//! They are deadlines of the socket, set when something happens. No task polls a timer: when a deadline
//! passes, the socket wakes hyper's task, whatever that waits for. At every moment one of these holds:
//!
//! | the connection | limit | begins with |
//! | --- | --- | --- |
//! | waits for the head of a request | [`header`](Deadlines::header), for the whole head | the first head: the accept. Later heads of HTTP/1: their first byte after the answer that is not CR or LF |
//! | has requests in flight | none, but for what is being written | the call of the service |
//! | is idle | [`idle`](Deadlines::idle) | the end of the last answer, or the last byte of a request's body that comes after its answer |
//! | has something to write and no room | [`write_stall`](Deadlines::write_stall), and up to twice that | the last byte of an answer that the peer took or gave leave for; it takes the place of the idle deadline |
//!
//! - **A deadline judges the peer**, and not the moment at which the server looks. Before the server cuts a
//!   connection off, it reads what has come and writes where there is room: a request that came in time is
//!   answered, however long the server's thread was busy.
//! - **In flight** is a request from when its head is complete until the kernel has taken the last of the
//!   answer's body, or hyper has dropped it. The body of a request may take as long as the service
//!   lets it: a service that wants a limit there sets it, as it knows what to expect.
//! - **After the answer**, the rest of the request's body may go on. Each byte of it renews the idle
//!   deadline. A service that does not read it holds the connection with HTTP/1, where hyper does not read either;
//!   with HTTP/2 its client has to be able to send something within the idle limit.
//! - **Progress** is a stream's or a body's. A ping or its answer, a window update, an empty line between two
//!   requests renew no deadline.
//! - **Taken** is what the peer's system has acknowledged, or with a Unix socket, what was read. A
//!   peer that reads slowly is not cut off for it, even where the socket has no room all the while.
//!   (What it takes comes in segments: a limit below the time for one is too short.)
//! - **HTTP/2**: the first deadline is for the first request only; later heads have the idle limit. A client that
//!   opens no window for an answer has stalled as one that takes nothing. Before it closes for a deadline, the server says
//!   GOAWAY, serves requests that cross it, and closes when the client has answered, or one second after
//!   the last progress. (Where the socket has no room, there is none for a GOAWAY.)
//! - **Upgrades**: after a response of 101, or one to CONNECT that is a success, there are no deadlines
//!   but those that the new owner of the connection sets ([`ServedIo::into_inner`]). With HTTP/2, where
//!   CONNECT opens a tunnel in one stream, that is so for the whole connection from then on: a service
//!   that opens no tunnels has to refuse CONNECT, or any peer can be rid of the deadlines.
//!
//! While a connection is served, the deadlines of its stream are the server's.
//!
//! # The end
//!
//! [`Server::shutdown`] finishes requests in flight, one that has come and that the server has not seen
//! yet included. Every other connection closes at once: one without a request, with half a head or half a frame, between
//! two requests. A client of HTTP/2 gets a GOAWAY, and one second to answer it; a body that still comes after
//! its answer goes on as long as a byte comes within each second.

mod connection;
mod crowd;
mod deadlines;
#[cfg(feature = "http2")]
mod frames;
#[cfg(feature = "http1")]
mod head_wait;
mod io;
mod service;
mod version;
mod watch;

use std::error::Error;
use std::fmt;
use std::future::{pending, poll_fn};
use std::io::Result;
use std::sync::Arc;

use hyper::body::{Body, Incoming};
#[cfg(feature = "http1")]
use hyper::server::conn::http1;
#[cfg(feature = "http2")]
use hyper::server::conn::http2;
use hyper::service::Service;
use hyper::{Request, Response};
use netpoll_futures::{Backoff, Limit, Listener, ListenerSocket, Stream, StreamSocket};

use crate::Executor;
#[cfg(feature = "http2")]
use crate::Timer;
use connection::before_leaving;
use crowd::{Crowd, Place, Role, Stage};

pub use connection::End;
pub use deadlines::{Deadline, Deadlines};
pub use io::ServedIo;
pub use version::Version;

/// What services and bodies may fail with.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// A server: accepts connections, and has hyper serve them, each as a task of the executor.
///
/// Clones are the same server: one may serve several listeners at once, and be shut down by any clone.
/// Settings are of the clone that they are made on, and of what is cloned from it.
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
///     let server = Server::new(Executor::new(|task| smol::spawn(task).detach()))?;
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
    crowd: Arc<Crowd>,
    executor: Executor,
}

#[derive(Clone)]
struct Settings {
    deadlines: Deadlines,
    limit: Option<Limit>,
    /// `None` to be told by the peer.
    version: Option<Version>,
    #[cfg(feature = "http1")]
    http1: http1::Builder,
    #[cfg(feature = "http2")]
    http2: http2::Builder<Executor>,
    on_end: Arc<dyn Fn(&End) + Send + Sync>,
}

impl Server {
    /// A server with the default [`Deadlines`] and no limit to the number of connections. It speaks
    /// the version of HTTP that the peer begins with.
    ///
    /// # Errors
    ///
    /// If there is no reactor to be had.
    pub fn new(executor: Executor) -> Result<Self> {
        let settings = Settings {
            deadlines: Deadlines::default(),
            limit: None,
            version: None,
            #[cfg(feature = "http1")]
            http1: http1::Builder::new(),
            #[cfg(feature = "http2")]
            http2: http2_options(executor.clone())?,
            on_end: Arc::new(|_| {}),
        };
        Ok(Self { settings: Arc::new(settings), crowd: Arc::default(), executor })
    }

    /// Sets the limits of every connection.
    #[must_use]
    pub fn deadlines(mut self, deadlines: Deadlines) -> Self {
        self.set().deadlines = deadlines;
        self
    }

    /// Sets how many connections there may be at once, over all listeners that it [serves](Self::serve).
    /// Where there are so many, none is accepted until one ends: those who come wait in the system's
    /// queue. It is a [`Limit`] of the listeners, which keep it; so it counts an upgraded connection
    /// for as long as that is open, and none that an accept loop of one's own has accepted.
    ///
    /// # Panics
    ///
    /// If it is zero.
    #[must_use]
    pub fn max_connections(mut self, most: usize) -> Self {
        self.set().limit = Some(Limit::new(most));
        self
    }

    /// Speaks one version only, and does not look what the peer begins with.
    #[must_use]
    pub fn only(mut self, version: Version) -> Self {
        self.set().version = Some(version);
        self
    }

    /// Sets options of hyper's for HTTP/1, but for `timer` and `header_read_timeout`: each connection has
    /// a timer of the server's, and [`Deadlines::header`] is the limit.
    #[cfg(feature = "http1")]
    #[must_use]
    pub fn http1(mut self, options: impl FnOnce(&mut http1::Builder)) -> Self {
        options(&mut self.set().http1);
        self
    }

    /// Sets options of hyper's for HTTP/2.
    #[cfg(feature = "http2")]
    #[must_use]
    pub fn http2(mut self, options: impl FnOnce(&mut http2::Builder<Executor>)) -> Self {
        options(&mut self.set().http2);
        self
    }

    /// Sets what is called when a connection has ended, in whatever way: to log it, or to count. If a
    /// service panics on the connection's task or that task is dropped, it is called as well.
    #[must_use]
    pub fn on_end(mut self, on_end: impl Fn(&End) + Send + Sync + 'static) -> Self {
        self.set().on_end = Arc::new(on_end);
        self
    }

    fn set(&mut self) -> &mut Settings {
        Arc::make_mut(&mut self.settings)
    }

    /// Accepts connections until the server is [shut down](Self::shutdown), and then closes the
    /// listener and waits for the last connection, of whichever listener, to end. `service` makes the
    /// service of a connection, from the address of the peer.
    ///
    /// When the process has run out of descriptors or memory, it pauses and tries again ([`Backoff`]).
    ///
    /// # Errors
    ///
    /// What accepting fails with otherwise: [`Closed`](netpoll::Closed) where somebody else has closed
    /// the listener. Connections go on.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it accepts no more. Connections go on.
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
        let place = self.crowd.enter(Role::Watcher);
        if self.settings.limit.is_some() {
            listener.set_limit(self.settings.limit.as_ref())?;
        }
        let mut backoff = Backoff::with(listener.registration().reactor());
        while let Some(accepted) = before_leaving(&place, listener.accept()).await {
            match accepted {
                Ok((stream, peer)) => {
                    backoff.reset();
                    self.take_on(stream, service(&peer));
                }
                Err(error) => {
                    before_leaving(&place, backoff.pause(error)).await.transpose()?;
                }
            }
        }
        // Somebody else may have closed it, or another who serves it.
        let _ = listener.close().await;
        self.ended(&place).await;
        Ok(())
    }

    /// Serves one connection, which counts as one of the server's, to its end. For an accept loop of
    /// one's own.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it closes the connection.
    pub async fn serve_connection<S, V, B>(&self, stream: Stream<S>, service: V) -> End
    where
        S: StreamSocket,
        V: Service<Request<Incoming>, Response = Response<B>, Error: Into<BoxError>>,
        V: Send + 'static,
        V::Future: Send + 'static,
        B: Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
    {
        let place = self.crowd.enter(Role::Connection);
        connection::serve(&self.settings, stream, service, &place).await
    }

    fn take_on<S, V, B>(&self, stream: Stream<S>, service: V)
    where
        S: StreamSocket,
        V: Service<Request<Incoming>, Response = Response<B>, Error: Into<BoxError>>,
        V: Send + 'static,
        V::Future: Send + 'static,
        B: Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
    {
        let settings = self.settings.clone();
        let place = self.crowd.enter(Role::Connection);
        self.executor.spawn(async move {
            connection::serve(&settings, stream, service, &place).await;
        });
    }

    /// Begins to shut down, gracefully: no connection is accepted any more, requests in flight are finished,
    /// and connections without one are closed at once; see [the module](self#the-end).
    /// [`serve`](Self::serve) returns when the last connection has ended.
    ///
    /// That may take as long as the slowest service or client of a request in flight; see
    /// [`close`](Self::close).
    pub fn shutdown(&self) {
        self.crowd.advance(Stage::Leaving);
    }

    /// Shuts down at once: every connection is cut off, whatever it is at. (With HTTP/2, tasks in which
    /// services run end when they next come to wait.)
    pub fn close(&self) {
        self.crowd.advance(Stage::Closed);
    }

    /// Resolves when the server is shut down and its last connection has ended.
    pub async fn finished(&self) {
        let place = self.crowd.enter(Role::Watcher);
        while before_leaving(&place, pending::<()>()).await.is_some() {}
        self.ended(&place).await;
    }

    /// How many connections there are.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.crowd.connections()
    }

    async fn ended(&self, place: &Place) {
        poll_fn(|cx| place.poll_alone(cx)).await;
    }
}

#[cfg(feature = "http2")]
fn http2_options(executor: Executor) -> Result<http2::Builder<Executor>> {
    let mut options = http2::Builder::new(executor);
    options.timer(Timer::new()?);
    Ok(options)
}

/// Prints how many connections there are, and the settings of all.
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
