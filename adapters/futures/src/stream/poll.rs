//! The poll functions of a stream.

use std::io::{self, IoSlice, IoSliceMut};
use std::task::{Context, Poll};

use crate::{events, sys};
use netpoll::{Contiguous, Direction, Transfer};

use super::Stream;
use crate::sealed::StreamSocket;

/// Any number of tasks may poll; each task that gets `Pending` is woken.
impl<S: StreamSocket> Stream<S> {
    /// [`read`](Self::read) as a poll function.
    pub fn poll_read(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        if buffer.is_empty() {
            return Poll::Ready(self.nothing_to_read());
        }
        let len = buffer.len();
        let read = |socket: &S| Self::whole(self.registration(), socket.receive(buffer));
        let read = self.registration().poll_io(cx, Transfer(Direction::Read, len), read);
        events::polled(self.registration(), Direction::Read, read)
    }

    /// [`read_vectored`](Self::read_vectored) as a poll function.
    pub fn poll_read_vectored(
        &self,
        cx: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        let (window, len) = sys::window(buffers);
        if len == 0 {
            return Poll::Ready(self.nothing_to_read());
        }
        let read = |socket: &S| sys::recv_vectored(socket.as_fd(), &mut buffers[window.clone()]);
        let read = self.registration().poll_io(cx, Self::transfer(len), read);
        events::polled(self.registration(), Direction::Read, read)
    }

    /// [`write`](Self::write) as a poll function. Unlike `write`, it does not try before it waits,
    /// except after a write deadline has passed: a poll cannot tell whether it begins a new write.
    pub fn poll_write(&self, cx: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        if buffer.is_empty() {
            return Poll::Ready(self.nothing_to_write());
        }
        let write = |socket: &S| sys::send(socket.as_fd(), buffer);
        let written = self.registration().poll_io(cx, Contiguous(buffer.len()), write);
        events::polled(self.registration(), Direction::Write, written)
    }

    /// [`write_vectored`](Self::write_vectored) as a poll function.
    pub fn poll_write_vectored(
        &self,
        cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let (window, len) = sys::window(buffers);
        if len == 0 {
            return Poll::Ready(self.nothing_to_write());
        }
        let write = |socket: &S| sys::send_vectored(socket.as_fd(), &buffers[window.clone()]);
        let written = self.registration().poll_io(cx, Contiguous(len), write);
        events::polled(self.registration(), Direction::Write, written)
    }

    /// [`readable`](Self::readable) as a poll function.
    pub fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.registration().poll_ready(cx, Direction::Read).map_ok(drop)
    }

    /// [`writable`](Self::writable) as a poll function.
    pub fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.registration().poll_ready(cx, Direction::Write).map_ok(drop)
    }
}
