//! A timer: a slot without a descriptor, which waits for its read deadline.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use crate::arena::OwnedSlot;
use crate::budget::{self, Key};
use crate::handle::Reactor;
use crate::ready::Direction;
use crate::registration::{closed, set_slot_deadline};
use crate::slot::{Status, WaiterId};

/// A future that resolves at its time, and never before.
///
/// ```
/// use std::time::{Duration, Instant};
/// use netpoll::{Reactor, Timer};
///
/// let soon = Instant::now() + Duration::from_millis(5);
/// netpoll::block_on(Timer::at(Reactor::global()?, soon)?)?;
/// assert!(Instant::now() >= soon);
/// # std::io::Result::Ok(())
/// ```
///
/// # Memory
///
/// A timer takes 24 bytes, and about 110 in its reactor, which keeps these for the next timer or registration after the drop, and frees
/// them when it ends. So a reactor has memory for the largest number of timers and registrations that lived at one time: 110 MB for a
/// million.
#[must_use = "a timer does nothing unless it is polled"]
pub struct Timer {
    slot: OwnedSlot<Reactor>,
    /// Its place as a future, if it has had to wait as one.
    id: WaiterId,
}

impl Timer {
    /// A timer without a time: it does not fire until [`set`](Self::set) gives it one.
    ///
    /// # Errors
    ///
    /// [`ReactorGone`](crate::ReactorGone), or memory.
    pub fn never(reactor: &Reactor) -> io::Result<Self> {
        Ok(Self { slot: reactor.allocate()?, id: WaiterId::NONE })
    }

    /// A timer that fires at `instant`.
    ///
    /// # Errors
    ///
    /// As for [`never`](Self::never).
    pub fn at(reactor: &Reactor, instant: Instant) -> io::Result<Self> {
        let timer = Self::never(reactor)?;
        timer.set(Some(instant));
        Ok(timer)
    }

    /// Fires at `instant` instead, or never. A task that waits then waits for the new time; a timer
    /// that has fired can fire again. Moving it later costs a few nanoseconds.
    #[inline]
    pub fn set(&self, instant: Option<Instant>) {
        // In a forked child it would wake the parent's tasks.
        if !self.slot.keeper().inner().is_ours() {
            return;
        }
        set_slot_deadline(&self.slot, &[Direction::Read], instant.into());
    }

    /// Whether it has fired, and was not set since. This is no operation: it does not register the task, and a task may
    /// call it as often as it likes.
    #[must_use]
    pub fn has_fired(&self) -> bool {
        self.slot.status(Direction::Read) == Status::Expired
    }

    /// Ready when it has fired.
    ///
    /// # Errors
    ///
    /// [`ReactorGone`](crate::ReactorGone) if the reactor was shut down before.
    pub fn poll_fired(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = self.poll_with(|| self.slot.wait(Direction::Read, None, cx.waker()));
        self.within_budget(cx, polled)
    }

    fn within_budget(
        &self,
        cx: &mut Context<'_>,
        fired: Poll<io::Result<()>>,
    ) -> Poll<io::Result<()>> {
        ready!(fired)?;
        budget::poll_spend(cx, Key::of(self, Direction::Read)).map(Ok)
    }

    fn poll_with(&self, mut wait: impl FnMut() -> Status) -> Poll<io::Result<()>> {
        loop {
            let status = match self.slot.status(Direction::Read) {
                // No turn of the reactor will come in a forked child.
                Status::Pending if !self.slot.keeper().inner().is_ours() => Status::Closed,
                Status::Pending => wait(),
                status => status,
            };
            match status {
                Status::Expired => return Poll::Ready(Ok(())),
                Status::Closed => return Poll::Ready(Err(closed(self.slot.keeper()))),
                Status::Pending => return Poll::Pending,
                // An event of a former tenant, 131,072 generations ago: those numbers begin anew. It is
                // not for the timer.
                Status::Ready(state) => self.slot.drained(Direction::Read, state),
            }
        }
    }
}

/// Prints whether it has fired.
impl fmt::Debug for Timer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timer").field("fired", &self.has_fired()).finish_non_exhaustive()
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.slot.keeper().inner().disown_if_forked();
    }
}

impl Future for Timer {
    type Output = io::Result<()>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let mut id = this.id;
        let polled = this.poll_with(|| this.slot.wait(Direction::Read, Some(&mut id), cx.waker()));
        this.id = id;
        this.within_budget(cx, polled)
    }
}
