//! The streams of the tokio adapter: TCP, and Unix sockets in pairs.

use std::io;
use std::net::SocketAddr;
use std::time::Instant;

use netpoll_tokio::net::{TcpListener, TcpStream, UnixStream};

use super::stream::{impl_listener, impl_stream};
use super::{Listening, Stage, TcpV4, Transport, UnixPair};

/// The tokio adapter's TCP, on `127.0.0.1`.
#[derive(Debug)]
pub struct TokioTcp;

/// The tokio adapter's Unix sockets without a name, which are made in pairs.
#[derive(Debug)]
pub struct TokioUnixPair;

impl Transport for TokioTcp {
    type Stream = TcpStream;

    async fn pair(stage: &Stage) -> io::Result<(TcpStream, TcpStream)> {
        let (near, far) = TcpV4::pair(stage).await?;
        Ok((near.into(), far.into()))
    }
}

impl Listening for TokioTcp {
    type Listener = TcpListener;

    async fn listen(stage: &Stage) -> io::Result<TcpListener> {
        TcpV4::listen(stage).await.map(Into::into)
    }

    async fn listen_again(stage: &Stage, at: &str) -> io::Result<TcpListener> {
        TcpV4::listen_again(stage, at).await.map(Into::into)
    }

    async fn connect(
        stage: &Stage,
        listener: &TcpListener,
        deadline: Option<Instant>,
    ) -> io::Result<TcpStream> {
        TcpV4::connect(stage, listener.get_ref(), deadline).await.map(Into::into)
    }
}

impl Transport for TokioUnixPair {
    type Stream = UnixStream;

    async fn pair(stage: &Stage) -> io::Result<(UnixStream, UnixStream)> {
        let (near, far) = UnixPair::pair(stage).await?;
        Ok((near.into(), far.into()))
    }
}

impl_listener!(TcpListener, TcpStream, |address: SocketAddr| address.to_string());
impl_stream!(TcpStream, |address: SocketAddr| address.to_string(), io by get_ref);
impl_stream!(UnixStream, |address| format!("{address:?}"), io by get_ref);
