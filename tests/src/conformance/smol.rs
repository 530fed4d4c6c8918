//! The streams of the smol adapter, which are those of the futures adapter behind another type.

use std::io;
use std::net::Shutdown;
use std::time::Instant;

use netpoll_smol::net::unix::UnixStream;
use netpoll_smol::net::{TcpListener, TcpStream};

use super::{Listener, Listening, Stage, Stream, TcpV4, Transport, UnixPair};

/// The smol adapter's TCP, on `127.0.0.1`.
#[derive(Debug)]
pub struct SmolTcp;

impl Transport for SmolTcp {
    type Stream = TcpStream;

    async fn pair(stage: &Stage) -> io::Result<(TcpStream, TcpStream)> {
        let (near, far) = TcpV4::pair(stage).await?;
        Ok((near.into(), far.into()))
    }
}

/// The smol adapter's Unix sockets without a name, which are made in pairs.
#[derive(Debug)]
pub struct SmolUnixPair;

impl Transport for SmolUnixPair {
    type Stream = UnixStream;

    async fn pair(stage: &Stage) -> io::Result<(UnixStream, UnixStream)> {
        let (near, far) = UnixPair::pair(stage).await?;
        Ok((near.into(), far.into()))
    }
}

impl Listening for SmolTcp {
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

impl Listener for TcpListener {
    type Stream = TcpStream;

    async fn accept(&self) -> io::Result<TcpStream> {
        self.accept().await.map(|(stream, _)| stream)
    }

    fn set_deadline(&self, deadline: Option<Instant>) -> io::Result<()> {
        self.get_ref().set_deadline(deadline)
    }

    async fn close(&self) -> io::Result<()> {
        self.get_ref().close().await
    }

    fn local_addr(&self) -> io::Result<String> {
        self.get_ref().local_addr().map(|address| address.to_string())
    }
}

macro_rules! stream {
    ($type:ty, $written:expr) => {
        impl Stream for $type {
            async fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
                self.get_ref().read(buffer).await
            }

            async fn write(&self, bytes: &[u8]) -> io::Result<usize> {
                self.get_ref().write(bytes).await
            }

            async fn write_all(&self, bytes: &[u8]) -> io::Result<()> {
                self.get_ref().write_all(bytes).await
            }

            fn set_deadline(&self, deadline: Option<Instant>) -> io::Result<()> {
                self.get_ref().set_deadline(deadline)
            }

            fn set_read_deadline(&self, deadline: Option<Instant>) -> io::Result<()> {
                self.get_ref().set_read_deadline(deadline)
            }

            fn set_write_deadline(&self, deadline: Option<Instant>) -> io::Result<()> {
                self.get_ref().set_write_deadline(deadline)
            }

            async fn close(&self) -> io::Result<()> {
                self.get_ref().close().await
            }

            fn shutdown(&self, how: Shutdown) -> io::Result<()> {
                self.get_ref().shutdown(how)
            }

            fn local_addr(&self) -> io::Result<String> {
                self.get_ref().local_addr().map($written)
            }

            fn peer_addr(&self) -> io::Result<String> {
                self.get_ref().peer_addr().map($written)
            }
        }
    };
}

stream!(TcpStream, |address| address.to_string());
stream!(UnixStream, |address| format!("{address:?}"));
