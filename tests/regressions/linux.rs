//! The behaviour of Linux that the reactor relies on. None of it is promised by POSIX, and some of it not even by
//! epoll(7); if a kernel thinks otherwise, this is where it shows first.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsFd;

use netpoll::{Direction, Interest, Ready, Registration};
use netpoll_futures::sys;
use netpoll_tests::fixtures::os::{interrupt, wait_for, wait_until_asleep};
use netpoll_tests::{CountingWaker, watched};

use crate::fixtures::{
    assert_quiet, by_hand, connection, discard, fill, finish, poll_ready, registered, send,
    settled, take_events, turn_until, turning,
};

fn readiness(near: &Registration<TcpStream>) -> Ready {
    finish(near.reactor(), near.ready(Direction::Write)).expect("readiness").ready()
}

/// The readiness of a descriptor when it is added is its first edge. So "connect, then register"
/// loses nothing, and bytes that arrived before the registration are read.
#[test]
fn adding_reports_the_present_readiness() {
    watched(|| {
        let reactor = by_hand();
        let (quiet, _far) = registered(&reactor);
        take_events(&reactor, 1);
        assert_eq!(readiness(&quiet), Ready::WRITABLE);

        let (near, mut far) = connection();
        far.write_all(b"early").expect("room");
        wait_for(&near, libc::POLLIN);
        let early = Registration::with(&reactor, near, Interest::Both).expect("registered");
        take_events(&reactor, 1);
        assert_eq!(readiness(&early), Ready::READABLE.union(Ready::WRITABLE));

        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let _listener = Registration::with(&reactor, listener, Interest::Readable);
        assert_quiet(&reactor);

        let unconnected = sys::stream(&([127, 0, 0, 1], 1).into()).expect("a socket");
        let unconnected =
            Registration::with(&reactor, TcpStream::from(unconnected), Interest::Both);
        let unconnected = unconnected.expect("registered");
        take_events(&reactor, 1);
        let hangup = Ready::READ_HANGUP.union(Ready::WRITE_HANGUP);
        let both = Ready::READABLE.union(Ready::WRITABLE);
        assert_eq!(readiness(&unconnected), both.union(hangup));
    });
}

/// Each arrival is an edge, also while the last is unread; a read that leaves something is none. So
/// a reader that forgot its readiness too early is told of more, and not of the same again.
#[test]
fn each_arrival_is_an_edge() {
    watched(|| {
        let reactor = by_hand();
        let (near, far) = settled(&reactor);
        for _ in 0..10 {
            send(&reactor, &far, b"xx");
            assert_quiet(&reactor);
        }
        near.get_ref().read_exact(&mut [0; 13]).expect("a part of it");
        assert_quiet(&reactor);
        near.get_ref().read_exact(&mut [0; 7]).expect("the rest");
        assert_quiet(&reactor);
    });
}

/// The same for a listener: a connection is an edge, also while the last is in the queue.
#[test]
fn each_connection_is_an_edge() {
    watched(|| {
        let reactor = by_hand();
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.set_nonblocking(true).expect("non-blocking");
        let address = listener.local_addr().expect("an address");
        let listener = Registration::with(&reactor, listener, Interest::Readable);
        let listener = listener.expect("registered");
        let mut peers = Vec::new();
        for _ in 0..3 {
            peers.push(TcpStream::connect(address).expect("a place in the queue"));
            take_events(&reactor, 1);
            assert_quiet(&reactor);
        }
        for _ in &peers {
            let accepted = listener.try_io(Direction::Read, |near| sys::accept(near.as_fd()));
            accepted.expect("a connection");
        }
        assert_quiet(&reactor);
    });
}

/// An eventfd under EPOLLET makes an edge for each write, also if it is never read: the reactor
/// wakes up without a read of its own. Twice in a row, as the first finds the counter at zero.
#[test]
fn a_wake_up_need_not_be_read() {
    watched(|| {
        let reactor = by_hand();
        let (turner, thread) = turning(&reactor);
        for round in 1..=3 {
            wait_until_asleep(thread);
            let before = reactor.metrics();
            assert_eq!(before.notifies, round - 1);
            reactor.notify();
            while reactor.metrics().turns == before.turns {
                std::thread::yield_now();
            }
            wait_until_asleep(thread);
            let after = reactor.metrics();
            assert_eq!((after.turns, after.notifies), (before.turns + 1, round), "one each");
        }
        reactor.shutdown();
        turner.join().expect("no panic");
    });
}

/// A wait that a signal interrupts is a turn without events, and not an error. (Go interrupts its
/// own threads all the time; `runtime/netpoll_epoll.go` must wait again, and so must the caller
/// here.)
#[test]
fn a_signal_is_an_empty_turn() {
    watched(|| {
        let reactor = by_hand();
        let (turner, thread) = turning(&reactor);
        for turn in 1..=10 {
            wait_until_asleep(thread);
            interrupt(thread);
            while reactor.metrics().turns < turn {
                std::thread::yield_now();
            }
        }
        wait_until_asleep(thread);
        assert_eq!((reactor.metrics().turns, reactor.metrics().events), (10, 0));
        reactor.shutdown();
        turner.join().expect("no panic");
    });
}

/// epoll keeps events that do not fit into one wait, and hands them out in turn: tokio#8410 wants small
/// waits for that reason. Three hundred descriptors with news, 256 in a turn: none is lost, and
/// none is reported twice.
#[test]
fn more_events_than_a_turn_takes() {
    watched(|| {
        const MANY: usize = 300;
        let reactor = by_hand();
        let (near, mut far) = connection();
        let duplicates: Vec<_> = (0..MANY)
            .map(|_| {
                let duplicate = near.try_clone().expect("a duplicate");
                Registration::with(&reactor, duplicate, Interest::Both).expect("registered")
            })
            .collect();
        take_events(&reactor, MANY as u64);
        let wakers: Vec<_> = duplicates.iter().map(|_| CountingWaker::new()).collect();
        for (duplicate, waker) in duplicates.iter().zip(&wakers) {
            assert!(poll_ready(duplicate, Direction::Read, waker).is_pending());
        }
        far.write_all(b"x").expect("room");
        wait_for(&near, libc::POLLIN);
        let turns = reactor.metrics().turns;
        take_events(&reactor, MANY as u64);
        assert!(reactor.metrics().turns - turns >= 2);
        assert!(wakers.iter().all(|waker| waker.wakes() == 1));
        assert_quiet(&reactor);
    });
}

/// A notification that comes between two turns of an embedded reactor is one write, however often it comes, and the
/// next turn does not wait.
#[test]
fn a_notification_is_kept() {
    watched(|| {
        let reactor = by_hand();
        for _ in 0..3 {
            reactor.notify();
            reactor.notify();
            reactor.turn(None).expect("it returns");
        }
        assert_eq!((reactor.metrics().turns, reactor.metrics().notifies), (3, 3));
    });
}

/// A full send buffer reports nothing until there is room, not even when data comes in; then it
/// does, by itself. So a writer that blocked may forget that it was ready.
#[test]
fn a_full_buffer_is_reported_when_it_has_drained() {
    watched(|| {
        let reactor = by_hand();
        let (near, far) = settled(&reactor);
        let sent = fill(&near, &far);
        let waker = CountingWaker::new();
        assert!(poll_ready(&near, Direction::Write, &waker).is_pending());
        assert_quiet(&reactor);
        send(&reactor, &far, b"x");
        assert!(poll_ready(&near, Direction::Write, &waker).is_pending());
        assert_eq!(waker.wakes(), 0);

        discard(&far, sent);
        turn_until(&reactor, "room", || waker.wakes() == 1);
        assert!(readiness(&near).contains(Ready::WRITABLE));
    });
}

/// A close by the peer, in one direction, in both and by force, comes with these bits.
#[test]
fn ends_and_their_events() {
    watched(|| {
        let reactor = by_hand();
        let both = Ready::READABLE.union(Ready::WRITABLE);
        let (near, far) = settled(&reactor);
        far.shutdown(std::net::Shutdown::Write).expect("a half-close");
        turn_until(&reactor, "the end", || readiness(&near).contains(Ready::READ_HANGUP));
        assert_eq!(readiness(&near), both.union(Ready::READ_HANGUP));
        near.get_ref().shutdown(std::net::Shutdown::Write).expect("the other half");
        let closed = both.union(Ready::READ_HANGUP).union(Ready::WRITE_HANGUP);
        turn_until(&reactor, "the other end", || readiness(&near) == closed);

        let (near, far) = settled(&reactor);
        sys::set_linger(far.as_fd(), Some(std::time::Duration::ZERO)).expect("an option");
        drop(far);
        turn_until(&reactor, "the reset", || readiness(&near) == closed.union(Ready::ERROR));
    });
}
