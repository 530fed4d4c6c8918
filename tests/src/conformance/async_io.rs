//! The objects of `adapters/async-io`, read and written by the traits of futures-io. They are in the care of the global
//! reactor, also where a stage has its own.

use std::io;
use std::net::{self, Shutdown};
use std::os::unix::net as unix;
use std::time::Instant;

use futures::{AsyncReadExt, AsyncWriteExt};
use netpoll_async_io::Async;

use super::{Stage, Stream, Transport};

/// async-io's objects over TCP, on `127.0.0.1`.
#[derive(Debug)]
pub struct AsyncIoTcp;

/// async-io's objects over Unix sockets without a name, which are made in pairs.
#[derive(Debug)]
pub struct AsyncIoUnixPair;

impl Transport for AsyncIoTcp {
    type Stream = Async<net::TcpStream>;

    async fn pair(_stage: &Stage) -> io::Result<(Self::Stream, Self::Stream)> {
        let listener = Async::<net::TcpListener>::bind(([127, 0, 0, 1], 0))?;
        let near = Async::<net::TcpStream>::connect(listener.get_ref().local_addr()?).await?;
        // As Go's connections have it.
        near.get_ref().set_nodelay(true)?;
        let far = listener.accept().await?.0;
        far.get_ref().set_nodelay(true)?;
        Ok((near, far))
    }
}

impl Transport for AsyncIoUnixPair {
    type Stream = Async<unix::UnixStream>;

    async fn pair(_stage: &Stage) -> io::Result<(Self::Stream, Self::Stream)> {
        Async::<unix::UnixStream>::pair()
    }
}

macro_rules! stream {
    ($socket:ty) => {
        impl Stream for Async<$socket> {
            async fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
                let mut this = self;
                AsyncReadExt::read(&mut this, buffer).await
            }

            async fn write(&self, bytes: &[u8]) -> io::Result<usize> {
                let mut this = self;
                AsyncWriteExt::write(&mut this, bytes).await
            }

            async fn write_all(&self, bytes: &[u8]) -> io::Result<()> {
                let mut this = self;
                AsyncWriteExt::write_all(&mut this, bytes).await
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
                Async::close(self).await
            }

            fn shutdown(&self, how: Shutdown) -> io::Result<()> {
                self.get_ref().shutdown(how)
            }

            fn local_addr(&self) -> io::Result<String> {
                self.get_ref().local_addr().map(|address| format!("{address:?}"))
            }

            fn peer_addr(&self) -> io::Result<String> {
                self.get_ref().peer_addr().map(|address| format!("{address:?}"))
            }
        }
    };
}

stream!(net::TcpStream);
stream!(unix::UnixStream);
