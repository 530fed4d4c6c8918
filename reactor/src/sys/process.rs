//! The process and its forks, and the scheduling and the signals of the calling thread.

use std::io;
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// The number of forks between the process that began to count and this one.
static FORKS: AtomicU32 = AtomicU32::new(0);
static COUNTING: AtomicBool = AtomicBool::new(false);

/// Begins to count forks.
///
/// Without a lock, which another thread could hold while this process is forked. Two threads that begin
/// at once register the handler twice, and each fork then counts as two, which is as good.
///
/// # Errors
///
/// No memory.
pub(crate) fn count_forks() -> io::Result<()> {
    if COUNTING.load(Ordering::Acquire) {
        return Ok(());
    }
    // SAFETY: the handler only adds to an atomic, which is allowed in a forked child.
    match unsafe { libc::pthread_atfork(None, None, Some(count_fork)) } {
        0 => {
            COUNTING.store(true, Ordering::Release);
            Ok(())
        }
        error => Err(io::Error::from_raw_os_error(error)),
    }
}

/// A number that a forked child does not share with its parent, once forks are [counted](count_forks).
///
/// Not the process id, which costs a system call each time it is asked for, and it is asked for in
/// every turn. A child made by a bare `clone(2)` is not told apart; such a child must exec, as those
/// of `posix_spawn` and `std::process` do.
#[inline]
pub(crate) fn forks() -> u32 {
    // Relaxed: a child begins with one thread, the one that counted.
    FORKS.load(Ordering::Relaxed)
}

unsafe extern "C" fn count_fork() {
    FORKS.fetch_add(1, Ordering::Relaxed);
}

/// Signals are blocked in the calling thread until this is dropped, which restores its former mask.
///
/// A thread inherits the mask of the thread that begins it. So a helper thread that is begun meanwhile
/// has them blocked from its first instruction on, and takes none that another thread waits for in
/// `sigwait(3)` or on a signalfd.
///
/// Signals that the kernel raises for an act of the thread itself (a fault, a trap, a filtered system
/// call) stay open: they concern no other thread, and blocked they would end the process without a report.
pub(crate) struct SignalsBlocked {
    /// `None` if the mask could not be changed.
    before: Option<libc::sigset_t>,
}

const RAISED_BY_THE_THREAD_ITSELF: [libc::c_int; 6] =
    [libc::SIGSEGV, libc::SIGBUS, libc::SIGFPE, libc::SIGILL, libc::SIGTRAP, libc::SIGSYS];

impl SignalsBlocked {
    pub(crate) fn new() -> Self {
        let mut blocked = MaybeUninit::<libc::sigset_t>::uninit();
        let set = blocked.as_mut_ptr();
        // SAFETY: it fills the set, which is ours.
        unsafe { libc::sigfillset(set) };
        for signal in RAISED_BY_THE_THREAD_ITSELF {
            // SAFETY: the set was filled above.
            unsafe { libc::sigdelset(set, signal) };
        }
        let mut before = MaybeUninit::<libc::sigset_t>::uninit();
        // SAFETY: it reads the one set, which was filled, and fills the other.
        let failed = unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, set, before.as_mut_ptr()) };
        // SAFETY: a call that succeeds has filled it.
        Self { before: (failed == 0).then(|| unsafe { before.assume_init() }) }
    }
}

impl Drop for SignalsBlocked {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            // SAFETY: it reads the set, which `pthread_sigmask` has filled.
            unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, before, ptr::null_mut()) };
        }
    }
}

/// Room for the affinity of 8,192 processors, the most that Linux can be built for.
#[derive(PartialEq, Eq)]
struct Processors([libc::c_ulong; WORDS]);

const WORDS: usize = 8192 / libc::c_ulong::BITS as usize;

impl Processors {
    /// The processors on which a thread may run: that of this number, or the calling one for 0.
    fn of(thread: libc::pid_t) -> Option<Self> {
        let mut set = Self([0; WORDS]);
        let room = size_of::<Self>();
        // SAFETY: it writes at most `room` bytes, to `set`.
        let failed = unsafe { libc::sched_getaffinity(thread, room, (&raw mut set).cast()) };
        (failed == 0).then_some(set)
    }
}

/// Lets the calling thread run on the processors of the process, which are those of its first thread,
/// whatever thread has begun the calling one. Best effort.
///
/// Nothing is set where there is no difference: a thread whose affinity was set does not follow a
/// cpuset that grows.
pub(crate) fn adopt_affinity_of_process() {
    // SAFETY: no pointers. The first thread of a process has the number of the process.
    let first = unsafe { libc::getpid() };
    let (Some(own), Some(wanted)) = (Processors::of(0), Processors::of(first)) else { return };
    if own != wanted {
        // SAFETY: it reads `size_of::<Processors>()` bytes of `wanted`.
        unsafe {
            libc::sched_setaffinity(0, size_of::<Processors>(), (&raw const wanted).cast());
        }
    }
}

/// Puts the calling thread into `SCHED_BATCH` if it is in `SCHED_OTHER`: it gets a processor as
/// often as before, but does not preempt the thread that it has just woken. Best effort, and no privilege is
/// needed. A thread of any other policy keeps it: leaving `SCHED_FIFO` would be a demotion, and leaving
/// `SCHED_IDLE` a promotion.
///
/// It waits for the scheduler's next tick (up to 4 ms) where every processor is busy with others:
/// measured there, half of all deadlines came 0.5 to 1.9 ms late, and 0.1 ms without it. An executor
/// that is busy loses nothing by it: it could not have run the task earlier.
///
/// Both calls are made by number: musl has their functions, but they always fail, since POSIX means a
/// process by them and Linux a thread.
pub(crate) fn batch_scheduling() -> bool {
    // SAFETY: no pointers; 0 is the calling thread.
    let policy = unsafe { libc::syscall(libc::SYS_sched_getscheduler, CALLING_THREAD) };
    if policy != SCHED_OTHER {
        return false;
    }
    // The kernel's `sched_param` is a priority and no more.
    let priority: libc::c_int = 0;
    // SAFETY: the kernel reads `priority`, which outlives the call.
    let failed = unsafe {
        libc::syscall(
            libc::SYS_sched_setscheduler,
            CALLING_THREAD,
            libc::SCHED_BATCH,
            &raw const priority,
        )
    };
    failed == 0
}

const CALLING_THREAD: libc::pid_t = 0;

/// The `libc` crate has it for all systems but Android.
const SCHED_OTHER: libc::c_long = 0;
