//! Sockets from a descriptor number. tokio's types have this conversion of the standard library, which is `unsafe`.
#![allow(unsafe_code)]

use std::os::fd::{FromRawFd, OwnedFd, RawFd};

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
