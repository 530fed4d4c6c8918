//! A greeting over HTTP/1 and TLS: the same rustls and hyper with tokio's sockets and with ours.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_rustls::rustls::ServerConfig;
use futures_rustls::rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use netpoll_hyper::{Executor, Version};
use tokio::io::{AsyncRead, AsyncWrite};

use super::hello::{greet, serve_one};
use super::{Server, Work};

/// The first is the baseline of the others.
pub(super) const SERVERS: [Server; 3] = [
    Server { name: "tokio", title: "tokio, current_thread", serve: tokio },
    Server { name: "netpoll-tokio", title: "netpoll-tokio in tokio", serve: netpoll_tokio },
    Server { name: "netpoll-server", title: "netpoll-hyper's Server", serve: netpoll_server },
];

/// A file of the server that has started last.
fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

/// Makes a certificate for the server and its client.
pub(super) fn make_certificate() -> io::Result<()> {
    let own =
        rcgen::generate_simple_self_signed(["localhost".to_owned()]).map_err(io::Error::other)?;
    fs::write(file("certificate"), own.cert.der())?;
    fs::write(file("key"), own.signing_key.serialize_der())
}

pub(crate) fn certificate() -> io::Result<CertificateDer<'static>> {
    Ok(fs::read(file("certificate"))?.into())
}

pub(super) fn config() -> io::Result<Arc<ServerConfig>> {
    let key = PrivatePkcs8KeyDer::from(fs::read(file("key"))?);
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate()?], key.into());
    Ok(Arc::new(config.map_err(io::Error::other)?))
}

/// Serves one connection, whatever socket it has, when its handshake is done.
async fn serve_tls<S>(accepted: tokio_rustls::Accept<S>)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    if let Ok(stream) = accepted.await {
        serve_one(TokioIo::new(stream)).await;
    }
}

fn tokio(listener: OwnedFd, _: Work) -> io::Result<()> {
    in_tokio(async {
        let tls = tokio_rustls::TlsAcceptor::from(config()?);
        let listener = tokio::net::TcpListener::from_std(listener.into())?;
        loop {
            let (stream, _) = listener.accept().await?;
            let accepted = tls.accept(stream);
            tokio::spawn(serve_tls(accepted));
        }
    })
}

fn netpoll_tokio(listener: OwnedFd, _: Work) -> io::Result<()> {
    in_tokio(async {
        let tls = tokio_rustls::TlsAcceptor::from(config()?);
        let listener = netpoll_tokio::net::TcpListener::from_std(listener.into())?;
        loop {
            let (stream, _) = listener.accept().await?;
            let accepted = tls.accept(stream);
            tokio::spawn(serve_tls(accepted));
        }
    })
}

fn in_tokio(serve: impl Future<Output = io::Result<()>>) -> io::Result<()> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(serve)
}

/// With all its deadlines, in tokio's runtime.
fn netpoll_server(listener: OwnedFd, _: Work) -> io::Result<()> {
    in_tokio(async {
        let reactor = netpoll_tokio::reactor()?;
        let listener = netpoll_futures::TcpListener::register_on(&reactor, listener)?;
        let tls = futures_rustls::TlsAcceptor::from(config()?);
        let server = netpoll_hyper::Server::new(Executor::new(|task| drop(tokio::spawn(task))))
            .only(Version::Http1);
        let handshake = |tcp| {
            let accepted = tls.accept(tcp);
            async { Ok((accepted.await?, None)) }
        };
        server.serve_with(&listener, handshake, |_| service_fn(greet)).await
    })
}
