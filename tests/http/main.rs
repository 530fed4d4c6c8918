//! hyper over our sockets: client and server, HTTP/1 and HTTP/2, under smol's executor and that of
//! futures, with real connections over loopback.
//!
//! Nothing sleeps to let something happen, and where time is the matter, it is bounded from below
//! only. A deadline that a test is not about is far away.
#![cfg(not(netpoll_loom))]

mod bodies;
mod client;
mod connector;
mod curl;
mod deadlines;
mod ends;
mod executor;
mod fetch;
mod fixtures;
mod io;
mod late_server;
mod least_rate;
mod limits;
mod metrics;
mod pings;
mod raw;
mod request;
mod shutdown;
mod shutdown_arrived;
mod shutdown_states;
mod shutdown_upgraded;
mod site;
mod slowhttptest;
mod stall;
mod timeout_stream;
mod timer;
mod tls;
mod upgrade;
mod wrk;
