//! A stream of either family, and the ways in which it is read and written.

use std::future::poll_fn;
use std::io::{self, IoSlice, IoSliceMut};
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use futures::FutureExt;
use futures::io::{AsyncReadExt, AsyncWriteExt};
use netpoll::{Direction, Interest, Reactor, Registration};
use netpoll_futures::sys;
use netpoll_futures::{Stream, StreamSocket, TcpStream, UnixStream};

use crate::stage::job::{Done, Operation};

/// A stream.
#[derive(Clone, Debug)]
pub(crate) enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// The operations. Reading comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    Read,
    ReadVectored,
    Peek,
    Readable,
    Write,
    WriteVectored,
    WriteAll,
    Writable,
}

/// Through which of the adapters, or which of the ways of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Face {
    Futures,
    /// The traits of futures-io.
    Traits,
    /// The calls that poll.
    Poll,
    Smol,
    Tokio,
}

impl Face {
    pub(crate) const ALL: [Face; 5] =
        [Face::Futures, Face::Traits, Face::Poll, Face::Smol, Face::Tokio];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Face::Futures => "futures",
            Face::Traits => "futures-io",
            Face::Poll => "poll",
            Face::Smol => "smol",
            Face::Tokio => "tokio",
        }
    }
}

impl Call {
    pub(crate) const READING: [Call; 4] =
        [Call::Read, Call::ReadVectored, Call::Peek, Call::Readable];
    pub(crate) const WRITING: [Call; 4] =
        [Call::Write, Call::WriteVectored, Call::WriteAll, Call::Writable];

    pub(crate) fn direction(self) -> Direction {
        if Self::READING.contains(&self) { Direction::Read } else { Direction::Write }
    }

    /// Whether it is over without moving anything.
    pub(crate) fn only_waits(self) -> bool {
        matches!(self, Call::Readable | Call::Writable)
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Call::Read => "read",
            Call::ReadVectored => "read_vectored",
            Call::Peek => "peek",
            Call::Readable => "readable",
            Call::Write => "write",
            Call::WriteVectored => "write_vectored",
            Call::WriteAll => "write_all",
            Call::Writable => "writable",
        }
    }
}

macro_rules! either {
    ($socket:expr, $stream:ident => $do:expr) => {
        match $socket {
            Socket::Tcp($stream) => $do,
            Socket::Unix($stream) => $do,
        }
    };
}

impl Socket {
    pub(crate) fn is_tcp(&self) -> bool {
        matches!(self, Socket::Tcp(_))
    }

    /// Reads up to `len` bytes.
    pub(crate) fn reading(&self, call: Call, face: Face, len: usize) -> Operation {
        either!(self.clone(), stream => reading(stream, call, face, len).boxed())
    }

    /// Writes of `bytes`.
    pub(crate) fn writing(&self, call: Call, face: Face, bytes: &'static [u8]) -> Operation {
        either!(self.clone(), stream => writing(stream, call, face, bytes).boxed())
    }

    pub(crate) fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        either!(self, stream => stream.try_read(buffer))
    }

    pub(crate) fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        either!(self, stream => stream.try_write(bytes))
    }

    pub(crate) fn set_deadline(
        &self,
        direction: Option<Direction>,
        deadline: Option<Instant>,
    ) -> io::Result<()> {
        either!(self, stream => match direction {
            None => stream.set_deadline(deadline),
            Some(Direction::Read) => stream.set_read_deadline(deadline),
            Some(Direction::Write) => stream.set_write_deadline(deadline),
        })
    }

    pub(crate) fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        either!(self, stream => stream.shutdown(how))
    }

    pub(crate) async fn close(&self) -> io::Result<()> {
        either!(self, stream => stream.close().await)
    }

    /// Closing it, or dropping it, resets the connection from now on.
    pub(crate) fn set_abortive(&self) -> io::Result<()> {
        sys::set_linger(self.as_fd(), Some(Duration::ZERO))
    }

    /// How many bytes wait to be sent at most. The receive buffer stays as it is: where that is little,
    /// the kernel drops bytes, and sends them again only much later.
    pub(crate) fn set_buffer(&self, bytes: u32) -> io::Result<()> {
        sys::set_send_buffer_size(self.as_fd(), bytes)
    }

    /// Another descriptor of the same socket, in the care of the global reactor.
    pub(crate) fn duplicate(&self) -> io::Result<Self> {
        match self.clone() {
            Socket::Tcp(stream) => TcpStream::try_from(OwnedFd::try_from(stream)?).map(Self::Tcp),
            Socket::Unix(stream) => {
                UnixStream::try_from(OwnedFd::try_from(stream)?).map(Self::Unix)
            }
        }
    }

    /// The same descriptor in the care of another reactor. It must be the last clone.
    pub(crate) fn moved_to(self, reactor: &Reactor) -> io::Result<Self> {
        match self {
            Socket::Tcp(stream) => {
                let io = std::net::TcpStream::try_from(stream)?;
                Registration::with(reactor, io, Interest::Both).map(|io| Self::Tcp(io.into()))
            }
            Socket::Unix(stream) => {
                let io = std::os::unix::net::UnixStream::try_from(stream)?;
                let registered = Registration::with(reactor, io, Interest::WriteOnDemand);
                registered.map(|io| Self::Unix(io.into()))
            }
        }
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        either!(self, stream => stream.as_fd())
    }
}

async fn reading<S: StreamSocket>(stream: Stream<S>, call: Call, face: Face, len: usize) -> Done {
    let mut buffer = vec![0; if call.only_waits() { 0 } else { len }];
    let result = match call {
        Call::Read => read(&stream, face, &mut buffer).await,
        Call::ReadVectored => read_vectored(&stream, face, &mut buffer).await,
        Call::Peek => match face {
            Face::Poll => poll_fn(|cx| stream.poll_peek(cx, &mut buffer)).await,
            Face::Tokio => netpoll_tokio::Stream::from(stream.clone()).peek(&mut buffer).await,
            _ => stream.peek(&mut buffer).await,
        },
        _ => match face {
            Face::Poll => poll_fn(|cx| stream.poll_read_ready(cx)).await.map(|()| 0),
            Face::Tokio => netpoll_tokio::Stream::from(stream.clone()).readable().await.map(|()| 0),
            _ => stream.readable().await.map(|()| 0),
        },
    };
    buffer.truncate(*result.as_ref().unwrap_or(&0));
    Done::new(result, buffer)
}

async fn read<S: StreamSocket>(
    stream: &Stream<S>,
    face: Face,
    buffer: &mut [u8],
) -> io::Result<usize> {
    match face {
        Face::Futures => stream.read(buffer).await,
        Face::Traits => AsyncReadExt::read(&mut &*stream, buffer).await,
        Face::Poll => poll_fn(|cx| stream.poll_read(cx, buffer)).await,
        Face::Smol => {
            let mut stream = netpoll_smol::net::Stream::from(stream.clone());
            AsyncReadExt::read(&mut stream, buffer).await
        }
        Face::Tokio => netpoll_tokio::Stream::from(stream.clone()).get_ref().read(buffer).await,
    }
}

async fn read_vectored<S: StreamSocket>(
    stream: &Stream<S>,
    face: Face,
    buffer: &mut [u8],
) -> io::Result<usize> {
    let (one, other) = buffer.split_at_mut(buffer.len() / 3);
    let buffers = &mut [IoSliceMut::new(one), IoSliceMut::new(other)];
    match face {
        Face::Poll => poll_fn(|cx| stream.poll_read_vectored(cx, buffers)).await,
        Face::Traits => AsyncReadExt::read_vectored(&mut &*stream, buffers).await,
        _ => stream.read_vectored(buffers).await,
    }
}

async fn writing<S: StreamSocket>(
    stream: Stream<S>,
    call: Call,
    face: Face,
    bytes: &'static [u8],
) -> Done {
    let result = match call {
        Call::Write => write(&stream, face, bytes).await,
        Call::WriteVectored => write_vectored(&stream, face, bytes).await,
        Call::WriteAll => match face {
            Face::Tokio => {
                netpoll_tokio::Stream::from(stream.clone()).get_ref().write_all(bytes).await
            }
            _ => stream.write_all(bytes).await,
        }
        .map(|()| bytes.len()),
        _ => match face {
            Face::Poll => poll_fn(|cx| stream.poll_write_ready(cx)).await.map(|()| 0),
            Face::Tokio => netpoll_tokio::Stream::from(stream.clone()).writable().await.map(|()| 0),
            _ => stream.writable().await.map(|()| 0),
        },
    };
    Done::new(result, Vec::new())
}

async fn write<S: StreamSocket>(stream: &Stream<S>, face: Face, bytes: &[u8]) -> io::Result<usize> {
    match face {
        Face::Futures => stream.write(bytes).await,
        Face::Traits => AsyncWriteExt::write(&mut &*stream, bytes).await,
        Face::Poll => poll_fn(|cx| stream.poll_write(cx, bytes)).await,
        Face::Smol => {
            let mut stream = netpoll_smol::net::Stream::from(stream.clone());
            AsyncWriteExt::write(&mut stream, bytes).await
        }
        Face::Tokio => netpoll_tokio::Stream::from(stream.clone()).get_ref().write(bytes).await,
    }
}

async fn write_vectored<S: StreamSocket>(
    stream: &Stream<S>,
    face: Face,
    bytes: &[u8],
) -> io::Result<usize> {
    let (one, other) = bytes.split_at(bytes.len() / 3);
    let buffers = &[IoSlice::new(one), IoSlice::new(other)];
    match face {
        Face::Poll => poll_fn(|cx| stream.poll_write_vectored(cx, buffers)).await,
        Face::Traits => AsyncWriteExt::write_vectored(&mut &*stream, buffers).await,
        _ => stream.write_vectored(buffers).await,
    }
}
