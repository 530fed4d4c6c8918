//! Descriptors that are passed along with bytes.

use std::future::poll_fn;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net;

use crate::sys;
use netpoll::Direction;

use super::UnixStream;

impl UnixStream {
    /// [`write`](Self::write) with descriptors: the peer gets duplicates of them, with the first of
    /// the bytes, if it reads those with [`recv_with_fds`](Self::recv_with_fds). Bytes that did not
    /// fit are to be written without them.
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
    /// Dropped, it has sent nothing.
    pub async fn send_with_fds(&self, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<usize> {
        if bytes.is_empty() {
            return self.nothing_to_write().and_then(|nothing| alone(nothing, fds));
        }
        let send = |socket: &net::UnixStream| sys::send_with_fds(socket.as_fd(), bytes, fds);
        let mut writing = self.writing();
        poll_fn(|cx| writing.poll_write(cx, bytes.len(), send)).await
    }

    /// [`read`](Self::read) with descriptors: those that came with the bytes are appended to `fds`,
    /// close-on-exec. They are whatever the peer chose to send, up to 253 in one call.
    ///
    /// It stops after the bytes that descriptors were sent with, whatever follows. Bytes that were
    /// sent before those may be read along with them.
    ///
    /// Other ways to read take the bytes, and the descriptors that came with them are closed.
    ///
    /// # Errors
    ///
    /// As for [`read`](Self::read). Besides, if there was no room for all of them among the
    /// descriptors of this process: none is left open then, and what the connection had to say is
    /// lost with them, so it is best closed.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it has received nothing.
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

/// Nothing may be written, but not with descriptors.
fn alone(nothing: usize, fds: &[BorrowedFd<'_>]) -> io::Result<usize> {
    if fds.is_empty() {
        return Ok(nothing);
    }
    let message = "a stream sends descriptors with a byte, at least, and there is none";
    Err(io::Error::new(io::ErrorKind::InvalidInput, message))
}
