//! Passing descriptors along with bytes.

use std::future::poll_fn;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net;

use crate::sys;
use netpoll::{Contiguous, Direction};

use super::UnixStream;

impl UnixStream {
    /// [`write`](Self::write) with descriptors: the peer gets duplicates of them, with the first of the
    /// bytes, if it reads those with [`recv_with_fds`](Self::recv_with_fds). Write the remaining bytes
    /// without descriptors.
    ///
    /// ```
    /// # use std::os::fd::AsFd;
    /// # async fn example(stream: netpoll_futures::UnixStream) -> std::io::Result<()> {
    /// let (reader, writer) = std::io::pipe()?;
    /// let sent = stream.send_with_fds(b"a pipe", &[reader.as_fd()]).await?;
    /// stream.write_all(&b"a pipe"[sent..]).await
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`write`](Self::write), and [`InvalidInput`](io::ErrorKind::InvalidInput) for more than
    /// 253 descriptors, or for descriptors without a byte, which a stream would lose.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, no byte and no descriptor has been sent.
    pub async fn send_with_fds(&self, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<usize> {
        if bytes.is_empty() {
            return self.nothing_to_write().and_then(|nothing| alone(nothing, fds));
        }
        let send = |socket: &net::UnixStream| sys::send_with_fds(socket.as_fd(), bytes, fds);
        let mut writing = self.writing();
        poll_fn(|cx| writing.poll_io(cx, Contiguous(bytes.len()), send)).await
    }

    /// [`read`](Self::read) with descriptors: those that came with the bytes are appended to `fds`,
    /// close-on-exec. They may be of any kind, as the peer chooses, up to 253 in one call.
    ///
    /// A read stops after bytes that were sent with descriptors, even if more bytes follow. Bytes that
    /// were sent before them may be read in the same call.
    ///
    /// The other read methods take the bytes and close their descriptors.
    ///
    /// # Errors
    ///
    /// As for [`read`](Self::read). It also fails if this process has no room for all received
    /// descriptors. Then all of them are closed, and the bytes that came with them are lost: close the
    /// connection.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, no byte and no descriptor has been received.
    pub async fn recv_with_fds(
        &self,
        bytes: &mut [u8],
        fds: &mut Vec<OwnedFd>,
    ) -> io::Result<usize> {
        if bytes.is_empty() {
            return self.nothing_to_read();
        }
        let recv = |socket: &net::UnixStream| sys::recv_with_fds(socket.as_fd(), bytes, fds);
        self.registration().io(Direction::Read, recv).await
    }
}

/// An empty write is allowed, but not with descriptors.
fn alone(nothing: usize, fds: &[BorrowedFd<'_>]) -> io::Result<usize> {
    if fds.is_empty() {
        return Ok(nothing);
    }
    let message = "a stream sends descriptors with a byte, at least, and there is none";
    Err(io::Error::new(io::ErrorKind::InvalidInput, message))
}
