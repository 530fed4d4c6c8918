//! Descriptors that the standard library does not make.
#![allow(unsafe_code)] // Foreign calls. The other modules of the tests have none.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

pub(crate) use libc::{EADDRINUSE, EBADF, ECONNREFUSED, EEXIST, EINVAL, ENOENT, EPERM};
pub(crate) use libc::{POLLERR, POLLHUP, POLLPRI};

fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

fn owned(fd: RawFd) -> OwnedFd {
    // SAFETY: callers pass what a call has just made, which nobody else knows of.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

/// A counter, which is added to by writing and taken by reading. It blocks.
pub(crate) fn eventfd() -> io::Result<OwnedFd> {
    // SAFETY: no pointers.
    check(unsafe { libc::eventfd(0, libc::EFD_CLOEXEC) }).map(owned)
}

/// A timer that begins at once. It blocks.
pub(crate) fn timerfd(every: Duration) -> io::Result<OwnedFd> {
    let flags = libc::TFD_CLOEXEC;
    // SAFETY: no pointers.
    let timer = owned(check(unsafe { libc::timerfd_create(libc::CLOCK_MONOTONIC, flags) })?);
    let every = libc::timespec {
        tv_sec: every.as_secs().try_into().expect("seconds"),
        tv_nsec: every.subsec_nanos() as _,
    };
    let spec = libc::itimerspec { it_interval: every, it_value: every };
    let nowhere = std::ptr::null_mut();
    // SAFETY: it reads `spec`, and there is no room for the old one.
    check(unsafe { libc::timerfd_settime(timer.as_raw_fd(), 0, &raw const spec, nowhere) })?;
    Ok(timer)
}

/// A watch over what is made and removed in a folder, or happens to itself. It blocks.
pub(crate) fn inotify(folder: &Path) -> io::Result<OwnedFd> {
    // SAFETY: no pointers.
    let inotify = owned(check(unsafe { libc::inotify_init1(libc::IN_CLOEXEC) })?);
    watch(inotify.as_fd(), folder)?;
    Ok(inotify)
}

/// Has it look at another folder as well.
pub(crate) fn watch(inotify: BorrowedFd<'_>, folder: &Path) -> io::Result<()> {
    let folder = CString::new(folder.as_os_str().as_bytes()).expect("a path");
    let mask = libc::IN_CREATE | libc::IN_DELETE | libc::IN_OPEN;
    // SAFETY: the path ends with a zero.
    check(unsafe { libc::inotify_add_watch(inotify.as_raw_fd(), folder.as_ptr(), mask) }).map(drop)
}

/// An event of inotify: what happened, and to what in the folder, or to the folder itself.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Happened {
    pub(crate) created: bool,
    pub(crate) name: String,
}

/// Reads events of inotify into a buffer of this size.
pub(crate) fn read_events(watch: BorrowedFd<'_>, room: usize) -> io::Result<Vec<Happened>> {
    const HEADER: usize = size_of::<libc::inotify_event>();
    let mut buffer = vec![0; room];
    let len = read(watch, &mut buffer)?;
    let mut rest = &buffer[..len];
    let mut events = Vec::new();
    while rest.len() >= HEADER {
        let field = |at: usize| u32::from_ne_bytes(rest[at..at + 4].try_into().expect("four"));
        let (mask, len) = (field(4), field(12) as usize);
        let name = &rest[HEADER..HEADER + len];
        let name = String::from_utf8_lossy(name).trim_end_matches('\0').to_owned();
        events.push(Happened { created: mask & libc::IN_CREATE != 0, name });
        rest = &rest[HEADER + len..];
    }
    Ok(events)
}

/// A descriptor of a process, which is readable when the process has ended.
pub(crate) fn pidfd(process: u32) -> io::Result<OwnedFd> {
    // SAFETY: no pointers.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, process, 0) };
    check(fd.try_into().expect("a descriptor")).map(owned)
}

/// A pipe whose reads take one write each. It blocks.
pub(crate) fn packet_pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let mut ends = [-1; 2];
    // SAFETY: it writes two integers.
    check(unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC | libc::O_DIRECT) })?;
    Ok((owned(ends[0]), owned(ends[1])))
}

/// A pseudo-terminal, of which this is the one end.
pub(crate) fn terminal() -> io::Result<OwnedFd> {
    // SAFETY: no pointers.
    check(unsafe { libc::posix_openpt(libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC) }).map(owned)
}

/// A named pipe.
pub(crate) fn make_fifo(path: &Path) -> io::Result<()> {
    let path = CString::new(path.as_os_str().as_bytes()).expect("a path");
    // SAFETY: the path ends with a zero.
    check(unsafe { libc::mkfifo(path.as_ptr(), 0o600) }).map(drop)
}

/// `read(2)`
pub(crate) fn read(fd: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<usize> {
    // SAFETY: there is room for so many bytes.
    let len = unsafe { libc::read(fd.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len()) };
    usize::try_from(len).map_err(|_| io::Error::last_os_error())
}

/// `write(2)`
pub(crate) fn write(fd: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<usize> {
    // SAFETY: there are so many bytes.
    let len = unsafe { libc::write(fd.as_raw_fd(), bytes.as_ptr().cast(), bytes.len()) };
    usize::try_from(len).map_err(|_| io::Error::last_os_error())
}

/// Reads the number that an eventfd or a timerfd gives.
pub(crate) fn read_count(fd: &impl AsFd) -> io::Result<u64> {
    let mut count = [0; 8];
    read(fd.as_fd(), &mut count).map(|_| u64::from_ne_bytes(count))
}

/// Adds to an eventfd.
pub(crate) fn write_count(fd: &impl AsFd, count: u64) -> io::Result<()> {
    write(fd.as_fd(), &count.to_ne_bytes()).map(drop)
}

/// Whether operations on it do not block.
pub(crate) fn is_nonblocking(fd: &impl AsFd) -> bool {
    // SAFETY: no pointers.
    let flags = unsafe { libc::fcntl(fd.as_fd().as_raw_fd(), libc::F_GETFL) };
    check(flags).expect("an open descriptor") & libc::O_NONBLOCK != 0
}

/// A number that stands for no open descriptor, as none can be so high.
#[derive(Debug)]
pub(crate) struct Nothing;

impl AsFd for Nothing {
    fn as_fd(&self) -> BorrowedFd<'_> {
        // SAFETY: not -1; no descriptor has this number, so none is reached by it.
        unsafe { BorrowedFd::borrow_raw(i32::MAX) }
    }
}

/// Has a UDP socket keep the errors that it gets in its error queue (`ip(7)`, `IP_RECVERR`).
pub(crate) fn queue_errors(socket: &impl AsFd) -> io::Result<()> {
    set_option(socket, libc::IPPROTO_IP, libc::IP_RECVERR, 1)
}

/// Has the kernel put a timestamp of everything that is sent into the error queue.
pub(crate) fn stamp_what_is_sent(socket: &impl AsFd) -> io::Result<()> {
    let flags = libc::SOF_TIMESTAMPING_TX_SOFTWARE | libc::SOF_TIMESTAMPING_SOFTWARE;
    set_option(socket, libc::SOL_SOCKET, libc::SO_TIMESTAMPING, flags as libc::c_int)
}

fn set_option(socket: &impl AsFd, level: i32, name: i32, value: libc::c_int) -> io::Result<()> {
    let (fd, len) = (socket.as_fd().as_raw_fd(), size_of::<libc::c_int>() as libc::socklen_t);
    // SAFETY: the kernel reads one integer, `value`.
    check(unsafe { libc::setsockopt(fd, level, name, (&raw const value).cast(), len) }).map(drop)
}

/// Takes a message of the error queue, and returns the error that it tells of.
pub(crate) fn recv_error(socket: &impl AsFd) -> io::Result<i32> {
    let mut control = [0_u64; 64];
    // SAFETY: zero is a value of each of its fields.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_control = control.as_mut_ptr().cast();
    message.msg_controllen = size_of_val(&control) as _;
    let (fd, flags) = (socket.as_fd().as_raw_fd(), libc::MSG_ERRQUEUE | libc::MSG_DONTWAIT);
    // SAFETY: the kernel writes to the control data, which is as long as it is said to be.
    if unsafe { libc::recvmsg(fd, &raw mut message, flags) } < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has said in `message` how much control data there is.
    let header = unsafe { libc::CMSG_FIRSTHDR(&raw const message) };
    assert!(!header.is_null(), "a message of the error queue says which error it was");
    // SAFETY: not null, it is the header of a message with an error.
    let data = unsafe { libc::CMSG_DATA(header) }.cast::<libc::sock_extended_err>();
    // SAFETY: the kernel wrote one there, of plain integers.
    let error = unsafe { data.read_unaligned() };
    Ok(error.ee_errno.try_into().expect("an errno"))
}

/// Sends a byte of urgent data.
pub(crate) fn send_urgent(socket: &impl AsFd, byte: u8) -> io::Result<()> {
    let fd = socket.as_fd().as_raw_fd();
    // SAFETY: it reads one byte.
    let sent = unsafe { libc::send(fd, (&raw const byte).cast(), 1, libc::MSG_OOB) };
    check(sent as libc::c_int).map(drop)
}

/// Waits until `poll(2)` says all of this, of an error or a hang-up also where it is not asked for.
pub(crate) fn wait_for(fd: &impl AsFd, events: libc::c_short) {
    let mut asked = libc::pollfd { fd: fd.as_fd().as_raw_fd(), events, revents: 0 };
    while asked.revents & events != events {
        // SAFETY: one `pollfd`, which outlives the call.
        let found = unsafe { libc::poll(&raw mut asked, 1, -1) };
        assert!(found >= 0, "poll fails only for a signal, and there is none");
    }
}
