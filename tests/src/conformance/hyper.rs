//! The streams of the hyper adapter: read and written by hyper's traits, as hyper does.

use std::future::poll_fn;
use std::io;
use std::net::Shutdown;
use std::pin::Pin;
use std::time::Instant;

use hyper::rt::{Read, ReadBuf, Write};
use netpoll_futures::{Stream as Socket, StreamSocket};
use netpoll_hyper::Io;

use super::{Stage, Stream, TcpV4, Transport, UnixPair};

/// The hyper adapter over TCP, on `127.0.0.1`.
#[derive(Debug)]
pub struct HyperTcp;

/// The hyper adapter over Unix sockets without a name, which are made in pairs.
#[derive(Debug)]
pub struct HyperUnixPair;

/// A stream each operation of which goes through an [`Io`] of its own. hyper's take `&mut`, and it
/// makes them from one task; that several share a socket is nothing that its traits could say.
#[derive(Clone, Debug)]
pub struct Polled<S: StreamSocket>(Socket<S>);

impl<S: StreamSocket> Polled<S> {
    fn io(&self) -> Io<Socket<S>> {
        Io::new(self.0.clone())
    }
}

macro_rules! transport {
    ($transport:ty, $over:ty, $socket:ty) => {
        impl Transport for $transport {
            type Stream = Polled<$socket>;

            async fn pair(stage: &Stage) -> io::Result<(Self::Stream, Self::Stream)> {
                let (near, far) = <$over>::pair(stage).await?;
                Ok((Polled(near), Polled(far)))
            }
        }

        impl Stream for Polled<$socket> {
            async fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
                let (mut io, mut filled) = (self.io(), ReadBuf::new(buffer));
                poll_fn(|cx| Pin::new(&mut io).poll_read(cx, filled.unfilled())).await?;
                Ok(filled.filled().len())
            }

            async fn write(&self, bytes: &[u8]) -> io::Result<usize> {
                let mut io = self.io();
                poll_fn(|cx| Pin::new(&mut io).poll_write(cx, bytes)).await
            }

            async fn write_all(&self, mut bytes: &[u8]) -> io::Result<()> {
                loop {
                    let written = self.write(bytes).await?;
                    bytes = &bytes[written..];
                    if bytes.is_empty() {
                        return Ok(());
                    }
                }
            }

            fn set_deadline(&self, deadline: Option<Instant>) -> io::Result<()> {
                self.0.set_deadline(deadline)
            }

            fn set_read_deadline(&self, deadline: Option<Instant>) -> io::Result<()> {
                self.0.set_read_deadline(deadline)
            }

            fn set_write_deadline(&self, deadline: Option<Instant>) -> io::Result<()> {
                self.0.set_write_deadline(deadline)
            }

            async fn close(&self) -> io::Result<()> {
                self.0.close().await
            }

            fn shutdown(&self, how: Shutdown) -> io::Result<()> {
                Stream::shutdown(&self.0, how)
            }

            fn local_addr(&self) -> io::Result<String> {
                Stream::local_addr(&self.0)
            }

            fn peer_addr(&self) -> io::Result<String> {
                Stream::peer_addr(&self.0)
            }
        }
    };
}

transport!(HyperTcp, TcpV4, std::net::TcpStream);
transport!(HyperUnixPair, UnixPair, std::os::unix::net::UnixStream);
