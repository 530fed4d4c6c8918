//! TCP over the futures adapter, on either loopback.

use std::io;
use std::net::{self, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Instant;

use netpoll::{Interest, Registration};
use netpoll_futures::{TcpListener, TcpStream};

use super::stream::{impl_listener, impl_stream};
use super::{Listening, Stage, Transport};

/// TCP on a loopback interface.
#[derive(Debug)]
pub struct Tcp<const V6: bool>;

/// TCP on `127.0.0.1`.
pub type TcpV4 = Tcp<false>;

/// TCP on `::1`.
pub type TcpV6 = Tcp<true>;

impl<const V6: bool> Transport for Tcp<V6> {
    type Stream = TcpStream;

    async fn pair(stage: &Stage) -> io::Result<(TcpStream, TcpStream)> {
        let listener = Self::listen(stage).await?;
        let near = Self::connect(stage, &listener, None).await?;
        Ok((near, listener.accept().await?.0))
    }
}

impl<const V6: bool> Listening for Tcp<V6> {
    type Listener = TcpListener;

    async fn listen(stage: &Stage) -> io::Result<TcpListener> {
        let any_port: SocketAddr =
            if V6 { (Ipv6Addr::LOCALHOST, 0).into() } else { (Ipv4Addr::LOCALHOST, 0).into() };
        listen_at(stage, any_port).await
    }

    async fn listen_again(stage: &Stage, at: &str) -> io::Result<TcpListener> {
        listen_at(stage, at.parse().expect("the address of a listener")).await
    }

    async fn connect(
        stage: &Stage,
        listener: &TcpListener,
        deadline: Option<Instant>,
    ) -> io::Result<TcpStream> {
        let address = listener.local_addr()?;
        let stream = match deadline {
            None => TcpStream::connect(address).await?,
            Some(deadline) => TcpStream::connect_deadline(address, deadline).await?,
        };
        let Some(reactor) = stage.own_reactor() else { return Ok(stream) };
        let stream = net::TcpStream::try_from(stream)?;
        Registration::with(reactor, stream, Interest::Both).map(Into::into)
    }
}

async fn listen_at(stage: &Stage, address: SocketAddr) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(address).await?;
    let Some(reactor) = stage.own_reactor() else { return Ok(listener) };
    let listener = net::TcpListener::try_from(listener)?;
    Registration::with(reactor, listener, Interest::Readable).map(Into::into)
}

impl_listener!(TcpListener, TcpStream, |address: SocketAddr| address.to_string());
impl_stream!(TcpStream, |address: SocketAddr| address.to_string());
