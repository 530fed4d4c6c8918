//! Threads that the library begins for itself, without effect on the program's signals and affinity.

use std::io;
use std::thread::{Builder, JoinHandle};

use crate::error::OpError;
use crate::sys;

/// The processors on which a helper thread runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Affinity {
    /// The processors of the process's first thread.
    Process,
    /// The processors of the thread that begins it.
    Inherited,
}

/// Begins a helper thread: one that works for the library, and not for the program.
///
/// It has every signal blocked from its first instruction on, so that it takes none that another thread
/// waits for in `sigwait(3)` or on a signalfd, and no handler runs on it. (Those that a thread causes
/// itself, such as `SIGSEGV`, stay open.) It runs on the processors of the process, which are those of the process's
/// first thread, whatever the calling thread is pinned to. The calling thread's own mask is as before
/// when this returns. Where the system refuses either, the thread begins all the same.
///
/// Adapters begin all their threads by this call.
///
/// # Errors
///
/// The system has no thread. The kind is [`Other`](io::ErrorKind::Other), and not the `WouldBlock` of the
/// system's `EAGAIN`, which programs take for "not ready"; [`raw_os_error`](crate::raw_os_error) finds that in it.
///
/// # Panics
///
/// If `name` has a zero byte.
pub fn spawn_helper<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<JoinHandle<T>> {
    spawn(name, Affinity::Process, work)
}

pub(crate) fn spawn<T: Send + 'static>(
    name: &str,
    affinity: Affinity,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<JoinHandle<T>> {
    let _blocked = sys::SignalsBlocked::new();
    let begun = Builder::new().name(name.to_owned()).spawn(move || {
        if affinity == Affinity::Process {
            sys::adopt_affinity_of_process();
        }
        work()
    });
    begun.map_err(|error| io::Error::other(OpError::wrap("start", "a thread", error)))
}

/// A number that a forked child does not share with its parent.
///
/// For adapters: a lock or a queue that was made under another number belongs to the parent of this
/// process. A thread that is not there may hold the lock, so it must not be taken: the call does
/// nothing, or fails with [`ReactorGone`](crate::ReactorGone).
///
/// Only children of `fork(3)` are told apart, from the first call on. If even that cannot be counted,
/// for want of memory, all numbers are the same.
#[must_use]
pub fn fork_generation() -> u32 {
    let _ = sys::count_forks();
    sys::forks()
}
