//! The datagram socket now, or not at all: what would wait fails with `WouldBlock`.

use std::io;

use bytes::BufMut;
use netpoll::OpError;
use netpoll_futures::DatagramSocket;

use super::Datagram;
use crate::interested::Cleared;
use crate::io::Interest;
use crate::{interested, uninit};

/// These ask nobody whose turn it is. What they fail with is `WouldBlock`, or told at the
/// [type](Datagram#errors).
impl<S: DatagramSocket> Datagram<S> {
    /// [`recv`](Self::recv) now, or `WouldBlock`.
    pub fn try_recv(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.inner.try_recv(buffer).map_err(OpError::strip)
    }

    /// [`recv_from`](Self::recv_from) now, or `WouldBlock`.
    pub fn try_recv_from(&self, buffer: &mut [u8]) -> io::Result<(usize, S::Address)> {
        self.inner.try_recv_from(buffer).map_err(OpError::strip)
    }

    /// [`recv_buf`](Self::recv_buf) now, or `WouldBlock`.
    pub fn try_recv_buf<B: BufMut>(&self, buffer: &mut B) -> io::Result<usize> {
        uninit::try_recv(&self.inner, buffer).map_err(OpError::strip)
    }

    /// [`recv_buf_from`](Self::recv_buf_from) now, or `WouldBlock`.
    pub fn try_recv_buf_from<B: BufMut>(&self, buffer: &mut B) -> io::Result<(usize, S::Address)> {
        uninit::try_recv_from(&self.inner, buffer).map_err(OpError::strip)
    }

    /// [`peek`](Self::peek) now, or `WouldBlock`.
    pub fn try_peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.inner.try_peek(buffer).map_err(OpError::strip)
    }

    /// [`peek_from`](Self::peek_from) now, or `WouldBlock`.
    pub fn try_peek_from(&self, buffer: &mut [u8]) -> io::Result<(usize, S::Address)> {
        self.inner.try_peek_from(buffer).map_err(OpError::strip)
    }

    /// [`peek_sender`](Self::peek_sender) now, or `WouldBlock`.
    pub fn try_peek_sender(&self) -> io::Result<S::Address> {
        self.try_peek_from(&mut []).map(|(_, from)| from)
    }

    /// [`send`](Self::send) now, or `WouldBlock`.
    pub fn try_send(&self, datagram: &[u8]) -> io::Result<usize> {
        self.inner.try_send(datagram).map_err(OpError::strip)
    }

    /// Makes any operation on the socket, if a direction of `interest` is ready. It must return
    /// `WouldBlock` if and only if the socket did.
    ///
    /// With two directions, `WouldBlock` must mean both: the one that was thought to be ready is taken
    /// for not ready, until the next event.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if none is ready, [`Closed`](netpoll::Closed),
    /// [`DeadlineExceeded`](netpoll::DeadlineExceeded), or what `operation` says.
    pub fn try_io<R>(
        &self,
        interest: Interest,
        operation: impl FnOnce() -> io::Result<R>,
    ) -> io::Result<R> {
        interested::try_io(self.inner.registration(), &Cleared::default(), interest, |_| {
            operation()
        })
    }
}
