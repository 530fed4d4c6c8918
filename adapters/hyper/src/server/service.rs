//! The user's service, with a [`ProgressTracker`] that learns when a request begins, when its response makes
//! progress, and when the response ends. It also holds the timer of [`Deadlines::request`](super::Deadlines::request).

use std::io::IoSlice;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::body::{Body, Buf, Bytes, Frame, Incoming, SizeHint};
use hyper::header::{CONNECTION, HeaderValue};
use hyper::service::Service;
use hyper::{Method, Request, Response, StatusCode};
use netpoll::{DeadlineExceeded, Reactor, Timer};
use netpoll_futures::StreamSocket;
use pin_project_lite::pin_project;

use super::BoxError;
use super::progress::{InFlight, ProgressTracker};

#[derive(Debug)]
pub(super) struct TrackedService<V, S: StreamSocket> {
    service: V,
    tracker: Arc<ProgressTracker<S>>,
    /// The limit of a whole request, and the reactor of its timer.
    limit: Option<(Duration, Reactor)>,
}

impl<V, S: StreamSocket> TrackedService<V, S> {
    pub(super) fn new(
        service: V,
        tracker: Arc<ProgressTracker<S>>,
        limit: Option<(Duration, Reactor)>,
    ) -> Self {
        Self { service, tracker, limit }
    }

    /// The timer of a request that begins now. Without one, the request has no limit.
    fn timer(&self) -> Option<Timer> {
        let (limit, reactor) = self.limit.as_ref()?;
        Timer::at(reactor, reactor.now().checked_add(*limit)?).ok()
    }
}

impl<V, B, S> Service<Request<Incoming>> for TrackedService<V, S>
where
    V: Service<Request<Incoming>, Response = Response<B>>,
    S: StreamSocket,
{
    type Response = Response<TrackedBody<B, S>>;
    type Error = V::Error;
    type Future = TrackedCall<V::Future, S>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let is_connect = request.method() == Method::CONNECT;
        let in_flight = Some(self.tracker.request_began());
        let timer = self.timer();
        TrackedCall { call: self.service.call(request), in_flight, is_connect, timer }
    }
}

pin_project! {
    /// The service's future. hyper drops it as soon as it is ready.
    pub(super) struct TrackedCall<F, S: StreamSocket> {
        #[pin]
        call: F,
        in_flight: Option<Arc<InFlight<S>>>,
        is_connect: bool,
        timer: Option<Timer>,
    }
}

impl<F, B, E, S> Future for TrackedCall<F, S>
where
    F: Future<Output = Result<Response<B>, E>>,
    S: StreamSocket,
{
    type Output = Result<Response<TrackedBody<B, S>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let polled = this.call.poll(cx);
        if polled.is_pending() && !has_fired(this.timer.as_ref(), cx) {
            return Poll::Pending;
        }
        let in_flight = this.in_flight.take().expect("a future that is not complete");
        let Poll::Ready(response) = polled else {
            return Poll::Ready(Ok(request_timeout(in_flight)));
        };
        let mut timer = this.timer.take();
        Poll::Ready(response.map(|mut response| {
            if is_upgrade(response.status(), *this.is_connect) {
                timer = None;
                in_flight.upgraded();
            } else if in_flight.closes() {
                let close = HeaderValue::from_static("close");
                response.headers_mut().entry(CONNECTION).or_insert(close);
            }
            response.map(|body| {
                let next = Some(QueuedData::new(&in_flight));
                TrackedBody { body: Some(body), in_flight, next, timer }
            })
        }))
    }
}

/// The server's own response to a request that exceeded its limit before the service answered.
fn request_timeout<B, S: StreamSocket>(in_flight: Arc<InFlight<S>>) -> Response<TrackedBody<B, S>> {
    let closes = in_flight.timed_out();
    let body = TrackedBody { body: None, in_flight, next: None, timer: None };
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::REQUEST_TIMEOUT;
    if closes {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// Whether the timer has fired. If not, it wakes the task later.
fn has_fired(timer: Option<&Timer>, cx: &mut Context<'_>) -> bool {
    timer.is_some_and(|timer| matches!(timer.poll_fired(cx), Poll::Ready(Ok(()))))
}

/// Whether the bytes after this response are no longer HTTP.
fn is_upgrade(status: StatusCode, is_connect: bool) -> bool {
    status == StatusCode::SWITCHING_PROTOCOLS || is_connect && status.is_success()
}

pin_project! {
    /// The body of a response. hyper drops it after its last data.
    pub(super) struct TrackedBody<B, S: StreamSocket> {
        // `None` in the server's own response.
        #[pin]
        body: Option<B>,
        in_flight: Arc<InFlight<S>>,
        // hyper must poll for the next data. Some versions of hyper wait for the peer's window before they do.
        next: Option<QueuedData<S>>,
        timer: Option<Timer>,
    }
}

/// The error of a response's body. (A bound `Into<BoxError>` here would make the compiler reject tasks whose error is a
/// [`BoxError`], as "not general enough".)
#[derive(Debug)]
pub(super) enum TrackedError<E> {
    Body(E),
    Late,
}

impl<E: Into<BoxError>> From<TrackedError<E>> for BoxError {
    fn from(error: TrackedError<E>) -> Self {
        match error {
            TrackedError::Body(error) => error.into(),
            TrackedError::Late => DeadlineExceeded::error().into(),
        }
    }
}

impl<B: Body, S: StreamSocket> Body for TrackedBody<B, S> {
    type Data = TrackedData<B::Data, S>;
    type Error = TrackedError<B::Error>;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let this = self.project();
        let Some(mut body) = this.body.as_pin_mut() else { return Poll::Ready(None) };
        let mut frame = body.as_mut().poll_frame(cx).map_err(TrackedError::Body).map_ok(|frame| {
            frame.map_data(|data| TrackedData { data, queued: QueuedData::new(this.in_flight) })
        });
        let is_late = has_fired(this.timer.as_ref(), cx);
        if is_late && !matches!(frame, Poll::Ready(None)) && !body.is_end_stream() {
            this.in_flight.timed_out();
            frame = Poll::Ready(Some(Err(TrackedError::Late)));
        }
        if !matches!(frame, Poll::Ready(Some(Ok(_)))) {
            *this.next = None;
        } else if this.next.is_none() {
            *this.next = Some(QueuedData::new(this.in_flight));
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or(SizeHint::with_exact(0), Body::size_hint)
    }
}

/// Data of a response's body. hyper advances it as it writes, and drops it when all of it is written.
#[derive(Debug)]
pub(super) struct TrackedData<D, S: StreamSocket> {
    data: D,
    queued: QueuedData<S>,
}

impl<D: Buf, S: StreamSocket> Buf for TrackedData<D, S> {
    fn remaining(&self) -> usize {
        self.data.remaining()
    }

    fn chunk(&self) -> &[u8] {
        self.data.chunk()
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        self.data.chunks_vectored(slices)
    }

    fn advance(&mut self, count: usize) {
        self.data.advance(count);
        if count > 0 {
            self.queued.0.data_advanced(count);
        }
    }

    fn copy_to_bytes(&mut self, len: usize) -> Bytes {
        let bytes = self.data.copy_to_bytes(len);
        if len > 0 {
            self.queued.0.data_advanced(len);
        }
        bytes
    }
}

/// hyper has data of the response to write, or must poll for the next data.
#[derive(Debug)]
struct QueuedData<S: StreamSocket>(Arc<InFlight<S>>);

impl<S: StreamSocket> QueuedData<S> {
    fn new(in_flight: &Arc<InFlight<S>>) -> Self {
        in_flight.data_queued();
        Self(in_flight.clone())
    }
}

impl<S: StreamSocket> Drop for QueuedData<S> {
    fn drop(&mut self) {
        self.0.data_released();
    }
}
