//! The user's service under the [`Watch`]: when a request begins, how its answer gets on, and when it ends.

use std::io::IoSlice;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use hyper::body::{Body, Buf, Bytes, Frame, Incoming, SizeHint};
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
    /// The service's future.
    pub(super) struct Answering<F, S: StreamSocket> {
        #[pin]
        answer: F,
        in_flight: Option<Arc<InFlight<S>>>,
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
                in_flight.iter().for_each(|in_flight| in_flight.is_upgrade());
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
    /// The body of an answer. hyper drops it when it has taken the last piece.
    pub(super) struct Answer<B, S: StreamSocket> {
        #[pin]
        body: B,
        in_flight: Option<Arc<InFlight<S>>>,
    }
}

impl<B: Body, S: StreamSocket> Body for Answer<B, S> {
    type Data = Piece<B::Data, S>;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, B::Error>>> {
        let this = self.project();
        let frame = ready!(this.body.poll_frame(cx));
        Poll::Ready(frame.map(|frame| {
            frame.map(|frame| frame.map_data(|data| Piece::new(data, this.in_flight.clone())))
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A piece of an answer's body. hyper advances it as it writes, and drops it when it is written.
#[derive(Debug)]
pub(super) struct Piece<D, S: StreamSocket> {
    data: D,
    in_flight: Option<Arc<InFlight<S>>>,
}

impl<D, S: StreamSocket> Piece<D, S> {
    fn new(data: D, in_flight: Option<Arc<InFlight<S>>>) -> Self {
        in_flight.iter().for_each(|in_flight| in_flight.piece_begins());
        Self { data, in_flight }
    }

    fn gets_on(&self) {
        self.in_flight.iter().for_each(|in_flight| in_flight.piece_gets_on());
    }
}

impl<D, S: StreamSocket> Drop for Piece<D, S> {
    fn drop(&mut self) {
        self.in_flight.iter().for_each(|in_flight| in_flight.piece_ends());
    }
}

impl<D: Buf, S: StreamSocket> Buf for Piece<D, S> {
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
            self.gets_on();
        }
    }

    fn copy_to_bytes(&mut self, len: usize) -> Bytes {
        let bytes = self.data.copy_to_bytes(len);
        if len > 0 {
            self.gets_on();
        }
        bytes
    }
}
