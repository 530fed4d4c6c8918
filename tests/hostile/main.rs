//! Tasks and peers that are hostile or careless: tasks whose wakers panic, block and call back,
//! that never yield, and that leave things lying about; and peers that send too little, too much, or
//! the wrong thing at the wrong time.
//!
//! The reactor's own duties to wakers are in `tests/regressions/wakers.rs`; here are the sockets.
#![cfg(not(netpoll_loom))]

mod churn;
mod flood;
mod peers;
mod put_off;
mod starving;
mod tasks;
mod wakers;
