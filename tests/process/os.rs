//! What the tests ask of the system that the standard library does not offer.
#![allow(unsafe_code)] // Foreign calls. The other modules have none.

use std::fs;
use std::io::{Read, Write};
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

/// What a child tells its parent of: the step that it has come to, and whether that went right.
pub(crate) struct Steps(std::io::PipeWriter);

impl Steps {
    pub(crate) fn tell(&mut self, step: u8, right: bool) {
        let _ = self.0.write_all(&[step]);
        if !right {
            // SAFETY: no pointers. Nothing of the parent's is run at exit.
            unsafe { libc::_exit(1) };
        }
    }
}

/// As [`in_a_child`], for a body that tells how far it has come. A child that hangs is ended after 20
/// seconds, and the last step that it told of is named.
pub(crate) fn in_a_child_that_tells(body: impl FnOnce(&mut Steps)) {
    let (mut reader, writer) = std::io::pipe().expect("a pipe");
    // SAFETY: the child goes no further than `_exit` below.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        // SAFETY: no pointers. A child that hangs is ended by this.
        unsafe { libc::alarm(20) };
        let mut steps = Steps(writer);
        let ended = catch_unwind(AssertUnwindSafe(|| body(&mut steps)));
        // SAFETY: no pointers. Nothing of the parent's is run at exit.
        unsafe { libc::_exit(if ended.is_ok() { 0 } else { 2 }) };
    }
    assert!(pid > 0, "a process can be had");
    drop(writer);
    let mut status = 0;
    // SAFETY: it writes one integer to `status`; the child is ours and waited for once.
    let ended = unsafe { libc::waitpid(pid, &raw mut status, 0) };
    assert_eq!(ended, pid);
    if status != 0 {
        let mut steps = Vec::new();
        let _ = reader.read_to_end(&mut steps);
        let how = if libc::WIFSIGNALED(status) { "it hung after" } else { "it went wrong at" };
        panic!("{how} step {:?}: status {status:#x}", steps.last());
    }
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
pub(crate) fn alarm_every(microseconds: libc::suseconds_t) {
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
pub(crate) fn allow_descriptors() -> libc::rlim_t {
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

/// Blocks a signal in the calling thread.
pub(crate) fn block(signal: libc::c_int) {
    let set = set_of(signal);
    // SAFETY: it reads the set, which is ours.
    let failed =
        unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut()) };
    assert_eq!(failed, 0);
}

/// Blocks a signal in the calling thread, sends it to this process, and waits for it.
pub(crate) fn send_and_wait_for(signal: libc::c_int) -> bool {
    block(signal);
    let own = libc::pid_t::try_from(std::process::id()).expect("a process id");
    // SAFETY: no pointers.
    let sent = unsafe { libc::kill(own, signal) };
    assert_eq!(sent, 0);
    let (set, mut received) = (set_of(signal), 0);
    // SAFETY: it reads the set and writes one integer.
    let failed = unsafe { libc::sigwait(&raw const set, &raw mut received) };
    failed == 0 && received == signal
}

fn set_of(signal: libc::c_int) -> libc::sigset_t {
    // SAFETY: zero is a value of each of its fields, an empty set.
    let mut set: libc::sigset_t = unsafe { std::mem::zeroed() };
    // SAFETY: the set is ours.
    let added = unsafe { libc::sigaddset(&raw mut set, signal) };
    assert_eq!(added, 0);
    set
}

/// Changes the group of every thread of this process to what it is, which the C library does by a signal
/// to each of them.
pub(crate) fn set_own_group() {
    // SAFETY: no pointers.
    let group = unsafe { libc::getgid() };
    // SAFETY: no pointers.
    let set = unsafe { libc::setgid(group) };
    assert_eq!(set, 0);
}

/// Pins the calling thread to the first of its processors, and returns where it may run now, as procfs
/// says it.
pub(crate) fn pin_to_one_processor() -> String {
    // SAFETY: zero is an empty set.
    let mut allowed: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    let room = size_of::<libc::cpu_set_t>();
    // SAFETY: it writes `room` bytes at most, to `allowed`.
    let asked = unsafe { libc::sched_getaffinity(0, room, &raw mut allowed) };
    assert_eq!(asked, 0, "no more processors than fit");
    // SAFETY: the number is within the set.
    let is_allowed = |processor: &usize| unsafe { libc::CPU_ISSET(*processor, &allowed) };
    let first = (0..8 * room).find(is_allowed).expect("it runs somewhere");
    // SAFETY: zero is an empty set.
    let mut one: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: the number is within the set.
    unsafe { libc::CPU_SET(first, &mut one) };
    // SAFETY: it reads `room` bytes of `one`.
    let pinned = unsafe { libc::sched_setaffinity(0, room, &raw const one) };
    assert_eq!(pinned, 0);
    let status = fs::read_to_string("/proc/thread-self/status").expect("procfs");
    let line = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed:"));
    line.expect("procfs says so").trim().to_owned()
}

/// The scheduling policy of the calling thread.
pub(crate) fn policy() -> libc::c_int {
    // By number: musl has the function, and it always fails.
    // SAFETY: no pointers; 0 is the calling thread.
    unsafe { libc::syscall(libc::SYS_sched_getscheduler, 0) as libc::c_int }
}

/// The timer slack of the calling thread, in nanoseconds.
pub(crate) fn timer_slack() -> libc::c_int {
    // SAFETY: no pointers.
    unsafe { libc::prctl(libc::PR_GET_TIMERSLACK) }
}

/// Puts the calling thread under a scheduling policy. False if the user may not.
pub(crate) fn set_policy(policy: libc::c_int) -> bool {
    let is_real_time = [libc::SCHED_FIFO, libc::SCHED_RR].contains(&policy);
    let priority = libc::c_int::from(is_real_time);
    // SAFETY: it reads `priority`; 0 is the calling thread.
    let failed =
        unsafe { libc::syscall(libc::SYS_sched_setscheduler, 0, policy, &raw const priority) };
    failed == 0
}

/// Makes this process that of a user of its own, who may have so many threads, or returns false where that
/// is not allowed: root has no such limit, and others share theirs with the rest of their processes.
pub(crate) fn allow_threads(count: usize) -> bool {
    let count = libc::rlim_t::try_from(count).expect("a small number");
    let limit = libc::rlimit { rlim_cur: count, rlim_max: count };
    let user = 200_000_000 + std::process::id();
    // SAFETY: no pointers.
    if unsafe { libc::geteuid() } != 0 {
        return false;
    }
    // SAFETY: it reads `limit`.
    let set = unsafe { libc::setrlimit(libc::RLIMIT_NPROC, &raw const limit) };
    // SAFETY: no pointers.
    set == 0 && unsafe { libc::setresuid(user, user, user) } == 0
}

/// Opens files until no descriptor is left.
pub(crate) fn take_all_descriptors() -> Vec<fs::File> {
    let limit = libc::rlimit { rlim_cur: 64, rlim_max: 64 };
    // SAFETY: it reads `limit`.
    let set = unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) };
    assert_eq!(set, 0, "a limit may be lowered");
    std::iter::from_fn(|| fs::File::open("/dev/null").ok()).collect()
}
