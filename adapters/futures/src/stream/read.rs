//! Reading.

use std::future::poll_fn;
use std::io::{self, IoSliceMut};
use std::task::Poll;

use netpoll::{Direction, Registration, Transfer};

use super::Stream;
use crate::events;
use crate::sealed::StreamSocket;
use crate::socket::check_open;
use crate::sys;

impl<S: StreamSocket> Stream<S> {
    /// Waits until bytes have arrived, and reads at most `buffer.len()` of them. Zero is the end of the
    /// stream.
    ///
    /// With an empty buffer, it returns 0 at once.
    ///
    /// # Errors
    ///
    /// [`Closed`](crate::Closed), [`DeadlineExceeded`](crate::DeadlineExceeded), or a system error.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, no byte has been read.
    pub fn read(&self, buffer: &mut [u8]) -> impl Future<Output = io::Result<usize>> {
        // Not an `async fn`: its future would store the arguments twice.
        let mut waiting = self.registration().readiness_wait(Direction::Read);
        poll_fn(move |cx| {
            let len = buffer.len();
            if len == 0 {
                return Poll::Ready(nothing_to_read(waiting.registration()));
            }
            let registration = waiting.registration();
            let read = |socket: &S| Self::whole(registration, socket.receive(buffer));
            let read = waiting.poll_io(cx, Transfer(Direction::Read, len), read);
            events::polled(waiting.registration(), Direction::Read, read)
        })
    }

    /// As [`read`](Self::read), into several buffers.
    pub async fn read_vectored(&self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        let (window, len) = sys::window(buffers);
        if len == 0 {
            return self.nothing_to_read();
        }
        let read = |socket: &S| sys::recv_vectored(socket.as_fd(), &mut buffers[window.clone()]);
        let read = self.registration().io(Self::transfer(len), read).await;
        events::done(self.registration(), Direction::Read, &read);
        read
    }

    /// [`read`](Self::read) without waiting: fails with `WouldBlock` if no byte has arrived.
    pub fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return self.nothing_to_read();
        }
        let len = buffer.len();
        let read = |socket: &S| Self::whole(self.registration(), socket.receive(buffer));
        self.registration().try_io(Transfer(Direction::Read, len), read)
    }

    /// [`read_vectored`](Self::read_vectored) without waiting: fails with `WouldBlock` if no byte has
    /// arrived.
    pub fn try_read_vectored(&self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        let (window, len) = sys::window(buffers);
        if len == 0 {
            return self.nothing_to_read();
        }
        let read = |socket: &S| sys::recv_vectored(socket.as_fd(), &mut buffers[window.clone()]);
        self.registration().try_io(Self::transfer(len), read)
    }

    /// The bytes of a read. If the read ended early although more bytes may be there, the direction becomes ready once more,
    /// as by an event: no event will report them, and a short read alone counts as the last one.
    #[inline]
    pub(crate) fn whole(
        registration: &Registration<S>,
        received: io::Result<(usize, bool)>,
    ) -> io::Result<usize> {
        let (count, may_be_cut) = received?;
        if may_be_cut {
            registration.assume_ready(Direction::Read);
        }
        Ok(count)
    }

    /// The rule of a vectored read of up to `len` bytes. If it returns fewer, the socket counts as drained, except on a
    /// kind of socket whose reads may end early.
    pub(crate) fn transfer(len: usize) -> Transfer {
        Transfer(Direction::Read, if S::SHORT_READ_DRAINS { len } else { 0 })
    }
}

fn nothing_to_read<S>(registration: &Registration<S>) -> io::Result<usize> {
    check_open(registration).map(|()| 0)
}
