//! A backend that is killed, and started again.

use std::io::Read;
use std::net::{SocketAddr, TcpListener};

use netpoll_tests::programs::{Cast, is_installed, with_programs};
use netpoll_tests::proxy::Ending;

use crate::backends;
use crate::fixtures::{LONG, Proxy, exchange};
use crate::own;

const PING: &[u8] = b"PING \r\n";

#[test]
fn a_redis_that_is_killed_and_started_again() {
    with_programs(|cast| {
        if !is_installed("redis-server") {
            return down_and_up_of_our_own();
        }
        let (address, mut server) = backends::start(cast, backends::redis);
        let proxy = Proxy::to(address, LONG);
        for _ in 0..3 {
            let mut client = proxy.connect();
            assert_eq!(exchange(&mut client, PING).expect("an answer"), b"+PONG\r\n");
            cast.end(server);
            assert_eq!(ends(&mut client), 0, "the connection that was open ends");
            // Or its half of the connection would last.
            drop(client);
            assert!(!matches!(proxy.next_ending(), Ending::Idle));
            assert_is_down(&proxy, address);
            server = again(cast, address);
        }
        assert_eq!(exchange(&mut proxy.connect(), PING).expect("an answer"), b"+PONG\r\n");
    });
}

#[test]
fn a_backend_of_our_own_that_comes_late() {
    with_programs(|_| down_and_up_of_our_own());
}

fn down_and_up_of_our_own() {
    let address = backends::free_address();
    let proxy = Proxy::to(address, LONG);
    for _ in 0..3 {
        assert_is_down(&proxy, address);
        let listener = TcpListener::bind(address).expect("the port is free");
        let mut client = proxy.connect();
        let (backend, _) = listener.accept().expect("the proxy connects");
        drop(listener);
        let serving = std::thread::spawn(move || own::redis(backend));
        assert_eq!(exchange(&mut client, PING).expect("an answer"), b"+PONG\r\n");
        drop(client);
        serving.join().expect("it does not panic").expect("it finds the end");
        assert!(matches!(proxy.next_ending(), Ending::Finished));
    }
}

/// Every connection is reset, and the report has both addresses.
fn assert_is_down(proxy: &Proxy, backend: SocketAddr) {
    for _ in 0..5 {
        let mut client = proxy.connect();
        let address = client.local_addr().expect("its address");
        let error = client.read(&mut [0]).expect_err("the backend is gone");
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
        let event = proxy.next_event().to_string();
        let expected = format!("{address} to {backend}: connect {backend}: Connection refused");
        assert!(event.starts_with(&expected), "{event}");
    }
}

/// How much comes until the end, which may be a reset.
fn ends(client: &mut impl Read) -> usize {
    let mut rest = Vec::new();
    match client.read_to_end(&mut rest) {
        Err(error) if error.kind() != std::io::ErrorKind::ConnectionReset => panic!("{error}"),
        _ => rest.len(),
    }
}

/// The same address once more. Its connections are closed, and it may reuse the address.
fn again(cast: &Cast, address: SocketAddr) -> u32 {
    backends::redis(cast, address).expect("the port is free")
}
