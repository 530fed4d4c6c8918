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
use netpoll::OpError;
use netpoll_futures::{DatagramSocket, StreamSocket};
use tokio::io::ReadBuf;

use crate::budget;
use crate::datagram::Datagram;
use crate::stream::Stream;
use crate::timeout::TimeoutStream;

/// Reads into spare room. See [errors](Stream#errors).
impl<S: StreamSocket> Stream<S> {
    /// [`try_read`](Self::try_read) into the spare room of `buffer`, which it advances.
    pub fn try_read_buf<B: BufMut>(&self, buffer: &mut B) -> io::Result<usize> {
        let read = |room: &mut [_]| self.inner.try_read_uninit(room).map(|read| (read, ()));
        // SAFETY: the stream promises it.
        unsafe { fill(buffer, read) }.map(|(read, ())| read)
    }

    /// Polls a read into the unfilled part of `buffer`.
    pub(crate) fn poll_read_into(
        &self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = |unfilled: &mut [_]| {
            let read = budget::poll(cx, |cx| self.inner.poll_read_uninit(cx, unfilled));
            read.map_ok(|read| (read, ()))
        };
        // SAFETY: the stream promises it.
        unsafe { poll_fill(buffer, read) }
    }
}

impl<S: StreamSocket> TimeoutStream<S> {
    /// Polls a read into the unfilled part of `buffer`.
    pub(crate) fn poll_read_into(
        &self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = |unfilled: &mut [_]| {
            let read = budget::poll(cx, |cx| self.get_ref().poll_read_uninit(cx, unfilled));
            read.map_ok(|read| (read, ()))
        };
        // SAFETY: the stream promises it.
        unsafe { poll_fill(buffer, read) }
    }
}

/// Receives into spare room, which it advances. The spare room of a full `Vec` or `BytesMut` is 64 bytes. See
/// [errors](Datagram#errors).
impl<S: DatagramSocket> Datagram<S> {
    /// [`recv`](Self::recv) into the spare room of `buffer`.
    pub async fn recv_buf<B: BufMut>(&self, buffer: &mut B) -> io::Result<usize> {
        // SAFETY: the socket makes no byte uninitialised.
        let room = unsafe { buffer.chunk_mut().as_uninit_slice_mut() };
        let received = budget::spend(self.inner.recv_uninit(room)).await.map_err(OpError::strip)?;
        // SAFETY: the socket has initialised the first `received` bytes of the room.
        unsafe { buffer.advance_mut(received) };
        Ok(received)
    }

    /// [`recv_buf`](Self::recv_buf), with the sender's address.
    pub async fn recv_buf_from<B: BufMut>(
        &self,
        buffer: &mut B,
    ) -> io::Result<(usize, S::Address)> {
        // SAFETY: the socket makes no byte uninitialised.
        let room = unsafe { buffer.chunk_mut().as_uninit_slice_mut() };
        let receive = self.inner.recv_from_uninit(room);
        let (received, from) = budget::spend(receive).await.map_err(OpError::strip)?;
        // SAFETY: the socket has initialised the first `received` bytes of the room.
        unsafe { buffer.advance_mut(received) };
        Ok((received, from))
    }

    /// Attempts [`recv_buf`](Self::recv_buf).
    pub fn try_recv_buf<B: BufMut>(&self, buffer: &mut B) -> io::Result<usize> {
        let receive = |room: &mut [_]| self.inner.try_recv_uninit(room).map(|count| (count, ()));
        // SAFETY: the socket promises it.
        unsafe { fill(buffer, receive) }.map(|(received, ())| received).map_err(OpError::strip)
    }

    /// Attempts [`recv_buf_from`](Self::recv_buf_from).
    pub fn try_recv_buf_from<B: BufMut>(&self, buffer: &mut B) -> io::Result<(usize, S::Address)> {
        // SAFETY: the socket promises it.
        unsafe { fill(buffer, |room| self.inner.try_recv_from_uninit(room)) }
            .map_err(OpError::strip)
    }

    /// Polls [`recv_buf_from`](Self::recv_buf_from).
    #[cfg(feature = "codec")]
    pub(crate) fn poll_recv_buf_from<B: BufMut>(
        &self,
        cx: &mut Context<'_>,
        buffer: &mut B,
    ) -> Poll<io::Result<(usize, S::Address)>> {
        // SAFETY: the socket makes no byte uninitialised.
        let room = unsafe { buffer.chunk_mut().as_uninit_slice_mut() };
        let received = budget::poll(cx, |cx| self.inner.poll_recv_from_uninit(cx, room));
        let (received, from) = ready!(received).map_err(OpError::strip)?;
        // SAFETY: the socket has initialised the first `received` bytes of the room.
        unsafe { buffer.advance_mut(received) };
        Poll::Ready(Ok((received, from)))
    }

    /// Polls [`recv`](Self::recv), into the unfilled part of `buffer`.
    pub fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let receive = |unfilled: &mut [_]| {
            let received = budget::poll(cx, |cx| self.inner.poll_recv_uninit(cx, unfilled));
            received.map_ok(|received| (received, ()))
        };
        // SAFETY: the socket promises it.
        unsafe { poll_fill(buffer, receive) }.map_err(OpError::strip)
    }

    /// Polls [`recv_from`](Self::recv_from), into the unfilled part of `buffer`. Returns the sender's address.
    pub fn poll_recv_from(
        &self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<S::Address>> {
        let receive = |unfilled: &mut [_]| {
            budget::poll(cx, |cx| self.inner.poll_recv_from_uninit(cx, unfilled))
        };
        // SAFETY: the socket promises it.
        unsafe { poll_fill(buffer, receive) }.map_err(OpError::strip)
    }
}

/// Fills the unfilled part of `buffer` by as many bytes as `read` returns. Returns the other result of `read`.
///
/// # Safety
///
/// `read` must initialise the first `n` bytes, where `n` is the count that it returns, and must make no byte
/// uninitialised.
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
