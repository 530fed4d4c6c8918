//! What the tests ask of the system that neither the standard library nor the reactor offers.
#![allow(unsafe_code)] // Foreign calls. The other modules of the tests have none.

use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd};

pub(crate) use libc::{
    EADDRINUSE, ECONNREFUSED, ENOPROTOOPT, EOPNOTSUPP, EPERM, EPROTOTYPE, SO_PASSCRED,
};

fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// Listens with room for `backlog` connections beside the first.
pub(crate) fn listen(socket: &impl AsFd, backlog: i32) -> io::Result<()> {
    // SAFETY: no pointers.
    check(unsafe { libc::listen(socket.as_fd().as_raw_fd(), backlog) }).map(drop)
}

/// Whether operations on it do not block.
pub(crate) fn is_nonblocking(socket: &impl AsFd) -> io::Result<bool> {
    // SAFETY: no pointers.
    let flags = check(unsafe { libc::fcntl(socket.as_fd().as_raw_fd(), libc::F_GETFL) })?;
    Ok(flags & libc::O_NONBLOCK != 0)
}

/// Whether it is closed in a program that this process becomes.
pub(crate) fn is_close_on_exec(fd: &impl AsFd) -> io::Result<bool> {
    // SAFETY: no pointers.
    let flags = check(unsafe { libc::fcntl(fd.as_fd().as_raw_fd(), libc::F_GETFD) })?;
    Ok(flags & libc::FD_CLOEXEC != 0)
}

/// Binds to a path that may fill all there is, where no zero ends it. The standard library takes none that
/// does.
pub(crate) fn bind_to_all_of(socket: &impl AsFd, path: &[u8]) -> io::Result<()> {
    let mut address = libc::sockaddr_un { sun_family: libc::AF_UNIX as _, sun_path: [0; 108] };
    assert!(path.len() <= address.sun_path.len(), "room for the path");
    for (to, from) in address.sun_path.iter_mut().zip(path) {
        *to = *from as libc::c_char;
    }
    let len = size_of_val(&address) as libc::socklen_t;
    let pointer = (&raw const address).cast();
    // SAFETY: the kernel reads `len` bytes of `address`.
    check(unsafe { libc::bind(socket.as_fd().as_raw_fd(), pointer, len) }).map(drop)
}

/// Has the kernel add a descriptor of the sending process to every message that is received
/// (`unix(7)`, Linux 6.5).
pub(crate) const SO_PASSPIDFD: i32 = 76;

/// Switches an option of a socket on.
pub(crate) fn set_option(socket: &impl AsFd, name: i32) -> io::Result<()> {
    let on: libc::c_int = 1;
    let (fd, len) = (socket.as_fd().as_raw_fd(), size_of::<libc::c_int>() as libc::socklen_t);
    // SAFETY: the kernel reads one integer, `on`.
    let set = unsafe { libc::setsockopt(fd, libc::SOL_SOCKET, name, (&raw const on).cast(), len) };
    check(set).map(drop)
}

/// Whether it stands for a process.
pub(crate) fn is_pidfd(fd: &impl AsFd) -> bool {
    stands_for_a_process(&fd.as_fd().as_raw_fd().to_string())
}

/// How many descriptors of this process stand for a process.
pub(crate) fn open_pidfds() -> usize {
    let fds = fs::read_dir("/proc/self/fd").expect("procfs");
    let names = fds.map(|fd| fd.expect("an entry").file_name().into_string().expect("a number"));
    names.filter(|name| stands_for_a_process(name)).count()
}

fn stands_for_a_process(number: &str) -> bool {
    // One that another thread has closed meanwhile stands for nothing.
    let link = fs::read_link(format!("/proc/self/fd/{number}"));
    link.is_ok_and(|link| link.to_string_lossy().contains("pidfd"))
}
