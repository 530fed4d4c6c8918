//! axum's traits for the listeners, and the information on a connection that its handlers extract.

use std::future::pending;
use std::io;
use std::net::SocketAddr;

use ::axum::extract::connect_info::Connected;
use ::axum::serve::{self, IncomingStream};
use netpoll_futures::{Backoff, Deadlines, ListenerSocket};

use crate::listener::Listener;
use crate::net::{TcpListener, UnixListener, unix};
use crate::stream::Stream;

/// `axum::serve` takes a listener of either family, also with a [limit](Listener::set_limit).
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// use std::net::SocketAddr;
/// use axum::Router;
/// use axum::extract::ConnectInfo;
/// use axum::routing::get;
/// use axum::serve::ListenerExt;
/// use netpoll_tokio::net::{TcpListener, TcpStream};
/// use tokio::io::{AsyncReadExt, AsyncWriteExt};
///
/// async fn hello(ConnectInfo(peer): ConnectInfo<SocketAddr>) -> String {
///     format!("hello, {}", peer.ip())
/// }
///
/// let listener = TcpListener::bind("127.0.0.1:0").await?;
/// let mut client = TcpStream::connect(listener.local_addr()?).await?;
/// let app = Router::new().route("/", get(hello));
/// // axum has `ConnectInfo<SocketAddr>` for tokio's listener, and for any in a `TapIo`.
/// let app = app.into_make_service_with_connect_info::<SocketAddr>();
/// let server = axum::serve(listener.tap_io(|_| {}), app);
/// tokio::spawn(async { server.await });
///
/// client.write_all(b"GET / HTTP/1.1\r\nhost: here\r\nconnection: close\r\n\r\n").await?;
/// let mut answer = String::new();
/// client.read_to_string(&mut answer).await?;
/// assert!(answer.ends_with("\r\n\r\nhello, 127.0.0.1"), "{answer}");
/// # Ok(()) }) }
/// ```
///
/// While the process is out of descriptors or memory, the listener pauses and tries again, as it does after an error of a
/// single connection ([`Backoff`]). axum's listener cannot fail. So after any other error (the listener is closed, its
/// deadline has passed) it accepts no more and waits for ever: `with_graceful_shutdown` ends the server.
///
/// # Deadlines
///
/// `axum::serve` sets no time limit. The deadlines of a connection do:
///
/// - For the head of a request, and for an idle connection: a type of your own sets a read deadline when the connection
///   is accepted. A middleware clears it while it answers a request, and sets it anew after that. (With HTTP/2, the requests of
///   a connection share its deadline.)
/// - For a silent WebSocket: [`ConnectionInfo`] has a handle for the deadlines. The handler sets the read deadline before
///   it receives, and the receive fails.
/// - For a whole request, a slow upload included: a middleware with `tokio::time::timeout`, which answers 408.
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// use std::time::Duration;
/// use axum::Router;
/// use axum::extract::connect_info::{ConnectInfo, Connected};
/// use axum::extract::Request;
/// use axum::middleware::{Next, from_fn};
/// use axum::response::Response;
/// use axum::routing::get;
/// use axum::serve::IncomingStream;
/// use netpoll_tokio::Deadlines;
/// use netpoll_tokio::net::{TcpListener, TcpStream};
/// use tokio::io::{AsyncReadExt, AsyncWriteExt};
///
/// // A client has so long for a head, however it sends it.
/// const HEAD: Duration = Duration::from_millis(100);
///
/// #[derive(Clone)]
/// struct Connection(Deadlines);
///
/// impl Connected<IncomingStream<'_, TcpListener>> for Connection {
///     fn connect_info(stream: IncomingStream<'_, TcpListener>) -> Self {
///         // It fails if the connection has ended meanwhile.
///         let _ = stream.io().set_read_deadline(HEAD);
///         Self(stream.io().deadlines())
///     }
/// }
///
/// async fn limit_head(
///     ConnectInfo(Connection(deadlines)): ConnectInfo<Connection>,
///     request: Request,
///     next: Next,
/// ) -> Response {
///     let _ = deadlines.set_read_deadline(None);
///     let response = next.run(request).await;
///     let _ = deadlines.set_read_deadline(HEAD);
///     response
/// }
///
/// let app = Router::new().route("/", get(|| async { "hello" })).layer(from_fn(limit_head));
/// let listener = TcpListener::bind("127.0.0.1:0").await?;
/// let mut client = TcpStream::connect(listener.local_addr()?).await?;
/// let app = app.into_make_service_with_connect_info::<Connection>();
/// tokio::spawn(async { axum::serve(listener, app).await });
///
/// // A request, and then half a head: the server ends the connection.
/// client.write_all(b"GET / HTTP/1.1\r\nhost: here\r\n\r\nGET / HT").await?;
/// let mut answer = String::new();
/// client.read_to_string(&mut answer).await?;
/// assert!(answer.contains("\r\n\r\nhello"), "{answer}");
/// # Ok(()) }) }
/// ```
///
/// `netpoll_hyper::Server` serves a `Router` as well, under any executor. It has these limits without a middleware.
impl<S: ListenerSocket> serve::Listener for Listener<S> {
    type Io = Stream<S::Stream>;
    type Addr = S::Address;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        let mut backoff = Backoff::with(self.inner.reactor());
        loop {
            let error = match Self::accept(self).await {
                Ok(accepted) => return accepted,
                Err(error) => error,
            };
            if backoff.pause(error).await.is_err() {
                return pending().await;
            }
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        Self::local_addr(self)
    }
}

/// A connection, as axum's `ConnectInfo` extracts it: the address of its peer, and a handle for its deadlines.
///
/// ```
/// use std::time::Duration;
/// use axum::extract::{ConnectInfo, WebSocketUpgrade};
/// use axum::response::Response;
/// use netpoll_tokio::ConnectionInfo;
///
/// /// Sends each message back, to a client that sends one within a minute.
/// async fn echo(
///     upgrade: WebSocketUpgrade,
///     ConnectInfo(connection): ConnectInfo<ConnectionInfo>,
/// ) -> Response {
///     upgrade.on_upgrade(async move |mut socket| {
///         let deadlines = connection.deadlines();
///         while deadlines.set_read_deadline(Duration::from_secs(60)).is_ok() {
///             let Some(Ok(message)) = socket.recv().await else { break };
///             if socket.send(message).await.is_err() {
///                 break;
///             }
///         }
///     })
/// }
/// # let app = axum::Router::<()>::new().route("/", axum::routing::any(echo));
/// # let _ = app.into_make_service_with_connect_info::<ConnectionInfo>();
/// ```
#[derive(Clone, Debug)]
pub struct ConnectionInfo<A = SocketAddr> {
    peer_addr: A,
    deadlines: Deadlines,
}

impl<A> ConnectionInfo<A> {
    /// The address of the peer, as it was accepted.
    #[must_use]
    pub fn peer_addr(&self) -> &A {
        &self.peer_addr
    }

    /// A handle that sets the deadlines of the connection. They end reads and writes of hyper, which then ends the
    /// connection; after an upgrade, those of its new owner.
    #[must_use]
    pub fn deadlines(&self) -> &Deadlines {
        &self.deadlines
    }
}

impl Connected<IncomingStream<'_, TcpListener>> for ConnectionInfo {
    fn connect_info(stream: IncomingStream<'_, TcpListener>) -> Self {
        Self { peer_addr: *stream.remote_addr(), deadlines: stream.io().deadlines() }
    }
}

impl Connected<IncomingStream<'_, UnixListener>> for ConnectionInfo<unix::SocketAddr> {
    fn connect_info(stream: IncomingStream<'_, UnixListener>) -> Self {
        Self { peer_addr: stream.remote_addr().clone(), deadlines: stream.io().deadlines() }
    }
}
