//! Reads into hyper's buffer, which may be uninitialised.
#![allow(unsafe_code)] // The safe methods of the cursor clear the buffer first, or copy into it.

use std::io;
use std::mem::MaybeUninit;
use std::ptr;
use std::task::{Context, Poll, ready};

use hyper::rt::ReadBufCursor;
use netpoll_futures::{Stream, StreamSocket};

/// Reads available bytes to the position of `cursor`, passes them to `inspect`, and advances the
/// cursor past them. Zero bytes are the end of the stream, unless the cursor had no room.
pub(crate) fn poll_fill<S: StreamSocket>(
    stream: &Stream<S>,
    cx: &mut Context<'_>,
    cursor: &mut ReadBufCursor<'_>,
    inspect: impl FnOnce(&[u8]),
) -> Poll<io::Result<()>> {
    // SAFETY: the stream promises that as many bytes as it returns are initialised, and that no byte
    // becomes uninitialised.
    unsafe { fill(cursor, |unfilled| stream.poll_read_uninit(cx, unfilled), inspect) }
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
