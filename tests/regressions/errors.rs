//! Registrations that fail: the text of the error, and that nothing of the attempt remains.

use std::error::Error;
use std::fs::File;
use std::net::TcpStream;
use std::os::fd::{AsFd, AsRawFd};
use std::pin::pin;
use std::sync::Arc;
use std::{env, io};

use netpoll::{Direction, Interest, OpError, Reactor, Registration, raw_os_error};
use netpoll_tests::alone::alone;
use netpoll_tests::fixtures::os::{Lent, open_descriptors};
use netpoll_tests::{CountingWaker, watched};

use crate::fixtures::{
    LOOK, assert_quiet, by_hand, connection, failed, poll_ready, read, send, settled,
};

/// Registers an object that epoll refuses, checks the error, and that the reactor is as it was.
fn refused<T: AsFd>(reactor: &Reactor, io: T, errno: i32, hint: &str) {
    let number = io.as_fd().as_raw_fd();
    let before = reactor.metrics();
    let Err(error) = Registration::with(reactor, io, Interest::Both) else {
        panic!("descriptor {number} was registered");
    };
    assert_eq!(reactor.metrics(), before);

    assert_eq!(raw_os_error(&error), Some(errno));
    assert_eq!(error.kind(), io::Error::from_raw_os_error(errno).kind());
    let text = error.to_string();
    for part in ["register", &format!("descriptor {number}"), hint] {
        assert!(text.contains(part), "{part:?} is not in {text:?}");
    }
    let payload = error.get_ref().and_then(|payload| payload.downcast_ref::<OpError>());
    let payload = payload.expect("the operation");
    assert_eq!(payload.operation(), "register");
    assert!(payload.subject().starts_with(&format!("descriptor {number}")));
    assert!(payload.source().is_some());
}

/// A regular file is always ready, and epoll will not have it. Go goes on with blocking calls then,
/// in silence (`internal/poll`, `FD.Init`); an error that says why is better than a thread that
/// hangs.
#[test]
fn a_regular_file() {
    watched(|| {
        let reactor = by_hand();
        let file = File::open(env::current_exe().expect("a path")).expect("this very file");
        refused(&reactor, &file, libc::EPERM, "regular files");
        let folder = File::open(env::temp_dir()).expect("a folder");
        refused(&reactor, &folder, libc::EPERM, "directories");
    });
}

/// tokio#7563: a type whose descriptor is not open, because it was closed behind its back
/// or never open.
#[test]
fn a_closed_descriptor() {
    watched(|| {
        let reactor = by_hand();
        refused(&reactor, Lent(1_000_000_000), libc::EBADF, "not open");
    });
}

/// async-io's `duplicate_socket_insert` and tokio#6984: a second registration of one descriptor
/// would replace the first, whose waiters would never hear again. It is refused, and the first goes
/// on.
#[test]
fn a_second_registration() {
    watched(|| {
        let reactor = by_hand();
        let (near, far) = settled(&reactor);
        refused(&reactor, near.get_ref(), libc::EEXIST, "registered with this reactor already");
        refused(&reactor, near.as_fd(), libc::EEXIST, "registered with this reactor already");
        send(&reactor, &far, b"x");
        assert_eq!(read(&near, 16).expect("bytes"), b"x");
        let stream = near.into_inner().expect("open");
        drop(Registration::with(&reactor, stream, Interest::Both).expect("free again"));
    });
}

/// A refused registration gives its slot back: otherwise a server that retries runs out of them (tokio's
/// `try_new`, tokio#6344).
#[test]
fn a_refusal_leaves_nothing_behind() {
    alone("errors::a_refusal_leaves_nothing_behind", refused_a_thousand_times);
}

fn refused_a_thousand_times() {
    let reactor = by_hand();
    let file = File::open(env::current_exe().expect("a path")).expect("this very file");
    let (near, far) = connection();
    let near = Registration::with(&reactor, near, Interest::Both).expect("a registration");
    let descriptors = open_descriptors();
    for _ in 0..1000 {
        refused(&reactor, &file, libc::EPERM, "");
        refused(&reactor, Lent(1_000_000_000), libc::EBADF, "");
        refused(&reactor, near.get_ref(), libc::EEXIST, "");
    }
    assert_eq!(open_descriptors(), descriptors);
    reactor.turn(LOOK).expect("a turn");
    send(&reactor, &far, b"x");
    assert_eq!((reactor.metrics().events, reactor.metrics().stale_events), (2, 0));
    assert_quiet(&reactor);
}

/// Every poller of this kind has it: a direction that was left out of the registration never has an
/// event, and its waiter waits for ever. It is an error, at the first poll, and no
/// waker is kept.
#[test]
fn a_direction_that_was_not_asked_for() {
    watched(|| {
        let reactor = by_hand();
        let (near, _far) = connection();
        let near = Registration::with(&reactor, near, Interest::Readable).expect("registered");
        let waker = CountingWaker::new();
        for polled in [
            poll_ready(&near, Direction::Write, &waker),
            waker.poll(pin!(near.ready(Direction::Write))),
            waker.poll(pin!(near.ready(Direction::Write))),
        ] {
            assert!(failed(&polled, |error| error.kind() == io::ErrorKind::InvalidInput));
        }
        assert!(poll_ready(&near, Direction::Read, &CountingWaker::new()).is_pending());
        assert_eq!(Arc::strong_count(&waker), 1, "it waits for nothing, and is not held");
    });
}

/// A reactor takes its descriptors and its memory, and gives them back: async-io#40 is about one
/// that cannot. A registration takes none, however it ends.
#[test]
fn descriptors_are_given_back() {
    alone("errors::descriptors_are_given_back", make_and_drop);
}

fn make_and_drop() {
    let before = open_descriptors();
    for round in 0..20 {
        let builder = Reactor::builder();
        let builder = if round % 2 == 0 { builder } else { builder.embedded() };
        let reactor = builder.build().expect("a reactor");
        let made = open_descriptors();
        let ends: [fn(Registration<TcpStream>); 3] = [
            drop,
            |near| drop(near.into_inner()),
            |near| futures::executor::block_on(near.close()).expect("open"),
        ];
        for end in ends {
            let (near, far) = connection();
            let near = Registration::with(&reactor, near, Interest::Both).expect("registered");
            assert_eq!(open_descriptors(), made + 2, "the two ends, and nothing else");
            end(near);
            drop(far);
            assert_eq!(open_descriptors(), made);
        }
        drop(reactor);
        // The reactor's thread has its own until it ends, which the drop does not wait for.
        while open_descriptors() != before {
            std::thread::yield_now();
        }
    }
}
