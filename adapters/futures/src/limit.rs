//! How many connections there may be at once: the places, and who goes without.
//!
//! # The handshake
//!
//! Who finds no place does not wait here. Under the lock under which it found none it leaves word
//! where it can be asked again, and then does as if its socket had nothing for it: it clears the
//! readiness, and waits where everybody waits, so that a deadline or a close ends that as ever.
//!
//! Who gives a place back takes all those words under the same lock, and *then* has each of those
//! sockets be ready once more. Either the word was there, or who asks comes later and finds the place.
//! And that readiness is an event like any other: it came after the asking began, so it survives the
//! clearing, or wakes whoever waits by then (`slot`, I4 and I5; the model of both together is
//! `tests/loom/limit.rs`).
//!
//! All are asked and not the first alone: it may have nobody left who accepts.

use std::fmt;
use std::ptr;
use std::sync::{Arc, Weak};

use crate::fork_generation;
use crate::sync::{Mutex, MutexGuard, lock};

/// How many connections there may be at once, over one listener or several: Go's
/// `netutil.LimitListener`.
///
/// Where there are so many, [`accept`](crate::Listener::accept) waits until one of them is closed or
/// dropped, and those who come wait in the system's queue meanwhile. Clones are the same limit.
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
/// assert_eq!(limit.taken(), 1);
/// stream.close().await?;
/// assert_eq!(limit.taken(), 0);
/// # drop(client); Ok(()) }) }
/// ```
///
/// A stream keeps its place until its descriptor is closed: by [`close`](crate::Stream::close), by the `close` of
/// its [`registration`](crate::Stream::registration), or when the last of its clones is dropped or made into
/// another type of socket. Clones that are kept do not hold the place of a closed connection.
#[derive(Clone)]
pub struct Limit {
    places: Arc<Places>,
}

#[derive(Debug)]
struct Places {
    most: usize,
    /// Of the process that made it. A forked child does not take the lock, which a thread may hold that
    /// it does not have.
    generation: u32,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    taken: usize,
    /// Who has found no place since the last was given back.
    refused: Vec<Weak<dyn Refused>>,
}

/// Who has found no place, and can be asked whether it wants one now.
pub(crate) trait Refused: Send + Sync {
    fn ask_again(&self);
}

/// A place that is taken. Dropped, it is given back.
#[derive(Debug)]
pub(crate) struct Place {
    places: Arc<Places>,
}

impl Limit {
    /// A limit of so many connections.
    ///
    /// # Panics
    ///
    /// If it is zero: nobody would ever be accepted.
    #[must_use]
    pub fn new(most: usize) -> Self {
        assert!(most > 0, "Limit::new: a limit of no connections admits none");
        let (generation, state) = (fork_generation(), Mutex::new(State::default()));
        Self { places: Arc::new(Places { most, generation, state }) }
    }

    /// How many connections there may be.
    #[must_use]
    pub fn most(&self) -> usize {
        self.places.most
    }

    /// How many there are. In a forked child there are none.
    #[must_use]
    pub fn taken(&self) -> usize {
        self.places.lock().map_or(0, |state| state.taken)
    }

    /// A place, if there is one. If not, whom `who` names is asked again when one is given back.
    pub(crate) fn take(&self, who: impl FnOnce() -> Weak<dyn Refused>) -> Option<Place> {
        let mut state = self.places.lock()?;
        if state.taken == self.places.most {
            state.refuse(who());
            return None;
        }
        state.taken += 1;
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
    fn refuse(&mut self, who: Weak<dyn Refused>) {
        self.refused.retain(|other| other.strong_count() > 0 && !is_same(other, &who));
        self.refused.push(who);
    }
}

fn is_same(one: &Weak<dyn Refused>, other: &Weak<dyn Refused>) -> bool {
    ptr::addr_eq(one.as_ptr(), other.as_ptr())
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some(mut state) = self.places.lock() else { return };
        state.taken -= 1;
        let refused = std::mem::take(&mut state.refused);
        drop(state);
        refused.iter().filter_map(Weak::upgrade).for_each(|who| who.ask_again());
    }
}

impl fmt::Debug for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (most, taken) = (self.most(), self.taken());
        f.debug_struct("Limit").field("most", &most).field("taken", &taken).finish()
    }
}
