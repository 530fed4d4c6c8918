//! The tokio adapter: inside of tokio's runtimes and without any.
//!
//! Nothing sleeps to let something happen: a pending operation is polled and seen to be pending, and
//! where time itself is the matter, it is bounded from below only.
#![cfg(not(netpoll_loom))]

mod addresses;
mod async_fd;
mod budget;
mod close;
mod config;
mod convert;
mod datagram;
mod datagram_budget;
mod datagram_ends;
mod deadlines;
mod fixtures;
mod flags;
mod halves;
mod incoming;
mod io_traits;
mod pipe;
mod runtime;
mod socket;
mod timeout_stream;
mod tries;
mod udp;
mod unchanged;
mod unix;
mod unix_datagram;
mod unix_socket;
