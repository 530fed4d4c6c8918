//! The life of a process: it forks, executes another program, is interrupted by signals, loses a
//! thread, and ends, with work pending.
//!
//! Each test has a process of its own, by this very program called again for the one test.
#![cfg(not(netpoll_loom))]

mod activation;
mod bounded;
mod directory;
mod exec;
mod exit;
mod fork;
mod fork_storm;
mod helpers;
mod shared_listener;
mod shutdown;
mod signal_streams;
mod signals;
mod threads;
