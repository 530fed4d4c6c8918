//! The traits of futures-io, by those of the standard library.

use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::io::{AsyncRead, AsyncWrite};
use netpoll::{Direction, Eager, Transfer};

use crate::object::{READ, WRITE};
use crate::{Async, IoSafe};

macro_rules! io_traits {
    (
        $async:ty, $registration:ident, $poll_io:ident, [$($reads:tt)+], [$($writes:tt)+],
        $is_drained_by_a_short_read:expr
    ) => {
        impl<T> AsyncRead for $async
        where
            $($reads)+
        {
            fn poll_read(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buffer: &mut [u8],
            ) -> Poll<io::Result<usize>> {
                let registration = self.get_mut().0.$registration();
                if $is_drained_by_a_short_read {
                    let rule = Eager(Transfer(Direction::Read, buffer.len()));
                    registration.$poll_io(cx, rule, |mut io| Read::read(&mut io, buffer))
                } else {
                    registration.$poll_io(cx, READ, |mut io| Read::read(&mut io, buffer))
                }
            }

            fn poll_read_vectored(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buffers: &mut [IoSliceMut<'_>],
            ) -> Poll<io::Result<usize>> {
                let registration = self.get_mut().0.$registration();
                registration.$poll_io(cx, READ, |mut io| Read::read_vectored(&mut io, buffers))
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
                let registration = self.get_mut().0.$registration();
                registration.$poll_io(cx, WRITE, |mut io| Write::write(&mut io, buffer))
            }

            fn poll_write_vectored(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buffers: &[IoSlice<'_>],
            ) -> Poll<io::Result<usize>> {
                let registration = self.get_mut().0.$registration();
                registration.$poll_io(cx, WRITE, |mut io| Write::write_vectored(&mut io, buffers))
            }

            fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                let registration = self.get_mut().0.$registration();
                registration.$poll_io(cx, WRITE, |mut io| Write::flush(&mut io))
            }

            /// Flushes. Dropping the object, or [`Async::close`], closes it.
            fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                self.poll_flush(cx)
            }
        }
    };
}

io_traits! {
    Async<T>, registration_mut, poll_io_mut, [T: IoSafe + Read], [T: IoSafe + Write],
    T::IS_DRAINED_BY_A_SHORT_READ
}
io_traits! {
    &Async<T>, registration, poll_io, [for<'a> &'a T: Read], [for<'a> &'a T: Write], false
}
