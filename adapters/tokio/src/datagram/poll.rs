//! The datagram socket for those who poll.

use std::io;
use std::task::{Context, Poll, ready};

use netpoll_futures::DatagramSocket;
use tokio::io::ReadBuf;

use super::{Datagram, poll};
use crate::{budget, uninit};

/// Any number of tasks may poll; each that gets `Pending` is woken. They keep no place among those who
/// receive. What they fail with is told at the [type](Datagram#errors).
impl<S: DatagramSocket> Datagram<S> {
    /// [`recv`](Self::recv) for those who poll: into the unfilled part of `buffer`, initialised or not.
    pub fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        poll(cx, |cx| uninit::poll_recv(&self.inner, cx, buffer))
    }

    /// [`recv_from`](Self::recv_from) for those who poll. Returns the sender's address.
    pub fn poll_recv_from(
        &self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<S::Address>> {
        poll(cx, |cx| uninit::poll_recv_from(&self.inner, cx, buffer))
    }

    /// [`peek`](Self::peek) for those who poll.
    pub fn poll_peek(
        &self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let unfilled = buffer.initialize_unfilled();
        let seen = ready!(poll(cx, |cx| self.inner.poll_peek(cx, unfilled)))?;
        buffer.advance(seen);
        Poll::Ready(Ok(()))
    }

    /// [`peek_from`](Self::peek_from) for those who poll. Returns the sender's address.
    pub fn poll_peek_from(
        &self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<S::Address>> {
        let unfilled = buffer.initialize_unfilled();
        let (seen, from) = ready!(poll(cx, |cx| self.inner.poll_peek_from(cx, unfilled)))?;
        buffer.advance(seen);
        Poll::Ready(Ok(from))
    }

    /// [`peek_sender`](Self::peek_sender) for those who poll.
    pub fn poll_peek_sender(&self, cx: &mut Context<'_>) -> Poll<io::Result<S::Address>> {
        let peeked = poll(cx, |cx| self.inner.poll_peek_from(cx, &mut []));
        peeked.map_ok(|(_, from)| from)
    }

    /// [`send`](Self::send) for those who poll.
    pub fn poll_send(&self, cx: &mut Context<'_>, datagram: &[u8]) -> Poll<io::Result<usize>> {
        poll(cx, |cx| self.inner.poll_send(cx, datagram))
    }

    /// [`readable`](Self::readable) for those who poll.
    pub fn poll_recv_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        budget::poll(cx, |cx| self.inner.poll_recv_ready(cx))
    }

    /// [`writable`](Self::writable) for those who poll.
    pub fn poll_send_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        budget::poll(cx, |cx| self.inner.poll_send_ready(cx))
    }
}
