//! The connections that a listener has accepted.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use async_io::Async;
use futures_core::Stream;
use netpoll::Direction;
use netpoll_futures::StreamSocket;

use crate::Socket;

/// The connections of a listener, as a stream that does not end.
pub struct Connections<'a, S>(Pin<Box<dyn Stream<Item = io::Result<Async<S>>> + Send + Sync + 'a>>);

impl<'a, S> Connections<'a, S> {
    pub(crate) fn of(
        accepted: impl Stream<Item = io::Result<Async<S>>> + Send + Sync + 'a,
    ) -> Self {
        Self(Box::pin(accepted))
    }
}

impl<S: StreamSocket> Stream for Connections<'_, S> {
    type Item = io::Result<Socket<S>>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.as_mut().poll_next(cx).map_ok(accepted)
    }
}

impl<S> fmt::Debug for Connections<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Incoming").finish_non_exhaustive()
    }
}

/// A new connection most likely has bytes to read, so the first read makes an attempt.
pub(crate) fn accepted<S>(stream: Async<S>) -> Socket<S> {
    stream.registration().assume_ready(Direction::Read);
    stream.into()
}
