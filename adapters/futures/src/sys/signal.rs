//! Signal handlers, by signal-hook-registry: one handler for each signal and process, which calls the handler that was
//! installed before, and then each action of this module, of tokio, or of another crate.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use signal_hook_registry::{FORBIDDEN, SigId};

use super::{check, owned};

/// The signals that have arrived, and an eventfd that makes each arrival an event of epoll.
///
/// The eventfd is registered edge-triggered and never read: each write is an event. An action stores the signal, *then*
/// writes. So a task that an event wakes finds the signal.
#[derive(Debug)]
pub(crate) struct Arrivals {
    /// Bit `n - 1` for signal `n`.
    pending: AtomicU64,
    eventfd: OwnedFd,
    /// The process that made it. A child that was forked has the same handlers and shares the eventfd, but its
    /// signals are not its parent's. The number costs a system call, but is safe to ask for in a handler, and also differs
    /// in a child of `vfork(2)`, which shares the memory.
    process: libc::pid_t,
}

impl Arrivals {
    pub(crate) fn new() -> io::Result<Arc<Self>> {
        // SAFETY: no pointers.
        let eventfd = check(unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) })?;
        let (pending, process) = (AtomicU64::new(0), process());
        Ok(Arc::new(Self { pending, eventfd: owned(eventfd), process }))
    }

    /// Whether this process made it, and not one that forked this process.
    pub(crate) fn are_ours(&self) -> bool {
        self.process == process()
    }

    /// Takes the signal with the smallest number.
    pub(crate) fn take(&self) -> Option<libc::c_int> {
        let without_first = |pending: u64| (pending > 0).then(|| pending & (pending - 1));
        let taken = self.pending.fetch_update(Ordering::AcqRel, Ordering::Acquire, without_first);
        taken.ok().map(|pending| pending.trailing_zeros() as libc::c_int + 1)
    }

    /// Counts a signal from now on. The handler is installed if this is the first action for the signal.
    ///
    /// # Errors
    ///
    /// As for [`check_signal`], which the caller has called: a signal that cannot be caught would panic here.
    pub(crate) fn count(self: &Arc<Self>, signal: libc::c_int) -> io::Result<SigId> {
        let arrivals = self.clone();
        // SAFETY: the action uses an atomic, `getpid` and `write`, which are allowed in a signal handler, and does not
        // panic. The registry restores `errno` after it.
        unsafe { signal_hook_registry::register(signal, move || arrivals.arrived(signal)) }
    }

    /// Called in the signal handler.
    fn arrived(&self, signal: libc::c_int) {
        if self.are_ours() {
            self.pending.fetch_or(1 << (signal - 1), Ordering::AcqRel);
            let one = 1_u64.to_ne_bytes();
            // SAFETY: the kernel reads the eight bytes of `one`. The write fails only after 2^64 - 2 signals.
            unsafe { libc::write(self.eventfd.as_raw_fd(), one.as_ptr().cast(), one.len()) };
        }
    }
}

impl AsFd for Arrivals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.eventfd.as_fd()
    }
}

/// Whether a signal can be caught. Changes nothing.
///
/// # Errors
///
/// `InvalidInput`.
pub(crate) fn check_signal(signal: libc::c_int) -> io::Result<()> {
    let mut handler = MaybeUninit::<libc::sigaction>::uninit();
    // SAFETY: the kernel writes one `sigaction`, and installs none.
    let known = check(unsafe { libc::sigaction(signal, ptr::null(), handler.as_mut_ptr()) });
    if known.is_ok() && (1..=64).contains(&signal) && !FORBIDDEN.contains(&signal) {
        return Ok(());
    }
    let text = format!("signal {signal} cannot be caught");
    Err(io::Error::new(io::ErrorKind::InvalidInput, text))
}

fn process() -> libc::pid_t {
    // SAFETY: no pointers.
    unsafe { libc::getpid() }
}
