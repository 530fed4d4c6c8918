//! futures-io by way of the traits of the standard library: for an owned `Async`, and for a reference
//! to one, of which several tasks may each have one. A call that a signal interrupts is repeated: the
//! standard library's traits return `Interrupted`, and those of futures-io must not.

use std::io::{self, ErrorKind, IoSlice, IoSliceMut, Read, Write};
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::sys::uninterrupted;
use futures_util::io::{AsyncRead, AsyncWrite};
use netpoll::Direction;

use super::Async;

impl<T> AsyncRead for &Async<T>
where
    for<'a> &'a T: Read,
{
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        self.registration.poll_io(cx, Direction::Read, |mut io| uninterrupted(|| io.read(buffer)))
    }

    fn poll_read_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        self.registration
            .poll_io(cx, Direction::Read, |mut io| uninterrupted(|| io.read_vectored(buffers)))
    }
}

impl<T> AsyncWrite for &Async<T>
where
    for<'a> &'a T: Write,
{
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.registration.poll_io(cx, Direction::Write, |mut io| uninterrupted(|| io.write(buffer)))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.registration
            .poll_io(cx, Direction::Write, |mut io| uninterrupted(|| io.write_vectored(buffers)))
    }

    /// Flushes `T`, and waits only if that would block.
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check_open()?;
        match uninterrupted(|| self.get_ref().flush()) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                self.registration
                    .poll_io(cx, Direction::Write, |mut io| uninterrupted(|| io.flush()))
            }
            done => Poll::Ready(done),
        }
    }

    /// Only flushes; see [`Async`].
    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(cx)
    }
}

impl<T: Read> AsyncRead for Async<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        self.registration.poll_io_mut(cx, Direction::Read, |io| uninterrupted(|| io.read(buffer)))
    }

    fn poll_read_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        self.registration
            .poll_io_mut(cx, Direction::Read, |io| uninterrupted(|| io.read_vectored(buffers)))
    }
}

impl<T: Write> AsyncWrite for Async<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.registration.poll_io_mut(cx, Direction::Write, |io| uninterrupted(|| io.write(buffer)))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.registration
            .poll_io_mut(cx, Direction::Write, |io| uninterrupted(|| io.write_vectored(buffers)))
    }

    /// Flushes `T`, and waits only if that would block.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check_open()?;
        match uninterrupted(|| self.registration.get_mut().flush()) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                self.registration
                    .poll_io_mut(cx, Direction::Write, |io| uninterrupted(|| io.flush()))
            }
            done => Poll::Ready(done),
        }
    }

    /// Only flushes; see [`Async`].
    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(cx)
    }
}
