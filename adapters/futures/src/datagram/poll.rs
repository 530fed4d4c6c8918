//! The poll functions of a datagram socket.

use std::io;
use std::task::{Context, Poll};

use crate::sys;
use netpoll::Direction;

use super::{Datagram, Message, measured, with_sender};
use crate::sealed::DatagramSocket;

/// Any number of tasks may poll; each task that gets `Pending` is woken.
impl<S: DatagramSocket> Datagram<S> {
    /// [`recv`](Self::recv) as a poll function.
    pub fn poll_recv(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        self.poll_receive(cx, "recv", |socket| sys::recv(socket.as_fd(), buffer))
    }

    /// [`recv_from`](Self::recv_from) as a poll function.
    pub fn poll_recv_from(
        &self,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<(usize, S::Address)>> {
        let recv = |socket: &S| with_sender::<S>(sys::recv_from(socket.as_fd(), buffer));
        self.poll_receive(cx, "recv", recv)
    }

    /// [`recv_msg`](Self::recv_msg) as a poll function.
    pub fn poll_recv_msg(
        &self,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<Message<S::Address>>> {
        self.poll_receive(cx, "recv", |socket| measured(socket, buffer))
    }

    /// [`peek_from`](Self::peek_from) as a poll function.
    pub fn poll_peek_from(
        &self,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<(usize, S::Address)>> {
        let peek = |socket: &S| with_sender::<S>(sys::peek_from(socket.as_fd(), buffer));
        self.poll_receive(cx, "peek", peek)
    }

    /// [`send`](Self::send) as a poll function.
    pub fn poll_send(&self, cx: &mut Context<'_>, datagram: &[u8]) -> Poll<io::Result<usize>> {
        let send = |socket: &S| sys::send(socket.as_fd(), datagram);
        let sent = self.registration().poll_io(cx, Direction::Write, send);
        sent.map(|sent| self.explain("send", sent))
    }

    /// [`send_to_addr`](Self::send_to_addr) as a poll function.
    pub fn poll_send_to_addr(
        &self,
        cx: &mut Context<'_>,
        datagram: &[u8],
        to: &S::Address,
    ) -> Poll<io::Result<usize>> {
        let send = |socket: &S| socket.send_one_to(datagram, to);
        let sent = self.registration().poll_io(cx, Direction::Write, send);
        sent.map(|sent| self.explain_to(to, sent))
    }

    /// [`readable`](Self::readable) as a poll function.
    pub fn poll_recv_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.registration().poll_ready(cx, Direction::Read).map_ok(drop)
    }

    /// [`writable`](Self::writable) as a poll function.
    pub fn poll_send_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.registration().poll_ready(cx, Direction::Write).map_ok(drop)
    }

    pub(super) fn poll_receive<R>(
        &self,
        cx: &mut Context<'_>,
        operation: &'static str,
        receive: impl FnMut(&S) -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        self.registration()
            .poll_io(cx, Direction::Read, receive)
            .map(|received| self.explain(operation, received))
    }
}
