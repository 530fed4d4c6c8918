//! The echo server, with each library.

mod async_io;
pub(super) mod bare;
mod mio;
mod netpoll;
pub(super) mod tokio;

use std::time::Duration;

use super::{Deadlines, Server, Work, announce, executors, go, listen_beside, minimal};

const PATIENCE: Duration = Duration::from_secs(30);

/// The first is the baseline of the others.
pub(crate) const SERVERS: [Server; 13] = [
    Server { name: "bare", title: "bare epoll", serve: bare::serve },
    Server { name: "mio", title: "mio", serve: mio::serve },
    Server { name: "tokio", title: "tokio, current_thread", serve: tokio::serve },
    Server { name: "smol", title: "smol, inline", serve: async_io::smol },
    Server { name: "smol-patched", title: "smol patched, inline", serve: async_io::patched },
    Server { name: "async-io-local", title: "async-io, LocalPool", serve: async_io::local },
    Server { name: "async-io-pool", title: "async-io, ThreadPool(1)", serve: async_io::pool },
    Server { name: "netpoll-local", title: "netpoll, LocalPool", serve: netpoll::local },
    Server { name: "netpoll-pool", title: "netpoll, ThreadPool(1)", serve: netpoll::pool },
    Server { name: "netpoll-driven", title: "netpoll, LocalPool inline", serve: netpoll::driven },
    Server { name: "netpoll-inline", title: "netpoll, inline", serve: netpoll::inline },
    Server { name: "netpoll-tokio", title: "netpoll-tokio in tokio", serve: tokio::of_netpoll },
    Server { name: go::NAME, title: "Go, GOMAXPROCS=1", serve: |_, _| unreachable!("see go.rs") },
];

/// The server that prints its port itself.
pub(crate) const OF_TWO_LISTENERS: &str = "netpoll-cores";

/// Not to be compared with those of one thread.
pub(crate) const ON_TWO_THREADS: [Server; 4] = [
    Server { name: "tokio-two", title: "tokio, multi_thread(2)", serve: tokio::on_two_threads },
    Server { name: "netpoll-two", title: "netpoll, one reactor", serve: netpoll::on_two_threads },
    Server {
        name: "netpoll-two-reactors",
        title: "netpoll, two reactors",
        serve: netpoll::with_two_reactors,
    },
    Server {
        name: OF_TWO_LISTENERS,
        title: "netpoll, a reactor and a listener each",
        serve: netpoll::thread_per_core,
    },
];

/// Not to be compared: the first has an executor that is no library's, the second is to be noticed.
pub(super) const APART: [Server; 2] = [
    Server { name: "netpoll-minimal", title: "netpoll, few lines", serve: netpoll::minimal },
    Server { name: "liar", title: "an echo with a wrong byte", serve: bare::lie },
];
