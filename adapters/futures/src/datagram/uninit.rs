//! Receiving into uninitialised memory, for adapters with such buffers.

use std::io;
use std::mem::MaybeUninit;
use std::task::{Context, Poll};

use crate::sys;
use netpoll::Direction;

use super::{Datagram, with_sender};
use crate::sealed::DatagramSocket;

type Room = [MaybeUninit<u8>];

/// Unsafe code may rely on this: each method initialises the first `n` bytes of the buffer, where `n`
/// is the returned count, and makes no other byte uninitialised.
impl<S: DatagramSocket> Datagram<S> {
    /// [`recv`](Self::recv) into memory that need not be initialised.
    pub async fn recv_uninit(&self, buffer: &mut [MaybeUninit<u8>]) -> io::Result<usize> {
        let received =
            self.registration().io(Direction::Read, |socket| received(socket, buffer)).await;
        self.explain("recv", received)
    }

    /// [`recv_from`](Self::recv_from) into memory that need not be initialised.
    pub async fn recv_from_uninit(
        &self,
        buffer: &mut [MaybeUninit<u8>],
    ) -> io::Result<(usize, S::Address)> {
        let received =
            self.registration().io(Direction::Read, |socket| received_from(socket, buffer)).await;
        self.explain("recv", received)
    }

    /// [`poll_recv`](Self::poll_recv) into memory that need not be initialised.
    pub fn poll_recv_uninit(
        &self,
        cx: &mut Context<'_>,
        buffer: &mut [MaybeUninit<u8>],
    ) -> Poll<io::Result<usize>> {
        self.poll_receive(cx, "recv", |socket| received(socket, buffer))
    }

    /// [`poll_recv_from`](Self::poll_recv_from) into memory that need not be initialised.
    pub fn poll_recv_from_uninit(
        &self,
        cx: &mut Context<'_>,
        buffer: &mut [MaybeUninit<u8>],
    ) -> Poll<io::Result<(usize, S::Address)>> {
        self.poll_receive(cx, "recv", |socket| received_from(socket, buffer))
    }

    /// [`try_recv`](Self::try_recv) into memory that need not be initialised.
    pub fn try_recv_uninit(&self, buffer: &mut [MaybeUninit<u8>]) -> io::Result<usize> {
        self.receive_now("recv", |socket| received(socket, buffer))
    }

    /// [`try_recv_from`](Self::try_recv_from) into memory that need not be initialised.
    pub fn try_recv_from_uninit(
        &self,
        buffer: &mut [MaybeUninit<u8>],
    ) -> io::Result<(usize, S::Address)> {
        self.receive_now("recv", |socket| received_from(socket, buffer))
    }
}

fn received<S: DatagramSocket>(socket: &S, buffer: &mut Room) -> io::Result<usize> {
    sys::recv_uninit(socket.as_fd(), buffer).map(|filled| filled.len())
}

fn received_from<S: DatagramSocket>(
    socket: &S,
    buffer: &mut Room,
) -> io::Result<(usize, S::Address)> {
    let received = sys::recv_from_uninit(socket.as_fd(), buffer);
    with_sender::<S>(received.map(|(filled, origin)| (filled.len(), origin)))
}
