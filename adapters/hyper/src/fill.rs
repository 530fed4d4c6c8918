//! Reading into hyper's buffer, of which hyper does not say that it is initialised.
#![allow(unsafe_code)] // The cursor has no safe way to be filled but by clearing or by copying.

use std::io;
use std::task::{Context, Poll, ready};

use hyper::rt::ReadBufCursor;
use netpoll_futures::{Stream, StreamSocket};

/// Reads what there is to where `cursor` is, and moves it on. Zero is the end of the stream, unless
/// there was no room.
pub(crate) fn poll_fill<S: StreamSocket>(
    stream: &Stream<S>,
    cx: &mut Context<'_>,
    cursor: &mut ReadBufCursor<'_>,
) -> Poll<io::Result<usize>> {
    // SAFETY: it is lent to one call, which has the kernel write bytes into it and does nothing else
    // with it: no byte that was initialised becomes uninitialised.
    let unfilled = unsafe { cursor.as_mut() };
    let room = unfilled.len();
    let count = ready!(stream.poll_read_uninit(cx, unfilled))?;
    assert!(count <= room, "no more is read than there is room for");
    // SAFETY: the kernel wrote the first `count` bytes of what the cursor has not filled, which is
    // what `poll_read_uninit` promises of its count, and they are within the buffer.
    unsafe { cursor.advance(count) };
    Poll::Ready(Ok(count))
}
