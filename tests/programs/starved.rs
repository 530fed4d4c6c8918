//! A proxy without descriptors to spare.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};

use netpoll_tests::proxy::Event;
use netpoll_tests::watched;

use crate::fixtures::{LONG, Proxy, exchange};
use crate::own;

/// Set in the process that has few descriptors.
const STARVED: &str = "NETPOLL_TEST_STARVED";

/// In a process of its own, as the limit is the process's: this very test again, after `ulimit`.
#[test]
fn a_lack_of_descriptors_is_waited_out() {
    match std::env::var_os(STARVED) {
        None => watched(feed_the_starved),
        Some(_) => watched(starved),
    }
}

/// Has a client wait, and then lets the proxy have descriptors again, by ending its stdin.
fn feed_the_starved() {
    let mut child = Command::new("sh")
        .args(["-c", "ulimit -n 64 && exec \"$0\" --exact \"$1\" --nocapture"])
        .arg(std::env::current_exe().expect("the test"))
        .arg("starved::a_lack_of_descriptors_is_waited_out")
        .env(STARVED, "1")
        .env("BACKEND", own::serve(own::echo).to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("a process");
    let mut lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
    let mut said = |what: &str| {
        let mut lines = lines.by_ref().map(|line| line.expect("a line"));
        let line = lines.find_map(|line| Some(line.split_once(what)?.1.to_owned()));
        line.unwrap_or_else(|| panic!("it says: {what}"))
    };
    let address = said("listening: ");
    let mut client = std::net::TcpStream::connect(address).expect("it is queued");
    said("paused: ");
    said("paused: ");
    drop(child.stdin.take());
    assert_eq!(exchange(&mut client, b"at last").expect("an echo"), b"at last");
    drop(client);
    said("served: ");
    assert!(child.wait().expect("it ends").success());
}

fn starved() {
    let backend = std::env::var("BACKEND").expect("it is told").parse().expect("an address");
    let proxy = Proxy::to(backend, LONG);
    let mut taken = Vec::new();
    taken.extend(std::iter::from_fn(|| File::open("/dev/null").ok()));
    println!("listening: {}", proxy.address);
    for _ in 0..2 {
        let event = proxy.next_event();
        assert!(matches!(event, Event::Paused(_)), "{event}");
        println!("paused: {event}");
    }
    std::io::stdin().read_to_end(&mut Vec::new()).expect("its end");
    drop(taken);
    loop {
        if let ended @ Event::Ended { .. } = proxy.next_event() {
            return println!("served: {ended}");
        }
    }
}
