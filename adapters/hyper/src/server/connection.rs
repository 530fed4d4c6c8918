//! One connection from its first byte to its end.

use std::fmt;
use std::future::poll_fn;
use std::io;
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
use netpoll_futures::{Stream, StreamSocket, is_deadline_exceeded};

use super::crowd::{Place, Stage};
use super::deadlines::Deadline;
use super::io::ServedIo;
use super::service::Watched;
use super::version::{self, Version};
use super::watch::Watch;
use super::{BoxError, Settings};

/// How a connection has ended.
#[derive(Debug)]
#[non_exhaustive]
pub enum End {
    /// As it should: the peer closed it between two requests, one of both did not want it kept alive,
    /// the server was shut down, or it was upgraded.
    Finished,
    /// It missed a deadline, and was cut off.
    Late(Deadline),
    /// It was cut off by [`Server::close`](super::Server::close).
    Closed,
    /// The peer broke it off or did not speak HTTP, or the service failed.
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

/// Serves a connection to its end.
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
    let ended = speak(settings, stream, service, place, &watch).await;
    match (watch.end(), ended) {
        (Some(deadline), _) => End::Late(deadline),
        (None, Ok(Some(()))) => End::Finished,
        (None, Ok(None)) => End::Closed,
        (None, Err(error)) => End::Failed(error),
    }
}

/// `None` if the end came from outside.
async fn speak<S, V, B>(
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
        Some(version) => version,
        None => match before_leaving(place, told_in_time(&stream, watch)).await {
            Some(version) => version?,
            None => return Ok((place.stage() < Stage::Closed).then_some(())),
        },
    };
    let service = Watched::new(service, watch.clone());
    let io = ServedIo::new(stream, watch.clone());
    match version {
        #[cfg(feature = "http1")]
        Version::Http1 => {
            let connection = settings.http1.serve_connection(io, service).with_upgrades();
            to_the_end(place, pin!(connection), UpgradeableConnection::graceful_shutdown).await
        }
        #[cfg(feature = "http2")]
        Version::Http2 => {
            watch.has_frames();
            let connection = settings.http2.serve_connection(io, service);
            to_the_end(place, pin!(connection), http2::Connection::graceful_shutdown).await
        }
    }
}

async fn told_in_time<S: StreamSocket>(
    stream: &Stream<S>,
    watch: &Watch<S>,
) -> io::Result<Version> {
    loop {
        match version::told_by(stream).await {
            Err(error) if is_deadline_exceeded(&error) && !watch.is_late_to_read() => {}
            told => return told,
        }
    }
}

/// Runs hyper's connection, which is told when it is time to leave.
async fn to_the_end<C: Future<Output = hyper::Result<()>>>(
    place: &Place,
    mut connection: Pin<&mut C>,
    leave: impl Fn(Pin<&mut C>),
) -> Result<Option<()>, BoxError> {
    let mut leaving = false;
    poll_fn(|cx| {
        let stage = place.poll_stage(cx);
        if stage == Stage::Closed {
            return Poll::Ready(Ok(None));
        }
        if stage == Stage::Leaving && !std::mem::replace(&mut leaving, true) {
            leave(connection.as_mut());
        }
        connection.as_mut().poll(cx).map(|ended| ended.map(Some).map_err(Into::into))
    })
    .await
}

/// What comes of it, unless it is time to leave.
pub(super) async fn before_leaving<T>(place: &Place, work: impl Future<Output = T>) -> Option<T> {
    let mut work = pin!(work);
    poll_fn(|cx: &mut Context<'_>| match place.poll_stage(cx) {
        Stage::Open => work.as_mut().poll(cx).map(Some),
        _ => Poll::Ready(None),
    })
    .await
}
