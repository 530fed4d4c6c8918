//! What the tests ask of the system that the standard library does not offer.
#![allow(unsafe_code)] // Foreign calls. The other modules of the tests have none.

use std::fs;
use std::net::TcpStream;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use netpoll::OwnsFd;

pub(crate) use libc::{
    EAGAIN, EBADF, ECONNRESET, EEXIST, EMFILE, ENOTSOCK, EPERM, EPIPE, POLLERR, POLLIN, POLLOUT,
    POLLPRI, POLLRDHUP, c_short,
};

/// A number of a descriptor and nothing more: the descriptor may be closed behind its back, or may
/// never have been open.
#[derive(Debug)]
pub(crate) struct Lent(pub(crate) RawFd);

impl AsFd for Lent {
    fn as_fd(&self) -> BorrowedFd<'_> {
        // SAFETY: not -1. That it may be closed is what its tests are about; all that is done with
        // it is `epoll_ctl`, on an instance that knows no other descriptor by this number.
        unsafe { BorrowedFd::borrow_raw(self.0) }
    }
}

/// An owner that panics when it is asked for its descriptor, after it has answered so often.
pub(crate) struct PanicsWhenAsked(UnixStream, AtomicUsize);

impl PanicsWhenAsked {
    pub(crate) fn after(answers: usize, stream: UnixStream) -> Self {
        Self(stream, AtomicUsize::new(answers))
    }
}

impl AsFd for PanicsWhenAsked {
    fn as_fd(&self) -> BorrowedFd<'_> {
        let left =
            self.1.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        left.expect("it has answered often enough");
        self.0.as_fd()
    }
}

// SAFETY: it owns its stream, and returns no other descriptor.
unsafe impl OwnsFd for PanicsWhenAsked {}

/// What the standard library offers for sockets only.
pub(crate) fn set_nonblocking(pipe: &impl AsFd) {
    let fd = pipe.as_fd().as_raw_fd();
    // SAFETY: no pointers. No other flag of a new pipe can be set.
    let set = unsafe { libc::fcntl(fd, libc::F_SETFL, libc::O_NONBLOCK) };
    assert_eq!(set, 0, "an open pipe");
}

/// Sends one byte of urgent data.
pub(crate) fn send_urgent(stream: &TcpStream, byte: u8) {
    let flags = libc::MSG_OOB | libc::MSG_NOSIGNAL;
    // SAFETY: one byte is read from `byte`, which outlives the call.
    let sent = unsafe { libc::send(stream.as_raw_fd(), (&raw const byte).cast(), 1, flags) };
    assert_eq!(sent, 1, "an urgent byte is sent");
}

/// Waits until `poll(2)` reports all of `events`. It takes no edge from anybody's epoll.
pub(crate) fn wait_for(socket: &impl AsFd, events: c_short) {
    let mut asked = libc::pollfd { fd: socket.as_fd().as_raw_fd(), events, revents: 0 };
    while asked.revents & events != events {
        // SAFETY: one `pollfd`, which outlives the call.
        let found = unsafe { libc::poll(&raw mut asked, 1, -1) };
        assert!(found >= 0, "poll fails only for a signal, and there is none");
    }
}

/// Whether `poll(2)` reports one of `events` now.
pub(crate) fn is_ready(socket: &impl AsFd, events: c_short) -> bool {
    let mut asked = libc::pollfd { fd: socket.as_fd().as_raw_fd(), events, revents: 0 };
    // SAFETY: one `pollfd`, which outlives the call.
    let found = unsafe { libc::poll(&raw mut asked, 1, 0) };
    assert!(found >= 0, "poll does not wait, so no signal ends it");
    asked.revents & events != 0
}

/// Has the kernel keep at most twice so many bytes that the peer has not taken.
pub(crate) fn set_send_buffer(socket: &impl AsFd, bytes: i32) {
    set_option(socket, libc::SO_SNDBUF, bytes);
}

/// Has the kernel keep at most twice so many bytes that were not read.
pub(crate) fn set_receive_buffer(socket: &impl AsFd, bytes: i32) {
    set_option(socket, libc::SO_RCVBUF, bytes);
}

fn set_option(socket: &impl AsFd, name: libc::c_int, value: libc::c_int) {
    let (pointer, len) = ((&raw const value).cast(), size_of::<libc::c_int>());
    let fd = socket.as_fd().as_raw_fd();
    // SAFETY: the kernel reads `len` bytes of `value`, which outlives the call.
    let set =
        unsafe { libc::setsockopt(fd, libc::SOL_SOCKET, name, pointer, len as libc::socklen_t) };
    assert_eq!(set, 0, "an option of sockets");
}

/// How many bytes were sent that the peer's kernel has not said it has; the end of a stream is one.
pub(crate) fn unacknowledged(stream: &TcpStream) -> usize {
    count(stream, libc::TIOCOUTQ)
}

/// How many bytes there are to be read.
pub(crate) fn unread(stream: &TcpStream) -> usize {
    count(stream, libc::FIONREAD)
}

fn count(stream: &TcpStream, what: libc::Ioctl) -> usize {
    let mut count: libc::c_int = 0;
    // SAFETY: both requests write one integer, to `count`.
    let asked = unsafe { libc::ioctl(stream.as_raw_fd(), what, &raw mut count) };
    assert_eq!(asked, 0, "a TCP socket knows what it has");
    usize::try_from(count).expect("a count")
}

/// Waits until the peer's kernel has everything that was sent, the end of the stream included.
pub(crate) fn wait_until_delivered(stream: &TcpStream) {
    while unacknowledged(stream) > 0 {
        thread::yield_now();
    }
}

/// Whether the number stands for an open descriptor, of any kind.
pub(crate) fn is_open(fd: RawFd) -> bool {
    // SAFETY: no pointers.
    unsafe { libc::fcntl(fd, libc::F_GETFD) >= 0 }
}

/// How many descriptors this process has, the one that looks included.
pub(crate) fn open_descriptors() -> usize {
    fs::read_dir("/proc/self/fd").expect("procfs").count()
}

/// Sets how many descriptors this process may have, and returns how many it might before.
pub(crate) fn limit_descriptors(soft: libc::rlim_t) -> libc::rlim_t {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: it fills `limit`.
    let asked = unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) };
    assert_eq!(asked, 0);
    let before = std::mem::replace(&mut limit.rlim_cur, soft);
    // SAFETY: it reads `limit`.
    let set = unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) };
    assert_eq!(set, 0, "a soft limit below the hard one may be set");
    before
}

/// Forks; the child runs `body` and exits with what it returns. The result is that number.
///
/// The child has one thread, and locks that others held stay locked in it: `body` is to do little.
/// Memory may be had, as the C library hands its locks over.
pub(crate) fn in_a_child(body: impl FnOnce() -> u8) -> i32 {
    // SAFETY: the child goes no further than `_exit` below.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        // SAFETY: no pointers. A child that hangs is ended by this.
        unsafe { libc::alarm(20) };
        let code = catch_unwind(AssertUnwindSafe(body)).unwrap_or(u8::MAX);
        // SAFETY: no pointers. Nothing of the parent's is run at exit.
        unsafe { libc::_exit(code.into()) };
    }
    assert!(pid > 0, "a process can be had");
    let mut status = 0;
    // SAFETY: it writes one integer to `status`; the child is ours and waited for once.
    let ended = unsafe { libc::waitpid(pid, &raw mut status, 0) };
    assert_eq!(ended, pid);
    assert!(libc::WIFEXITED(status), "the child hung or was killed: status {status:#x}");
    libc::WEXITSTATUS(status)
}

/// Has a thread of this process handle a signal, by doing nothing: whatever it waits in is
/// interrupted.
pub(crate) fn interrupt(thread: i32) {
    extern "C" fn nothing(_: libc::c_int) {}
    let handler: extern "C" fn(libc::c_int) = nothing;
    // SAFETY: the handler does nothing, which is allowed at any time.
    let before = unsafe { libc::signal(libc::SIGUSR1, handler as libc::sighandler_t) };
    assert_ne!(before, libc::SIG_ERR);
    // SAFETY: no pointers.
    let sent =
        unsafe { libc::syscall(libc::SYS_tgkill, std::process::id(), thread, libc::SIGUSR1) };
    assert_eq!(sent, 0, "a thread of this process");
}

/// The kernel's number of this thread.
pub(crate) fn thread_id() -> i32 {
    // SAFETY: no pointers.
    unsafe { libc::gettid() }
}

/// Waits until a thread of this process sleeps in `epoll_wait(2)`, or one of its kin.
pub(crate) fn wait_until_asleep(thread: i32) {
    while !(is_in_epoll(thread) && is_asleep(thread)) {
        thread::yield_now();
    }
}

fn is_asleep(thread: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/self/task/{thread}/stat")).expect("procfs");
    // "number (name) state ...", and a name may have parentheses of its own.
    let (_, rest) = stat.rsplit_once(") ").expect("a name in parentheses");
    rest.starts_with('S')
}

/// Asleep is not enough: with many threads, it may be the allocator that it waits for.
fn is_in_epoll(thread: i32) -> bool {
    let Ok(call) = fs::read_to_string(format!("/proc/self/task/{thread}/syscall")) else {
        // Not every kernel says so.
        return true;
    };
    let number = call.split(' ').next().and_then(|number| number.parse().ok());
    number.is_some_and(|number| EPOLL_WAITS.contains(&number))
}

const EPOLL_WAITS: &[libc::c_long] = &[
    #[cfg(target_arch = "x86_64")]
    libc::SYS_epoll_wait,
    libc::SYS_epoll_pwait,
    libc::SYS_epoll_pwait2,
];

/// The processor time that the calling thread has used.
pub(crate) fn thread_time() -> std::time::Duration {
    // SAFETY: all zeroes is a valid `timespec`.
    let mut time: libc::timespec = unsafe { std::mem::zeroed() };
    // SAFETY: writes to `time`, which outlives the call.
    let read = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    assert_eq!(read, 0, "the clock of every thread");
    std::time::Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
