//! Sockets from a descriptor number, and objects that are known by one. In tokio's types, both are `unsafe`.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use crate::async_fd::{AsyncFd, AsyncFdRegisterError};
use crate::io::Interest;
use crate::tcp_socket::TcpSocket;
use crate::unix_socket::UnixSocket;

/// The descriptor may be blocking: it becomes non-blocking when the socket connects or listens.
impl FromRawFd for TcpSocket {
    unsafe fn from_raw_fd(fd: RawFd) -> Self {
        // SAFETY: the caller promises that `fd` is open, and that the result owns it.
        Self::from(unsafe { OwnedFd::from_raw_fd(fd) })
    }
}

/// The descriptor may be blocking: it becomes non-blocking when the socket becomes another type.
impl FromRawFd for UnixSocket {
    unsafe fn from_raw_fd(fd: RawFd) -> Self {
        // SAFETY: the caller promises that `fd` is open, and that the result owns it.
        Self::from(unsafe { OwnedFd::from_raw_fd(fd) })
    }
}

impl<T: AsRawFd> AsyncFd<T> {
    /// Registers an object for both directions by the number of its descriptor. For one that is `AsFd`,
    /// [`try_new`](Self::try_new) does the same and is safe.
    ///
    /// # Errors
    ///
    /// As for [`Registration::with`](netpoll::Registration::with).
    ///
    /// # Safety
    ///
    /// The object's descriptor is open, and `as_raw_fd` returns the number of this descriptor and no other, until the
    /// `AsyncFd` is dropped or [`into_inner`](Self::into_inner) returns the object.
    pub unsafe fn register(inner: T) -> Result<Self, AsyncFdRegisterError<T>> {
        // SAFETY: the caller's promise.
        unsafe { Self::register_with_interest(inner, Interest::READABLE | Interest::WRITABLE) }
    }

    /// As [`register`](Self::register), for the directions of `interest`.
    ///
    /// # Errors
    ///
    /// As for [`Registration::with`](netpoll::Registration::with).
    ///
    /// # Safety
    ///
    /// That of [`register`](Self::register).
    pub unsafe fn register_with_interest(
        inner: T,
        interest: Interest,
    ) -> Result<Self, AsyncFdRegisterError<T>> {
        fn lend<T: AsRawFd>(inner: &T) -> BorrowedFd<'_> {
            // SAFETY: the caller of `register_with_interest` promises that the descriptor is open while the `AsyncFd` has the
            // object, and this function is called for an object in an `AsyncFd` only.
            unsafe { BorrowedFd::borrow_raw(inner.as_raw_fd()) }
        }
        // -1 is no descriptor, and cannot be lent.
        if inner.as_raw_fd() == -1 {
            let cause = io::Error::from_raw_os_error(libc::EBADF);
            return Err(AsyncFdRegisterError::new(inner, cause));
        }
        Self::register_by(inner, interest, lend)
    }
}
