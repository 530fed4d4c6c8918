//! Web frameworks over our sockets: axum and tonic in tokio's runtimes, and axum on the server of netpoll-hyper under other executors.
//!
//! The clients are raw sockets, curl, tungstenite and tonic's own. Nothing sleeps to let something happen, and where time is the matter, it is bounded from
//! below only. A deadline that a test is not about is far away.
#![cfg(not(netpoll_loom))]

mod axum;
mod codec;
mod fixtures;
mod router;
mod tonic;
