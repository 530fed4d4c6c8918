//! `wrk` through the proxy in front of `nginx`.

use std::net::SocketAddr;
use std::process::Command;

use crate::backends;
use crate::cast::{Cast, is_installed};
use crate::own;
use crate::stage::{LONG, Proxy, with_programs};

#[test]
fn wrk_is_served() {
    with_programs(|cast| {
        let backend = match is_installed("nginx") {
            true => backends::start(cast, backends::nginx).0,
            false => own::serve(own::http),
        };
        let proxy = Proxy::to(backend, LONG);
        match is_installed("wrk") {
            true => wrk(cast, proxy.address),
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

fn wrk(cast: &Cast, proxy: SocketAddr) {
    let mut command = Command::new("wrk");
    // An answer may take its time where the machine is busy; that is no error of the socket.
    command.args(["-t2", "-d1s", "-c20", "--timeout", "30s", &format!("http://{proxy}/")]);
    let (status, said) = cast.run(&mut command);
    assert!(status.success(), "{status}: {said}");
    for trouble in ["Socket errors", "Non-2xx"] {
        assert!(!said.contains(trouble), "{said}");
    }
    let requests = said.lines().find_map(|line| line.split_once(" requests in "));
    let requests = requests.and_then(|(count, _)| count.trim().parse::<u64>().ok());
    assert!(requests.is_some_and(|requests| requests > 0), "{said}");
    println!("{said}");
}
