//! Datagram sockets: the behaviour that both families have in common under several executors, and the parts that
//! each has for itself.
//!
//! No test depends on UDP having room for more than a hundred small datagrams, which it would drop
//! without a word.
#![cfg(not(netpoll_loom))]

mod close;
mod convert;
mod deadline;
mod demand;
mod fixtures;
mod full;
mod lengths;
mod order;
mod poll;
mod udp;
mod unix;
