//! Asking epoll for writability while somebody waits for it, and only then
//! ([`Interest::WriteOnDemand`]).
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

use std::os::fd::AsFd;

use super::Registration;
use crate::ready::{Direction, Interest};
use crate::sync::{Mutex, lock};

/// Whether epoll is asked for writability.
#[derive(Debug, Default)]
pub(super) struct Demand(Mutex<bool>);

impl<T: AsFd> Registration<T> {
    /// Somebody has sat down to wait for `direction`.
    pub(super) fn is_awaited(&self, direction: Direction) {
        if !self.is_on_demand(direction) {
            return;
        }
        let mut asked = lock(&self.demand.0);
        if !std::mem::replace(&mut *asked, true) {
            self.reactor.shared().modify(self.as_fd(), self.slot.token(), Interest::Both);
        }
    }

    /// An operation of `direction` did not block.
    pub(super) fn has_moved(&self, direction: Direction) {
        if !self.is_on_demand(direction) {
            return;
        }
        let mut asked = lock(&self.demand.0);
        if *asked && !self.slot.state().has_waiter(direction) {
            *asked = false;
            self.reactor.shared().modify(self.as_fd(), self.slot.token(), self.interest);
        }
    }

    fn is_on_demand(&self, direction: Direction) -> bool {
        self.interest == Interest::WriteOnDemand && direction == Direction::Write
    }
}
