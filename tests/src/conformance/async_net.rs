//! The sockets of `adapters/async-net`, read and written by the traits of futures-io. They are in the care of the global
//! reactor, also where a stage has its own.

use std::io;
use std::net::{Ipv4Addr, Shutdown};
use std::time::Instant;

use futures::{AsyncReadExt, AsyncWriteExt};
use netpoll_async_net::unix::UnixStream;
use netpoll_async_net::{AsyncToSocketAddrs, Socket, TcpListener, TcpStream};
use netpoll_futures::StreamSocket;

use super::{Listener, Listening, Stage, Stream, Transport};

/// async-net's TCP, on `127.0.0.1`.
#[derive(Debug)]
pub struct AsyncNetTcp;

/// async-net's Unix sockets without a name, which are made in pairs.
#[derive(Debug)]
pub struct AsyncNetUnixPair;

impl Transport for AsyncNetTcp {
    type Stream = TcpStream;

    async fn pair(stage: &Stage) -> io::Result<(TcpStream, TcpStream)> {
        let listener = Self::listen(stage).await?;
        let near = Self::connect(stage, &listener, None).await?;
        let far = listener.accept().await?.0;
        // As Go's connections have it.
        near.set_nodelay(true)?;
        far.set_nodelay(true)?;
        Ok((near, far))
    }
}

impl Transport for AsyncNetUnixPair {
    type Stream = UnixStream;

    async fn pair(_stage: &Stage) -> io::Result<(UnixStream, UnixStream)> {
        UnixStream::pair()
    }
}

impl Listening for AsyncNetTcp {
    type Listener = TcpListener;

    async fn listen(_stage: &Stage) -> io::Result<TcpListener> {
        bind((Ipv4Addr::LOCALHOST, 0)).await
    }

    async fn listen_again(_stage: &Stage, at: &str) -> io::Result<TcpListener> {
        bind(at).await
    }

    async fn connect(
        _stage: &Stage,
        listener: &TcpListener,
        deadline: Option<Instant>,
    ) -> io::Result<TcpStream> {
        assert!(deadline.is_none(), "async-net connects without one");
        TcpStream::connect(listener.local_addr()?).await
    }
}

async fn bind(address: impl AsyncToSocketAddrs) -> io::Result<TcpListener> {
    TcpListener::bind(address).await
}

impl<S: StreamSocket> Stream for Socket<S> {
    async fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        AsyncReadExt::read(&mut self.clone(), buffer).await
    }

    async fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        AsyncWriteExt::write(&mut self.clone(), bytes).await
    }

    /// Without bytes, the method of futures-io asks the stream for nothing.
    async fn write_all(&self, bytes: &[u8]) -> io::Result<()> {
        match bytes {
            [] => Stream::write(self, bytes).await.map(drop),
            _ => AsyncWriteExt::write_all(&mut self.clone(), bytes).await,
        }
    }

    fn set_deadline(&self, deadline: Option<Instant>) -> io::Result<()> {
        self.set_deadline(deadline)
    }

    fn set_read_deadline(&self, deadline: Option<Instant>) -> io::Result<()> {
        self.set_read_deadline(deadline)
    }

    fn set_write_deadline(&self, deadline: Option<Instant>) -> io::Result<()> {
        self.set_write_deadline(deadline)
    }

    async fn close(&self) -> io::Result<()> {
        self.close_socket().await
    }

    fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.shutdown(how)
    }

    fn local_addr(&self) -> io::Result<String> {
        self.local_addr().map(|address| format!("{address:?}"))
    }

    fn peer_addr(&self) -> io::Result<String> {
        self.peer_addr().map(|address| format!("{address:?}"))
    }
}

impl Listener for TcpListener {
    type Stream = TcpStream;

    async fn accept(&self) -> io::Result<TcpStream> {
        self.accept().await.map(|(stream, _)| stream)
    }

    fn set_deadline(&self, deadline: Option<Instant>) -> io::Result<()> {
        self.set_deadline(deadline)
    }

    async fn close(&self) -> io::Result<()> {
        self.close_socket().await
    }

    fn local_addr(&self) -> io::Result<String> {
        self.local_addr().map(|address| address.to_string())
    }
}
