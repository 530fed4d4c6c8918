//! Events between an operation and the forgetting that follows it: the count of events must tell,
//! however many there are, and only those of its own direction may count.

use std::io::{ErrorKind, Read};
use std::net::TcpStream;
use std::task::Poll;

use netpoll::{Direction, Readiness, Registration};
use netpoll_tests::{CountingWaker, watched};

use crate::fixtures::{by_hand, discard, fill, poll_ready, send, settled, turn_until};

fn readiness(near: &Registration<TcpStream>, direction: Direction) -> Readiness {
    match poll_ready(near, direction, &CountingWaker::new()) {
        Poll::Ready(Ok(readiness)) => readiness,
        other => panic!("it is ready: {other:?}"),
    }
}

fn is_ready(near: &Registration<TcpStream>, direction: Direction) -> bool {
    poll_ready(near, direction, &CountingWaker::new()).is_ready()
}

/// Reads until it blocks, without telling the reactor.
fn drain(mut near: &TcpStream) {
    let mut buffer = [0; 1024];
    loop {
        match near.read(&mut buffer) {
            Ok(count) => assert!(count > 0, "the stream goes on"),
            Err(error) => return assert_eq!(error.kind(), ErrorKind::WouldBlock),
        }
    }
}

/// A reader sees that it is ready, reads until it blocks, and is interrupted; so many events come;
/// it goes on, and forgets its readiness.
fn events_between_readiness_and_clear(count: usize) {
    let reactor = by_hand();
    let (near, far) = settled(&reactor);
    send(&reactor, &far, b"x");
    let before = readiness(&near, Direction::Read);
    drain(near.get_ref());
    for _ in 0..count {
        send(&reactor, &far, b"x");
        if count > 256 {
            // The bytes of an earlier event may be gone: those of the last one are not.
            drain(near.get_ref());
        }
    }
    near.clear_ready(before);
    assert!(is_ready(&near, Direction::Read), "{count} events, and none of them seen");

    let now = readiness(&near, Direction::Read);
    near.clear_ready(now);
    assert!(!is_ready(&near, Direction::Read));
}

/// tokio#6133: one event between the operation and the clear, and the edge is lost for ever.
#[test]
fn one_event_between_readiness_and_clear() {
    watched(|| events_between_readiness_and_clear(1));
}

/// tokio#8331: the tick was cut to 8 bits, so 256 events looked like none, and the edge was lost.
#[test]
fn events_between_readiness_and_clear_256() {
    watched(|| events_between_readiness_and_clear(256));
}

/// The fix of tokio#8331 has 15 bits: 32,768 events still look like none.
#[test]
fn events_between_readiness_and_clear_32_768() {
    watched(|| events_between_readiness_and_clear(32_768));
}

/// tokio#8331 again, at the edge of ours: 16 bits tell up to 65,535 events from none.
#[test]
fn events_between_readiness_and_clear_65_535() {
    watched(|| events_between_readiness_and_clear(65_535));
}

/// tokio#8054 (open): both directions share one tick. While a writer gets events, a reader cannot
/// clear: its read blocks, its readiness stays, it reads again, for ever.
#[test]
fn write_events_do_not_keep_a_reader_from_clearing() {
    watched(|| {
        let reactor = by_hand();
        let (near, far) = settled(&reactor);
        send(&reactor, &far, b"x");
        let before = readiness(&near, Direction::Read);
        drain(near.get_ref());
        let sent = fill(&near, &far);
        let events = reactor.metrics().events;
        discard(&far, sent);
        turn_until(&reactor, "room", || is_ready(&near, Direction::Write));
        assert!(reactor.metrics().events > events, "room is an event");
        for _ in 0..1000 {
            near.assume_ready(Direction::Write);
        }

        near.clear_ready(before);

        assert!(!is_ready(&near, Direction::Read));
        assert!(is_ready(&near, Direction::Write), "and the writer keeps its readiness");
    });
}

/// tokio#8054, the other way round.
#[test]
fn read_events_do_not_keep_a_writer_from_clearing() {
    watched(|| {
        let reactor = by_hand();
        let (near, far) = settled(&reactor);
        fill(&near, &far);
        near.assume_ready(Direction::Write);
        let before = readiness(&near, Direction::Write);
        for _ in 0..100 {
            send(&reactor, &far, b"x");
        }

        near.clear_ready(before);

        assert!(!is_ready(&near, Direction::Write), "a full buffer has no events");
        assert!(is_ready(&near, Direction::Read));
    });
}

/// A readiness that is older than the tenant must not clear: it is compared with another tenant's
/// count. (The class of tokio#6133, across a reuse of the slot.)
#[test]
fn a_readiness_of_another_socket_clears_nothing() {
    watched(|| {
        let reactor = by_hand();
        let (near, _far) = settled(&reactor);
        let old = readiness(&near, Direction::Write);
        drop(near);
        let (next, _next_far) = settled(&reactor);
        next.clear_ready(old);
        assert!(is_ready(&next, Direction::Write));
    });
}
