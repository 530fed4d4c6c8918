//! Reading into memory that need not be initialised, for adapters whose buffers are not.

use std::io;
use std::mem::MaybeUninit;
use std::task::{Context, Poll};

use crate::sys;
use netpoll::Direction;

use super::Stream;
use crate::sealed::StreamSocket;

/// A promise that unsafe code may rely on: as many bytes of the buffer as these return, from its
/// start, are initialised then; and of the others, none has become uninitialised.
impl<S: StreamSocket> Stream<S> {
    /// [`poll_read`](Self::poll_read) into memory that need not be initialised.
    pub fn poll_read_uninit(
        &self,
        cx: &mut Context<'_>,
        buffer: &mut [MaybeUninit<u8>],
    ) -> Poll<io::Result<usize>> {
        if buffer.is_empty() {
            return Poll::Ready(self.nothing_to_read());
        }
        let len = buffer.len();
        let read = |socket: &S| Ok(sys::recv_uninit(socket.as_fd(), buffer)?.len());
        self.registration().poll_transfer(cx, Direction::Read, Self::short_of(len), read)
    }

    /// [`try_read`](Self::try_read) into memory that need not be initialised.
    pub fn try_read_uninit(&self, buffer: &mut [MaybeUninit<u8>]) -> io::Result<usize> {
        if buffer.is_empty() {
            return self.nothing_to_read();
        }
        let len = buffer.len();
        let read = |socket: &S| Ok(sys::recv_uninit(socket.as_fd(), buffer)?.len());
        self.registration().try_transfer(Direction::Read, Self::short_of(len), read)
    }
}
