//! Asking epoll for writability while somebody waits for it, and only then
//! ([`Interest::WriteOnDemand`](crate::Interest::WriteOnDemand)).
//!
//! # The handshake
//!
//! - **Who waits to write** is seated in the slot, *then* takes the lock and has epoll asked, if it is
//!   not asked already.
//! - **Who has written** takes the lock, *then* sees whether somebody waits; if nobody does, epoll is
//!   asked no more.
//!
//! If the waiter's lock came first, the writer sees it waiting and leaves things as they are. If it
//! came second, the waiter finds epoll not asked, and asks. Asking reports what is so already, so a
//! waiter that asks after the room has come is woken at once.

use crate::sync::{Mutex, lock};

/// Whether epoll is asked for writability.
#[derive(Debug)]
pub(crate) struct Demand(Mutex<bool>);

impl Demand {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(false))
    }

    /// Somebody has sat down to wait. If asking fails, epoll is not asked, and who sat down is to be
    /// told: nobody would wake it.
    pub(crate) fn rises<E>(&self, ask: impl FnOnce() -> Result<(), E>) -> Result<(), E> {
        let mut asked = lock(&self.0);
        if !*asked {
            ask()?;
            *asked = true;
        }
        Ok(())
    }

    /// Somebody has written, and may have been the last to need it.
    pub(crate) fn may_fall(
        &self,
        somebody_waits: impl FnOnce() -> bool,
        ask_no_more: impl FnOnce(),
    ) {
        let mut asked = lock(&self.0);
        if *asked && !somebody_waits() {
            *asked = false;
            ask_no_more();
        }
    }
}
