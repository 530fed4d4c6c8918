//! `Async` over every kind of descriptor, and timers, over the global reactor.
//!
//! Nothing sleeps to let something happen: a pending operation is polled and seen to be pending, and
//! where time itself is the matter, it is bounded from below only, or the clock is moved by hand.
#![cfg(not(netpoll_loom))]

mod bad_input;
mod bounds;
mod child;
mod close;
mod deadline;
mod error_queue;
mod events;
mod executors;
mod futures_io;
mod kinds;
mod pipe;
mod sharing;
mod sockets;
mod timeout;
mod timeout_executors;
mod timer;
mod timer_executors;
