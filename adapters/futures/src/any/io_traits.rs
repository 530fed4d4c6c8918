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

macro_rules! io_traits {
    ($async:ty, $poll_io:ident, $get:ident, [$($reads:tt)+], [$($writes:tt)+]) => {
        impl<T> AsyncRead for $async
        where
            $($reads)+
        {
            fn poll_read(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buffer: &mut [u8],
            ) -> Poll<io::Result<usize>> {
                self.get_mut().registration.$poll_io(cx, Direction::Read, |mut io| {
                    uninterrupted(|| Read::read(&mut io, buffer))
                })
            }

            fn poll_read_vectored(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buffers: &mut [IoSliceMut<'_>],
            ) -> Poll<io::Result<usize>> {
                self.get_mut().registration.$poll_io(cx, Direction::Read, |mut io| {
                    uninterrupted(|| Read::read_vectored(&mut io, buffers))
                })
            }
        }

        impl<T> AsyncWrite for $async
        where
            $($writes)+
        {
            fn poll_write(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buffer: &[u8],
            ) -> Poll<io::Result<usize>> {
                self.get_mut().registration.$poll_io(cx, Direction::Write, |mut io| {
                    uninterrupted(|| Write::write(&mut io, buffer))
                })
            }

            fn poll_write_vectored(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buffers: &[IoSlice<'_>],
            ) -> Poll<io::Result<usize>> {
                self.get_mut().registration.$poll_io(cx, Direction::Write, |mut io| {
                    uninterrupted(|| Write::write_vectored(&mut io, buffers))
                })
            }

            /// Flushes `T`, and waits only if that would block.
            fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                let this = self.get_mut();
                this.check_open()?;
                match uninterrupted(|| Write::flush(&mut this.registration.$get())) {
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {
                        this.registration.$poll_io(cx, Direction::Write, |mut io| {
                            uninterrupted(|| Write::flush(&mut io))
                        })
                    }
                    done => Poll::Ready(done),
                }
            }

            /// Only flushes; see [`Async`].
            fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                self.poll_flush(cx)
            }
        }
    };
}

io_traits!(Async<T>, poll_io_mut, get_mut, [T: Read], [T: Write]);
io_traits!(&Async<T>, poll_io, get_ref, [for<'a> &'a T: Read], [for<'a> &'a T: Write]);
