//! Go's three setters.

use std::io;
use std::time::Instant;

use super::Registration;
use crate::arena::OwnedSlot;
use crate::handle::Reactor;
use crate::ready::Direction;
use crate::time::deadline::SetAction;

impl<T> Registration<T> {
    /// Sets or clears the deadline of both directions. See [`set_read_deadline`](Self::set_read_deadline).
    ///
    /// # Errors
    ///
    /// [`Closed`](crate::Closed) or [`ReactorGone`](crate::ReactorGone).
    #[inline]
    pub fn set_deadline(&self, deadline: Option<Instant>) -> io::Result<()> {
        self.check_open()?;
        self.set_each(&Direction::BOTH, deadline);
        Ok(())
    }

    /// Sets or clears the time after which reading fails with [`DeadlineExceeded`](crate::DeadlineExceeded): operations that
    /// are pending then, and all that begin later, until it is set anew. Go's `SetReadDeadline`.
    ///
    /// It takes effect on pending operations at once, whether it is moved closer, away, into the past
    /// or taken away, and never waits for one. No operation fails early. What is received meanwhile
    /// is not lost. Moving it away costs a few nanoseconds: no lock, no system call.
    ///
    /// # Errors
    ///
    /// [`Closed`](crate::Closed) or [`ReactorGone`](crate::ReactorGone).
    #[inline]
    pub fn set_read_deadline(&self, deadline: Option<Instant>) -> io::Result<()> {
        self.check_open()?;
        self.set_each(&[Direction::Read], deadline);
        Ok(())
    }

    /// The same for writing. See [`set_read_deadline`](Self::set_read_deadline).
    ///
    /// # Errors
    ///
    /// [`Closed`](crate::Closed) or [`ReactorGone`](crate::ReactorGone).
    #[inline]
    pub fn set_write_deadline(&self, deadline: Option<Instant>) -> io::Result<()> {
        self.check_open()?;
        self.set_each(&[Direction::Write], deadline);
        Ok(())
    }

    #[inline]
    fn set_each(&self, directions: &[Direction], deadline: Option<Instant>) {
        match deadline {
            None => directions.iter().for_each(|direction| self.slot.clear_deadline(*direction)),
            Some(deadline) => set_slot_deadline(&self.reactor, &self.slot, directions, deadline),
        }
    }
}

/// Sets a deadline of a slot, and tells the reactor if it must know. The common case, a deadline
/// moved away, ends with the first test and reads no clock.
#[inline]
pub(crate) fn set_slot_deadline(
    reactor: &Reactor,
    slot: &OwnedSlot,
    directions: &[Direction],
    deadline: Instant,
) {
    let at_ns = reactor.shared().ns_at(deadline);
    let set = |direction: &Direction| slot.set_deadline(*direction, at_ns);
    // Each of them, whatever the one before it found.
    if directions
        .iter()
        .fold(false, |known, direction| known | (set(direction) != SetAction::Nothing))
    {
        arm(reactor, slot, directions, at_ns);
    }
}

/// The reactor does not know of this deadline, in one direction at least.
#[cold]
fn arm(reactor: &Reactor, slot: &OwnedSlot, directions: &[Direction], at_ns: u64) {
    let shared = reactor.shared();
    if at_ns <= shared.now_ns() {
        slot.expire(directions, at_ns);
    } else {
        shared.arm(slot, at_ns);
    }
}
