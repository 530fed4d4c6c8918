//! The barest use of epoll there is: for the bare servers, and for the load.
#![allow(unsafe_code)] // Foreign calls, each with the argument for its arguments.

use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};

/// Events that are asked for at once.
const EVENTS: usize = 256;

/// An epoll instance, and room for its events.
pub(crate) struct BareEpoll {
    fd: OwnedFd,
    events: Vec<libc::epoll_event>,
}

impl BareEpoll {
    pub(crate) fn new() -> io::Result<Self> {
        // SAFETY: no pointers.
        let fd = check(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
        // SAFETY: the call has just returned it, and it has no other owner.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        Ok(Self { fd, events: Vec::with_capacity(EVENTS) })
    }

    /// Registers a descriptor, edge-triggered, for reading, under a name that its events will have.
    pub(crate) fn add(&self, fd: impl AsFd, name: usize) -> io::Result<()> {
        let number = fd.as_fd().as_raw_fd();
        let events = (libc::EPOLLIN | libc::EPOLLRDHUP | libc::EPOLLET) as u32;
        let mut event = libc::epoll_event { events, u64: name as u64 };
        let add = libc::EPOLL_CTL_ADD;
        // SAFETY: the event outlives the call.
        check(unsafe { libc::epoll_ctl(self.fd.as_raw_fd(), add, number, &raw mut event) })?;
        Ok(())
    }

    /// Waits for events, for at most so many milliseconds (less than none: for ever), and says
    /// whose they are.
    pub(crate) fn wait(&mut self, most: i32) -> io::Result<impl Iterator<Item = usize>> {
        let (room, events) = (EVENTS as i32, self.events.as_mut_ptr());
        // SAFETY: there is room for so many, and it outlives the call.
        let count = check(unsafe { libc::epoll_wait(self.fd.as_raw_fd(), events, room, most) })?;
        // SAFETY: the kernel has filled so many.
        unsafe { self.events.set_len(count as usize) };
        Ok(self.events.iter().map(|event| event.u64 as usize))
    }
}

/// Receives the bytes that are there, in one system call.
pub(crate) fn receive(fd: RawFd, buffer: &mut [u8]) -> io::Result<usize> {
    // SAFETY: the buffer is as long as is said, and outlives the call.
    let count = unsafe { libc::recv(fd, buffer.as_mut_ptr().cast(), buffer.len(), 0) };
    if count < 0 { Err(io::Error::last_os_error()) } else { Ok(count as usize) }
}

/// Sends all of it; messages here are shorter than any send buffer.
pub(crate) fn send(fd: RawFd, bytes: &[u8]) -> io::Result<()> {
    let (start, len) = (bytes.as_ptr().cast(), bytes.len());
    // SAFETY: there are so many bytes, and they outlive the call.
    let count = unsafe { libc::send(fd, start, len, libc::MSG_NOSIGNAL) };
    if count < 0 {
        return Err(io::Error::last_os_error());
    }
    if count as usize == len { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
}

/// Accepts a connection that does not block, if there is one.
pub(crate) fn accept(listener: &OwnedFd) -> io::Result<Option<OwnedFd>> {
    let (nobody, flags) = (std::ptr::null_mut(), libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC);
    // SAFETY: the kernel may be given no room for the address.
    let fd = unsafe { libc::accept4(listener.as_raw_fd(), nobody, nobody.cast(), flags) };
    match check(fd) {
        // SAFETY: the call has just returned it, and it has no other owner.
        Ok(fd) => Ok(Some(unsafe { OwnedFd::from_raw_fd(fd) })),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error),
    }
}

fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}
