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
            answer.map(|body| Answer { held: Held::new(in_flight.as_ref()), body, in_flight })
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
        // hyper has to come for the next piece. Some versions of hyper first wait for the window.
        held: Option<Held<S>>,
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
        let frame = this.body.poll_frame(cx).map_ok(|frame| {
            frame.map_data(|data| Piece { data, held: Held::new(this.in_flight.as_ref()) })
        });
        if !matches!(frame, Poll::Ready(Some(Ok(_)))) {
            *this.held = None;
        } else if this.held.is_none() {
            *this.held = Held::new(this.in_flight.as_ref());
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

/// A piece of an answer's body. hyper advances it as it writes, and drops it when it is written.
#[derive(Debug)]
pub(super) struct Piece<D, S: StreamSocket> {
    data: D,
    held: Option<Held<S>>,
}

impl<D, S: StreamSocket> Piece<D, S> {
    fn gets_on(&self) {
        self.held.iter().for_each(|held| held.0.gets_on());
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

/// It is hyper's turn: it has a piece of the answer to write, or has to come for the next.
#[derive(Debug)]
struct Held<S: StreamSocket>(Arc<InFlight<S>>);

impl<S: StreamSocket> Held<S> {
    fn new(in_flight: Option<&Arc<InFlight<S>>>) -> Option<Self> {
        let in_flight = in_flight?.clone();
        in_flight.is_held();
        Some(Self(in_flight))
    }
}

impl<S: StreamSocket> Drop for Held<S> {
    fn drop(&mut self) {
        self.0.is_let_go();
    }
}
