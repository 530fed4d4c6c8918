//! Time: the clock, the deadline of one direction, the queue of slots that want an earlier look,
//! and the wheel that says when to look. No system call but the clock's, and no descriptor.

pub(crate) mod arm;
pub(crate) mod clock;
pub(crate) mod deadline;
pub(crate) mod wheel;
