//! The operations that a socket type needs to run the suite.

use std::future::Future;
use std::io;
use std::net::Shutdown;
use std::time::Instant;

use super::Stage;

/// A connected stream. Everything is by `&self`: the suite shares streams among tasks.
pub trait Stream: Send + Sync + 'static {
    /// Reads the bytes that are there, as soon as there is one; zero at the end.
    fn read(&self, buffer: &mut [u8]) -> impl Future<Output = io::Result<usize>> + Send;

    /// Writes as much as there is room for, at least something.
    fn write(&self, bytes: &[u8]) -> impl Future<Output = io::Result<usize>> + Send;

    /// Writes all of it, and nothing of others in between.
    fn write_all(&self, bytes: &[u8]) -> impl Future<Output = io::Result<()>> + Send;

    /// Sets or clears the deadline of both directions.
    fn set_deadline(&self, deadline: Option<Instant>) -> io::Result<()>;

    /// Sets or clears the deadline of reading.
    fn set_read_deadline(&self, deadline: Option<Instant>) -> io::Result<()>;

    /// Sets or clears the deadline of writing.
    fn set_write_deadline(&self, deadline: Option<Instant>) -> io::Result<()>;

    /// Closes it, for all tasks that use it.
    fn close(&self) -> impl Future<Output = io::Result<()>> + Send;

    /// Ends reading, writing or both.
    fn shutdown(&self, how: Shutdown) -> io::Result<()>;

    /// Its own address, for people to read.
    fn local_addr(&self) -> io::Result<String>;

    /// The other end's, for people to read.
    fn peer_addr(&self) -> io::Result<String>;
}

/// A socket that accepts streams.
pub trait Listener: Send + Sync + 'static {
    /// The type of an accepted stream.
    type Stream: Stream;

    /// Waits for a connection.
    fn accept(&self) -> impl Future<Output = io::Result<Self::Stream>> + Send;

    /// Sets or clears the time after which accepting fails.
    fn set_deadline(&self, deadline: Option<Instant>) -> io::Result<()>;

    /// Stops listening.
    fn close(&self) -> impl Future<Output = io::Result<()>> + Send;

    /// Where it listens, for people to read, and for [`Listening::listen_again`].
    fn local_addr(&self) -> io::Result<String>;
}

/// A way to make connected streams.
pub trait Transport: 'static {
    /// The type of its streams.
    type Stream: Stream;

    /// Two streams that are connected to each other, in the care of the stage's reactor.
    fn pair(stage: &Stage)
    -> impl Future<Output = io::Result<(Self::Stream, Self::Stream)>> + Send;
}

/// A transport that has listeners.
pub trait Listening: Transport {
    /// The type of its listeners.
    type Listener: Listener<Stream = Self::Stream>;

    /// A listener at an address of its own, in the care of the stage's reactor.
    fn listen(stage: &Stage) -> impl Future<Output = io::Result<Self::Listener>> + Send;

    /// A listener at the address of an earlier one.
    fn listen_again(
        stage: &Stage,
        at: &str,
    ) -> impl Future<Output = io::Result<Self::Listener>> + Send;

    /// Connects to a listener, giving up at `deadline`.
    fn connect(
        stage: &Stage,
        listener: &Self::Listener,
        deadline: Option<Instant>,
    ) -> impl Future<Output = io::Result<Self::Stream>> + Send;
}

/// A [`Stream`] by the methods of a type. `io by` names the way to the type underneath for reading, writing and
/// shutdown, where the type itself has these by `&mut`; `rest by` the way to it for the others.
macro_rules! impl_stream {
    ($type:ty, $written:expr $(, io by $io:ident)? $(, rest by $rest:ident)?) => {
        impl $crate::conformance::Stream for $type {
            async fn read(&self, buffer: &mut [u8]) -> std::io::Result<usize> {
                self$(.$io())?.read(buffer).await
            }

            async fn write(&self, bytes: &[u8]) -> std::io::Result<usize> {
                self$(.$io())?.write(bytes).await
            }

            async fn write_all(&self, bytes: &[u8]) -> std::io::Result<()> {
                self$(.$io())?.write_all(bytes).await
            }

            fn set_deadline(&self, deadline: Option<std::time::Instant>) -> std::io::Result<()> {
                self$(.$rest())?.set_deadline(deadline)
            }

            fn set_read_deadline(&self, deadline: Option<std::time::Instant>) -> std::io::Result<()> {
                self$(.$rest())?.set_read_deadline(deadline)
            }

            fn set_write_deadline(&self, deadline: Option<std::time::Instant>) -> std::io::Result<()> {
                self$(.$rest())?.set_write_deadline(deadline)
            }

            async fn close(&self) -> std::io::Result<()> {
                self$(.$rest())?.close().await
            }

            fn shutdown(&self, how: std::net::Shutdown) -> std::io::Result<()> {
                self$(.$io())?.shutdown(how)
            }

            fn local_addr(&self) -> std::io::Result<String> {
                self$(.$rest())?.local_addr().map($written)
            }

            fn peer_addr(&self) -> std::io::Result<String> {
                self$(.$rest())?.peer_addr().map($written)
            }
        }
    };
}

/// A [`Listener`] by the methods of a type, or of the type underneath, to which `rest by` names the way.
macro_rules! impl_listener {
    ($type:ty, $stream:ty, $written:expr $(, rest by $rest:ident)?) => {
        impl $crate::conformance::Listener for $type {
            type Stream = $stream;

            async fn accept(&self) -> std::io::Result<$stream> {
                self.accept().await.map(|(stream, _)| stream)
            }

            fn set_deadline(&self, deadline: Option<std::time::Instant>) -> std::io::Result<()> {
                self$(.$rest())?.set_deadline(deadline)
            }

            async fn close(&self) -> std::io::Result<()> {
                self$(.$rest())?.close().await
            }

            fn local_addr(&self) -> std::io::Result<String> {
                self$(.$rest())?.local_addr().map($written)
            }
        }
    };
}

pub(super) use {impl_listener, impl_stream};
