//! Time: the clock, the deadline of one direction, and the wheel of the times at which the reactor checks
//! slots. The modules make no system call but the clock's, and use no descriptor and no slot.

pub(crate) mod clock;
pub(crate) mod deadline;
pub(crate) mod wheel;
