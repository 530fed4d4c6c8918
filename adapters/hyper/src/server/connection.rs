//! Serves one connection, from its first byte to its end.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::FutureExt;
use futures_util::io::{AsyncRead, AsyncWrite};
use hyper::body::{Body, Incoming};
#[cfg(feature = "http1")]
use hyper::server::conn::http1::UpgradeableConnection;
#[cfg(feature = "http2")]
use hyper::server::conn::http2;
use hyper::service::Service;
use hyper::{Request, Response};
use netpoll_futures::{Address, OpError, Stream, StreamSocket};

use super::connections::{ConnectionGuard, ShutdownPhase};
use super::deadlines::Deadline;
#[cfg(all(feature = "http1", feature = "http2"))]
use super::detect::poll_version;
#[cfg(feature = "http1")]
use super::head_timer::{HEADER_READ_TIMEOUT, HeadTimer};
use super::io::{ServedIo, ServedStream};
use super::progress::{Decision, ProgressTracker};
use super::service::TrackedService;
use super::{BoxError, Settings};
#[cfg(feature = "http2")]
use crate::Timer;
use crate::Version;

/// How a connection ended.
#[derive(Debug)]
#[non_exhaustive]
pub enum End {
    /// Regularly: the peer closed it between two requests, the peer or the service did not keep it alive, the
    /// server was shut down, or it was upgraded.
    Finished,
    /// The peer exceeded a limit, and the server closed the connection.
    TimedOut(Deadline),
    /// The handshake of [`Server::serve_with`](super::Server::serve_with) failed, for example since the peer does not speak
    /// TLS, or was not complete when the server [shut down](super::Server::shutdown). The error names the peer's address.
    HandshakeFailed(io::Error),
    /// [`Server::close`](super::Server::close) closed it, or its future was dropped.
    Closed,
    /// The peer aborted it or did not speak HTTP, or the service failed or panicked.
    Failed(BoxError),
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            End::Finished => f.write_str("finished"),
            End::TimedOut(Deadline::Handshake) => {
                f.write_str("the handshake was not complete in time")
            }
            End::TimedOut(Deadline::Header) => {
                f.write_str("the head of a request did not arrive in time")
            }
            End::TimedOut(Deadline::Idle) => f.write_str("no request arrived in time"),
            End::TimedOut(Deadline::Request) => f.write_str("a request took too long"),
            End::TimedOut(Deadline::WriteStall) => {
                f.write_str("the peer acknowledged nothing of a response in time")
            }
            End::HandshakeFailed(error) => error.fmt(f),
            End::Closed => f.write_str("the server was closed"),
            End::Failed(error) => write!(f, "failed: {error}"),
        }
    }
}

/// Serves a connection to its end, and reports the end.
pub(super) async fn serve<S, V, B>(
    settings: &Settings,
    stream: Stream<S>,
    service: V,
    guard: &Arc<ConnectionGuard>,
) -> End
where
    S: StreamSocket,
    V: Service<Request<Incoming>, Response = Response<B>, Error: Into<BoxError>> + Send + 'static,
    V::Future: Send + 'static,
    B: Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
{
    let tracker = ProgressTracker::new(stream.clone(), settings.deadlines);
    let report = Report { tracker: &tracker, settings, is_pending: true };
    let io = ServedStream::new(stream.clone(), tracker.clone());
    let ended = serve_http(settings, &tracker, &stream, (io, None), service, guard).await;
    release(&tracker, stream, guard);
    report.send(ended)
}

/// A connection whose handshake has begun.
pub(super) struct Accepted<S: StreamSocket, F> {
    tracker: Arc<ProgressTracker<S>>,
    stream: Stream<S>,
    peer: Option<S::Address>,
    handshake: F,
}

impl<S: StreamSocket, F> Accepted<S, F> {
    /// Begins the handshake, and its limit.
    pub(super) fn new(
        settings: &Settings,
        stream: Stream<S>,
        handshake: impl FnOnce(ServedStream<S>) -> F,
    ) -> Self {
        let tracker = ProgressTracker::new(stream.clone(), settings.deadlines);
        tracker.handshake(false);
        // It fails if the peer has reset the connection already.
        let peer = stream.peer_addr().ok();
        let handshake = handshake(ServedStream::new(stream.clone(), tracker.clone()));
        Self { tracker, stream, peer, handshake }
    }

    /// As [`serve`], over the stream that the handshake returns.
    pub(super) async fn serve<T, V, B>(
        self,
        settings: &Settings,
        service: V,
        guard: &Arc<ConnectionGuard>,
    ) -> End
    where
        F: Future<Output = io::Result<(T, Option<Version>)>>,
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        V: Service<Request<Incoming>, Response = Response<B>, Error: Into<BoxError>>,
        V: Send + 'static,
        V::Future: Send + 'static,
        B: Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
    {
        let Self { tracker, stream, peer, handshake } = self;
        let report = Report { tracker: &tracker, settings, is_pending: true };
        let serving = async {
            guard.connections().check_process()?;
            let failed = |error| {
                let peer = peer.as_ref().map_or("a peer that has left".to_owned(), Address::text);
                Ok(End::HandshakeFailed(OpError::wrap("handshake with", peer, error)))
            };
            let established = match drive(guard, &tracker, pin!(handshake), |_| {}).await {
                Ok(Ok(established)) => established,
                Ok(Err(error)) => return failed(error),
                // A shutdown cut it. (If the handshake's own limit has passed, `Report::send` replaces this end by `TimedOut`.)
                Err(End::Finished) => {
                    let text = "the server shuts down";
                    return failed(io::Error::new(io::ErrorKind::ConnectionAborted, text));
                }
                Err(end) => return Ok(end),
            };
            tracker.handshake(true);
            serve_http(settings, &tracker, &stream, established, service, guard).await
        };
        let ended = serving.await;
        release(&tracker, stream, guard);
        report.send(ended)
    }
}

/// Releases the server's stream. If the connection was upgraded, [`Server::close`](super::Server::close) still closes it.
fn release<S: StreamSocket>(
    tracker: &ProgressTracker<S>,
    stream: Stream<S>,
    guard: &ConnectionGuard,
) {
    if tracker.is_upgraded() {
        guard.upgraded(move || drop(stream.close().now_or_never()));
    }
}

/// Serves HTTP over a stream, which may be one of TLS. It speaks `version`; if that is `None`, the first bytes decide.
async fn serve_http<S, T, V, B>(
    settings: &Settings,
    tracker: &Arc<ProgressTracker<S>>,
    socket: &Stream<S>,
    (stream, version): (T, Option<Version>),
    service: V,
    guard: &Arc<ConnectionGuard>,
) -> Result<End, BoxError>
where
    S: StreamSocket,
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    V: Service<Request<Incoming>, Response = Response<B>, Error: Into<BoxError>> + Send + 'static,
    V::Future: Send + 'static,
    B: Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
{
    guard.connections().check_process()?;
    #[cfg_attr(
        not(all(feature = "http1", feature = "http2")),
        expect(unused_mut, reason = "it detects nothing")
    )]
    let mut io = ServedIo::new(stream, tracker.clone(), guard.clone());
    let version = match (settings.version, version) {
        (Some(only), Some(other)) if only != other => {
            let text = format!("ALPN chose {other:?}, and the server speaks {only:?} only");
            return Err(text.into());
        }
        (Some(version), _) | (None, Some(version)) => version,
        #[cfg(all(feature = "http1", feature = "http2"))]
        (None, None) => {
            let detecting = pin!(poll_fn(|cx| poll_version(&mut io, cx)));
            match drive(guard, tracker, detecting, |_| {}).await {
                Ok(version) => version?,
                Err(end) => return Ok(end),
            }
        }
        #[cfg(not(all(feature = "http1", feature = "http2")))]
        (None, None) => Version::ONLY,
    };
    let limit = settings.deadlines.request.map(|limit| (limit, socket.reactor().clone()));
    let service = TrackedService::new(service, tracker.clone(), limit);
    let ended = match version {
        #[cfg(feature = "http1")]
        Version::Http1 => {
            let mut http1 = settings.http1.clone();
            let timer = HeadTimer::new(tracker.clone());
            http1.timer(timer).header_read_timeout(HEADER_READ_TIMEOUT);
            let connection = pin!(http1.serve_connection(io, service).with_upgrades());
            drive(guard, tracker, connection, UpgradeableConnection::graceful_shutdown).await
        }
        #[cfg(feature = "http2")]
        Version::Http2 => {
            tracker.speaks_http2();
            let mut http2 = settings.http2.clone();
            http2.timer(Timer::with(socket.reactor()));
            let connection = pin!(http2.serve_connection(io, service));
            drive(guard, tracker, connection, http2::Connection::graceful_shutdown).await
        }
    };
    match ended {
        Ok(ended) => Ok(ended.map(|()| End::Finished)?),
        Err(end) => Ok(end),
    }
}

/// Calls `on_end` exactly once. If the connection's future is dropped, or a service panics in it, the drop of the
/// report releases the stream, which services of HTTP/2 may still hold through the tracker, and calls
/// `on_end`.
struct Report<'a, S: StreamSocket> {
    tracker: &'a ProgressTracker<S>,
    settings: &'a Settings,
    is_pending: bool,
}

impl<S: StreamSocket> Report<'_, S> {
    fn send(mut self, ended: Result<End, BoxError>) -> End {
        let end = match self.tracker.stop() {
            Some(deadline) => End::TimedOut(deadline),
            None => ended.unwrap_or_else(End::Failed),
        };
        self.is_pending = false;
        (self.settings.on_end)(&end);
        end
    }
}

impl<S: StreamSocket> Drop for Report<'_, S> {
    fn drop(&mut self) {
        if !self.is_pending {
            return;
        }
        let is_in_handshake = self.tracker.is_in_handshake();
        self.tracker.stop();
        let end = match std::thread::panicking() {
            true if is_in_handshake => End::Failed("the handshake panicked".into()),
            true => End::Failed("the service panicked".into()),
            false => End::Closed,
        };
        // A second panic would abort the process.
        let _ = catch_unwind(AssertUnwindSafe(|| (self.settings.on_end)(&end)));
    }
}

/// Polls `work`, a part of the connection, and decides after each poll whether the connection goes on; if not, the error is
/// its end. `shut_down` tells hyper to finish the requests in flight and to close.
async fn drive<S: StreamSocket, W: Future<Output = O>, O>(
    guard: &ConnectionGuard,
    tracker: &ProgressTracker<S>,
    mut work: Pin<&mut W>,
    shut_down: impl Fn(Pin<&mut W>),
) -> Result<O, End> {
    let mut shutting_down = false;
    poll_fn(|cx| {
        let phase = guard.poll_phase(cx);
        if phase == ShutdownPhase::Closed {
            return Poll::Ready(Err(End::Closed));
        }
        // A request that has arrived by now is in flight, also if hyper has not read it yet. The first poll may find
        // the budget of the thread almost spent; then the second has a full one.
        let mut last_reads = 0_u32;
        if phase == ShutdownPhase::Graceful && !std::mem::replace(&mut shutting_down, true) {
            tracker.shut_down();
            last_reads = 2;
        }
        loop {
            if last_reads > 0 {
                netpoll::refill_budget_if(|| true);
                tracker.peer.assume_readable();
            }
            if let Poll::Ready(output) = work.as_mut().poll(cx) {
                return Poll::Ready(Ok(output));
            }
            let decision = match last_reads {
                0 => tracker.decide(),
                1 => Decision::ShutDown,
                _ => Decision::Wait,
            };
            last_reads = last_reads.saturating_sub(1);
            match decision {
                Decision::Wait if last_reads > 0 => {}
                Decision::Wait => return Poll::Pending,
                Decision::ShutDown => shut_down(work.as_mut()),
                Decision::End => return Poll::Ready(Err(End::Finished)),
            }
        }
    })
    .await
}

/// Returns the output of `work`, or `None` as soon as the server shuts down.
pub(super) async fn until_shutdown<T>(
    guard: &ConnectionGuard,
    work: impl Future<Output = T>,
) -> Option<T> {
    let mut work = pin!(work);
    poll_fn(|cx: &mut Context<'_>| match guard.poll_phase(cx) {
        ShutdownPhase::Running => work.as_mut().poll(cx).map(Some),
        _ => Poll::Ready(None),
    })
    .await
}
