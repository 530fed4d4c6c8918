//! The matrix: every behaviour of every transport under every executor, each a test of its own.
//!
//! ```text
//! cargo test -p netpoll-tests --test conformance                       all of them
//! cargo test -p netpoll-tests --test conformance -- tcp_v6             one transport
//! cargo test -p netpoll-tests --test conformance -- racy_read          one behaviour
//! ```
#![cfg(not(netpoll_loom))]

use libtest_mimic::{Arguments, Trial};
use netpoll_tests::conformance::{
    AsyncIoTcp, AsyncIoUnixPair, AsyncNetTcp, AsyncNetUnixPair, Behaviour, EXECUTORS, HyperTcp,
    HyperUnixPair, SmolTcp, SmolUnixPair, TcpV4, TcpV6, TokioTcp, TokioUnixPair, UnixAbstract,
    UnixPair, UnixPath, of_acceptors, of_listeners, of_nets, of_objects, of_polled_streams,
    of_streams, show,
};

/// The transports. A new one is a line here.
fn transports() -> Vec<(&'static str, Vec<Behaviour>)> {
    vec![
        ("tcp_v4", [of_streams::<TcpV4>(), of_listeners::<TcpV4>()].concat()),
        ("tcp_v6", [of_streams::<TcpV6>(), of_listeners::<TcpV6>()].concat()),
        ("unix_path", [of_streams::<UnixPath>(), of_listeners::<UnixPath>()].concat()),
        ("unix_abstract", [of_streams::<UnixAbstract>(), of_listeners::<UnixAbstract>()].concat()),
        ("unix_pair", of_streams::<UnixPair>()),
        ("smol_tcp", [of_streams::<SmolTcp>(), of_listeners::<SmolTcp>()].concat()),
        ("smol_unix_pair", of_streams::<SmolUnixPair>()),
        ("tokio_tcp", [of_streams::<TokioTcp>(), of_listeners::<TokioTcp>()].concat()),
        ("tokio_unix_pair", of_streams::<TokioUnixPair>()),
        ("hyper_tcp", of_polled_streams::<HyperTcp>()),
        ("hyper_unix_pair", of_polled_streams::<HyperUnixPair>()),
        ("async_io_tcp", of_objects::<AsyncIoTcp>()),
        ("async_io_unix_pair", of_objects::<AsyncIoUnixPair>()),
        ("async_net_tcp", [of_nets::<AsyncNetTcp>(), of_acceptors::<AsyncNetTcp>()].concat()),
        ("async_net_unix_pair", of_nets::<AsyncNetUnixPair>()),
    ]
}

fn main() {
    let mut trials = Vec::new();
    for (transport, behaviours) in transports() {
        for executor in EXECUTORS {
            for behaviour in &behaviours {
                let name = format!("{transport}::{}::{}", executor.name, behaviour.name);
                let (executor, behaviour) = (*executor, *behaviour);
                trials.push(Trial::test(name.clone(), move || {
                    show(&name, behaviour, executor);
                    Ok(())
                }));
            }
        }
    }
    let mut arguments = Arguments::from_args();
    // Most of them wait for a time to come; more than there are processors may do so at once.
    arguments.test_threads.get_or_insert(8);
    libtest_mimic::run(&arguments, trials).exit();
}
