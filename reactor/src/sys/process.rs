//! What we are: which process, and how this thread is scheduled.

use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};

/// How many forks this process comes from, as far as we were there to count.
static FORKS: AtomicU32 = AtomicU32::new(0);
static COUNTING: Once = Once::new();

/// A number that a forked child does not share with its parent.
///
/// Not the process id, which costs a system call each time it is asked for, and it is asked for in
/// every turn. A child made by a bare `clone(2)` is not told apart; such a child must exec, as those
/// of `posix_spawn` and `std::process` do.
pub(crate) fn forks() -> u32 {
    COUNTING.call_once(|| {
        // SAFETY: the handler only adds to an atomic, which is allowed in a forked child.
        let result = unsafe { libc::pthread_atfork(None, None, Some(count_fork)) };
        assert_eq!(result, 0, "pthread_atfork fails only for want of memory");
    });
    // Relaxed: a child begins with one thread, the one that counted.
    FORKS.load(Ordering::Relaxed)
}

unsafe extern "C" fn count_fork() {
    FORKS.fetch_add(1, Ordering::Relaxed);
}

/// Puts the calling thread into `SCHED_BATCH`: it is no less often given a processor, but does not
/// preempt the thread that it has just woken. Best effort, and no privilege is needed.
///
/// It waits for the scheduler's next tick (up to 4 ms) where every processor is busy with others:
/// measured there, half of all deadlines came 0.5 to 1.9 ms late, and 0.1 ms without it. An executor
/// that is busy loses nothing by it: it could not have run the task earlier.
pub(crate) fn batch_scheduling() -> bool {
    let parameters = libc::sched_param { sched_priority: 0 };
    // SAFETY: 0 is the calling thread, and `parameters` outlives the call.
    unsafe { libc::sched_setscheduler(0, libc::SCHED_BATCH, &raw const parameters) == 0 }
}

/// Lets the calling thread's timeouts end when they are due: by default the kernel may take 50
/// microseconds more, to end several at once. Best effort.
pub(crate) fn exact_timeouts() -> bool {
    const NANOSECOND: libc::c_ulong = 1;
    // SAFETY: it takes a number, and no pointers.
    unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, NANOSECOND) == 0 }
}
