//! The user's service, and what it tells the [`Watch`]: when a request begins and its answer ends.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::service::Service;
use hyper::{Method, Request, Response, StatusCode};
use netpoll_futures::StreamSocket;
use pin_project_lite::pin_project;

use super::watch::{InFlight, Watch};

#[derive(Debug)]
pub(super) struct Watched<V, S: StreamSocket> {
    service: V,
    watch: Arc<Watch<S>>,
}

impl<V, S: StreamSocket> Watched<V, S> {
    pub(super) fn new(service: V, watch: Arc<Watch<S>>) -> Self {
        Self { service, watch }
    }
}

impl<V, B, S> Service<Request<Incoming>> for Watched<V, S>
where
    V: Service<Request<Incoming>, Response = Response<B>>,
    S: StreamSocket,
{
    type Response = Response<Answer<B, S>>;
    type Error = V::Error;
    type Future = Answering<V::Future, S>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let is_connect = request.method() == Method::CONNECT;
        let in_flight = Some(self.watch.request());
        Answering { answer: self.service.call(request), in_flight, is_connect }
    }
}

pin_project! {
    /// An answer that is on its way.
    pub(super) struct Answering<F, S: StreamSocket> {
        #[pin]
        answer: F,
        in_flight: Option<InFlight<S>>,
        is_connect: bool,
    }
}

impl<F, B, E, S> Future for Answering<F, S>
where
    F: Future<Output = Result<Response<B>, E>>,
    S: StreamSocket,
{
    type Output = Result<Response<Answer<B, S>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let answer = ready!(this.answer.poll(cx));
        let in_flight = this.in_flight.take();
        Poll::Ready(answer.map(|answer| {
            if is_upgrade(answer.status(), *this.is_connect) {
                in_flight.iter().for_each(InFlight::is_upgrade);
            }
            answer.map(|body| Answer { body, in_flight })
        }))
    }
}

/// Whether what follows is no longer HTTP.
fn is_upgrade(status: StatusCode, is_connect: bool) -> bool {
    status == StatusCode::SWITCHING_PROTOCOLS || is_connect && status.is_success()
}

pin_project! {
    /// The body of an answer. hyper drops it when it has all of it.
    pub(super) struct Answer<B, S: StreamSocket> {
        #[pin]
        body: B,
        in_flight: Option<InFlight<S>>,
    }
}

impl<B: Body, S: StreamSocket> Body for Answer<B, S> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let this = self.project();
        let frame = this.body.poll_frame(cx);
        if let Some(in_flight) = this.in_flight {
            in_flight.is_sending(matches!(&frame, Poll::Ready(Some(Ok(_)))));
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
