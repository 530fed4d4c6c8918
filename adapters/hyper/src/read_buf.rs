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

/// How many bytes of a buffer are cleared for a read, if the stream reads only into initialised memory: four times as many
/// as the last read has returned, within limits. A read that waits has cleared them in vain.
#[derive(Debug)]
pub(crate) struct Window(usize);

impl Window {
    /// Room for most requests.
    pub(crate) const LEAST: Self = Self(1024);
    /// The most that a record of TLS contains.
    const MOST: Self = Self(16 * 1024);

    fn after(read: usize) -> Self {
        Self(read.saturating_mul(4).clamp(Self::LEAST.0, Self::MOST.0))
    }
}

/// Reads available bytes to the position of `cursor`, passes them to `inspect`, and advances the
/// cursor past them. Zero bytes are the end of the stream, unless the cursor had no room.
#[inline]
pub(crate) fn poll_fill<T: AsyncRead + Unpin + 'static>(
    stream: &mut T,
    window: &mut Window,
    cx: &mut Context<'_>,
    cursor: &mut ReadBufCursor<'_>,
    inspect: impl FnOnce(&[u8]),
) -> Poll<io::Result<()>> {
    // SAFETY: `poll_read_uninit` promises that as many bytes as it returns are initialised, and that no byte
    // becomes uninitialised.
    unsafe { fill(cursor, |unfilled| poll_read_uninit(stream, window, cx, unfilled), inspect) }
}

/// Reads into memory that need not be initialised. The first bytes, as many as it returns, are initialised then, and no byte
/// becomes uninitialised. A stream of netpoll-futures reads straight into the memory. For another stream the beginning of the
/// memory is cleared first, and the rest stays as it is.
#[inline]
fn poll_read_uninit<T: AsyncRead + Unpin + 'static>(
    stream: &mut T,
    window: &mut Window,
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
    let len = buffer.len().min(window.0);
    let buffer = &mut buffer[..len];
    buffer.fill(MaybeUninit::new(0));
    // SAFETY: each byte of `buffer` has just been initialised, and `u8` has the layout of `MaybeUninit<u8>`. The slice
    // is borrowed exclusively, and safe code puts only initialised bytes into it.
    let cleared = unsafe { &mut *(ptr::from_mut(buffer) as *mut [u8]) };
    let count = ready!(Pin::new(stream).poll_read(cx, cleared))?;
    if count > len {
        return Poll::Ready(Err(io::Error::other("a stream has read more than its buffer holds")));
    }
    *window = Window::after(count);
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
    use std::task::Waker;

    use hyper::rt::ReadBuf;

    use super::*;

    /// A stream that fills as much of a buffer as its number allows, and notes the length of the last buffer. At 0 it
    /// waits.
    struct Scripted {
        most: usize,
        offered: usize,
    }

    impl AsyncRead for Scripted {
        fn poll_read(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            buffer: &mut [u8],
        ) -> Poll<io::Result<usize>> {
            self.offered = buffer.len();
            let count = self.most.min(buffer.len());
            buffer[..count].fill(b'x');
            if count == 0 { Poll::Pending } else { Poll::Ready(Ok(count)) }
        }
    }

    /// hyper offers 8 KiB and more to each read. A request of 100 bytes took three reads, each of which cleared it all.
    #[test]
    fn the_cleared_part_follows_the_length_of_the_reads() {
        let (mut window, mut stream) = (Window::LEAST, Scripted { most: 0, offered: 0 });
        let mut offered = |most: usize, room: usize| {
            stream.most = most;
            let mut bytes = Vec::with_capacity(room);
            let mut buffer = ReadBuf::uninit(&mut bytes.spare_capacity_mut()[..room]);
            let mut cx = Context::from_waker(Waker::noop());
            let read = poll_fill(&mut stream, &mut window, &mut cx, &mut buffer.unfilled(), |_| {});
            assert_eq!(read.is_pending(), most == 0);
            assert_eq!(buffer.filled(), vec![b'x'; most.min(stream.offered)]);
            stream.offered
        };
        const ROOM: usize = 20_000;
        let small = [100, 0, 100, 0, 100].map(|most| offered(most, ROOM));
        assert_eq!(small, [1024; 5], "a small read, and one that waits");
        let large = [ROOM; 5].map(|most| offered(most, ROOM));
        assert_eq!(large, [1024, 4096, 16384, 16384, 16384], "each read fills its part");
        assert_eq!(offered(1500, ROOM), 16384);
        assert_eq!(offered(0, ROOM), 6000, "four times the last read");
        assert_eq!(offered(100, 10), 10, "no more than there is room");
        assert_eq!(offered(100, ROOM), 1024);
    }

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
