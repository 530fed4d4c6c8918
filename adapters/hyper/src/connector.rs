//! The connector of a pooled client.

use std::fmt;
use std::future::Future;
use std::io::{Error, ErrorKind, IoSlice, Result};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use futures_util::io::{AsyncRead, AsyncWrite};
use hyper::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::{Connected, Connection};
use netpoll_futures::{Dialer, OpError, Reactor, TcpStream};
use tower_service::Service;

use crate::{Io, Version};

/// Connects a pooled client, `hyper_util::client::legacy::Client`, to the hosts of its requests: over TCP for `http`, and over
/// TLS for `https`. A closure makes the handshake, with any library.
///
/// A [`Dialer`] looks each name up, and races the addresses that it finds. One deadline covers the lookup, the connect and
/// the handshake. After that, the connection has no deadline: an idle connection in the pool costs no wake-up. Limit a
/// request with [`timeout`](netpoll_futures::timeout).
///
/// ```
/// use std::time::Duration;
/// use hyper_util::client::legacy::Client;
/// use netpoll_hyper::{Connector, Executor, Timer};
///
/// # fn main() -> std::io::Result<()> {
/// let connector = Connector::new().connect_timeout(Duration::from_secs(10));
/// let client: Client<_, String> = Client::builder(Executor::new(|task| smol::spawn(task).detach()))
///     .pool_timer(Timer::new()?)
///     .build(connector);
/// # drop(client); Ok(()) }
/// ```
///
/// With futures-rustls:
///
/// ```
/// use std::{io, sync::Arc};
/// use futures_rustls::{TlsConnector, rustls::{ClientConfig, pki_types::ServerName}};
/// use netpoll_hyper::{Connector, Version};
///
/// fn with_tls(mut tls: ClientConfig) -> Connector {
///     tls.alpn_protocols = vec![b"h2".into(), b"http/1.1".into()];
///     let tls = TlsConnector::from(Arc::new(tls));
///     Connector::new().tls(move |tcp, host| {
///         let tls = tls.clone();
///         async move {
///             let name = ServerName::try_from(host).map_err(io::Error::other)?;
///             let tls = tls.connect(name, tcp).await?;
///             let version = Version::of_alpn(tls.get_ref().1.alpn_protocol())?;
///             Ok((tls, version))
///         }
///     })
/// }
/// # let _ = with_tls;
/// ```
#[derive(Clone)]
#[must_use = "a connector does nothing until a client uses it"]
pub struct Connector {
    dialer: Dialer,
    timeout: Option<Duration>,
    reactor: Option<Reactor>,
    handshake: Option<Arc<Handshake>>,
}

/// Makes a stream of TLS to the host of that name.
type Handshake =
    dyn Fn(TcpStream, String) -> BoxFuture<'static, Result<(Tls, Option<Version>)>> + Send + Sync;

type Tls = Box<dyn Duplex>;

trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

impl Connector {
    /// A connector without TLS and without a deadline, on the global reactor.
    pub fn new() -> Self {
        Self { dialer: Dialer::new(), timeout: None, reactor: None, handshake: None }
    }

    /// The options of each connection. The deadline of the dialer is replaced by
    /// [`connect_timeout`](Self::connect_timeout), if there is one.
    pub fn dialer(mut self, dialer: Dialer) -> Self {
        self.dialer = dialer;
        self
    }

    /// How long the lookup of the name, the connect and the handshake of TLS may take together.
    pub fn connect_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.timeout = timeout.into();
        self
    }

    /// The reactor of the connections: in a runtime of tokio that of `netpoll_tokio::reactor()`.
    pub fn reactor(mut self, reactor: Reactor) -> Self {
        self.reactor = Some(reactor);
        self
    }

    /// The TLS of `https`. The closure is given the connection and the name of the host, and makes the stream and, if the
    /// handshake has negotiated one, the version of HTTP ([`Version::of_alpn`]).
    ///
    /// Without it, a request for `https` fails.
    pub fn tls<F, T>(
        mut self,
        handshake: impl Fn(TcpStream, String) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Result<(T, Option<Version>)>> + Send + 'static,
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        self.handshake = Some(Arc::new(move |stream, host| {
            let made = handshake(stream, host);
            Box::pin(async move {
                let (tls, version) = made.await?;
                Ok((Box::new(tls) as Tls, version))
            })
        }));
        self
    }

    async fn connect(self, uri: Uri) -> Result<ConnectorIo> {
        let invalid =
            |why: &str| OpError::wrap("connect", &uri, Error::new(ErrorKind::InvalidInput, why));
        let host = uri.host().ok_or_else(|| invalid("the address has no host"))?;
        // A literal address of IPv6 stands in brackets.
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let (handshake, usual_port) = match uri.scheme_str() {
            Some("http") | None => (None, 80),
            Some("https") => {
                let tls = self.handshake.ok_or_else(|| invalid("https needs Connector::tls"))?;
                (Some(tls), 443)
            }
            Some(_) => return Err(invalid("the scheme is neither http nor https")),
        };
        let reactor = match &self.reactor {
            Some(reactor) => reactor,
            None => Reactor::global()?,
        };
        let deadline: Option<Instant> =
            self.timeout.and_then(|time| reactor.now().checked_add(time));
        let dialer = if deadline.is_some() { self.dialer.deadline(deadline) } else { self.dialer };
        let port = uri.port_u16().unwrap_or(usual_port);
        let stream = dialer.connect_on(reactor, (host.as_str(), port)).await?;
        let Some(handshake) = handshake else {
            return Ok(ConnectorIo(Inner::Tcp(Io::new(stream))));
        };
        let deadlines = stream.deadlines();
        deadlines.set_deadline(deadline)?;
        let (stream, version) = handshake(stream, host)
            .await
            .map_err(|error| OpError::wrap("handshake", &uri, error))?;
        deadlines.set_deadline(None)?;
        Ok(ConnectorIo(Inner::Tls(Io::new(stream), version)))
    }
}

impl Default for Connector {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector").field("tls", &self.handshake.is_some()).finish_non_exhaustive()
    }
}

impl Service<Uri> for Connector {
    type Response = ConnectorIo;
    type Error = Error;
    type Future = BoxFuture<'static, Result<ConnectorIo>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        Box::pin(self.clone().connect(uri))
    }
}

/// A connection of a [`Connector`], with or without TLS.
pub struct ConnectorIo(Inner);

enum Inner {
    Tcp(Io<TcpStream>),
    Tls(Io<Tls>, Option<Version>),
}

/// Calls a method of the connection, whichever it is.
macro_rules! forward {
    ($self:ident.$method:ident($($argument:expr),*)) => {
        match &mut $self.0 {
            Inner::Tcp(io) => Pin::new(io).$method($($argument),*),
            Inner::Tls(io, _) => Pin::new(io).$method($($argument),*),
        }
    };
}

impl Connection for ConnectorIo {
    fn connected(&self) -> Connected {
        match &self.0 {
            Inner::Tls(_, version) if is_http2(*version) => Connected::new().negotiated_h2(),
            _ => Connected::new(),
        }
    }
}

fn is_http2(version: Option<Version>) -> bool {
    match version {
        #[cfg(feature = "http2")]
        Some(Version::Http2) => true,
        _ => false,
    }
}

impl fmt::Debug for ConnectorIo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Inner::Tcp(io) => f.debug_tuple("ConnectorIo").field(io.get_ref()).finish(),
            Inner::Tls(..) => f.write_str("ConnectorIo(TLS)"),
        }
    }
}

impl Read for ConnectorIo {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<Result<()>> {
        forward!(self.poll_read(cx, buffer))
    }
}

impl Write for ConnectorIo {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<Result<usize>> {
        forward!(self.poll_write(cx, buffer))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        forward!(self.poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        forward!(self.poll_shutdown(cx))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        forward!(self.poll_write_vectored(cx, buffers))
    }
}
