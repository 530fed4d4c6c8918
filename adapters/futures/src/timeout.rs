//! A stream with limits on the time that it waits for its peer: [`Rules`] for a [`PeerTracker`].
//!
//! A read begins to wait when a poll first returns `Pending`, and waits until a read succeeds: a future that is dropped and
//! started again gains no time.

use std::fmt;
use std::future::poll_fn;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use netpoll::{Direction, Transfer, is_deadline_exceeded};

use crate::peer::{Expiry, Peer, PeerTracker, Rules};
use crate::sealed::StreamSocket;
use crate::stream::{Stream, poll_write, poll_write_all};
use crate::{partial, sys};

/// How long a [`TimeoutStream`] waits. `None` means no limit, as does a time beyond the range of the
/// clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// The limit for reading while the connection is idle; 75 seconds by default. It starts when a read
    /// begins to wait, and starts anew whenever a byte is read or written. While a write waits for
    /// room, it does not run. Under a server library it must be `None`: see [`TimeoutStream`].
    pub idle: Option<Duration>,
    /// The limit for writing while the peer takes no byte; 60 seconds by default. It starts when a
    /// write finds no room. If the peer has taken at least one byte by its end, it starts anew: a slow
    /// peer has not stalled. A write to a peer that has stopped fails before twice the time.
    ///
    /// The bytes that the peer's kernel has acknowledged count as taken (`SIOCOUTQ`, `tcp(7)`), whether
    /// or not that makes room to write. **TCP shows this in steps.** Once the peer's receive buffer is
    /// full, Linux acknowledges nothing more until a sixteenth of the buffer is free, and a segment at
    /// least; until then, the sender cannot see that the peer reads. Measured: 6 to 7 KB a step with
    /// the default buffer (`net.ipv4.tcp_rmem`, 128 KiB), 10 KB with `SO_RCVBUF` of 128 KiB, and more
    /// in proportion where the kernel has let the buffer grow. The limit must be longer than one step
    /// takes at the lowest rate that the server accepts: with 60 seconds and the default buffer, 120
    /// bytes a second.
    ///
    /// On a Unix socket, a step is one piece in the kernel's queue: a write, or a part of a long one.
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

/// A stream with timeouts, for servers of your own protocol: reading fails when the connection has been
/// idle for too long, and writing when the peer has taken no byte for too long, both with
/// [`DeadlineExceeded`](crate::DeadlineExceeded).
///
/// # Not under a server library
///
/// `idle` starts when a read begins to wait. Your own server reads when it expects bytes; a library
/// such as hyper or axum reads all the time, even while a handler works on a request, so `idle` would
/// cut off requests in flight. And each byte restarts it, so a client that sends a request head byte by
/// byte would never time out. For HTTP, use the server of `netpoll-hyper`, with a listener or, by its
/// `serve_connection`, with your own accept loop: it has separate limits for heads, requests and
/// bodies. Under any other library, set [`Timeouts::idle`] to `None` and use the library's own idle
/// timeout; `write_stall` works there as well.
///
/// # A server
///
/// This server has all the limits that it needs: a maximum number of connections, a pause when the
/// process has run out of descriptors, and timeouts for peers that send nothing or take nothing.
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
/// The timeouts use the deadlines of the socket. An operation that begins to wait sets a deadline, and
/// progress clears it, for a few nanoseconds each; an operation that need not wait sets none. So do not
/// set deadlines on the inner stream: the timeouts replace them. To limit a whole request, use a
/// separate timer, or call [`set_timeouts`](Self::set_timeouts) for each phase.
///
/// After an idle timeout, reading fails until a byte arrives or is written. After a write timeout,
/// writing fails until the peer takes a byte. [`set_timeouts`](Self::set_timeouts) ends both states.
/// Clones share one stream.
pub struct TimeoutStream<S: StreamSocket> {
    stream: Stream<S>,
    tracker: Arc<PeerTracker<S, Idle>>,
}

/// The rules for an idle peer.
#[derive(Debug)]
struct Idle {
    timeouts: Timeouts,
    is_reading: bool,
}

impl Rules for Idle {
    fn read_limit(&self, is_blocked: bool) -> Option<Duration> {
        self.timeouts.idle.filter(|_| self.is_reading && !is_blocked)
    }

    fn write_stall(&self) -> Option<Duration> {
        self.timeouts.write_stall
    }

    fn written(&mut self, _: bool) -> bool {
        self.is_reading
    }

    fn counts_progress(&self) -> bool {
        self.is_reading
    }
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
        Self { stream: self.stream.clone(), tracker: self.tracker.clone() }
    }
}

impl<S: StreamSocket> TimeoutStream<S> {
    /// Wraps a stream. The timeouts apply from the next wait on.
    #[must_use]
    pub fn new(stream: Stream<S>, timeouts: Timeouts) -> Self {
        let rules = Idle { timeouts, is_reading: false };
        Self { tracker: Arc::new(PeerTracker::new(stream.clone(), rules)), stream }
    }

    /// The inner stream, for calls other than reading and writing: bytes that are read or written there
    /// do not restart the timeouts.
    #[must_use]
    pub fn get_ref(&self) -> &Stream<S> {
        &self.stream
    }

    /// Returns the inner stream, with its deadlines cleared.
    #[must_use]
    pub fn into_inner(self) -> Stream<S> {
        self.set_timeouts(Timeouts::none());
        self.stream
    }

    /// The current timeouts.
    #[must_use]
    pub fn timeouts(&self) -> Timeouts {
        self.tracker.update(|peer| peer.rules.timeouts).unwrap_or_default()
    }

    /// Sets the timeouts and restarts them: a waiting operation gets the whole time again, and a
    /// direction that has timed out becomes usable.
    pub fn set_timeouts(&self, timeouts: Timeouts) {
        self.tracker.update(|peer| {
            peer.rules.timeouts = timeouts;
            peer.progress();
            peer.begin_period();
            if peer.is_blocked() {
                peer.block();
            }
        });
    }

    /// [`Stream::read`], which fails when the connection has been idle for too long.
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, no byte has been read. A new read continues with the remaining time.
    pub async fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return self.stream.nothing_to_read();
        }
        let mut waiting = self.stream.registration().readiness_wait(Direction::Read);
        let transfer = Transfer(Direction::Read, buffer.len());
        let registration = self.stream.registration();
        let mut read = |socket: &S| Stream::whole(registration, socket.receive(buffer));
        poll_fn(|cx| self.poll_reading(|| waiting.poll_io(cx, transfer, &mut read))).await
    }

    /// As [`read`](Self::read), into several buffers.
    pub async fn read_vectored(&self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        let (window, len) = sys::window(buffers);
        if len == 0 {
            return self.stream.nothing_to_read();
        }
        let mut waiting = self.stream.registration().readiness_wait(Direction::Read);
        let transfer = Stream::<S>::transfer(len);
        let mut read =
            |socket: &S| sys::recv_vectored(socket.as_fd(), &mut buffers[window.clone()]);
        poll_fn(|cx| self.poll_reading(|| waiting.poll_io(cx, transfer, &mut read))).await
    }

    /// [`Stream::write`], which fails when the peer has stalled.
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, no byte has been written. A new write continues with the remaining
    /// time.
    pub async fn write(&self, buffer: &[u8]) -> io::Result<usize> {
        let mut writing = self.stream.writing();
        let write = |cx: &mut Context<'_>| poll_write(&mut writing, cx, buffer);
        self.writing(write).await
    }

    /// [`Stream::write_all`], which fails when the peer has stalled. The total time has no limit.
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, part of the buffer may have been written.
    pub async fn write_all(&self, buffer: &[u8]) -> io::Result<()> {
        let (mut writing, mut written) = (self.stream.writing(), 0);
        let write = |cx: &mut Context<'_>| {
            loop {
                let before = written;
                let polled = poll_write_all(&mut writing, cx, buffer, &mut written);
                if written > before {
                    self.tracker.bytes_written(written - before);
                    // The deadline belonged to bytes that have been written since.
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

    /// [`read`](Self::read) as a poll function.
    pub fn poll_read(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        self.poll_reading(|| self.stream.poll_read(cx, buffer))
    }

    /// [`Stream::poll_read_uninit`], which fails when the connection has been idle for too long. Unsafe code may
    /// rely on the same promise.
    pub fn poll_read_uninit(
        &self,
        cx: &mut Context<'_>,
        buffer: &mut [MaybeUninit<u8>],
    ) -> Poll<io::Result<usize>> {
        self.poll_reading(|| self.stream.poll_read_uninit(cx, buffer))
    }

    /// [`read_vectored`](Self::read_vectored) as a poll function.
    pub fn poll_read_vectored(
        &self,
        cx: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_reading(|| self.stream.poll_read_vectored(cx, buffers))
    }

    /// [`write`](Self::write) as a poll function.
    pub fn poll_write(&self, cx: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        self.tracker.poll_write(|| self.stream.poll_write(cx, buffer))
    }

    /// [`poll_write`](Self::poll_write) from several buffers.
    pub fn poll_write_vectored(
        &self,
        cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.tracker.poll_write(|| self.stream.poll_write_vectored(cx, buffers))
    }

    pub(crate) fn check_open(&self) -> io::Result<()> {
        self.stream.check_open()
    }

    pub(crate) fn end_writing(&self) -> io::Result<()> {
        self.stream.end_writing()
    }

    /// Polls a read, and repeats it if its deadline was moved, or has passed.
    fn poll_reading(
        &self,
        mut read: impl FnMut() -> Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        loop {
            match read() {
                Poll::Ready(Err(error)) if is_deadline_exceeded(&error) => {
                    match self.tracker.expired(Direction::Read) {
                        Expiry::Moved => {}
                        Expiry::Foreign => return Poll::Ready(Err(error)),
                        Expiry::Passed => {
                            let last = self.record_read(read());
                            let is_idle = self.tracker.update(Peer::take_passed_read);
                            let fails = last.is_pending() && is_idle == Some(true);
                            return if fails { Poll::Ready(Err(error)) } else { last };
                        }
                    }
                }
                read => return self.record_read(read),
            }
        }
    }

    fn record_read(&self, read: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if read.is_ready() && !self.tracker.counts_progress() {
            return read;
        }
        self.tracker.update(|peer| match &read {
            Poll::Pending if !peer.rules.is_reading => {
                peer.rules.is_reading = true;
                peer.progress();
            }
            Poll::Ready(Ok(_)) => peer.rules.is_reading = false,
            _ => {}
        });
        read
    }

    /// Polls a write until it is over. A write that is repeated keeps the write lock.
    async fn writing(
        &self,
        mut write: impl FnMut(&mut Context<'_>) -> Poll<io::Result<usize>>,
    ) -> io::Result<usize> {
        poll_fn(|cx| self.tracker.poll_write(|| write(cx))).await
    }
}
