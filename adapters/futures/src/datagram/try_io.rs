//! The operations of a datagram socket without waiting: each fails with `WouldBlock` if it would have
//! to wait.

use std::io;

use crate::sys;
use netpoll::Direction;

use super::{Datagram, Message, measured, with_sender};
use crate::sealed::DatagramSocket;

impl<S: DatagramSocket> Datagram<S> {
    /// [`recv`](Self::recv) without waiting.
    pub fn try_recv(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.receive_now("recv", |socket| sys::recv(socket.as_fd(), buffer))
    }

    /// [`recv_from`](Self::recv_from) without waiting.
    pub fn try_recv_from(&self, buffer: &mut [u8]) -> io::Result<(usize, S::Address)> {
        let recv = |socket: &S| with_sender::<S>(sys::recv_from(socket.as_fd(), buffer));
        self.receive_now("recv", recv)
    }

    /// [`recv_msg`](Self::recv_msg) without waiting.
    pub fn try_recv_msg(&self, buffer: &mut [u8]) -> io::Result<Message<S::Address>> {
        self.receive_now("recv", |socket| measured(socket, buffer))
    }

    /// [`recv_buf`](Self::recv_buf) without waiting.
    pub fn try_recv_buf(&self, buffer: &mut Vec<u8>) -> io::Result<usize> {
        self.receive_now("recv", |socket| sys::recv_spare(socket.as_fd(), buffer))
    }

    /// [`recv_buf_from`](Self::recv_buf_from) without waiting.
    pub fn try_recv_buf_from(&self, buffer: &mut Vec<u8>) -> io::Result<(usize, S::Address)> {
        let recv = |socket: &S| with_sender::<S>(sys::recv_from_spare(socket.as_fd(), buffer));
        self.receive_now("recv", recv)
    }

    /// [`peek_from`](Self::peek_from) without waiting.
    pub fn try_peek_from(&self, buffer: &mut [u8]) -> io::Result<(usize, S::Address)> {
        let peek = |socket: &S| with_sender::<S>(sys::peek_from(socket.as_fd(), buffer));
        self.receive_now("peek", peek)
    }

    /// [`send`](Self::send) without waiting. It uses any room, even too little for the socket to be
    /// [`writable`](Self::writable).
    pub fn try_send(&self, datagram: &[u8]) -> io::Result<usize> {
        let send = |socket: &S| sys::send(socket.as_fd(), datagram);
        self.explain("send", self.registration().try_io(Direction::Write, send))
    }

    /// [`send_to_addr`](Self::send_to_addr) without waiting; see [`try_send`](Self::try_send).
    pub fn try_send_to_addr(&self, datagram: &[u8], to: &S::Address) -> io::Result<usize> {
        let send = |socket: &S| socket.send_one_to(datagram, to);
        self.explain_to(to, self.registration().try_io(Direction::Write, send))
    }

    pub(super) fn receive_now<R>(
        &self,
        operation: &'static str,
        receive: impl FnOnce(&S) -> io::Result<R>,
    ) -> io::Result<R> {
        self.explain(operation, self.try_io(Direction::Read, receive))
    }
}
