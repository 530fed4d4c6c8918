//! All objects but connections: listeners, datagrams, timers, pipes.

pub(crate) mod alarm;
pub(crate) mod door;
pub(crate) mod pipe;
pub(crate) mod post;
