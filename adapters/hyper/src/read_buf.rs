//! Reads into hyper's buffer, which may be uninitialised.
#![allow(unsafe_code)] // The safe methods of the cursor clear the buffer first, or copy into it.

use std::any::Any;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::ptr;
use std::task::{Context, Poll, ready};

use futures_util::io::AsyncRead;
use hyper::rt::ReadBufCursor;
use netpoll_futures::{TcpStream, UnixStream};

#[cfg(all(feature = "server", any(feature = "http1", feature = "http2")))]
use {
    crate::server::ServedStream,
    std::{net, os::unix::net as unix},
};

/// The largest part of a buffer that is cleared for a read: the most that a record of TLS contains.
const MAX_CLEARED: usize = 16 * 1024;

/// Reads available bytes to the position of `cursor`, passes them to `inspect`, and advances the
/// cursor past them. Zero bytes are the end of the stream, unless the cursor had no room.
#[inline]
pub(crate) fn poll_fill<T: AsyncRead + Unpin + 'static>(
    stream: &mut T,
    cx: &mut Context<'_>,
    cursor: &mut ReadBufCursor<'_>,
    inspect: impl FnOnce(&[u8]),
) -> Poll<io::Result<()>> {
    // SAFETY: `poll_read_uninit` promises that as many bytes as it returns are initialised, and that no byte
    // becomes uninitialised.
    unsafe { fill(cursor, |unfilled| poll_read_uninit(stream, cx, unfilled), inspect) }
}

/// Reads into memory that need not be initialised. The first bytes, as many as it returns, are initialised then, and no byte
/// becomes uninitialised. A stream of netpoll-futures reads straight into the memory, and for another stream the
/// memory is cleared first.
#[inline]
fn poll_read_uninit<T: AsyncRead + Unpin + 'static>(
    stream: &mut T,
    cx: &mut Context<'_>,
    buffer: &mut [MaybeUninit<u8>],
) -> Poll<io::Result<usize>> {
    // The compiler knows the type of the stream, and keeps one branch.
    macro_rules! straight {
        ($($socket:ty),+) => {
            $(if let Some(socket) = (&*stream as &dyn Any).downcast_ref::<$socket>() {
                return socket.poll_read_uninit(cx, buffer);
            })+
        };
    }
    straight!(TcpStream, UnixStream);
    #[cfg(all(feature = "server", any(feature = "http1", feature = "http2")))]
    straight!(ServedStream<net::TcpStream>, ServedStream<unix::UnixStream>);
    let len = buffer.len().min(MAX_CLEARED);
    let buffer = &mut buffer[..len];
    buffer.fill(MaybeUninit::new(0));
    // SAFETY: each byte of `buffer` has just been initialised, and `u8` has the layout of `MaybeUninit<u8>`. The slice
    // is borrowed exclusively, and safe code puts only initialised bytes into it.
    let cleared = unsafe { &mut *(ptr::from_mut(buffer) as *mut [u8]) };
    let count = ready!(Pin::new(stream).poll_read(cx, cleared))?;
    if count > len {
        return Poll::Ready(Err(io::Error::other("a stream has read more than its buffer holds")));
    }
    Poll::Ready(Ok(count))
}

/// # Safety
///
/// `read` must initialise the first `n` bytes, where `n` is the count that it returns, and must make no byte
/// uninitialised.
unsafe fn fill(
    cursor: &mut ReadBufCursor<'_>,
    read: impl FnOnce(&mut [MaybeUninit<u8>]) -> Poll<io::Result<usize>>,
    inspect: impl FnOnce(&[u8]),
) -> Poll<io::Result<()>> {
    // SAFETY: only `read` gets the slice, and it makes no byte uninitialised.
    let unfilled = unsafe { cursor.as_mut() };
    let count = ready!(read(unfilled))?;
    let filled = ptr::from_ref(&unfilled[..count]) as *const [u8];
    // SAFETY: `read` has initialised these `count` bytes, and `unfilled` stays borrowed for as long as
    // the slice is used.
    inspect(unsafe { &*filled });
    // SAFETY: as above: the first `count` bytes of the unfilled part are initialised, and the slice
    // expression has checked that they are within the buffer.
    unsafe { cursor.advance(count) };
    Poll::Ready(Ok(()))
}

#[cfg(test)]
mod tests {
    use hyper::rt::ReadBuf;

    use super::*;

    /// For Miri: no byte is read before it was written, in any number of reads into one buffer.
    #[test]
    fn bytes_are_appended_and_inspected_once() {
        let mut room = [MaybeUninit::uninit(); 8];
        let mut buffer = ReadBuf::uninit(&mut room);
        let mut inspected = Vec::new();
        for bytes in [&b"abc"[..], b"", b"de", b"fgh", b""] {
            let read = |unfilled: &mut [MaybeUninit<u8>]| {
                for (byte, written) in unfilled.iter_mut().zip(bytes) {
                    byte.write(*written);
                }
                Poll::Ready(Ok(bytes.len()))
            };
            // SAFETY: `read` writes as many bytes as it returns.
            let filled =
                unsafe { fill(&mut buffer.unfilled(), read, |more| inspected.extend(more)) };
            assert!(matches!(filled, Poll::Ready(Ok(()))));
        }
        let nothing = |_: &mut [MaybeUninit<u8>]| Poll::Pending;
        // SAFETY: `nothing` returns no count.
        let waits = unsafe { fill(&mut buffer.unfilled(), nothing, |_| unreachable!()) };
        assert!(waits.is_pending());
        assert_eq!((buffer.filled(), &inspected[..]), (&b"abcdefgh"[..], &b"abcdefgh"[..]));
    }
}
