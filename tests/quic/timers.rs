//! The timers of connections are timers of the reactor, and follow its clock.

use std::net::UdpSocket;
use std::sync::Arc;
use std::time::{Duration, Instant};

use netpoll::Reactor;
use netpoll_quinn::Runtime;
use netpoll_tests::fixtures::{LOOPBACK, yield_now};
use netpoll_tests::watched;
use quinn::{Connection, ConnectionError, TransportConfig};

use crate::fixtures::{AnyRuntime, configs, connected, endpoint, on_smol, on_thread_pool};

/// Longer than any of these tests may be held up.
const GENEROUS: Duration = Duration::from_secs(30);

fn idle_after(idle: Duration) -> TransportConfig {
    let mut transport = TransportConfig::default();
    transport.max_idle_timeout(Some(idle.try_into().expect("a short time")));
    transport
}

async fn ends_when_idle(runtime: AnyRuntime) {
    let idle = Duration::from_millis(50);
    let began = Instant::now();
    let [client, server] = connected(&runtime, idle_after(idle)).await;
    let ends = futures::join!(client.connection.closed(), server.connection.closed());
    let took = began.elapsed();
    // The endpoint of the side that ends first answers the datagrams of the other with a reset.
    assert!([&ends.0, &ends.1].contains(&&ConnectionError::TimedOut), "{ends:?}");
    assert!(took >= idle && took < GENEROUS, "{took:?}");
}

#[test]
fn an_idle_connection_ends() {
    watched(|| on_smol(ends_when_idle));
}

#[test]
fn an_idle_connection_ends_in_a_thread_pool() {
    watched(|| on_thread_pool(ends_when_idle));
}

/// A runtime whose clock moves by hand, under smol.
fn by_hand() -> (Reactor, AnyRuntime) {
    let reactor = Reactor::builder().manual_clock().build().expect("a reactor");
    let runtime = Runtime::new_on(&reactor, |task| smol::spawn(task).detach());
    (reactor, Arc::new(runtime))
}

/// How many datagrams the connection has received.
fn received(connection: &Connection) -> u64 {
    connection.stats().udp_rx.datagrams
}

/// Lets the tasks run until `is_true`.
async fn until(is_true: impl Fn() -> bool) {
    while !is_true() {
        yield_now().await;
        // The tasks run on another thread.
        std::thread::yield_now();
    }
}

#[test]
fn an_idle_connection_lasts_as_long_as_the_clock_of_the_reactor_says() {
    watched(|| {
        smol::block_on(async {
            let (reactor, runtime) = by_hand();
            let hour = Duration::from_secs(3600);
            let [client, server] = connected(&runtime, idle_after(hour)).await;
            reactor.advance(hour - Duration::from_secs(60));
            let mut stream = client.connection.open_uni().await.expect("it is open");
            stream.write_all(b"hello").await.expect("it is open");
            drop(server.connection.accept_uni().await.expect("it is open"));

            // An acknowledgement that is due by then begins the idle time anew.
            let both = [&client.connection, &server.connection];
            let are_closed = || both.iter().all(|side| side.close_reason().is_some());
            while !are_closed() {
                reactor.advance(hour);
                let soon = Instant::now() + Duration::from_millis(10);
                until(|| are_closed() || Instant::now() > soon).await;
            }
            // As above.
            let reasons = both.map(Connection::close_reason);
            assert!(reasons.contains(&Some(ConnectionError::TimedOut)), "{reasons:?}");
        });
    });
}

/// A handshake lasts at least three probe timeouts, of a second each at first.
#[test]
fn a_handshake_that_no_peer_answers_ends() {
    watched(|| {
        smol::block_on(async {
            let (reactor, runtime) = by_hand();
            let silent = UdpSocket::bind(LOOPBACK).expect("a port");
            let client = endpoint(&runtime, None);
            let (config, _) = configs(idle_after(Duration::from_millis(50)));
            let address = silent.local_addr().expect("an address");
            let connecting = client.connect_with(config, address, "localhost").expect("valid");
            let began = reactor.now();
            let ended = smol::spawn(connecting);
            while !ended.is_finished() {
                reactor.advance(Duration::from_millis(100));
                let soon = Instant::now() + Duration::from_millis(1);
                until(|| ended.is_finished() || Instant::now() > soon).await;
            }
            assert_eq!(ended.await.unwrap_err(), ConnectionError::TimedOut);
            assert!(reactor.now() >= began + Duration::from_secs(3), "early");
        });
    });
}

#[test]
fn keep_alive_holds_a_connection_for_many_idle_times() {
    watched(|| {
        smol::block_on(async {
            let (reactor, runtime) = by_hand();
            let mut transport = idle_after(Duration::from_secs(100));
            transport.keep_alive_interval(Some(Duration::from_secs(10)));
            let [client, server] = connected(&runtime, transport).await;
            let began = reactor.now();
            let arrived = || received(&client.connection) + received(&server.connection);
            for _ in 0..60 {
                let before = arrived();
                // A timer may fire a tick of the wheel after its time.
                reactor.advance(Duration::from_millis(10_001));
                // The client's datagram, or the acknowledgement of the one before, which begins the interval anew.
                until(|| arrived() > before).await;
            }
            assert_eq!(reactor.now(), began + Duration::from_millis(600_060));
            assert_eq!(client.connection.close_reason(), None);
            assert_eq!(server.connection.close_reason(), None);
        });
    });
}
