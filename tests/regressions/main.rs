//! The bugs of the peers, and of Go's poller: each test tells the story of one, and where it is
//! told at length, and then shows that it is not ours.
//!
//! Most tests turn their reactor by hand, and move its clock by hand where time matters: nothing
//! sleeps. Whatever the kernel does in its own time is waited for, never slept for.
#![cfg(not(netpoll_loom))]

mod accept;
mod accuracy;
mod close;
mod deadlines;
mod demand;
mod eager;
mod errors;
mod fixtures;
mod fork;
mod half_close;
mod level;
mod liars;
mod linux;
mod notifies;
mod passing;
mod readers;
mod reuse;
mod room;
mod sched_policy;
mod shutdown;
mod ticks;
mod timers;
mod urgent;
mod waiters;
mod wakers;
