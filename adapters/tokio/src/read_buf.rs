//! Reads into uninitialised memory of tokio's `ReadBuf` and of `bytes`.
//!
//! The safe way is `ReadBuf::initialize_unfilled`, which clears the uninitialised room at *every* poll, also one that
//! finds nothing to read. For the spare room of a `Vec` or a `BytesMut` that is many times the bytes of a read. So this
//! module is `unsafe`. It relies on one promise of the methods in `_uninit` of
//! [`Stream`](netpoll_futures::Stream::poll_read_uninit) and of
//! [`Datagram`](netpoll_futures::Datagram::recv_uninit): as many bytes as they return are
//! initialised, and no byte becomes uninitialised.
#![allow(unsafe_code)]

use std::io;
use std::mem::MaybeUninit;
use std::task::{Context, Poll, ready};

use bytes::BufMut;
use netpoll_futures::{Datagram, DatagramSocket, Stream, StreamSocket};
use tokio::io::ReadBuf;

use crate::budget;

/// Polls a read into the unfilled part of `buffer`.
pub(crate) fn poll_read<S: StreamSocket>(
    stream: &Stream<S>,
    cx: &mut Context<'_>,
    buffer: &mut ReadBuf<'_>,
) -> Poll<io::Result<()>> {
    let read = |unfilled: &mut [_]| stream.poll_read_uninit(cx, unfilled).map_ok(|read| (read, ()));
    // SAFETY: the stream promises it.
    unsafe { poll_fill(buffer, read) }
}

/// Polls a peek into the unfilled part of `buffer`, within the budget of the task. Returns the number of bytes.
pub(crate) fn poll_peek<S: StreamSocket>(
    stream: &Stream<S>,
    cx: &mut Context<'_>,
    buffer: &mut ReadBuf<'_>,
) -> Poll<io::Result<usize>> {
    let unfilled = buffer.initialize_unfilled();
    let count = ready!(budget::poll(cx, |cx| stream.poll_peek(cx, unfilled)))?;
    buffer.advance(count);
    Poll::Ready(Ok(count))
}

/// Polls a receive into the unfilled part of `buffer`.
pub(crate) fn poll_recv<S: DatagramSocket>(
    socket: &Datagram<S>,
    cx: &mut Context<'_>,
    buffer: &mut ReadBuf<'_>,
) -> Poll<io::Result<()>> {
    let recv = |unfilled: &mut [_]| socket.poll_recv_uninit(cx, unfilled).map_ok(|read| (read, ()));
    // SAFETY: the socket promises it.
    unsafe { poll_fill(buffer, recv) }
}

/// [`poll_recv`], with the address of the sender.
pub(crate) fn poll_recv_from<S: DatagramSocket>(
    socket: &Datagram<S>,
    cx: &mut Context<'_>,
    buffer: &mut ReadBuf<'_>,
) -> Poll<io::Result<S::Address>> {
    // SAFETY: the socket promises it.
    unsafe { poll_fill(buffer, |unfilled| socket.poll_recv_from_uninit(cx, unfilled)) }
}

/// Reads into the spare room of `buffer`, if bytes are available.
pub(crate) fn try_read<S: StreamSocket>(
    stream: &Stream<S>,
    buffer: &mut impl BufMut,
) -> io::Result<usize> {
    // SAFETY: the stream promises it.
    unsafe { fill(buffer, |room| stream.try_read_uninit(room).map(|read| (read, ()))) }
        .map(|(read, ())| read)
}

/// Receives into the spare room of `buffer`, if a datagram is there.
pub(crate) fn try_recv<S: DatagramSocket>(
    socket: &Datagram<S>,
    buffer: &mut impl BufMut,
) -> io::Result<usize> {
    // SAFETY: the socket promises it.
    unsafe { fill(buffer, |room| socket.try_recv_uninit(room).map(|received| (received, ()))) }
        .map(|(received, ())| received)
}

/// [`try_recv`], with the address of the sender.
pub(crate) fn try_recv_from<S: DatagramSocket>(
    socket: &Datagram<S>,
    buffer: &mut impl BufMut,
) -> io::Result<(usize, S::Address)> {
    // SAFETY: the socket promises it.
    unsafe { fill(buffer, |room| socket.try_recv_from_uninit(room)) }
}

/// Receives into the spare room of `buffer`.
pub(crate) async fn recv<S: DatagramSocket>(
    socket: &Datagram<S>,
    buffer: &mut impl BufMut,
) -> io::Result<usize> {
    // SAFETY: the socket makes no byte uninitialised.
    let room = unsafe { buffer.chunk_mut().as_uninit_slice_mut() };
    let received = socket.recv_uninit(room).await?;
    // SAFETY: the socket has initialised as many bytes of the room.
    unsafe { buffer.advance_mut(received) };
    Ok(received)
}

/// [`recv`], with the address of the sender.
pub(crate) async fn recv_from<S: DatagramSocket>(
    socket: &Datagram<S>,
    buffer: &mut impl BufMut,
) -> io::Result<(usize, S::Address)> {
    // SAFETY: the socket makes no byte uninitialised.
    let room = unsafe { buffer.chunk_mut().as_uninit_slice_mut() };
    let (received, from) = socket.recv_from_uninit(room).await?;
    // SAFETY: the socket has initialised as many bytes of the room.
    unsafe { buffer.advance_mut(received) };
    Ok((received, from))
}

/// Fills the unfilled part of `buffer` by as many bytes as `read` returns. Returns the other result of `read`.
///
/// # Safety
///
/// `read` must initialise as many of the first bytes as it returns, and must make none uninitialised.
unsafe fn poll_fill<T>(
    buffer: &mut ReadBuf<'_>,
    read: impl FnOnce(&mut [MaybeUninit<u8>]) -> Poll<io::Result<(usize, T)>>,
) -> Poll<io::Result<T>> {
    // SAFETY: only `read` gets the slice, and it makes no byte uninitialised.
    let unfilled = unsafe { buffer.unfilled_mut() };
    let (count, rest) = ready!(read(unfilled))?;
    // SAFETY: `read` has initialised as many bytes of the unfilled part.
    unsafe { buffer.assume_init(count) };
    buffer.advance(count);
    Poll::Ready(Ok(rest))
}

/// Advances `buffer` by as many bytes as `read` returns.
///
/// # Safety
///
/// As for [`poll_fill`].
unsafe fn fill<T>(
    buffer: &mut impl BufMut,
    read: impl FnOnce(&mut [MaybeUninit<u8>]) -> io::Result<(usize, T)>,
) -> io::Result<(usize, T)> {
    // SAFETY: only `read` gets the slice, and it makes no byte uninitialised.
    let room = unsafe { buffer.chunk_mut().as_uninit_slice_mut() };
    let (count, rest) = read(room)?;
    // SAFETY: `read` has initialised as many bytes of the room.
    unsafe { buffer.advance_mut(count) };
    Ok((count, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// For Miri: no byte is read before it was written, in any number of reads into one buffer.
    #[test]
    fn bytes_are_appended() {
        let mut room = [MaybeUninit::uninit(); 8];
        let mut buffer = ReadBuf::uninit(&mut room);
        for bytes in [&b"abc"[..], b"", b"de", b"fgh", b""] {
            let read = |unfilled: &mut [MaybeUninit<u8>]| {
                for (byte, written) in unfilled.iter_mut().zip(bytes) {
                    byte.write(*written);
                }
                Poll::Ready(Ok((bytes.len(), bytes.len())))
            };
            // SAFETY: `read` writes as many bytes as it returns.
            let filled = unsafe { poll_fill(&mut buffer, read) };
            assert!(matches!(filled, Poll::Ready(Ok(count)) if count == bytes.len()));
        }
        let nothing = |_: &mut [MaybeUninit<u8>]| Poll::<io::Result<(usize, ())>>::Pending;
        // SAFETY: `nothing` returns no count.
        assert!(unsafe { poll_fill(&mut buffer, nothing) }.is_pending());
        assert_eq!(buffer.filled(), b"abcdefgh");
    }
}
