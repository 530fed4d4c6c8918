//! A stream that waits for its peer no longer than it was told.

mod watch;

use std::fmt;
use std::future::poll_fn;
use std::io::{self, IoSlice, IoSliceMut};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use netpoll::is_deadline_exceeded;

use crate::partial;
use crate::sealed::StreamSocket;
use crate::stream::{Stream, poll_write, poll_write_all};
use watch::Watch;

/// How long a [`TimeoutStream`] waits: `None` for ever. A limit that no clock can tell is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// The limit of reading, for something to move: 75 seconds unless told otherwise. It begins when
    /// reading has to wait, and anew whenever a byte was read or written; while writing waits for
    /// room, it rests. Under a server library it has to be `None`: see [`TimeoutStream`].
    pub idle: Option<Duration>,
    /// The limit of writing, for the peer to take something, if only a byte: 60 seconds unless told
    /// otherwise. It begins when writing finds no room, and once it has passed, anew if the peer has
    /// taken anything meanwhile: a slow peer has not stalled, and writing to one that takes nothing any more
    /// fails before twice the time.
    ///
    /// The peer has taken what its kernel has acknowledged (`SIOCOUTQ`, `tcp(7)`), whether or not that
    /// makes room to write. **TCP shows this in steps.** Once the peer's receive buffer is full, Linux
    /// acknowledges nothing more until a sixteenth of the buffer is free, and a segment at least; until
    /// then nothing tells the sender that the peer reads. Measured: 6 to 7 KB a step with the default
    /// buffer (`net.ipv4.tcp_rmem`, 128 KiB), 10 KB with `SO_RCVBUF` of 128 KiB, and more in
    /// proportion where the kernel has let the buffer grow. A limit must be longer than a step takes at the
    /// lowest rate that is served: with 60 seconds and the default buffer, 120 bytes a second.
    ///
    /// A Unix socket shows it in the pieces that the kernel has queued: a write, or a part of a long one.
    pub write_stall: Option<Duration>,
}

impl Default for Timeouts {
    fn default() -> Self {
        let (idle, write_stall) = (Duration::from_secs(75), Duration::from_secs(60));
        Self { idle: Some(idle), write_stall: Some(write_stall) }
    }
}

impl Timeouts {
    /// No limits at all.
    #[must_use]
    pub fn none() -> Self {
        Self { idle: None, write_stall: None }
    }
}

/// A stream for protocols of your own, whose peer must not keep it waiting: reading fails when the
/// connection is idle, and writing when the peer takes nothing, both with
/// [`DeadlineExceeded`](crate::DeadlineExceeded).
///
/// # Not under a server library
///
/// `idle` counts from the moment at which a read has to wait. Your own server reads when it expects something; a
/// library such as hyper or axum reads all the time, also while a handler works on a request, so `idle` would cut
/// off requests in flight. And each byte renews it, so the head of a request that comes byte by byte would live
/// for ever. For HTTP use the server of `netpoll-hyper`, with a listener or, by its `serve_connection`,
/// with an accept loop of your own: its limits know heads, requests and bodies. Under any other library, leave
/// `idle` to the library and set [`Timeouts::idle`] to `None`; `write_stall` holds there as well.
///
/// # A server
///
/// With all the limits that it needs: a number of connections, a pause where the process has no descriptors,
/// and an end for peers that say nothing or take nothing.
///
/// ```no_run
/// use netpoll_futures::{Backoff, Limit, TcpListener, TimeoutStream, Timeouts};
/// # async fn attend(_: TimeoutStream<std::net::TcpStream>) {}
///
/// # fn main() -> std::io::Result<()> {
/// smol::block_on(async {
///     let listener = TcpListener::bind("127.0.0.1:7000").await?;
///     listener.set_limit(Some(&Limit::new(10_000)))?;
///     let mut backoff = Backoff::new();
///     loop {
///         match listener.accept().await {
///             Ok((stream, _)) => {
///                 backoff.reset();
///                 smol::spawn(attend(TimeoutStream::new(stream, Timeouts::default()))).detach();
///             }
///             Err(error) => backoff.pause(error).await?,
///         }
///     }
/// })
/// # }
/// ```
///
/// The timeouts are the deadlines of the socket. They are set when something has to wait and cleared
/// when it has got on, for a few nanoseconds each; what need not wait sets none. So the stream's own
/// deadlines are not the caller's to set while it is one of these: a limit for a whole request, say, is
/// a timer beside it, or [`set_timeouts`](Self::set_timeouts) for each of its phases.
///
/// Once the connection was idle for too long, reading fails until something comes or is written; once
/// its peer has stalled, writing fails until it takes something; and either until the timeouts are set
/// anew. Clones are the same stream.
pub struct TimeoutStream<S: StreamSocket> {
    stream: Stream<S>,
    watch: Arc<Watch>,
}

/// Prints the stream and its timeouts.
impl<S: StreamSocket> fmt::Debug for TimeoutStream<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TimeoutStream")
            .field("stream", &self.stream)
            .field("timeouts", &self.timeouts())
            .finish()
    }
}

impl<S: StreamSocket> Clone for TimeoutStream<S> {
    fn clone(&self) -> Self {
        Self { stream: self.stream.clone(), watch: self.watch.clone() }
    }
}

impl<S: StreamSocket> TimeoutStream<S> {
    /// The stream, with these timeouts from the next wait on.
    #[must_use]
    pub fn new(stream: Stream<S>, timeouts: Timeouts) -> Self {
        Self { stream, watch: Arc::new(Watch::new(timeouts)) }
    }

    /// The stream, for all that is neither reading nor writing: what is read or written there is not
    /// noticed here.
    #[must_use]
    pub fn get_ref(&self) -> &Stream<S> {
        &self.stream
    }

    /// The stream, with no deadlines.
    #[must_use]
    pub fn into_inner(self) -> Stream<S> {
        self.set_timeouts(Timeouts::none());
        self.stream
    }

    /// What is waited for at most.
    #[must_use]
    pub fn timeouts(&self) -> Timeouts {
        self.watch.timeouts()
    }

    /// Sets the timeouts anew: what waits has its whole time again, and what has timed out may go on.
    pub fn set_timeouts(&self, timeouts: Timeouts) {
        self.watch.set_timeouts(&self.stream, timeouts);
    }

    /// [`Stream::read`], which fails when the connection is idle.
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it has read nothing. Begun again, it has what was left of its time.
    pub async fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = self.reading(self.stream.read(buffer)).await;
            if !self.watch.reads_on(&self.stream, &read) {
                return read;
            }
        }
    }

    /// As [`read`](Self::read), into several buffers.
    pub async fn read_vectored(&self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        loop {
            let read = self.reading(self.stream.read_vectored(buffers)).await;
            if !self.watch.reads_on(&self.stream, &read) {
                return read;
            }
        }
    }

    /// [`Stream::write`], which fails when the peer takes nothing.
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it has written nothing. Begun again, it has what was left of its time.
    pub async fn write(&self, buffer: &[u8]) -> io::Result<usize> {
        let mut writing = self.stream.writing();
        let write = |cx: &mut Context<'_>| poll_write(&mut writing, cx, buffer);
        self.writing(write).await
    }

    /// [`Stream::write_all`], which fails when the peer takes nothing, and not for its length.
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// # Cancel safety
    ///
    /// Dropped, part of it may have been written.
    pub async fn write_all(&self, buffer: &[u8]) -> io::Result<()> {
        let (mut writing, mut written) = (self.stream.writing(), 0);
        let write = |cx: &mut Context<'_>| {
            loop {
                let before = written;
                let polled = poll_write_all(&mut writing, cx, buffer, &mut written);
                if written > before {
                    self.watch.has_written(&self.stream);
                    // The deadline was that of the bytes that are written.
                    if matches!(&polled, Poll::Ready(Err(late)) if is_deadline_exceeded(late)) {
                        continue;
                    }
                }
                return polled.map_ok(|()| written - before);
            }
        };
        let wrote = self.writing(write).await;
        wrote.map(drop).map_err(|error| partial::after(written, error))
    }

    /// [`Stream::close`].
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn close(&self) -> io::Result<()> {
        self.stream.close().await
    }

    /// [`read`](Self::read) for those who poll.
    pub fn poll_read(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        self.poll_reading(|| self.stream.poll_read(cx, buffer))
    }

    /// [`read_vectored`](Self::read_vectored) for those who poll.
    pub fn poll_read_vectored(
        &self,
        cx: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_reading(|| self.stream.poll_read_vectored(cx, buffers))
    }

    /// [`write`](Self::write) for those who poll.
    pub fn poll_write(&self, cx: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        self.watch.write(&self.stream, || self.stream.poll_write(cx, buffer))
    }

    /// [`poll_write`](Self::poll_write) from several buffers.
    pub fn poll_write_vectored(
        &self,
        cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.watch.write(&self.stream, || self.stream.poll_write_vectored(cx, buffers))
    }

    pub(crate) fn check_open(&self) -> io::Result<()> {
        self.stream.check_open()
    }

    pub(crate) fn end_writing(&self) -> io::Result<()> {
        self.stream.end_writing()
    }

    fn poll_reading(
        &self,
        mut poll: impl FnMut() -> Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        loop {
            let read = ready!(self.watch.read(&self.stream, poll()));
            if !self.watch.reads_on(&self.stream, &read) {
                return Poll::Ready(read);
            }
        }
    }

    async fn reading(&self, read: impl Future<Output = io::Result<usize>>) -> io::Result<usize> {
        let mut read = pin!(read);
        poll_fn(|cx| self.watch.read(&self.stream, read.as_mut().poll(cx))).await
    }

    /// Polls a write until it is over. One that has failed keeps the write lock, and is polled again if the
    /// deadline was not to count.
    async fn writing(
        &self,
        mut write: impl FnMut(&mut Context<'_>) -> Poll<io::Result<usize>>,
    ) -> io::Result<usize> {
        poll_fn(|cx| self.watch.write(&self.stream, || write(cx))).await
    }
}
