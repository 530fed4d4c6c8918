//! The one choice between `std` and `loom`.
//!
//! Every atomic and lock that takes part in a handshake comes from here, so that the model
//! checker explores exactly the code that ships. Under `--cfg netpoll_loom` the modules of the reactor, but for
//! `sys` and the handles, are compiled into the models of `tests/loom`, on loom's types;
//! everything else about them stays the same.

#[cfg(not(netpoll_loom))]
mod imp {
    pub(crate) use std::sync::atomic::{
        AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence,
    };
    pub(crate) use std::sync::{Arc, Condvar, Mutex, MutexGuard};
    pub(crate) use std::thread_local as per_thread;

    /// A number that no other thread has while this one lives. It is not 0.
    pub(crate) fn this_thread() -> usize {
        std::thread_local! { static HERE: u8 = const { 0 } }
        HERE.with(|here| std::ptr::from_ref(here).addr())
    }

    /// Waits for a signal, but no longer than this.
    pub(crate) fn wait_for(
        condvar: &Condvar,
        guard: MutexGuard<'_, ()>,
        timeout: std::time::Duration,
    ) {
        drop(condvar.wait_timeout(guard, timeout));
    }
}

#[cfg(netpoll_loom)]
mod imp {
    pub(crate) use loom::sync::atomic::{
        AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence,
    };
    pub(crate) use loom::sync::{Condvar, Mutex, MutexGuard};
    // The reference count takes part in no handshake, and loom's `Arc` cannot be a receiver.
    pub(crate) use std::sync::Arc;

    /// Loom's threads are not the system's. (Its macro does not know `const`.)
    macro_rules! per_thread {
        ($(#[$doc:meta])* static $name:ident: $type:ty = $value:expr;) => {
            loom::thread_local! { $(#[$doc])* static $name: $type = $value; }
        };
    }
    pub(crate) use per_thread;

    /// As above. Loom's threads do not have an address each.
    pub(crate) fn this_thread() -> usize {
        static LAST: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
        loom::thread_local! { static NUMBER: usize = LAST.fetch_add(1, Ordering::Relaxed) + 1; }
        NUMBER.with(|number| *number)
    }

    /// Time does not pass: the wait is over when other threads have had their chance.
    pub(crate) fn wait_for(_: &Condvar, guard: MutexGuard<'_, ()>, _: std::time::Duration) {
        drop(guard);
        loom::thread::yield_now();
    }
}

pub(crate) use imp::*;

/// The load with which a compare-and-swap loop begins.
///
/// Under loom this is a read-modify-write that changes nothing. Loom tries the other order of two
/// accesses only if it sees that they race, and it compares each access with the latest one to the
/// same atomic only. A plain load here would be that latest access when the swap follows, and would
/// hide from the swap every load that another thread had made before it.
pub(crate) trait LoadToSwap<T> {
    fn load_to_swap(&self, order: Ordering) -> T;
}

macro_rules! load_to_swap {
    ($atomic:ty, $integer:ty) => {
        impl LoadToSwap<$integer> for $atomic {
            #[inline]
            fn load_to_swap(&self, order: Ordering) -> $integer {
                if cfg!(netpoll_loom) { self.fetch_or(0, order) } else { self.load(order) }
            }
        }
    };
}

load_to_swap!(AtomicU32, u32);
load_to_swap!(AtomicU64, u64);

/// Locks, and ignores poisoning: no user code (a waker, a closure) runs under a lock of this library, so its panic
/// leaves no half-made change behind.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
