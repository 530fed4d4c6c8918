//! The two ends of a pipe or of a FIFO.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::BufMut;
use netpoll::{Deadline, Direction};
use netpoll_futures::{Deadlines, sys};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::async_fd::AsyncFd;
use crate::budget;
use crate::forward::{descriptor, forward};
use crate::io::{Interest, Ready};
use crate::io_traits::flush;
use crate::ready::directions;

/// The most bytes of one read: the default capacity of a pipe. The standard library reads into initialised memory only,
/// and this bounds the memory that a read initialises.
const AT_ONCE: usize = 64 * 1024;

/// Makes a pipe.
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// use netpoll_tokio::net::unix::pipe;
/// use tokio::io::{AsyncReadExt, AsyncWriteExt};
///
/// let (mut sender, mut receiver) = pipe::pipe()?;
/// sender.write_all(b"hello").await?;
/// drop(sender);
/// let mut bytes = Vec::new();
/// receiver.read_to_end(&mut bytes).await?;
/// assert_eq!(bytes, b"hello");
/// # Ok(()) }) }
/// ```
///
/// # Errors
///
/// The error of `pipe2(2)` or of `epoll_ctl(2)`.
pub fn pipe() -> io::Result<(Sender, Receiver)> {
    let (receiver, sender) = io::pipe()?;
    Ok((
        Sender::from_owned_fd(OwnedFd::from(sender))?,
        Receiver::from_owned_fd(OwnedFd::from(receiver))?,
    ))
}

/// Options to open a FIFO.
#[derive(Clone, Debug, Default)]
pub struct OpenOptions {
    read_write: bool,
    unchecked: bool,
}

impl OpenOptions {
    /// Opens one direction of a FIFO. Other files are an error.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Opens the FIFO for both directions. A sender then opens without a receiver, and a receiver finds no end when
    /// the last other sender closes.
    pub fn read_write(&mut self, on: bool) -> &mut Self {
        self.read_write = on;
        self
    }

    /// Does not check that the file is a FIFO.
    pub fn unchecked(&mut self, on: bool) -> &mut Self {
        self.unchecked = on;
        self
    }

    /// Opens the receiving end of a FIFO. It does not wait for a sender.
    ///
    /// # Errors
    ///
    /// The error of `open(2)` or of `epoll_ctl(2)`; [`InvalidInput`](io::ErrorKind::InvalidInput) if the file is
    /// not a FIFO.
    pub fn open_receiver(&self, path: impl AsRef<Path>) -> io::Result<Receiver> {
        let file = self.open(fs::OpenOptions::new().read(true).write(self.read_write), path)?;
        Receiver::from_file_unchecked(file)
    }

    /// Opens the sending end of a FIFO.
    ///
    /// # Errors
    ///
    /// As for [`open_receiver`](Self::open_receiver), and `ENXIO` if no receiver has opened it.
    pub fn open_sender(&self, path: impl AsRef<Path>) -> io::Result<Sender> {
        let file = self.open(fs::OpenOptions::new().write(true).read(self.read_write), path)?;
        Sender::from_file_unchecked(file)
    }

    fn open(&self, options: &mut fs::OpenOptions, path: impl AsRef<Path>) -> io::Result<File> {
        let file = options.custom_flags(libc::O_NONBLOCK).open(path)?;
        if !self.unchecked {
            check_is_pipe(&file)?;
        }
        Ok(file)
    }
}

/// The sending end of a pipe. After its drop or its [`close`](Self::close) the receiver finds the end.
/// `AsyncWriteExt::shutdown` changes nothing, as in tokio.
///
/// Without a receiver, a write fails with `EPIPE`. The kernel also sends `SIGPIPE`, which a Rust program ignores by
/// default.
pub struct Sender {
    io: Arc<AsyncFd<File>>,
}

/// The receiving end of a pipe. It finds the end when the last sender has closed. If no sender has opened a FIFO yet, it
/// waits for the first.
pub struct Receiver {
    io: Arc<AsyncFd<File>>,
}

/// The methods of both ends. The parameters are the interest of the end's direction and of the other, and the part of
/// readiness that `EPOLLERR` adds: the kernel sets it on a sender without a receiver.
macro_rules! ends {
    ($end:ident, $interest:expr, $other:expr, $error:expr) => {
        impl $end {
            /// Registers an end of a pipe that was made elsewhere, and makes it non-blocking.
            ///
            /// # Errors
            ///
            /// [`InvalidInput`](io::ErrorKind::InvalidInput) if the file is not a pipe, or was not opened for this
            /// direction; or the error of `ioctl(2)` or of `epoll_ctl(2)`.
            pub fn from_file(file: File) -> io::Result<Self> {
                check_is_pipe(&file)?;
                if sys::interest(file.as_fd()) == directions($other) {
                    return Err(refused("the pipe was not opened for this direction"));
                }
                sys::set_nonblocking(file.as_fd(), true)?;
                Self::from_file_unchecked(file)
            }

            /// As [`from_file`](Self::from_file).
            ///
            /// # Errors
            ///
            /// As for [`from_file`](Self::from_file).
            pub fn from_owned_fd(fd: OwnedFd) -> io::Result<Self> {
                Self::from_file(fd.into())
            }

            /// As [`from_file`](Self::from_file), for a file that is a pipe, open for this direction and non-blocking, all
            /// of which the caller ensures.
            ///
            /// # Errors
            ///
            /// The error of `epoll_ctl(2)`.
            pub fn from_file_unchecked(file: File) -> io::Result<Self> {
                AsyncFd::with_interest(file, $interest).map(|io| Self { io: Arc::new(io) })
            }

            /// As [`from_file_unchecked`](Self::from_file_unchecked).
            ///
            /// # Errors
            ///
            /// The error of `epoll_ctl(2)`.
            pub fn from_owned_fd_unchecked(fd: OwnedFd) -> io::Result<Self> {
                Self::from_file_unchecked(fd.into())
            }

            /// Waits until a part of `interest` is ready, and returns the parts. They are a hint: an attempt that finds
            /// otherwise clears them.
            ///
            /// # Errors
            ///
            /// [`Closed`](netpoll::Closed), [`DeadlineExceeded`](netpoll::DeadlineExceeded), and `InvalidInput` for
            /// an `interest` in the other direction only.
            ///
            /// # Cancel safety
            ///
            /// If the future is dropped, nothing changes.
            pub async fn ready(&self, interest: Interest) -> io::Result<Ready> {
                let interest = interest.remove($other).unwrap_or(interest);
                let ready = self.io.ready(interest).await?.ready();
                let seen = self.io.registration.seen(netpoll::Direction::Read).ready();
                let has_failed = seen.contains(netpoll::Ready::ERROR);
                Ok(if has_failed { ready | $error } else { ready })
            }

            /// Makes `operation` on the pipe if it is ready. `operation` must return `WouldBlock` if and only if the pipe
            /// did.
            ///
            /// # Errors
            ///
            /// `WouldBlock` if it is not ready, [`Closed`](netpoll::Closed),
            /// [`DeadlineExceeded`](netpoll::DeadlineExceeded), or the error of `operation`.
            pub fn try_io<R>(&self, operation: impl FnOnce() -> io::Result<R>) -> io::Result<R> {
                self.io.try_io($interest, |_| operation())
            }

            /// Returns the descriptor, which now blocks, also for other processes that share it.
            ///
            /// # Errors
            ///
            /// [`Closed`](netpoll::Closed), or the error of `ioctl(2)`.
            pub fn into_blocking_fd(self) -> io::Result<OwnedFd> {
                let fd = self.into_nonblocking_fd()?;
                sys::set_nonblocking(fd.as_fd(), false)?;
                Ok(fd)
            }

            /// Returns the descriptor, which stays non-blocking.
            ///
            /// # Errors
            ///
            /// [`Closed`](netpoll::Closed).
            pub fn into_nonblocking_fd(self) -> io::Result<OwnedFd> {
                match Arc::try_unwrap(self.io) {
                    Ok(io) => io.registration.into_inner().map(Into::into),
                    // A handle sets a deadline at this moment.
                    Err(io) => io.registration.while_open(|pipe| pipe.as_fd().try_clone_to_owned()),
                }
            }

            /// A handle that sets the deadlines and does not keep the pipe open: for the owner of an end that a library has
            /// taken.
            #[must_use]
            pub fn deadlines(&self) -> Deadlines {
                self.io.deadlines()
            }

            /// Closes this end: pending operations fail with [`Closed`](netpoll::Closed), and the future resolves when the
            /// descriptor is closed. See [`Registration::close`](netpoll::Registration::close).
            ///
            /// # Errors
            ///
            /// [`Closed`](netpoll::Closed) if it was closed before.
            pub async fn close(&self) -> io::Result<()> {
                self.io.close().await
            }
        }

        /// Prints the descriptor.
        impl fmt::Debug for $end {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($end)).field("fd", &self.as_raw_fd()).finish()
            }
        }

        descriptor!($end: io);
    };
}

ends!(Sender, Interest::WRITABLE, Interest::READABLE, Ready::WRITE_CLOSED);
ends!(Receiver, Interest::READABLE, Interest::WRITABLE, Ready::EMPTY);

impl Sender {
    /// Waits until a write may succeed, or must fail.
    ///
    /// # Errors
    ///
    /// As for [`ready`](Self::ready).
    pub async fn writable(&self) -> io::Result<()> {
        self.ready(Interest::WRITABLE).await.map(drop)
    }

    /// Polls [`writable`](Self::writable). An event wakes every task that polled.
    pub fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.io.poll_write_ready(cx).map_ok(drop)
    }

    /// Writes as many bytes as there is room for. Up to `PIPE_BUF` (4096) bytes are written as a whole or not at all.
    ///
    /// # Errors
    ///
    /// `WouldBlock`, [`Closed`](netpoll::Closed), [`DeadlineExceeded`](netpoll::DeadlineExceeded), or the error of
    /// `write(2)`.
    pub fn try_write(&self, buffer: &[u8]) -> io::Result<usize> {
        self.io.registration.try_io(Direction::Write, |pipe| write(pipe, buffer))
    }

    /// [`try_write`](Self::try_write) from several buffers.
    ///
    /// # Errors
    ///
    /// As for [`try_write`](Self::try_write).
    pub fn try_write_vectored(&self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        self.io.registration.try_io(Direction::Write, |pipe| write_vectored(pipe, buffers))
    }

    forward! { self.io:
        /// Sets or clears the deadline of writing. See
        /// [`Registration::set_read_deadline`](netpoll::Registration::set_read_deadline).
        ///
        /// # Errors
        ///
        /// [`Closed`](netpoll::Closed).
        fn set_write_deadline(&self, deadline: impl Into<Deadline>) -> io::Result<()>;
    }
}

impl Receiver {
    /// Waits until a read may succeed, or must fail. The end counts as success.
    ///
    /// # Errors
    ///
    /// As for [`ready`](Self::ready).
    pub async fn readable(&self) -> io::Result<()> {
        self.ready(Interest::READABLE).await.map(drop)
    }

    /// Polls [`readable`](Self::readable). An event wakes every task that polled.
    pub fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.io.poll_read_ready(cx).map_ok(drop)
    }

    /// Reads the bytes that are available. Zero is the end.
    ///
    /// # Errors
    ///
    /// `WouldBlock`, [`Closed`](netpoll::Closed), [`DeadlineExceeded`](netpoll::DeadlineExceeded), or the error of
    /// `read(2)`.
    pub fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.io.registration.try_io(Direction::Read, |pipe| read(pipe, buffer))
    }

    /// [`try_read`](Self::try_read) into several buffers.
    ///
    /// # Errors
    ///
    /// As for [`try_read`](Self::try_read).
    pub fn try_read_vectored(&self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        let read = |mut pipe: &File| sys::uninterrupted(|| pipe.read_vectored(buffers));
        self.io.registration.try_io(Direction::Read, read)
    }

    /// [`try_read`](Self::try_read) into the spare room of `buffer`, which it advances by 64 KiB at most.
    ///
    /// # Errors
    ///
    /// As for [`try_read`](Self::try_read).
    pub fn try_read_buf<B: BufMut>(&self, buffer: &mut B) -> io::Result<usize> {
        self.io.registration.try_io(Direction::Read, |pipe| {
            let mut bytes = vec![0; buffer.chunk_mut().len().min(AT_ONCE)];
            let count = read(pipe, &mut bytes)?;
            buffer.put_slice(&bytes[..count]);
            Ok(count)
        })
    }

    forward! { self.io:
        /// Sets or clears the deadline of reading. See
        /// [`Registration::set_read_deadline`](netpoll::Registration::set_read_deadline).
        ///
        /// # Errors
        ///
        /// [`Closed`](netpoll::Closed).
        fn set_read_deadline(&self, deadline: impl Into<Deadline>) -> io::Result<()>;
    }
}

/// `poll_flush` and `poll_shutdown` change nothing.
impl AsyncWrite for Sender {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        let write = |pipe: &File| write(pipe, buffer);
        budget::poll(cx, |cx| self.io.registration.poll_io(cx, Direction::Write, write))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let write = |pipe: &File| write_vectored(pipe, buffers);
        budget::poll(cx, |cx| self.io.registration.poll_io(cx, Direction::Write, write))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(flush(&self.io.registration))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(flush(&self.io.registration))
    }
}

/// One read takes 64 KiB at most.
impl AsyncRead for Receiver {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // Called only if a read may succeed: a wait initialises no memory.
        let read = |pipe: &File| {
            let room = buffer.remaining().min(AT_ONCE);
            read(pipe, buffer.initialize_unfilled_to(room))
        };
        let poll = |cx: &mut Context<'_>| self.io.registration.poll_io(cx, Direction::Read, read);
        let count = ready!(budget::poll(cx, poll))?;
        buffer.advance(count);
        Poll::Ready(Ok(()))
    }
}

fn read(mut pipe: &File, buffer: &mut [u8]) -> io::Result<usize> {
    sys::uninterrupted(|| pipe.read(buffer))
}

fn write(mut pipe: &File, buffer: &[u8]) -> io::Result<usize> {
    sys::uninterrupted(|| pipe.write(buffer))
}

fn write_vectored(mut pipe: &File, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
    sys::uninterrupted(|| pipe.write_vectored(buffers))
}

fn check_is_pipe(file: &File) -> io::Result<()> {
    if file.metadata()?.file_type().is_fifo() { Ok(()) } else { Err(refused("not a pipe")) }
}

fn refused(message: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, message)
}
