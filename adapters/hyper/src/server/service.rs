//! The user's service, with a [`ProgressTracker`] that learns when a request begins, when its response makes
//! progress, and when the response ends.

use std::io::IoSlice;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use hyper::body::{Body, Buf, Bytes, Frame, Incoming, SizeHint};
use hyper::header::{CONNECTION, HeaderValue};
use hyper::service::Service;
use hyper::{Method, Request, Response, StatusCode};
use netpoll_futures::StreamSocket;
use pin_project_lite::pin_project;

use super::progress::{InFlight, ProgressTracker};

#[derive(Debug)]
pub(super) struct TrackedService<V, S: StreamSocket> {
    service: V,
    tracker: Arc<ProgressTracker<S>>,
}

impl<V, S: StreamSocket> TrackedService<V, S> {
    pub(super) fn new(service: V, tracker: Arc<ProgressTracker<S>>) -> Self {
        Self { service, tracker }
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
        TrackedCall { call: self.service.call(request), in_flight, is_connect }
    }
}

pin_project! {
    /// The service's future.
    pub(super) struct TrackedCall<F, S: StreamSocket> {
        #[pin]
        call: F,
        in_flight: Option<Arc<InFlight<S>>>,
        is_connect: bool,
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
        let response = ready!(this.call.poll(cx));
        let in_flight = this.in_flight.take().expect("a future that is not complete");
        Poll::Ready(response.map(|mut response| {
            if is_upgrade(response.status(), *this.is_connect) {
                in_flight.upgraded();
            } else if in_flight.closes() {
                let close = HeaderValue::from_static("close");
                response.headers_mut().entry(CONNECTION).or_insert(close);
            }
            response.map(|body| {
                let next = Some(QueuedData::new(&in_flight));
                TrackedBody { body, in_flight, next }
            })
        }))
    }
}

/// Whether the bytes after this response are no longer HTTP.
fn is_upgrade(status: StatusCode, is_connect: bool) -> bool {
    status == StatusCode::SWITCHING_PROTOCOLS || is_connect && status.is_success()
}

pin_project! {
    /// The body of a response. hyper drops it after its last data.
    pub(super) struct TrackedBody<B, S: StreamSocket> {
        #[pin]
        body: B,
        in_flight: Arc<InFlight<S>>,
        // hyper must poll for the next data. Some versions of hyper wait for the peer's window before they do.
        next: Option<QueuedData<S>>,
    }
}

impl<B: Body, S: StreamSocket> Body for TrackedBody<B, S> {
    type Data = TrackedData<B::Data, S>;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, B::Error>>> {
        let this = self.project();
        let frame = this.body.poll_frame(cx).map_ok(|frame| {
            frame.map_data(|data| TrackedData { data, queued: QueuedData::new(this.in_flight) })
        });
        if !matches!(frame, Poll::Ready(Some(Ok(_)))) {
            *this.next = None;
        } else if this.next.is_none() {
            *this.next = Some(QueuedData::new(this.in_flight));
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
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
