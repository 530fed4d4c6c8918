//! What the tests ask of the system that the standard library does not offer.
#![allow(unsafe_code)] // A foreign call. The other modules of the tests have none.

use std::io;
use std::net::TcpListener;
use std::os::fd::AsRawFd;

/// Listens with room for `backlog` connections beside the first.
pub(crate) fn listen(listener: &TcpListener, backlog: i32) -> io::Result<()> {
    // SAFETY: no pointers.
    let result = unsafe { libc::listen(listener.as_raw_fd(), backlog) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
