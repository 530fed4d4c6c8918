//! Unix stream sockets over the global reactor: names, files, credentials and descriptors. The behaviour that they
//! have in common with TCP is held by the conformance suite.
//!
//! A test has its own names. Nothing sleeps to let something happen: a pending operation is polled
//! and seen to be pending, and where time itself is the matter, it is bounded from below only.
#![cfg(not(netpoll_loom))]

mod address;
mod boundary;
mod connect;
mod convert;
mod descriptors;
mod fixtures;
mod half_close;
mod listener;
mod longest;
mod queue;
mod timeout;
mod unlink;
