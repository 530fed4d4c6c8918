//! The wheel, for whoever turns: locked when there is something to file or to look at, which in most turns
//! there is not.

use super::wheel::Wheel;
use crate::sync::{AtomicU64, Mutex, Ordering, lock};

/// Nothing is filed.
const NEVER: u64 = u64::MAX;

#[derive(Debug)]
pub(crate) struct Agenda {
    /// Touched by whoever has the lease, so nobody ever waits for it.
    wheel: Mutex<Wheel>,
    /// What the wheel would say. Relaxed: only who has the lease reads and writes it, and the lease
    /// orders one after the other.
    next_ns: AtomicU64,
}

impl Agenda {
    pub(crate) fn new() -> Self {
        Self { wheel: Mutex::new(Wheel::new()), next_ns: AtomicU64::new(NEVER) }
    }

    /// When to look next, if at all.
    #[inline]
    pub(crate) fn next_ns(&self) -> Option<u64> {
        Some(self.next_ns.load(Ordering::Relaxed)).filter(|next_ns| *next_ns != NEVER)
    }

    /// Files, or looks.
    pub(crate) fn with<R>(&self, change: impl FnOnce(&mut Wheel) -> R) -> R {
        let mut wheel = lock(&self.wheel);
        let result = change(&mut wheel);
        self.next_ns.store(wheel.next_ns().unwrap_or(NEVER), Ordering::Relaxed);
        result
    }
}
