//! Enabling `EPOLLOUT` for a waiting writer, and disabling it after a write
//! ([`Interest::WriteOnDemand`](crate::Interest::WriteOnDemand)).
//!
//! # The handshake
//!
//! - **A writer that must wait** adds itself to the slot's waiters, *then* takes the lock and enables `EPOLLOUT`, unless it
//!   is enabled.
//! - **A writer that has written** takes the lock, *then* reads whether the slot has a waiting writer. If not, it
//!   disables `EPOLLOUT`.
//!
//! If the waiter's lock came first, the other writer sees it waiting and changes nothing. If it
//! came second, the waiter finds `EPOLLOUT` disabled, and enables it. Enabling reports existing room as an edge, so a
//! waiter that comes after the room is woken at once.

use crate::sync::{Mutex, lock};

/// Whether epoll is asked for writability.
#[derive(Debug)]
pub(crate) struct Demand(Mutex<bool>);

impl Demand {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(false))
    }

    /// A writer waits in the slot. If `ask` fails, the wait must fail with its error: no event would
    /// end it.
    pub(crate) fn rises<E>(&self, ask: impl FnOnce() -> Result<(), E>) -> Result<(), E> {
        let mut asked = lock(&self.0);
        if !*asked {
            ask()?;
            *asked = true;
        }
        Ok(())
    }

    /// A writer has written: if no other waits, epoll is no longer asked.
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
