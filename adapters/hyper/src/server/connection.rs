//! Serves one connection, from its first byte to its end.

use std::fmt;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::FutureExt;
use hyper::body::{Body, Incoming};
#[cfg(feature = "http1")]
use hyper::server::conn::http1::UpgradeableConnection;
#[cfg(feature = "http2")]
use hyper::server::conn::http2;
use hyper::service::Service;
use hyper::{Request, Response};
use netpoll_futures::{Stream, StreamSocket};

use super::connections::{ConnectionGuard, ShutdownPhase};
use super::deadlines::Deadline;
#[cfg(all(feature = "http1", feature = "http2"))]
use super::detect::detect_version;
#[cfg(feature = "http1")]
use super::head_timer::{HEADER_READ_TIMEOUT, HeadTimer};
use super::io::ServedIo;
use super::progress::{Decision, ProgressTracker};
use super::service::TrackedService;
use super::version::Version;
use super::{BoxError, Settings};
#[cfg(feature = "http2")]
use crate::Timer;

/// How a connection ended.
#[derive(Debug)]
#[non_exhaustive]
pub enum End {
    /// Regularly: the peer closed it between two requests, the peer or the service did not keep it alive, the
    /// server was shut down, or it was upgraded.
    Finished,
    /// The peer exceeded a limit, and the server closed the connection.
    TimedOut(Deadline),
    /// [`Server::close`](super::Server::close) closed it, or its future was dropped.
    Closed,
    /// The peer aborted it or did not speak HTTP, or the service failed or panicked.
    Failed(BoxError),
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            End::Finished => f.write_str("finished"),
            End::TimedOut(Deadline::Header) => {
                f.write_str("the head of a request did not arrive in time")
            }
            End::TimedOut(Deadline::Idle) => f.write_str("no request arrived in time"),
            End::TimedOut(Deadline::WriteStall) => {
                f.write_str("the peer acknowledged nothing of a response in time")
            }
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
    let upgraded = stream.clone();
    let serving = async {
        guard.connections().check_process()?;
        let version = match settings.version {
            Some(version) => version,
            #[cfg(all(feature = "http1", feature = "http2"))]
            None => match detect_version(&stream, &tracker, guard).await? {
                Some(version) => version,
                None if guard.connections().phase() == ShutdownPhase::Closed => {
                    return Ok(End::Closed);
                }
                None => return Ok(End::Finished),
            },
            #[cfg(not(all(feature = "http1", feature = "http2")))]
            None => Version::ONLY,
        };
        #[cfg(feature = "http2")]
        let timer = Timer::with(stream.registration().reactor());
        let service = TrackedService::new(service, tracker.clone());
        let io = ServedIo::new(stream, tracker.clone(), guard.clone());
        match version {
            #[cfg(feature = "http1")]
            Version::Http1 => {
                let mut http1 = settings.http1.clone();
                let timer = HeadTimer::new(tracker.clone());
                http1.timer(timer).header_read_timeout(HEADER_READ_TIMEOUT);
                let connection = pin!(http1.serve_connection(io, service).with_upgrades());
                drive(guard, &tracker, connection, UpgradeableConnection::graceful_shutdown).await
            }
            #[cfg(feature = "http2")]
            Version::Http2 => {
                tracker.speaks_http2();
                let mut http2 = settings.http2.clone();
                http2.timer(timer);
                let connection = pin!(http2.serve_connection(io, service));
                drive(guard, &tracker, connection, http2::Connection::graceful_shutdown).await
            }
        }
    };
    let ended = serving.await;
    if let Some(stream) = tracker.is_upgraded().then_some(upgraded) {
        guard.upgraded(move || drop(stream.close().now_or_never()));
    }
    report.send(ended)
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
        self.tracker.stop();
        let is_panic = std::thread::panicking();
        let end = if is_panic { End::Failed("the service panicked".into()) } else { End::Closed };
        // A second panic would abort the process.
        let _ = catch_unwind(AssertUnwindSafe(|| (self.settings.on_end)(&end)));
    }
}

/// Polls hyper's connection, and decides after each poll whether the connection goes on. `shut_down` tells hyper to
/// finish the requests in flight and to close.
async fn drive<S: StreamSocket, C: Future<Output = hyper::Result<()>>>(
    guard: &ConnectionGuard,
    tracker: &ProgressTracker<S>,
    mut connection: Pin<&mut C>,
    shut_down: impl Fn(Pin<&mut C>),
) -> Result<End, BoxError> {
    let mut shutting_down = false;
    poll_fn(|cx| {
        let phase = guard.poll_phase(cx);
        if phase == ShutdownPhase::Closed {
            return Poll::Ready(Ok(End::Closed));
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
            if let Poll::Ready(ended) = connection.as_mut().poll(cx) {
                return Poll::Ready(ended.map(|()| End::Finished).map_err(Into::into));
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
                Decision::ShutDown => shut_down(connection.as_mut()),
                Decision::End => return Poll::Ready(Ok(End::Finished)),
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
