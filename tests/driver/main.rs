//! Which thread turns the reactor: threads in `block_on`, executors with a `Driver`, the reactor's own, and the test's.
//!
//! Where a test would have to measure how soon something happens, it makes the one depend on the
//! other instead: an event that does not come is a hang, which the watchdog names.
#![cfg(not(netpoll_loom))]

mod asleep;
mod blocked;
mod ends;
mod fixtures;
mod hook;
mod inline;
mod joins;
mod named;
mod several;
mod shards;
