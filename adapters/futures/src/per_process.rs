//! Statics that a forked child does not share with its parent.
//!
//! A thread of the parent may hold a lock at the moment of the fork. The child does not have that
//! thread, so a child that took the lock would wait without end. Therefore each process of a chain of
//! forks claims its own copy by its [generation](netpoll::fork_generation), without taking a lock.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

use netpoll::{ReactorGone, fork_generation};

/// The number of processes in a chain of forks, each the child of the one before, that can use a
/// static.
pub const COPIES: usize = 8;

const UNCLAIMED: u64 = u64::MAX;

/// One copy of a static.
#[derive(Debug)]
pub struct PerProcess<T> {
    owner: AtomicU64,
    value: T,
}

impl<T> PerProcess<T> {
    /// A copy that no process has claimed yet.
    pub const fn new(value: T) -> Self {
        Self { owner: AtomicU64::new(UNCLAIMED), value }
    }
}

/// The copy of this process, and its generation.
///
/// # Errors
///
/// [`ReactorGone`](netpoll::ReactorGone) if the process's ancestors have claimed all copies.
pub fn own<T>(copies: &'static [PerProcess<T>; COPIES]) -> io::Result<(&'static T, u32)> {
    let generation = fork_generation();
    let me = u64::from(generation);
    // Relaxed: only this process writes its generation, and the contents of a copy have their own
    // locks.
    let is_mine = |copy: &&PerProcess<T>| {
        let claim =
            |from| copy.owner.compare_exchange(from, me, Ordering::Relaxed, Ordering::Relaxed);
        claim(UNCLAIMED).is_ok() || claim(me).is_ok()
    };
    let copy = copies.iter().find(is_mine).ok_or_else(ReactorGone::error)?;
    Ok((&copy.value, generation))
}
