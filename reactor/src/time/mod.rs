//! Time: the clock, the deadline of one direction, and the wheel that says when to look. No system
//! call but the clock's, no descriptor, and no slot.

pub(crate) mod clock;
pub(crate) mod deadline;
pub(crate) mod wheel;
