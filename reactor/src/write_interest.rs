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

/// Whether `EPOLLOUT` is enabled for the descriptor.
#[derive(Debug)]
pub(crate) struct WriteInterest(Mutex<bool>);

impl WriteInterest {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(false))
    }

    /// A writer waits in the slot: calls `enable`, unless `EPOLLOUT` is enabled. If `enable` fails, the wait must
    /// fail with its error: no event would end the wait.
    pub(crate) fn enable<E>(&self, enable: impl FnOnce() -> Result<(), E>) -> Result<(), E> {
        let mut is_enabled = lock(&self.0);
        if !*is_enabled {
            enable()?;
            *is_enabled = true;
        }
        Ok(())
    }

    /// A writer has written: calls `disable`, unless another writer waits.
    pub(crate) fn disable_if_idle(
        &self,
        has_waiter: impl FnOnce() -> bool,
        disable: impl FnOnce(),
    ) {
        let mut is_enabled = lock(&self.0);
        if *is_enabled && !has_waiter() {
            *is_enabled = false;
            disable();
        }
    }
}
