//! The proxy of the example in front of real servers, `redis-server` and `nginx`, driven by their
//! clients, `redis-benchmark` and `wrk`.
//!
//! The programs are looked for in `PATH`. One that is missing is named, and the same is shown with a
//! server or a client of our own in its place. Each test starts its programs on ports of its own, in
//! a directory of its own, and ends them with itself, also if it hangs.
//!
//! No time is bounded from above: a connection that is cut must have been idle for long enough by the
//! client's own clock, and a client that was kept from being busy tries again.
#![cfg(not(netpoll_loom))]

mod backends;
mod commands;
mod failures;
mod fixtures;
mod half_close;
mod http;
mod idle;
mod inspect;
mod own;
mod redis;
mod restart;
mod starved;
