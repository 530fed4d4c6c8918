//! What we are: which process, and how this thread is scheduled.

/// The id of this process, asked anew: a cached one would survive a fork.
pub(crate) fn process_id() -> u32 {
    std::process::id()
}

/// Puts the calling thread into `SCHED_BATCH`: it is no less often given a processor, but does not
/// preempt the thread that it has just woken. Best effort, and no privilege is needed.
pub(crate) fn batch_scheduling() -> bool {
    let parameters = libc::sched_param { sched_priority: 0 };
    // SAFETY: 0 is the calling thread, and `parameters` outlives the call.
    unsafe { libc::sched_setscheduler(0, libc::SCHED_BATCH, &raw const parameters) == 0 }
}
