//! `redis-benchmark` through the proxy in front of `redis-server`.

use std::net::SocketAddr;
use std::process::Command;

use netpoll_tests::programs::{Cast, is_installed, with_programs};

use crate::backends;
use crate::fixtures::{LONG, Proxy};
use crate::own;

#[test]
fn redis_benchmark_is_served() {
    with_programs(|cast| {
        let backend = match is_installed("redis-server") {
            true => backends::start(cast, backends::redis).0,
            false => own::serve(own::redis),
        };
        let proxy = Proxy::to(backend, LONG);
        match is_installed("redis-benchmark") {
            true => benchmark(cast, proxy.address),
            false => own::redis_benchmark(proxy.address),
        }
    });
}

/// Nothing of the real ones, wherever this runs.
#[test]
fn a_benchmark_of_our_own_is_served() {
    with_programs(|_| {
        let proxy = Proxy::to(own::serve(own::redis), LONG);
        own::redis_benchmark(proxy.address);
    });
}

fn benchmark(cast: &Cast, proxy: SocketAddr) {
    let mut command = Command::new("redis-benchmark");
    command.args(["-h", "127.0.0.1", "-p", &proxy.port().to_string()]);
    command.args(["-t", "set,get", "-n", "2000", "--csv"]);
    let (status, said) = cast.run(&mut command);
    assert!(status.success(), "{status}: {said}");
    for test in ["\"SET\",", "\"GET\","] {
        assert!(said.contains(test), "{test} has no result: {said}");
    }
    assert!(!said.contains("Error"), "{said}");
    println!("{said}");
}
