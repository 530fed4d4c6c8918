//! Bounds the number of open connections. Each connection holds a place; a listener without a place
//! waits.
//!
//! # The handshake
//!
//! A listener that finds no place does not wait here. Under the lock that guards the count, it stores a
//! weak reference to itself. Then its `accept` reports `WouldBlock`, as if no connection were queued:
//! the registration clears the readiness, and the task waits in the slot, where a deadline or a close
//! ends the wait as usual.
//!
//! A connection that gives its place back takes all stored references under the same lock, and *then*
//! marks each of those listeners ready. Either the reference was already stored, or the listener looks
//! later and finds the place. The readiness counts as an event: it came after the failed `accept`
//! began, so it survives the clearing, or wakes the tasks that wait by then (`slot`, I4 and I5;
//! `tests/loom/limit.rs` models both together).
//!
//! All stored listeners retry, not the first alone: the first may have no accepting task left.

use std::fmt;
use std::ptr;
use std::sync::{Arc, Weak};

use crate::fork_generation;
use crate::sync::{Mutex, MutexGuard, lock};

/// The maximum number of open connections, over one listener or several: Go's `netutil.LimitListener`.
///
/// At the maximum, [`accept`](crate::Listener::accept) waits until a connection is closed or dropped.
/// New connections stay in the kernel's accept queue meanwhile. Clones share one limit.
///
/// ```
/// use netpoll_futures::{Limit, TcpListener, TcpStream};
///
/// # fn main() -> std::io::Result<()> { netpoll_futures::block_on(async {
/// let limit = Limit::new(1000);
/// let listener = TcpListener::bind("127.0.0.1:0").await?;
/// listener.set_limit(Some(&limit))?;
///
/// let client = TcpStream::connect(listener.local_addr()?).await?;
/// let (stream, _) = listener.accept().await?;
/// assert_eq!(limit.in_use(), 1);
/// stream.close().await?;
/// assert_eq!(limit.in_use(), 0);
/// # drop(client); Ok(()) }) }
/// ```
///
/// A stream holds its place until its descriptor is closed: by [`close`](crate::Stream::close), by the
/// `close` of its [`registration`](crate::Stream::registration), or when the last clone is dropped or
/// converted to another type of socket. Clones of a closed connection hold no place.
#[derive(Clone)]
pub struct Limit {
    places: Arc<Places>,
}

#[derive(Debug)]
struct Places {
    max: usize,
    /// The process that made the limit. A forked child does not take the lock: a thread of the parent
    /// may have held it at the fork.
    generation: u32,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    in_use: usize,
    /// The listeners that have found no place since a place was last given back.
    waiters: Vec<Weak<dyn LimitWaiter>>,
}

/// A listener that has found no place and retries once a place is free.
pub(crate) trait LimitWaiter: Send + Sync {
    fn retry(&self);
}

/// A place in use. Dropping it gives the place back.
#[derive(Debug)]
pub(crate) struct Place {
    places: Arc<Places>,
}

impl Limit {
    /// A limit of `max` connections.
    ///
    /// # Panics
    ///
    /// If `max` is zero: no connection would ever be accepted.
    #[must_use]
    pub fn new(max: usize) -> Self {
        assert!(max > 0, "Limit::new: a limit of no connections admits none");
        let (generation, state) = (fork_generation(), Mutex::new(State::default()));
        Self { places: Arc::new(Places { max, generation, state }) }
    }

    /// The maximum number of connections.
    #[must_use]
    pub fn max(&self) -> usize {
        self.places.max
    }

    /// The number of connections that are open now. In a forked child it is zero.
    #[must_use]
    pub fn in_use(&self) -> usize {
        self.places.lock().map_or(0, |state| state.in_use)
    }

    /// Takes a place, if one is free. Otherwise stores the result of `waiter`, which retries when a
    /// place is given back.
    pub(crate) fn take(&self, waiter: impl FnOnce() -> Weak<dyn LimitWaiter>) -> Option<Place> {
        let mut state = self.places.lock()?;
        if state.in_use == self.places.max {
            state.add_waiter(waiter());
            return None;
        }
        state.in_use += 1;
        Some(Place { places: self.places.clone() })
    }
}

impl Places {
    /// `None` in a forked child.
    fn lock(&self) -> Option<MutexGuard<'_, State>> {
        (self.generation == fork_generation()).then(|| lock(&self.state))
    }
}

impl State {
    fn add_waiter(&mut self, waiter: Weak<dyn LimitWaiter>) {
        self.waiters.retain(|other| other.strong_count() > 0 && !is_same(other, &waiter));
        self.waiters.push(waiter);
    }
}

fn is_same(one: &Weak<dyn LimitWaiter>, other: &Weak<dyn LimitWaiter>) -> bool {
    ptr::addr_eq(one.as_ptr(), other.as_ptr())
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some(mut state) = self.places.lock() else { return };
        state.in_use -= 1;
        let waiters = std::mem::take(&mut state.waiters);
        drop(state);
        waiters.iter().filter_map(Weak::upgrade).for_each(|waiter| waiter.retry());
    }
}

impl fmt::Debug for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (max, in_use) = (self.max(), self.in_use());
        f.debug_struct("Limit").field("max", &max).field("in_use", &in_use).finish()
    }
}
