//! QUIC by quinn, with `netpoll-quinn` as its runtime: transfers under several executors, timers, the kernel's offloads, HTTP/3,
//! and the crates that a program then consists of.
#![cfg(not(netpoll_loom))]

mod crates;
mod ends;
mod fixtures;
mod http3;
mod offload;
mod timers;
mod transfer;
