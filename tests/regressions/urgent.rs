//! Urgent data: a read stops at its mark, with more behind it, and no event says so.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::pin::pin;
use std::task::Poll;

use netpoll::{Direction, Ready, Registration, Transfer};
use netpoll_tests::fixtures::os::{send_urgent, wait_for, wait_until_delivered};
use netpoll_tests::fixtures::would_block;
use netpoll_tests::{CountingWaker, watched};

use crate::fixtures::{
    assert_quiet, by_hand, finish, poll_ready, read, send, settled, take_events,
};

/// Sends `before`, a mark and `after`, and waits until all of it has arrived.
fn send_around_a_mark(mut far: &TcpStream, before: &[u8], after: &[u8]) {
    far.write_all(before).expect("room");
    send_urgent(far, b'!');
    far.write_all(after).expect("room");
    wait_until_delivered(far);
}

/// Reads with a buffer that is never full, until nothing is left.
fn read_all(near: &Registration<TcpStream>) -> Vec<u8> {
    let mut all = Vec::new();
    loop {
        match read(near, 16 * 1024) {
            Ok(piece) => all.extend(piece),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return all,
            Err(error) => panic!("reading around the mark: {error}"),
        }
    }
}

/// asterinas#3146: a reader takes a short read for the proof that the socket is drained. But a read
/// also stops at the urgent mark: 4096 of 8192 bytes came out, no event followed, and tokio's
/// reader hung. Any peer can do that to any server.
#[test]
fn bytes_on_both_sides_of_the_mark_are_read() {
    watched(|| {
        let reactor = by_hand();
        let (near, far) = settled(&reactor);
        send_around_a_mark(&far, &[1; 4096], &[2; 4096]);
        take_events(&reactor, 1);

        let all = read_all(&near);

        assert_eq!(all.len(), 8192, "the mark itself is not in the stream");
        assert!(all.starts_with(&[1; 4096]) && all.ends_with(&[2; 4096]));
    });
}

/// The same for a task: asterinas#3146 is a task that waits for an event that never comes. Several
/// marks, so that a new one finds the state that the last one left.
#[test]
fn a_task_reads_past_every_mark() {
    watched(|| {
        let reactor = by_hand();
        let (near, far) = settled(&reactor);
        for round in 0..8u8 {
            send_around_a_mark(&far, &[round; 100], &[round; 50]);
            let mut left = 150;
            while left > 0 {
                let mut buffer = [0; 1024];
                let read =
                    near.io(Transfer(Direction::Read, 1024), |mut near| near.read(&mut buffer));
                let count = finish(&reactor, read).expect("bytes");
                assert!(count > 0 && buffer[..count].iter().all(|byte| *byte == round));
                left -= count;
            }
        }
        assert!(would_block(&read(&near, 1)));
    });
}

/// The mark arrives while the reader is between its event and its read (asterinas#3146, the race).
/// The reader may then take its short read for the last one: the mark's own event is
/// still to come, and finds the rest.
#[test]
fn a_mark_that_the_reader_has_not_heard_of() {
    watched(|| {
        let reactor = by_hand();
        let (near, far) = settled(&reactor);
        send(&reactor, &far, b"before");
        send_around_a_mark(&far, b"", b"after");

        assert_eq!(read(&near, 64).expect("bytes"), b"before");

        turn_to_the_mark(&reactor, &near);
        assert_eq!(read_all(&near), b"after");
    });
}

fn turn_to_the_mark(reactor: &netpoll::Reactor, near: &Registration<TcpStream>) {
    wait_for(near, libc::POLLPRI);
    take_events(reactor, 1);
}

/// mio#1317: an urgent byte and nothing else is an event without anything to read. The reader is
/// told once, finds nothing, and waits: one operation for one event, and the bytes that come later
/// are an event of their own.
#[test]
fn an_urgent_byte_alone_wakes_once_and_does_not_spin() {
    watched(|| {
        let reactor = by_hand();
        let (near, far) = settled(&reactor);
        let mut calls = 0;
        let mut buffer = [0; 64];
        let waker = CountingWaker::new();
        {
            let mut reading = pin!(near.io(Transfer(Direction::Read, 64), |mut near| {
                calls += 1;
                near.read(&mut buffer)
            }));
            assert!(waker.poll(reading.as_mut()).is_pending());
            send_urgent(&far, b'!');
            wait_for(&near, libc::POLLPRI);
            take_events(&reactor, 1);
            assert_eq!(waker.wakes(), 1);
            assert!(waker.poll(reading.as_mut()).is_pending());
            assert_quiet(&reactor);
            send(&reactor, &far, b"more");
            assert_eq!(waker.wakes(), 2);
            assert!(matches!(waker.poll(reading), Poll::Ready(Ok(4))));
        }
        assert_eq!((calls, &buffer[..4]), (2, &b"more"[..]));
    });
}

/// The doubt that a mark casts on short reads (asterinas#3146) ends with the mark: a socket that
/// had urgent data once does not pay for it with one more system call per message ever after.
#[test]
fn a_mark_that_was_passed_is_forgotten() {
    watched(|| {
        let reactor = by_hand();
        let (near, far) = settled(&reactor);
        send_around_a_mark(&far, b"before", b"after");
        take_events(&reactor, 1);
        let readiness = finish(&reactor, near.ready(Direction::Read)).expect("readiness");
        assert!(readiness.ready().contains(Ready::PRIORITY));
        assert_eq!(read_all(&near), b"beforeafter");

        send(&reactor, &far, b"ordinary");
        let readiness = finish(&reactor, near.ready(Direction::Read)).expect("readiness");
        assert!(!readiness.ready().contains(Ready::PRIORITY));
        assert_eq!(read(&near, 64).expect("bytes"), b"ordinary");

        let waits = poll_ready(&near, Direction::Read, &CountingWaker::new());
        assert!(waits.is_pending(), "a short read says so without another call");
    });
}
