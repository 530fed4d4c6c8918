//! Reading into uninitialised memory, for adapters with such buffers.

use std::io;
use std::mem::MaybeUninit;
use std::task::{Context, Poll};

use netpoll::{Direction, Transfer};

use crate::events;

use super::Stream;
use crate::sealed::StreamSocket;

/// Unsafe code may rely on this: each method initialises the first `n` bytes of the buffer, where `n`
/// is the returned count, and makes no other byte uninitialised.
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
        let read = |socket: &S| Self::whole(self.registration(), socket.receive_uninit(buffer));
        let read = self.registration().poll_io(cx, Transfer(Direction::Read, len), read);
        events::polled(self.registration(), Direction::Read, read)
    }

    /// [`try_read`](Self::try_read) into memory that need not be initialised.
    pub fn try_read_uninit(&self, buffer: &mut [MaybeUninit<u8>]) -> io::Result<usize> {
        if buffer.is_empty() {
            return self.nothing_to_read();
        }
        let len = buffer.len();
        let read = |socket: &S| Self::whole(self.registration(), socket.receive_uninit(buffer));
        self.registration().try_io(Transfer(Direction::Read, len), read)
    }
}
