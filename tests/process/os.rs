//! What the tests ask of the system that the standard library does not offer.
#![allow(unsafe_code)] // Foreign calls. The other modules have none.

use std::fs;
use std::os::fd::{AsRawFd, RawFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};

/// Forks; the child runs `body` and exits with what it returns. The result is that number.
///
/// The child has one thread, and locks that others held stay locked in it: `body` is to do little.
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

/// How many signals were handled, by any thread.
pub(crate) static HANDLED: AtomicU64 = AtomicU64::new(0);

/// Has two signals handled by counting them, without `SA_RESTART`: system calls that they interrupt fail.
pub(crate) fn handle_signals() {
    extern "C" fn count(_: libc::c_int) {
        HANDLED.fetch_add(1, Ordering::Relaxed);
    }
    let handler: extern "C" fn(libc::c_int) = count;
    for signal in [libc::SIGUSR1, libc::SIGALRM] {
        // SAFETY: zero is a value of each of its fields: no flags, an empty mask.
        let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
        action.sa_sigaction = handler as libc::sighandler_t;
        // SAFETY: it reads `action`; the handler only counts, which is allowed at any time.
        let set = unsafe { libc::sigaction(signal, &raw const action, std::ptr::null_mut()) };
        assert_eq!(set, 0);
    }
}

/// Has the kernel send an alarm to this process every so often, or none if it is zero.
pub(crate) fn alarm_every(microseconds: i64) {
    let period = libc::timeval { tv_sec: 0, tv_usec: microseconds };
    let timer = libc::itimerval { it_interval: period, it_value: period };
    // SAFETY: it reads `timer`.
    let set = unsafe { libc::setitimer(libc::ITIMER_REAL, &raw const timer, std::ptr::null_mut()) };
    assert_eq!(set, 0);
}

/// Sends a signal to every thread of this process but the one that calls.
pub(crate) fn interrupt_all() {
    // SAFETY: no pointers.
    let own = unsafe { libc::gettid() };
    for thread in threads().into_iter().filter(|thread| *thread != own) {
        // SAFETY: no pointers. A thread that has ended meanwhile is not found.
        unsafe { libc::syscall(libc::SYS_tgkill, std::process::id(), thread, libc::SIGUSR1) };
    }
}

/// The kernel's numbers of this process's threads.
pub(crate) fn threads() -> Vec<i32> {
    let tasks = fs::read_dir("/proc/self/task").expect("procfs");
    let names = tasks.map(|task| task.expect("an entry").file_name());
    names.filter_map(|name| name.to_str()?.parse().ok()).collect()
}

/// Lets this process have as many descriptors as it may, and returns how many that is.
pub(crate) fn allow_descriptors() -> u64 {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: it fills `limit`.
    let asked = unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) };
    assert_eq!(asked, 0);
    limit.rlim_cur = limit.rlim_max;
    // SAFETY: it reads `limit`.
    let set = unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) };
    assert_eq!(set, 0, "the hard limit may be set");
    limit.rlim_cur
}

/// Puts a descriptor into another's place, which is closed.
pub(crate) fn replace(old: RawFd, with: &impl AsRawFd) {
    // SAFETY: no pointers. What `old` was is the test's to break.
    let replaced = unsafe { libc::dup3(with.as_raw_fd(), old, libc::O_CLOEXEC) };
    assert_eq!(replaced, old);
}

/// Ends this process as C programs do: with what was registered to be run at exit, on this thread,
/// while the others go on.
pub(crate) fn exit(code: i32) -> ! {
    // SAFETY: nothing else in this process ends it.
    unsafe { libc::exit(code) }
}
