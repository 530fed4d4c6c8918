//! One connection from its first byte to its end.

use std::fmt;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use hyper::body::{Body, Incoming};
#[cfg(feature = "http1")]
use hyper::server::conn::http1::UpgradeableConnection;
#[cfg(feature = "http2")]
use hyper::server::conn::http2;
use hyper::service::Service;
use hyper::{Request, Response};
use netpoll_futures::{Stream, StreamSocket};

use super::crowd::{Place, Stage};
use super::deadlines::Deadline;
#[cfg(feature = "http1")]
use super::head_wait::{HeadWait, STARTS_THE_TIMER};
use super::io::ServedIo;
use super::service::Watched;
use super::version::{self, Version};
use super::watch::{Verdict, Watch};
use super::{BoxError, Settings};

/// How a connection has ended.
#[derive(Debug)]
#[non_exhaustive]
pub enum End {
    /// As it should: the peer closed it between two requests, one of both did not want it kept alive,
    /// the server was shut down, or it was upgraded.
    Finished,
    /// The peer missed a deadline, and the server closed it.
    Late(Deadline),
    /// It was cut off by [`Server::close`](super::Server::close), or its future was dropped.
    Closed,
    /// The peer broke it off or did not speak HTTP, or the service failed or panicked.
    Failed(BoxError),
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            End::Finished => f.write_str("finished"),
            End::Late(Deadline::Header) => f.write_str("the head of a request came too late"),
            End::Late(Deadline::Idle) => f.write_str("no request came"),
            End::Late(Deadline::WriteStall) => f.write_str("the peer took nothing"),
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
    place: &Place,
) -> End
where
    S: StreamSocket,
    V: Service<Request<Incoming>, Response = Response<B>, Error: Into<BoxError>> + Send + 'static,
    V::Future: Send + 'static,
    B: Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
{
    let watch = Watch::new(stream.clone(), settings.deadlines);
    let report = Report { watch: &watch, settings, is_due: true };
    let ended = serve_http(settings, stream, service, place, &watch).await;
    report.send(ended)
}

/// Owes the end of a connection to `on_end`. If the connection's future is dropped, or panics with a
/// service, the report closes the stream, which services of HTTP/2 may still hold through the watch,
/// and sends the end that it knows.
struct Report<'a, S: StreamSocket> {
    watch: &'a Watch<S>,
    settings: &'a Settings,
    is_due: bool,
}

impl<S: StreamSocket> Report<'_, S> {
    fn send(mut self, ended: Result<Option<()>, BoxError>) -> End {
        let end = match (self.watch.end(), ended) {
            (Some(deadline), _) => End::Late(deadline),
            (None, Ok(Some(()))) => End::Finished,
            (None, Ok(None)) => End::Closed,
            (None, Err(error)) => End::Failed(error),
        };
        self.is_due = false;
        (self.settings.on_end)(&end);
        end
    }
}

impl<S: StreamSocket> Drop for Report<'_, S> {
    fn drop(&mut self) {
        if !self.is_due {
            return;
        }
        self.watch.end();
        let is_panic = std::thread::panicking();
        let end = if is_panic { End::Failed("the service panicked".into()) } else { End::Closed };
        // A second panic would abort the process.
        let _ = catch_unwind(AssertUnwindSafe(|| (self.settings.on_end)(&end)));
    }
}

/// `None` if the end came from outside.
async fn serve_http<S, V, B>(
    settings: &Settings,
    stream: Stream<S>,
    service: V,
    place: &Place,
    watch: &Arc<Watch<S>>,
) -> Result<Option<()>, BoxError>
where
    S: StreamSocket,
    V: Service<Request<Incoming>, Response = Response<B>, Error: Into<BoxError>> + Send + 'static,
    V::Future: Send + 'static,
    B: Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
{
    let version = match settings.version {
        Some(version) => Some(version),
        None => match before_leaving(place, version::detect(&stream, watch)).await {
            Some(version) => version?,
            None if place.stage() == Stage::Closed => return Ok(None),
            // A request that has come by now is served.
            None => version::look(&stream)?,
        },
    };
    let Some(version) = version else {
        return Ok(Some(()));
    };
    let service = Watched::new(service, watch.clone());
    let io = ServedIo::new(stream, watch.clone());
    match version {
        #[cfg(feature = "http1")]
        Version::Http1 => {
            let mut http1 = settings.http1.clone();
            http1.timer(HeadWait::new(watch.clone())).header_read_timeout(STARTS_THE_TIMER);
            let connection = http1.serve_connection(io, service).with_upgrades();
            to_the_end(place, watch, pin!(connection), UpgradeableConnection::graceful_shutdown)
                .await
        }
        #[cfg(feature = "http2")]
        Version::Http2 => {
            watch.has_frames();
            let connection = settings.http2.serve_connection(io, service);
            to_the_end(place, watch, pin!(connection), http2::Connection::graceful_shutdown).await
        }
    }
}

/// Polls hyper's connection, and between the polls decides whether it is to go on. `leave` has hyper
/// finish what is in flight and close.
async fn to_the_end<S: StreamSocket, C: Future<Output = hyper::Result<()>>>(
    place: &Place,
    watch: &Watch<S>,
    mut connection: Pin<&mut C>,
    leave: impl Fn(Pin<&mut C>),
) -> Result<Option<()>, BoxError> {
    let mut leaving = false;
    poll_fn(|cx| {
        let stage = place.poll_stage(cx);
        if stage == Stage::Closed {
            return Poll::Ready(Ok(None));
        }
        let mut is_told = stage == Stage::Leaving && !std::mem::replace(&mut leaving, true);
        if is_told {
            // A request that has come by now is in flight, whether hyper has seen it or not.
            watch.look();
        }
        loop {
            if let Poll::Ready(ended) = connection.as_mut().poll(cx) {
                return Poll::Ready(ended.map(Some).map_err(Into::into));
            }
            let verdict = if std::mem::take(&mut is_told) {
                watch.leave();
                Verdict::Leave
            } else {
                watch.judge()
            };
            match verdict {
                Verdict::Wait => return Poll::Pending,
                Verdict::Leave => leave(connection.as_mut()),
                Verdict::End => return Poll::Ready(Ok(Some(()))),
            }
        }
    })
    .await
}

/// Returns the output of `work`, or `None` as soon as the server shuts down.
pub(super) async fn before_leaving<T>(place: &Place, work: impl Future<Output = T>) -> Option<T> {
    let mut work = pin!(work);
    poll_fn(|cx: &mut Context<'_>| match place.poll_stage(cx) {
        Stage::Open => work.as_mut().poll(cx).map(Some),
        _ => Poll::Ready(None),
    })
    .await
}
