//! Reading into what tokio and `bytes` call uninitialised memory, without clearing it first.
//!
//! The safe way is `ReadBuf::initialize_unfilled`, which writes zeroes over what is not initialised
//! yet at *every* poll, also when that finds nothing to read: for one who reads into the spare room of
//! a `Vec` or a `BytesMut` that is the whole room each time, many times what a read brings. So this module
//! is `unsafe`, as `raw_fd` is and no other module of this adapter. All of it rests on one promise of the methods in `_uninit` of
//! [`Stream`](netpoll_futures::Stream::poll_read_uninit) and of
//! [`Datagram`](netpoll_futures::Datagram::recv_uninit): as many bytes as they return are
//! initialised, and no byte ever becomes uninitialised.
#![allow(unsafe_code)]

use std::io;
use std::mem::MaybeUninit;
use std::task::{Context, Poll, ready};

use bytes::BufMut;
use netpoll_futures::{Datagram, DatagramSocket, Stream, StreamSocket};
use tokio::io::ReadBuf;

/// Reads into the unfilled part of `buffer`, and fills it by so much.
pub(crate) fn poll_read<S: StreamSocket>(
    stream: &Stream<S>,
    cx: &mut Context<'_>,
    buffer: &mut ReadBuf<'_>,
) -> Poll<io::Result<()>> {
    let read = |unfilled: &mut [_]| stream.poll_read_uninit(cx, unfilled).map_ok(|read| (read, ()));
    // SAFETY: the stream promises it.
    unsafe { fill(buffer, read) }
}

/// Reads into the spare room of `buffer`, if there is something to read, and advances it.
pub(crate) fn try_read<S: StreamSocket>(
    stream: &Stream<S>,
    buffer: &mut impl BufMut,
) -> io::Result<usize> {
    // SAFETY: no byte of it becomes uninitialised: the stream promises that.
    let room = unsafe { buffer.chunk_mut().as_uninit_slice_mut() };
    let read = stream.try_read_uninit(room)?;
    // SAFETY: the stream promises that the first so many bytes of the room are initialised.
    unsafe { buffer.advance_mut(read) };
    Ok(read)
}

/// Receives into the unfilled part of `buffer`, and fills it by so much.
pub(crate) fn poll_recv<S: DatagramSocket>(
    socket: &Datagram<S>,
    cx: &mut Context<'_>,
    buffer: &mut ReadBuf<'_>,
) -> Poll<io::Result<()>> {
    let recv = |unfilled: &mut [_]| socket.poll_recv_uninit(cx, unfilled).map_ok(|read| (read, ()));
    // SAFETY: the socket promises it.
    unsafe { fill(buffer, recv) }
}

/// [`poll_recv`], and says from whom.
pub(crate) fn poll_recv_from<S: DatagramSocket>(
    socket: &Datagram<S>,
    cx: &mut Context<'_>,
    buffer: &mut ReadBuf<'_>,
) -> Poll<io::Result<S::Address>> {
    // SAFETY: the socket promises it.
    unsafe { fill(buffer, |unfilled| socket.poll_recv_from_uninit(cx, unfilled)) }
}

/// Fills the unfilled part of `buffer` by the bytes that `read` counts. Returns what else `read` says.
///
/// # Safety
///
/// `read` must initialise as many of the first bytes as it returns, and must make none uninitialised.
unsafe fn fill<T>(
    buffer: &mut ReadBuf<'_>,
    read: impl FnOnce(&mut [MaybeUninit<u8>]) -> Poll<io::Result<(usize, T)>>,
) -> Poll<io::Result<T>> {
    // SAFETY: it is lent to `read` alone, which makes no byte uninitialised.
    let unfilled = unsafe { buffer.unfilled_mut() };
    let (count, rest) = ready!(read(unfilled))?;
    // SAFETY: `read` has initialised so many bytes of the unfilled part.
    unsafe { buffer.assume_init(count) };
    buffer.advance(count);
    Poll::Ready(Ok(rest))
}

/// Receives into the spare room of `buffer`, and advances it.
pub(crate) async fn recv<S: DatagramSocket>(
    socket: &Datagram<S>,
    buffer: &mut impl BufMut,
) -> io::Result<usize> {
    // SAFETY: no byte of it becomes uninitialised: the socket promises that.
    let room = unsafe { buffer.chunk_mut().as_uninit_slice_mut() };
    let received = socket.recv_uninit(room).await?;
    // SAFETY: the socket promises that the first so many bytes of the room are initialised.
    unsafe { buffer.advance_mut(received) };
    Ok(received)
}

/// [`recv`], and says from whom.
pub(crate) async fn recv_from<S: DatagramSocket>(
    socket: &Datagram<S>,
    buffer: &mut impl BufMut,
) -> io::Result<(usize, S::Address)> {
    // SAFETY: no byte of it becomes uninitialised: the socket promises that.
    let room = unsafe { buffer.chunk_mut().as_uninit_slice_mut() };
    let (received, from) = socket.recv_from_uninit(room).await?;
    // SAFETY: the socket promises that the first so many bytes of the room are initialised.
    unsafe { buffer.advance_mut(received) };
    Ok((received, from))
}

/// [`recv`], if there is something to receive.
pub(crate) fn try_recv<S: DatagramSocket>(
    socket: &Datagram<S>,
    buffer: &mut impl BufMut,
) -> io::Result<usize> {
    // SAFETY: no byte of it becomes uninitialised: the socket promises that.
    let room = unsafe { buffer.chunk_mut().as_uninit_slice_mut() };
    let received = socket.try_recv_uninit(room)?;
    // SAFETY: the socket promises that the first so many bytes of the room are initialised.
    unsafe { buffer.advance_mut(received) };
    Ok(received)
}

/// [`recv_from`], if there is something to receive.
pub(crate) fn try_recv_from<S: DatagramSocket>(
    socket: &Datagram<S>,
    buffer: &mut impl BufMut,
) -> io::Result<(usize, S::Address)> {
    // SAFETY: no byte of it becomes uninitialised: the socket promises that.
    let room = unsafe { buffer.chunk_mut().as_uninit_slice_mut() };
    let (received, from) = socket.try_recv_from_uninit(room)?;
    // SAFETY: the socket promises that the first so many bytes of the room are initialised.
    unsafe { buffer.advance_mut(received) };
    Ok((received, from))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// For Miri: no byte is read before it was written, however often the buffer is filled on.
    #[test]
    fn bytes_are_put_behind_each_other() {
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
            let filled = unsafe { fill(&mut buffer, read) };
            assert!(matches!(filled, Poll::Ready(Ok(count)) if count == bytes.len()));
        }
        let nothing = |_: &mut [MaybeUninit<u8>]| Poll::<io::Result<(usize, ())>>::Pending;
        // SAFETY: `nothing` returns no count.
        assert!(unsafe { fill(&mut buffer, nothing) }.is_pending());
        assert_eq!(buffer.filled(), b"abcdefgh");
    }
}
