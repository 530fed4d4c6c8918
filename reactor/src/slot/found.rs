//! What is found by looking at a slot.

use super::state::State;

/// What an operation finds when it is about to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Status {
    /// Go on. The state is what its clearing will be compared with.
    Ready(State),
    /// Nothing to do yet.
    Pending,
    /// The deadline has passed.
    Expired,
    /// The socket is closed.
    Closed,
}

/// What the reactor learned by looking at a slot's deadlines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use]
pub(crate) struct Looked {
    /// When to look again.
    pub(crate) again_ns: Option<u64>,
    pub(crate) expired: u64,
    pub(crate) woken: u64,
}
