//! Clients: hyper's over our stream, with HTTP/1 or HTTP/2, or by hand.

use std::io;
use std::net::SocketAddr;

use futures::{AsyncRead, AsyncWrite};
use http_body_util::BodyExt;
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::{http1, http2};
use hyper::{Request, Response};
use netpoll_futures::TcpStream;
use netpoll_hyper::{Executor, Io, Timer, Version};

use crate::fixtures::{Outcome, until};
use crate::site::{Body, whole};

/// One connection of hyper's client.
pub(crate) enum Client {
    Http1(http1::SendRequest<Body>),
    Http2(http2::SendRequest<Body>),
}

impl Client {
    pub(crate) async fn connect(
        executor: &Executor,
        version: Version,
        address: SocketAddr,
    ) -> Outcome<Self> {
        let stream = TcpStream::connect(address).await?;
        Self::over(executor, version, Io::new(stream)).await
    }

    pub(crate) async fn over<T: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
        executor: &Executor,
        version: Version,
        io: Io<T>,
    ) -> Outcome<Self> {
        if version == Version::Http1 {
            let (sender, connection) = http1::handshake(io).await?;
            executor.spawn(async { drop(connection.with_upgrades().await) });
            return Ok(Self::Http1(sender));
        }
        let mut builder = http2::Builder::new(executor.clone());
        let (sender, connection) = builder.timer(Timer::new()?).handshake(io).await?;
        executor.spawn(async { drop(connection.await) });
        Ok(Self::Http2(sender))
    }

    /// Sends a request as soon as the connection takes one.
    pub(crate) async fn send(&mut self, request: Request<Body>) -> Outcome<Response<Incoming>> {
        Ok(match self {
            Self::Http1(sender) => {
                sender.ready().await?;
                sender.send_request(request).await?
            }
            Self::Http2(sender) => {
                sender.ready().await?;
                sender.send_request(request).await?
            }
        })
    }

    /// Resolves when the connection has ended. (A request that is sent just then may be lost in hyper's
    /// queue, and never be answered.)
    pub(crate) async fn is_gone(&self) {
        until(|| match self {
            Self::Http1(sender) => sender.is_closed(),
            Self::Http2(sender) => sender.is_closed(),
        })
        .await;
    }

    pub(crate) async fn get(&mut self, path: &str) -> Outcome<Bytes> {
        let answer = self.send(get(path)).await?;
        assert_eq!(answer.status(), 200);
        Ok(answer.into_body().collect().await?.to_bytes())
    }

    /// Posts a body, and returns the answer.
    pub(crate) async fn echo(&mut self, body: Body) -> Outcome<Bytes> {
        let answer = self.send(post("/echo", body)).await?;
        assert_eq!(answer.status(), 200);
        Ok(answer.into_body().collect().await?.to_bytes())
    }
}

pub(crate) fn get(path: &str) -> Request<Body> {
    let uri = format!("http://localhost{path}");
    let request = Request::get(uri).header("host", "localhost").body(whole(Bytes::new()));
    request.expect("a request")
}

pub(crate) fn post(path: &str, body: Body) -> Request<Body> {
    let uri = format!("http://localhost{path}");
    Request::post(uri).header("host", "localhost").body(body).expect("a request")
}

/// Reads until the answer ends with these bytes.
pub(crate) async fn read_up_to(stream: &TcpStream, end: &[u8]) -> io::Result<Vec<u8>> {
    let mut answer = Vec::new();
    let mut buffer = [0; 1024];
    while !answer.ends_with(end) {
        let count = stream.read(&mut buffer).await?;
        assert!(count > 0, "the answer ends: {}", answer.escape_ascii());
        answer.extend_from_slice(&buffer[..count]);
    }
    Ok(answer)
}

/// Reads until the connection ends, in whatever way.
pub(crate) async fn read_to_the_end(stream: &TcpStream) -> Vec<u8> {
    let mut all = Vec::new();
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(count @ 1..) = stream.read(&mut buffer).await {
        all.extend_from_slice(&buffer[..count]);
    }
    all
}
