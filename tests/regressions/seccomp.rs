//! A kernel that lacks a system call, or a sandbox that forbids it: a filter in this process.
#![allow(unsafe_code)] // Foreign calls.

use std::io;
use std::mem::offset_of;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::Duration;

#[cfg(not(target_arch = "aarch64"))]
pub(crate) use libc::SYS_poll;
pub(crate) use libc::{
    EACCES, EBADF, EINTR, EINVAL, ENOSYS, ENOTTY, EPERM, SYS_epoll_pwait2, SYS_ppoll,
};

/// From now on, and for good, `call` fails with `errno` in this thread and in those that it starts.
pub(crate) fn forbid(call: libc::c_long, errno: libc::c_int) {
    let instruction = |code, if_not, operand| libc::sock_filter {
        code: code as u16,
        jt: 0,
        jf: if_not,
        k: operand,
    };
    // Which architecture it is for need not be asked: the caller is no stranger.
    let number = offset_of!(libc::seccomp_data, nr) as u32;
    let fail = libc::SECCOMP_RET_ERRNO | errno as u32;
    let mut program = [
        instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, number),
        instruction(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 1, call as u32),
        instruction(libc::BPF_RET | libc::BPF_K, 0, fail),
        instruction(libc::BPF_RET | libc::BPF_K, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    let (on, none): (libc::c_ulong, libc::c_ulong) = (1, 0);
    // SAFETY: no pointers.
    let set = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, on, none, none, none) };
    assert_eq!(set, 0, "{}", io::Error::last_os_error());
    let filter = libc::c_ulong::from(libc::SECCOMP_MODE_FILTER);
    // SAFETY: it reads `program`, and the four instructions it points to.
    let set = unsafe { libc::prctl(libc::PR_SET_SECCOMP, filter, &raw const program) };
    assert_eq!(set, 0, "{}", io::Error::last_os_error());
}

/// Waits in `epoll_pwait2(2)` where nothing comes.
pub(crate) fn epoll_pwait2(wait: Duration) -> io::Result<()> {
    // SAFETY: no pointers.
    let epoll = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
    assert!(epoll >= 0, "a descriptor can be had");
    // SAFETY: it has just been made, and nobody else knows of it.
    let epoll = unsafe { OwnedFd::from_raw_fd(epoll) };
    // Seconds and nanoseconds, of 64 bits each on every machine.
    let timeout = [wait.as_secs() as i64, wait.subsec_nanos().into()];
    let mut event = libc::epoll_event { events: 0, u64: 0 };
    // SAFETY: there is room for one event, `timeout` outlives the call, and there is no signal mask,
    // of any size.
    let count = unsafe {
        libc::syscall(
            SYS_epoll_pwait2,
            epoll.as_raw_fd(),
            &raw mut event,
            1,
            &raw const timeout,
            std::ptr::null::<libc::sigset_t>(),
            0usize,
        )
    };
    if count < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
