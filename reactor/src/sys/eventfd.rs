//! The descriptor that makes a sleeping reactor return.
//!
//! It is registered edge-triggered and never read: each write is an edge, whether the counter was
//! zero or not, so waking costs one system call and being woken none.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use super::{check, check_len, owned, retry};

#[derive(Debug)]
pub(crate) struct EventFd(OwnedFd);

impl EventFd {
    pub(crate) fn new() -> io::Result<Self> {
        // SAFETY: no pointers.
        check(unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) })
            .map(|fd| Self(owned(fd)))
    }

    /// Makes an edge.
    ///
    /// # Errors
    ///
    /// None is known: the one there could be, a counter at its maximum, is resolved here.
    pub(crate) fn signal(&self) -> io::Result<()> {
        match self.write() {
            // After 2^64 - 2 signals.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.reset()?;
                self.write()
            }
            done => done,
        }
    }

    fn write(&self) -> io::Result<()> {
        let one = 1u64.to_ne_bytes();
        // SAFETY: eight bytes of `one` are read.
        retry(|| check_len(unsafe { libc::write(self.0.as_raw_fd(), one.as_ptr().cast(), 8) }))
            .map(drop)
    }

    fn reset(&self) -> io::Result<()> {
        let mut count = [0u8; 8];
        // SAFETY: eight bytes of `count` are written.
        retry(|| check_len(unsafe { libc::read(self.0.as_raw_fd(), count.as_mut_ptr().cast(), 8) }))
            .map(drop)
    }
}

impl AsFd for EventFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
