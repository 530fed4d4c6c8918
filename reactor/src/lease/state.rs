//! The word of the lease, and every transition it can make, as pure functions.
//!
//! ```text
//! 63                                                   4      3        2     1  0
//! |              count of times it was taken           | wanted | asleep | holder |
//! ```
//!
//! | flag | set | cleared | meaning |
//! | --- | --- | --- | --- |
//! | asleep | by the thread, while a driver holds the lease | by that driver when it releases it | the thread sleeps, and that driver must wake it |
//! | wanted | by a driver, while the thread holds the lease | by the thread when it releases it | a driver requests the lease |

const HOLDER: u64 = 0b11;
const ASLEEP: u64 = 1 << 2;
const WANTED: u64 = 1 << 3;
const ONE_STAY: u64 = 1 << 4;

/// The holder of the lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Holder {
    Free = 0,
    /// The reactor's own thread.
    Thread = 1,
    /// A thread in `block_on` or `Driver::park`, or a caller of `Reactor::turn`.
    Driver = 2,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct State(pub(super) u64);

impl State {
    pub(crate) const NEW: Self = Self(0);

    pub(crate) fn holder(self) -> Holder {
        match self.0 & HOLDER {
            0 => Holder::Free,
            1 => Holder::Thread,
            _ => Holder::Driver,
        }
    }

    pub(crate) fn is_wanted(self) -> bool {
        self.0 & WANTED != 0
    }

    pub(crate) fn is_asleep(self) -> bool {
        self.0 & ASLEEP != 0
    }

    /// Takes the lease, if it is free.
    #[must_use]
    pub(crate) fn take(self, holder: Holder) -> Option<Self> {
        let taken = self.0.wrapping_add(ONE_STAY) | holder as u64;
        (self.holder() == Holder::Free).then_some(Self(taken))
    }

    /// A driver requests the lease, if the thread has it.
    #[must_use]
    pub(crate) fn requested(self) -> Self {
        if self.holder() == Holder::Thread { Self(self.0 | WANTED) } else { self }
    }

    /// The holder releases the lease. If the thread was asleep, the holder must wake it.
    #[must_use]
    pub(crate) fn released(self) -> Self {
        Self(self.0 & !(HOLDER | ASLEEP | WANTED))
    }

    /// The thread goes to sleep, if a driver has the lease and has not released it since the sample `seen`.
    #[must_use]
    pub(crate) fn sleep(self, seen: Self) -> Option<Self> {
        (self == seen && self.holder() == Holder::Driver).then_some(Self(self.0 | ASLEEP))
    }
}

#[cfg(test)]
#[cfg(not(netpoll_loom))]
mod tests {
    use super::*;

    /// Every holder with every combination of flags, and counts at both ends.
    fn all() -> impl Iterator<Item = State> {
        let flags = (0..16).filter(|flags| flags & HOLDER != 3);
        flags.flat_map(|flags| [0, 1, u64::MAX >> 4].map(|stays| State(stays << 4 | flags)))
    }

    #[test]
    fn only_a_free_lease_is_taken() {
        for state in all() {
            for holder in [Holder::Thread, Holder::Driver] {
                let taken = state.take(holder);
                assert_eq!(taken.is_some(), state.holder() == Holder::Free, "{state:?}");
                assert!(taken.is_none_or(|taken| taken.holder() == holder), "{state:?}");
                assert!(
                    taken.is_none_or(|taken| taken.released() != state.released()),
                    "{state:?}"
                );
            }
        }
    }

    #[test]
    fn a_driver_requests_the_lease_from_the_thread_only() {
        for state in all() {
            let next = state.requested();
            let from_thread = state.holder() == Holder::Thread;
            assert_eq!(next.is_wanted(), state.is_wanted() || from_thread, "{state:?}");
            assert_eq!((next.holder(), next.is_asleep()), (state.holder(), state.is_asleep()));
        }
    }

    #[test]
    fn a_released_lease_has_no_holder_and_no_flag_and_the_same_count() {
        for state in all() {
            let left = state.released();
            assert_eq!(left.holder(), Holder::Free);
            assert!(!left.is_asleep() && !left.is_wanted());
            assert_eq!(left.0 >> 4, state.0 >> 4);
        }
    }

    #[test]
    fn the_thread_sleeps_only_on_the_stay_that_it_saw() {
        for state in all() {
            for seen in all() {
                let slept = state.sleep(seen);
                let may = state == seen && state.holder() == Holder::Driver;
                assert_eq!(slept.is_some(), may, "{state:?} {seen:?}");
                assert!(slept.is_none_or(State::is_asleep));
            }
        }
    }
}
