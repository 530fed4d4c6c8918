//! What the tests ask of the system that the standard library does not offer.
#![allow(unsafe_code)] // Foreign calls. The other modules have none.

use std::ffi::CStr;
use std::io;
use std::mem::offset_of;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

pub(crate) use libc::{
    EACCES, EAGAIN, EBADF, EBUSY, EINTR, EMFILE, ENOSYS, EPERM, SYS_dup3, SYS_shutdown, c_long,
    rlim_t,
};

/// The older call that does what `dup3` does, where the architecture has it.
#[cfg(target_arch = "x86_64")]
pub(crate) const DUP2: &[c_long] = &[libc::SYS_dup2];
#[cfg(not(target_arch = "x86_64"))]
pub(crate) const DUP2: &[c_long] = &[];

/// The calls that open a file by its path. glibc makes `openat`, and musl makes `open` where the architecture has it.
#[cfg(any(target_arch = "x86_64", target_arch = "x86"))]
pub(crate) const OPEN: &[c_long] = &[libc::SYS_openat, libc::SYS_open];
#[cfg(not(any(target_arch = "x86_64", target_arch = "x86")))]
pub(crate) const OPEN: &[c_long] = &[libc::SYS_openat];

/// From now on, and for good, each of `calls` fails with `errno` in this thread and in those that it starts.
pub(crate) fn refuse(calls: &[c_long], errno: libc::c_int) {
    let instruction = |code, if_not, operand| libc::sock_filter {
        code: code as u16,
        jt: 0,
        jf: if_not,
        k: operand,
    };
    let number = offset_of!(libc::seccomp_data, nr) as u32;
    let mut program = vec![instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, number)];
    for call in calls {
        program.push(instruction(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 1, *call as u32));
        let fail = libc::SECCOMP_RET_ERRNO | errno as u32;
        program.push(instruction(libc::BPF_RET | libc::BPF_K, 0, fail));
    }
    program.push(instruction(libc::BPF_RET | libc::BPF_K, 0, libc::SECCOMP_RET_ALLOW));
    let program = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    let (on, none): (libc::c_ulong, libc::c_ulong) = (1, 0);
    // SAFETY: no pointers.
    let set = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, on, none, none, none) };
    assert_eq!(set, 0, "{}", io::Error::last_os_error());
    let filter = libc::c_ulong::from(libc::SECCOMP_MODE_FILTER);
    // SAFETY: it reads `program` and the instructions that it points to.
    let set = unsafe { libc::prctl(libc::PR_SET_SECCOMP, filter, &raw const program) };
    assert_eq!(set, 0, "{}", io::Error::last_os_error());
}

/// Sets the soft limit of descriptors and returns the one before it.
pub(crate) fn limit_descriptors(soft: libc::rlim_t) -> libc::rlim_t {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the kernel writes one `rlimit`, to `limit`.
    let got = unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) };
    assert_eq!(got, 0, "{}", io::Error::last_os_error());
    let before = limit.rlim_cur;
    limit.rlim_cur = soft;
    // SAFETY: the kernel reads `limit`.
    let set = unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) };
    assert_eq!(set, 0, "{}", io::Error::last_os_error());
    before
}

/// Has SIGPIPE end the process, as in a program of C.
pub(crate) fn die_of_sigpipe() {
    // SAFETY: no pointers; the default action is no function of ours.
    let before = unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
    assert_ne!(before, libc::SIG_ERR);
}

/// What each call says of a number, by name: a count, or an errno below zero.
pub(crate) fn stray_calls(fd: BorrowedFd<'_>) -> Vec<(&'static str, i64)> {
    let fd = fd.as_raw_fd();
    let mut byte = 0u8;
    let into = (&raw mut byte).cast::<libc::c_void>();
    let (nowhere, no_len) = (std::ptr::null_mut(), std::ptr::null_mut());
    let sign = |result: i64| {
        if result < 0 {
            -i64::from(io::Error::last_os_error().raw_os_error().unwrap_or(0))
        } else {
            result
        }
    };
    // SAFETY: `into` is one byte, which outlives the call.
    let read = sign(unsafe { libc::read(fd, into, 1) } as i64);
    // SAFETY: as for `read`.
    let write = sign(unsafe { libc::write(fd, into, 1) } as i64);
    // SAFETY: as for `read`.
    let recv = sign(unsafe { libc::recv(fd, into, 1, 0) } as i64);
    // SAFETY: as for `read`.
    let send = sign(unsafe { libc::send(fd, into, 1, 0) } as i64);
    // SAFETY: without room for an address, the kernel writes none.
    let accept = sign(unsafe { libc::accept4(fd, nowhere, no_len, 0) }.into());
    // SAFETY: no pointers.
    let listen = sign(unsafe { libc::listen(fd, 1) }.into());
    // SAFETY: no pointers.
    let shutdown = sign(unsafe { libc::shutdown(fd, libc::SHUT_RDWR) }.into());
    // SAFETY: no pointers.
    let fchdir = sign(unsafe { libc::fchdir(fd) }.into());
    vec![
        ("read", read),
        ("write", write),
        ("recv", recv),
        ("send", send),
        ("accept", accept),
        ("listen", listen),
        ("shutdown", shutdown),
        ("fchdir", fchdir),
    ]
}

/// What `poll(2)` reports of a number within a second: nothing is zero.
pub(crate) fn poll(fd: BorrowedFd<'_>) -> libc::c_short {
    let events = libc::POLLIN | libc::POLLOUT;
    let mut asked = libc::pollfd { fd: fd.as_raw_fd(), events, revents: 0 };
    // SAFETY: one `pollfd`, which outlives the call.
    let found = unsafe { libc::poll(&raw mut asked, 1, 1000) };
    assert!(found >= 0, "{}", io::Error::last_os_error());
    asked.revents
}

/// The current directory, for [`open_at`].
pub(crate) const CURRENT: RawFd = libc::AT_FDCWD;

/// Receives one byte and the descriptor that came with it.
pub(crate) fn receive_descriptor(socket: BorrowedFd<'_>) -> io::Result<RawFd> {
    let mut byte = 0u8;
    let mut buffer = libc::iovec { iov_base: (&raw mut byte).cast(), iov_len: 1 };
    let mut control = [0u64; 8];
    // SAFETY: zeroes are a message without address, buffers and control data.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = &raw mut buffer;
    message.msg_iovlen = 1;
    message.msg_control = control.as_mut_ptr().cast();
    message.msg_controllen = size_of_val(&control) as _;
    // SAFETY: everything that `message` points to outlives the call.
    if unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut message, 0) } < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has filled `message`.
    let header = unsafe { libc::CMSG_FIRSTHDR(&raw const message) };
    if header.is_null() {
        return Err(io::ErrorKind::NotFound.into());
    }
    // SAFETY: `header` points into `control`.
    let data = unsafe { libc::CMSG_DATA(header) };
    // SAFETY: one descriptor was sent, so its number is there.
    Ok(unsafe { data.cast::<RawFd>().read_unaligned() })
}

/// Whether a number stands for something that is open.
pub(crate) fn is_open(fd: RawFd) -> bool {
    flags(fd).is_some()
}

/// Whether a number is closed by an `exec`.
pub(crate) fn is_close_on_exec(fd: RawFd) -> bool {
    flags(fd).is_some_and(|flags| flags & libc::FD_CLOEXEC != 0)
}

fn flags(fd: RawFd) -> Option<libc::c_int> {
    // SAFETY: no pointers.
    let flags = unsafe { libc::fcntl(fd, libc::F_GETFD) };
    (flags >= 0).then_some(flags)
}

/// Whether a number stands for a directory.
pub(crate) fn is_directory(fd: RawFd) -> bool {
    // SAFETY: zeroes are a value of every field.
    let mut stat: libc::stat = unsafe { std::mem::zeroed() };
    // SAFETY: the kernel writes one `stat`.
    let got = unsafe { libc::fstat(fd, &raw mut stat) };
    got == 0 && stat.st_mode & libc::S_IFMT == libc::S_IFDIR
}

/// Opens `path` below what a number stands for.
pub(crate) fn open_at(fd: RawFd, path: &CStr) -> io::Result<OwnedFd> {
    // SAFETY: a C string and flags.
    let opened = unsafe { libc::openat(fd, path.as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC) };
    if opened < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call has just made it.
    Ok(unsafe { OwnedFd::from_raw_fd(opened) })
}

/// Makes what a number stands for the current directory.
pub(crate) fn change_directory(fd: RawFd) -> io::Result<()> {
    // SAFETY: no pointers.
    if unsafe { libc::fchdir(fd) } < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Forks. The child makes `folder` its root, becomes a user without rights, runs `body` and exits; the
/// result is the number that `body` returns, or `None` where this process may not change its root.
///
/// The child has one thread, and locks that others held stay locked in it: `body` only makes system calls.
pub(crate) fn in_a_jail(folder: &Path, body: impl FnOnce() -> u8) -> Option<i32> {
    const NOT_ALLOWED: libc::c_int = 77;
    let folder = std::ffi::CString::new(folder.as_os_str().as_encoded_bytes()).expect("a path");
    // SAFETY: the child goes no further than `_exit` below.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        // SAFETY: no pointers. A child that hangs is ended by this.
        unsafe { libc::alarm(20) };
        // SAFETY: a C string.
        let may_not = || unsafe { libc::chroot(folder.as_ptr()) } < 0;
        // SAFETY: no pointers. A user without rights has them in a namespace of its own.
        if may_not() && (unsafe { libc::unshare(libc::CLONE_NEWUSER) } < 0 || may_not()) {
            // SAFETY: no pointers.
            unsafe { libc::_exit(NOT_ALLOWED) };
        }
        // SAFETY: a C string.
        unsafe { libc::chdir(c"/".as_ptr()) };
        // SAFETY: no pointers. In a namespace of its own it stays the user that it was.
        unsafe { libc::setuid(65534) };
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
    Some(libc::WEXITSTATUS(status)).filter(|code| *code != NOT_ALLOWED)
}
