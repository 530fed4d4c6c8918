//! A stream with limits on the time that it waits for its peer, with tokio's io traits.

use std::fmt;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use netpoll_futures::{StreamSocket, Timeouts};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::budget;
use crate::io_traits::flush;
use crate::stream::Stream;

/// A stream with timeouts, for servers of your own protocol: reading fails when the connection has been idle for too
/// long, and writing when the peer has taken no byte for too long, both with
/// [`DeadlineExceeded`](crate::DeadlineExceeded). [`netpoll_futures::TimeoutStream`] explains the two limits, and why
/// [`Timeouts::idle`] must be `None` under a server library such as hyper or axum.
///
/// The timeouts use the deadlines of the socket, so do not set these as well.
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// use std::time::Duration;
/// use netpoll_tokio::net::{TcpListener, TcpStream};
/// use netpoll_tokio::{TimeoutStream, Timeouts, is_deadline_exceeded};
/// use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
///
/// let listener = TcpListener::bind("127.0.0.1:0").await?;
/// let mut client = TcpStream::connect(listener.local_addr()?).await?;
/// let (stream, _) = listener.accept().await?;
///
/// let mut timeouts = Timeouts::default();
/// timeouts.idle = Some(Duration::from_millis(10));
/// let mut lines = BufReader::new(TimeoutStream::new(stream, timeouts)).lines();
/// client.write_all(b"hello\n").await?;
/// assert_eq!(lines.next_line().await?.as_deref(), Some("hello"));
/// // The client sends no more.
/// assert!(is_deadline_exceeded(&lines.next_line().await.unwrap_err()));
/// # Ok(()) }) }
/// ```
pub struct TimeoutStream<S: StreamSocket> {
    inner: netpoll_futures::TimeoutStream<S>,
}

impl<S: StreamSocket> TimeoutStream<S> {
    /// Wraps a stream. The timeouts apply from the next wait on.
    #[must_use]
    pub fn new(stream: Stream<S>, timeouts: Timeouts) -> Self {
        Self { inner: netpoll_futures::TimeoutStream::new(stream.inner, timeouts) }
    }

    /// The stream of `netpoll-futures`, whose methods take `&self`. They take no part in tokio's cooperative budget.
    #[must_use]
    pub fn get_ref(&self) -> &netpoll_futures::TimeoutStream<S> {
        &self.inner
    }

    /// Returns the inner stream, with its deadlines cleared.
    #[must_use]
    pub fn into_inner(self) -> Stream<S> {
        self.inner.into_inner().into()
    }

    /// The current timeouts.
    #[must_use]
    pub fn timeouts(&self) -> Timeouts {
        self.inner.timeouts()
    }

    /// Sets the timeouts and restarts them: a waiting operation gets the whole time again, and a direction that has timed
    /// out becomes usable.
    pub fn set_timeouts(&self, timeouts: Timeouts) {
        self.inner.set_timeouts(timeouts);
    }

    /// Closes the stream. See [`Stream::close`].
    ///
    /// # Errors
    ///
    /// [`Closed`](netpoll::Closed) if it was closed before.
    pub async fn close(&self) -> io::Result<()> {
        self.inner.close().await
    }
}

/// Reads straight into the buffer, initialised or not.
impl<S: StreamSocket> AsyncRead for TimeoutStream<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.poll_read_into(cx, buffer)
    }
}

/// `poll_shutdown` shuts down writing. The descriptor stays open.
impl<S: StreamSocket> AsyncWrite for TimeoutStream<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        budget::poll(cx, |cx| self.inner.poll_write(cx, buffer))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        budget::poll(cx, |cx| self.inner.poll_write_vectored(cx, buffers))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(flush(self.inner.get_ref().registration()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.inner.get_ref().end_writing())
    }
}

/// Prints the stream and its timeouts.
impl<S: StreamSocket> fmt::Debug for TimeoutStream<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}
