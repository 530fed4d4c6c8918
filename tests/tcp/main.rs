//! TCP sockets over the global reactor, under the executors of the futures crate.
//!
//! A test makes its own connections over loopback, on ports that the kernel chooses. Nothing sleeps
//! to let something happen: a pending operation is polled and seen to be pending, and where time
//! itself is the matter, it is bounded from below only.
#![cfg(not(netpoll_loom))]

mod backoff;
mod busy;
mod close;
mod connect;
mod connect_deadline;
mod convert;
mod deadline;
mod deadline_threads;
mod dialer;
mod incoming;
mod io_traits;
mod limit;
mod listen_config;
mod listener;
mod order;
mod partial;
mod poll;
mod resolve;
mod self_connect;
mod stream;
mod vectored;
