//! Go's three setters.

use std::io;
use std::time::{Duration, Instant};

use super::Registration;
use crate::arena::OwnedSlot;
use crate::handle::Reactor;
use crate::ready::Direction;
use crate::time::deadline::SetAction;

/// The time by which operations have to be over, as the setters take it.
///
/// - `Some(instant)` or an [`Instant`]: at that time.
/// - A [`Duration`]: that long from now. The setter reads the reactor's clock once.
/// - `None`: no deadline.
///
/// ```
/// use std::time::{Duration, Instant};
/// use netpoll::{Reactor, Registration};
///
/// let (socket, _peer) = std::os::unix::net::UnixStream::pair()?;
/// let socket = Registration::new(socket)?;
/// socket.set_read_deadline(Duration::from_secs(5))?;
/// socket.set_write_deadline(Instant::now() + Duration::from_secs(5))?;
/// socket.set_deadline(None)?;
/// # std::io::Result::Ok(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadline(Kind);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    None,
    At(Instant),
    After(Duration),
}

impl Deadline {
    /// The time on the clock of a reactor; a duration counts from its present time. `None` for no deadline, and for a
    /// time beyond the range of [`Instant`].
    #[must_use]
    pub fn instant(self, reactor: &Reactor) -> Option<Instant> {
        self.instant_from(|| reactor.inner().now())
    }

    /// [`instant`](Self::instant) where there is no reactor: a duration counts from the time that `now` returns.
    #[must_use]
    pub fn instant_from(self, now: impl FnOnce() -> Instant) -> Option<Instant> {
        match self.0 {
            Kind::None => None,
            Kind::At(instant) => Some(instant),
            Kind::After(duration) => now().checked_add(duration),
        }
    }
}

impl From<Option<Instant>> for Deadline {
    #[inline]
    fn from(at: Option<Instant>) -> Self {
        Self(at.map_or(Kind::None, Kind::At))
    }
}

impl From<Instant> for Deadline {
    #[inline]
    fn from(at: Instant) -> Self {
        Self(Kind::At(at))
    }
}

impl From<Duration> for Deadline {
    #[inline]
    fn from(after: Duration) -> Self {
        Self(Kind::After(after))
    }
}

impl<T> Registration<T> {
    /// Sets or clears the deadline of both directions. See [`set_read_deadline`](Self::set_read_deadline).
    ///
    /// # Errors
    ///
    /// [`Closed`](crate::Closed) or [`ReactorGone`](crate::ReactorGone).
    #[inline]
    pub fn set_deadline(&self, deadline: impl Into<Deadline>) -> io::Result<()> {
        self.check_open()?;
        self.set_each(&Direction::BOTH, deadline.into());
        Ok(())
    }

    /// Sets or clears the time after which reading fails with [`DeadlineExceeded`](crate::DeadlineExceeded): pending
    /// operations, and all later ones, until the deadline is set again. Go's `SetReadDeadline`.
    ///
    /// It takes effect on pending operations at once, whether it is moved to an earlier, a later or a past time,
    /// or cleared, and never waits for an operation. No operation fails early, and no byte that arrives meanwhile
    /// is lost. Moving a deadline later costs a few nanoseconds: no lock, no system call.
    ///
    /// # Errors
    ///
    /// [`Closed`](crate::Closed) or [`ReactorGone`](crate::ReactorGone).
    #[inline]
    pub fn set_read_deadline(&self, deadline: impl Into<Deadline>) -> io::Result<()> {
        self.check_open()?;
        self.set_each(&[Direction::Read], deadline.into());
        Ok(())
    }

    /// The same for writing. See [`set_read_deadline`](Self::set_read_deadline).
    ///
    /// # Errors
    ///
    /// [`Closed`](crate::Closed) or [`ReactorGone`](crate::ReactorGone).
    #[inline]
    pub fn set_write_deadline(&self, deadline: impl Into<Deadline>) -> io::Result<()> {
        self.check_open()?;
        self.set_each(&[Direction::Write], deadline.into());
        Ok(())
    }

    #[inline]
    fn set_each(&self, directions: &[Direction], deadline: Deadline) {
        set_slot_deadline(&self.slot, directions, deadline);
    }
}

/// Sets or clears a deadline of a slot, and arms the slot unless each word held an earlier deadline. The common
/// case, a deadline that is moved later, ends with the compare-and-swap of the word.
#[inline]
pub(crate) fn set_slot_deadline(
    slot: &OwnedSlot<Reactor>,
    directions: &[Direction],
    deadline: Deadline,
) {
    let reactor = slot.keeper().inner();
    let (at_ns, now_ns) = match deadline.0 {
        Kind::None => {
            return directions.iter().for_each(|direction| slot.clear_deadline(*direction));
        }
        Kind::At(instant) => (reactor.ns_at(instant), None),
        Kind::After(duration) => {
            let now_ns = reactor.now_ns();
            let after_ns = duration.as_nanos().try_into().unwrap_or(u64::MAX);
            (now_ns.saturating_add(after_ns), Some(now_ns))
        }
    };
    let mut action = SetAction::Nothing;
    for direction in directions {
        action = action.max(slot.set_deadline(*direction, at_ns));
    }
    if action != SetAction::Nothing {
        reactor.arm(slot, directions, at_ns, now_ns, action);
    }
}
