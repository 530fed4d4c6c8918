//! Reading into hyper's buffer, of which hyper does not say that it is initialised.
#![allow(unsafe_code)] // The cursor has no safe way to be filled but by clearing or by copying.

use std::io;
use std::ptr;
use std::task::{Context, Poll, ready};

use hyper::rt::ReadBufCursor;
use netpoll_futures::{Stream, StreamSocket};

/// Reads available bytes to the position of `cursor`, shows them to `inspect`, and advances the
/// cursor past them. Zero bytes are the end of the stream, unless the cursor had no room.
pub(crate) fn poll_fill<S: StreamSocket>(
    stream: &Stream<S>,
    cx: &mut Context<'_>,
    cursor: &mut ReadBufCursor<'_>,
    inspect: impl FnOnce(&[u8]),
) -> Poll<io::Result<()>> {
    // SAFETY: it is lent to one call, which has the kernel write bytes into it and does nothing else
    // with it: no byte that was initialised becomes uninitialised.
    let unfilled = unsafe { cursor.as_mut() };
    let count = ready!(stream.poll_read_uninit(cx, unfilled))?;
    let filled = ptr::from_ref(&unfilled[..count]) as *const [u8];
    // SAFETY: the kernel wrote these `count` bytes, which is what `poll_read_uninit` promises of its
    // count, and `unfilled` stays borrowed for as long as the slice is used.
    inspect(unsafe { &*filled });
    // SAFETY: as above: the first `count` bytes of the unfilled part are initialised, and the slice
    // expression has checked that they are within the buffer.
    unsafe { cursor.advance(count) };
    Poll::Ready(Ok(()))
}
