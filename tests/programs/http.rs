//! `wrk` through the proxy in front of `nginx`.

use netpoll_tests::programs::{is_installed, with_programs, wrk};

use crate::backends;
use crate::fixtures::{LONG, Proxy};
use crate::own;

#[test]
fn wrk_is_served() {
    with_programs(|cast| {
        let backend = match is_installed("nginx") {
            true => backends::start(cast, backends::nginx).0,
            false => own::serve(own::http),
        };
        let proxy = Proxy::to(backend, LONG);
        match is_installed("wrk") {
            true => wrk(cast, &format!("http://{}/", proxy.address)),
            false => own::wrk(proxy.address),
        }
    });
}

/// Nothing of the real ones, wherever this runs.
#[test]
fn web_clients_of_our_own_are_served() {
    with_programs(|_| {
        let proxy = Proxy::to(own::serve(own::http), LONG);
        own::wrk(proxy.address);
    });
}
