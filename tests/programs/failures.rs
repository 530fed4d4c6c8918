//! Connections that end otherwise: lost bytes do not look like an end.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpListener;
use std::time::{Duration, Instant};

use netpoll_tests::programs::with_programs;
use netpoll_tests::proxy::{Ending, Route};

use crate::fixtures::{LONG, Proxy, assert_was_idle, exchange};
use crate::own;

fn failure(proxy: &Proxy) -> String {
    match proxy.next_ending() {
        Ending::Failed(error) => error.to_string(),
        other => panic!("it fails: {other}"),
    }
}

/// Closed with something unread, a socket is reset.
#[test]
fn a_reset_is_passed_on_to_the_client() {
    with_programs(|_| {
        let backend = own::serve(|stream| stream.peek(&mut [0]).map(drop));
        let proxy = Proxy::to(backend, LONG);
        let mut client = proxy.connect();
        client.write_all(b"unread").expect("the proxy reads");
        let error = client.read(&mut [0]).expect_err("no end");
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        let failure = failure(&proxy);
        assert!(failure.starts_with(&format!("read {backend}: Connection reset")), "{failure}");
    });
}

#[test]
fn a_reset_is_passed_on_to_the_backend() {
    with_programs(|_| {
        let (tell, told) = std::sync::mpsc::channel();
        let backend = own::serve(move |mut stream| {
            stream.write_all(b"unread")?;
            tell.send(stream.read(&mut [0])).map_err(std::io::Error::other)
        });
        let proxy = Proxy::to(backend, LONG);
        let client = proxy.connect();
        let address = client.local_addr().expect("its address");
        assert!(client.peek(&mut [0]).expect("it comes") > 0);
        drop(client);
        let error = told.recv().expect("it reads").expect_err("no end");
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        let failure = failure(&proxy);
        assert!(failure.starts_with(&format!("read {address}: Connection reset")), "{failure}");
    });
}

/// Bytes that the peer does not take do not move, and are lost when the connection is cut: that is no end.
#[test]
fn a_client_that_reads_nothing_is_idle() {
    with_programs(|_| {
        let idle = Duration::from_millis(300);
        let backend = own::serve(|mut stream| {
            while stream.write_all(&[0; 4096]).is_ok() {}
            Ok(())
        });
        let proxy = Proxy::to(backend, idle);
        let began = Instant::now();
        let mut client = proxy.connect();
        let failure = failure(&proxy);
        assert_was_idle(began, idle);
        let address = client.local_addr().expect("its address");
        assert!(failure.starts_with(&format!("write {address}: ")), "{failure}");
        let error = client.read_to_end(&mut Vec::new()).expect_err("no end");
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    });
}

/// One connection has failed, or a hundred: the next is served.
#[test]
fn others_are_served_meanwhile() {
    with_programs(|_| {
        let proxy = Proxy::to(own::serve(own::echo), LONG);
        let mut first = proxy.connect();
        assert_eq!(exchange(&mut first, b"one").expect("an echo"), b"one");
        for _ in 0..100 {
            let mut client = proxy.connect();
            client.write_all(b"unread").expect("the proxy reads");
            assert!(client.peek(&mut [0]).expect("an echo") > 0);
            drop(client);
            assert!(failure(&proxy).contains("Connection reset"));
        }
        assert_eq!(exchange(&mut first, b"two").expect("an echo"), b"two");
    });
}

/// A queue that is full does not answer; connecting is given up, and later connections are served.
#[test]
fn a_backend_that_does_not_answer_is_given_up() {
    with_programs(|_| {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("its address");
        netpoll_tests::fixtures::os::listen(&listener, 0).expect("a short queue");
        // The first is queued, and the second waits for ever.
        let queued = std::net::TcpStream::connect(address).expect("there is room for it");
        let connect = Duration::from_millis(200);
        let proxy = Proxy::with(Route { backend: address.to_string(), idle: LONG, connect });
        let began = Instant::now();
        let mut client = proxy.connect();
        let error = client.read(&mut [0]).expect_err("the backend does not answer");
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        assert_was_idle(began, connect);
        let failure = failure(&proxy);
        assert!(failure.starts_with(&format!("connect {address}: ")), "{failure}");
        drop(queued);
    });
}
