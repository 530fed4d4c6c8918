//! The system calls under the sockets, for adapters with their own socket types. Each function is safe,
//! makes one system call, and repeats it after a signal. This module has only calls that the standard
//! library lacks.
//!
//! - A descriptor that is made here is an [`OwnedFd`], close-on-exec and non-blocking from its creation.
//! - Receiving and sending do not block even if the descriptor lacks `O_NONBLOCK` (`MSG_DONTWAIT`);
//!   [`accept`] and [`connect`] rely on it.
//! - No call raises `SIGPIPE`.
//!
//! ```
//! use std::os::fd::AsFd;
//! use netpoll_futures::sys;
//!
//! let address = "127.0.0.1:0".parse().unwrap();
//! let listener = sys::stream(&address)?;
//! sys::bind(listener.as_fd(), &address)?;
//! sys::listen(listener.as_fd())?;
//! let no_client = sys::accept(listener.as_fd()).unwrap_err();
//! assert_eq!(no_client.kind(), std::io::ErrorKind::WouldBlock);
//! # std::io::Result::Ok(())
//! ```
#![allow(unsafe_code)] // Calls of C functions. Each `SAFETY` comment argues that the arguments are valid.

mod address;
mod control;
mod datagram;
mod descriptor;
mod options;
mod raw_syscalls;
#[cfg(feature = "signal")]
pub(crate) mod signal;
mod socket;
mod unix;

use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

pub use control::{recv_with_fds, send_with_fds};
pub use datagram::{
    Origin, datagram, peek_from, recv_from, recv_from_spare, recv_from_uninit, recv_measured,
    recv_spare, send_to,
};
pub use descriptor::{interest, set_nonblocking, uninterrupted};
pub use options::*;
pub use socket::{
    accept, accept_unix, bind, connect, interface_index, is_datagram, is_stream, listen,
    listen_with_backlog, not_taken, peek, recv, recv_uninit, recv_unix, recv_unix_uninit,
    recv_vectored, send, send_vectored, shutdown, stream, window,
};
pub use unix::{
    Credentials, bind_unix, connect_unix, peer_cred, send_to_unix, unix_address, unix_stream,
};

// The reactor's `sys` has the four functions below as well. Shared, they would be a part of netpoll's public
// interface, where a C convention has no place.

/// The result of a call that returns -1 for an error.
fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// The result of a call that returns a number of bytes, or -1 for an error.
#[inline]
fn check_len(result: libc::ssize_t) -> io::Result<usize> {
    usize::try_from(result).map_err(|_| io::Error::last_os_error())
}

/// Repeats a call that a signal interrupted.
#[inline]
fn retry<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}

/// Takes ownership of a descriptor that a call has just created.
fn owned(fd: RawFd) -> OwnedFd {
    // SAFETY: callers pass a number that `socket`, `accept4` or `eventfd` has just returned, or that `recvmsg`
    // has stored, which no other object owns.
    unsafe { OwnedFd::from_raw_fd(fd) }
}
