//! The streams of the tokio adapter: TCP, and Unix sockets in pairs.

use std::io;
use std::net::{Shutdown, SocketAddr};
use std::time::Instant;

use netpoll_tokio::net::{TcpListener, TcpStream, UnixStream};

use super::{Listener, Listening, Stage, Stream, TcpV4, Transport, UnixPair};

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

impl Listener for TcpListener {
    type Stream = TcpStream;

    async fn accept(&self) -> io::Result<TcpStream> {
        self.accept().await.map(|(stream, _)| stream)
    }

    fn set_deadline(&self, deadline: Option<Instant>) -> io::Result<()> {
        self.set_deadline(deadline)
    }

    async fn close(&self) -> io::Result<()> {
        self.close().await
    }

    fn local_addr(&self) -> io::Result<String> {
        self.local_addr().map(|address| address.to_string())
    }
}

/// tokio's streams read and write by `&mut`; by `&self`, the stream underneath does.
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
                self.set_deadline(deadline)
            }

            fn set_read_deadline(&self, deadline: Option<Instant>) -> io::Result<()> {
                self.set_read_deadline(deadline)
            }

            fn set_write_deadline(&self, deadline: Option<Instant>) -> io::Result<()> {
                self.set_write_deadline(deadline)
            }

            async fn close(&self) -> io::Result<()> {
                self.close().await
            }

            fn shutdown(&self, how: Shutdown) -> io::Result<()> {
                self.get_ref().shutdown(how)
            }

            fn local_addr(&self) -> io::Result<String> {
                self.local_addr().map($written)
            }

            fn peer_addr(&self) -> io::Result<String> {
                self.peer_addr().map($written)
            }
        }
    };
}

stream!(TcpStream, |address: SocketAddr| address.to_string());
stream!(UnixStream, |address| format!("{address:?}"));
