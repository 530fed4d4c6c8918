//! Code that was written for a level-triggered reactor: it drains a descriptor behind the reactor's back,
//! or throws away the bytes that it has read and says `WouldBlock` with more to come. smol's own example of an
//! inotify watch does the second, and a slot that believed it would wait for ever.

use std::cell::Cell;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use libc::POLLPRI;
use netpoll::{Checked, Direction, Interest, Registration, is_closed, is_deadline_exceeded};
use netpoll_tests::alone::alone;
use netpoll_tests::fixtures::os::send_urgent;
use netpoll_tests::fixtures::{os, would_block};
use netpoll_tests::{CountingWaker, watched};

use crate::fixtures::{
    LOOK, by_hand, by_hand_with_clock, failed, fill, finish, poll_ready, registered, send, settled,
    take_events, turn_until,
};

fn poll_level(
    near: &Registration<TcpStream>,
    direction: Direction,
    waker: &std::sync::Arc<CountingWaker>,
) -> Poll<io::Result<()>> {
    near.poll_ready(&mut Context::from_waker(&Waker::from(waker.clone())), Checked(direction))
        .map_ok(drop)
}

/// Reads behind the reactor's back.
fn read_directly(near: &Registration<TcpStream>, len: usize) {
    near.get_ref().read_exact(&mut vec![0; len]).expect("it is there");
}

/// Reads a byte, of which only `wanted` is of use.
fn read_wanted(mut near: &TcpStream, wanted: u8) -> io::Result<u8> {
    let mut byte = [0];
    near.read_exact(&mut byte)?;
    if byte[0] == wanted { Ok(wanted) } else { Err(io::ErrorKind::WouldBlock.into()) }
}

#[test]
fn a_read_behind_our_back_waits_for_new_bytes() {
    watched(|| {
        let reactor = by_hand();
        let (near, far) = settled(&reactor);
        let waker = CountingWaker::new();
        send(&reactor, &far, b"ab");
        for _ in 0..3 {
            assert!(matches!(poll_level(&near, Direction::Read, &waker), Poll::Ready(Ok(()))));
        }
        read_directly(&near, 1);
        let left = poll_level(&near, Direction::Read, &waker);
        assert!(matches!(left, Poll::Ready(Ok(()))), "there is a byte left, and no event says so");
        read_directly(&near, 1);
        assert!(poll_ready(&near, Direction::Read, &waker).is_ready(), "a hint, and a wrong one");
        assert!(poll_level(&near, Direction::Read, &waker).is_pending());
        send(&reactor, &far, b"c");
        assert_eq!(waker.wakes(), 1);
        assert!(poll_level(&near, Direction::Read, &waker).is_ready());
    });
}

#[test]
fn a_write_behind_our_back_waits_for_room() {
    watched(|| {
        for interest in [Interest::Both, Interest::WriteOnDemand] {
            let reactor = by_hand();
            let (near, mut far) = UnixStream::pair().expect("a pair");
            near.set_nonblocking(true).expect("non-blocking");
            let near = Registration::with(&reactor, near, interest).expect("a registration");
            turn_until(&reactor, "room", || near.try_io(Direction::Write, |_| Ok(())).is_ok());
            while near.get_ref().write(&[0; 4096]).is_ok() {}
            let mut writable = pin!(near.ready(Checked(Direction::Write)));
            let waker = CountingWaker::new();
            assert!(waker.poll(writable.as_mut()).is_pending(), "{interest:?}: full");
            far.set_nonblocking(true).expect("non-blocking");
            while far.read(&mut [0; 65536]).is_ok() {}
            turn_until(&reactor, "woken", || waker.wakes() > 0);
            assert!(matches!(waker.poll(writable), Poll::Ready(Ok(_))), "{interest:?}");
        }
    });
}

/// A descriptor that reports something urgent reports it once, and `poll(2)` may take it; of a socket,
/// a plain read never gets it. Either way, waiting ends once.
#[test]
fn urgent_data_ends_one_wait() {
    watched(|| {
        let reactor = by_hand();
        let (near, far) = settled(&reactor);
        let waker = CountingWaker::new();
        assert!(poll_level(&near, Direction::Read, &waker).is_pending());
        for round in 1..=3 {
            send_urgent(&far, b'!');
            os::wait_for(near.get_ref(), POLLPRI);
            take_events(&reactor, 1);
            assert_eq!(waker.wakes(), round);
            assert!(poll_level(&near, Direction::Read, &waker).is_ready());
            assert!(poll_level(&near, Direction::Read, &waker).is_pending(), "once");
        }
    });
}

#[test]
fn discarded_bytes_are_not_the_end() {
    watched(|| {
        let reactor = by_hand();
        let (near, far) = settled(&reactor);
        send(&reactor, &far, b"xxxyz");
        let found = finish(&reactor, near.io(Checked(Direction::Read), |io| read_wanted(io, b'y')));
        assert_eq!(found.expect("no error"), b'y');
        let found = near.try_io(Checked(Direction::Read), |io| read_wanted(io, b'z'));
        assert_eq!(found.expect("at once"), b'z');

        let waker = CountingWaker::new();
        let mut next = pin!(near.io(Checked(Direction::Read), |io| read_wanted(io, b'y')));
        assert!(waker.poll(next.as_mut()).is_pending());
        assert_eq!(waker.wakes(), 0, "now it is drained");
        send(&reactor, &far, b"xy");
        assert_eq!(waker.wakes(), 1);
        assert!(waker.poll(next.as_mut()).is_pending(), "others run in between");
        assert_eq!(waker.wakes(), 2);
        assert!(matches!(waker.poll(next), Poll::Ready(Ok(b'y'))));
    });
}

#[test]
fn discarded_bytes_are_not_the_end_for_polls() {
    watched(|| {
        let reactor = by_hand();
        let (mut near, far) = settled(&reactor);
        let waker = CountingWaker::new();
        let cx_waker = Waker::from(waker.clone());
        let cx = &mut Context::from_waker(&cx_waker);
        send(&reactor, &far, b"xyxy");
        let poll = near.poll_io(cx, Checked(Direction::Read), |io| read_wanted(io, b'y'));
        assert!(poll.is_pending() && waker.wakes() == 1, "more to come: {poll:?}");
        let poll = near.poll_io(cx, Checked(Direction::Read), |io| read_wanted(io, b'y'));
        assert!(matches!(poll, Poll::Ready(Ok(b'y'))), "{poll:?}");
        let poll = near.poll_io_mut(cx, Checked(Direction::Read), |io| read_wanted(io, b'y'));
        assert!(poll.is_pending() && waker.wakes() == 2, "more to come: {poll:?}");
        let poll = near.poll_io_mut(cx, Checked(Direction::Read), |io| read_wanted(io, b'y'));
        assert!(matches!(poll, Poll::Ready(Ok(b'y'))), "{poll:?}");
        let poll = near.poll_io_mut(cx, Direction::Read, |io| io.read(&mut [0]));
        assert!(poll.is_pending() && waker.wakes() == 2, "drained: {poll:?}");
        send(&reactor, &far, b"x");
        assert_eq!(waker.wakes(), 3);
        let poll = near.poll_io_mut(cx, Direction::Read, |io| io.read(&mut [0]));
        assert!(matches!(poll, Poll::Ready(Ok(1))), "{poll:?}");
    });
}

/// A short wait for room that is asked for on demand, by the only owner of the registration.
#[test]
fn the_only_owner_asks_for_room() {
    watched(|| {
        let reactor = by_hand();
        let (near, mut far) = UnixStream::pair().expect("a pair");
        near.set_nonblocking(true).expect("non-blocking");
        let mut near =
            Registration::with(&reactor, near, Interest::WriteOnDemand).expect("a registration");
        let waker = CountingWaker::new();
        let cx_waker = Waker::from(waker.clone());
        let cx = &mut Context::from_waker(&cx_waker);
        let write = |io: &mut UnixStream| io.write(&[0; 4096]);
        while near.poll_io_mut(cx, Direction::Write, write).is_ready() {}
        far.set_nonblocking(true).expect("non-blocking");
        while far.read(&mut [0; 65536]).is_ok() {}
        turn_until(&reactor, "woken", || waker.wakes() > 0);
        let written = near.poll_io_mut(cx, Direction::Write, write);
        assert!(matches!(written, Poll::Ready(Ok(4096))), "{written:?}");
    });
}

#[test]
fn closed_then_deadline_then_the_kernel() {
    watched(|| {
        let reactor = by_hand_with_clock();
        let (near, far) = settled(&reactor);
        let waker = CountingWaker::new();
        send(&reactor, &far, b"x");
        near.set_read_deadline(Some(reactor.now() + Duration::from_secs(1))).expect("it is open");
        reactor.advance(Duration::from_secs(2));
        turn_until(&reactor, "too late", || {
            failed(&poll_level(&near, Direction::Read, &waker), is_deadline_exceeded)
        });
        let late = near.try_io(Checked(Direction::Read), |_| Ok(()));
        assert!(late.is_err_and(|late| is_deadline_exceeded(&late)));
        near.set_read_deadline(None).expect("it is open");
        assert!(poll_level(&near, Direction::Read, &waker).is_ready(), "the byte is still there");
        finish(&reactor, near.close()).expect("once");
        assert!(failed(&poll_level(&near, Direction::Read, &waker), is_closed));
        let closed = finish(&reactor, near.io(Checked(Direction::Read), |_| Ok(())));
        assert!(closed.is_err_and(|closed| is_closed(&closed)));
    });
}

/// Believing a `WouldBlock` that was none is not for the kernel to correct where it is so.
#[test]
fn a_would_block_that_the_kernel_confirms_is_believed() {
    watched(|| {
        let reactor = by_hand();
        let (near, far) = registered(&reactor);
        take_events(&reactor, 1);
        fill(&near, &far);
        near.assume_ready(Direction::Write);
        let full = near.try_io(Checked(Direction::Write), |mut io| io.write(&[0]));
        assert!(would_block(&full));
        assert!(would_block(&near.try_ready(Direction::Write)), "it is known to be full");
    });
}

/// Refuses `poll(2)` to this thread, by either of its numbers.
fn forbid_poll() {
    os::filter::refuse(os::filter::POLLS, libc::EPERM);
}

/// Runs a test in a process of its own; it is given a way to have `poll(2)` fail from then on.
fn where_poll_fails(name: &'static str, fail_poll: fn(), body: fn(fn())) {
    alone(name, move || body(fail_poll));
}

fn no_descriptors() {
    os::limit_descriptors(0);
}

/// An operation that finds nothing waits for the next event: it is made once for each.
fn an_operation_waits(fail_poll: fn()) {
    let reactor = by_hand();
    let (near, far) = settled(&reactor);
    send(&reactor, &far, b"x");
    fail_poll();
    let (calls, waker) = (Cell::new(0), CountingWaker::new());
    let mut read = pin!(near.io(Checked(Direction::Read), |io| {
        calls.set(calls.get() + 1);
        read_wanted(io, b'y')
    }));
    for _ in 0..1000 {
        assert!(waker.poll(read.as_mut()).is_pending(), "there is nothing of use");
        reactor.turn(LOOK).expect("a turn");
    }
    send(&reactor, &far, b"y");
    assert!(matches!(waker.poll(read), Poll::Ready(Ok(b'y'))));
    assert!(calls.get() <= 10, "{} calls", calls.get());
}

/// The rest is found all the same.
fn the_rest_is_found(fail_poll: fn()) {
    let reactor = by_hand();
    let (mut near, far) = settled(&reactor);
    send(&reactor, &far, b"xxxyxxy");
    fail_poll();
    let found = finish(&reactor, near.io(Checked(Direction::Read), |io| read_wanted(io, b'y')));
    assert_eq!(found.expect("no error"), b'y');
    let found = finish(
        &reactor,
        std::future::poll_fn(|cx| {
            near.poll_io_mut(cx, Checked(Direction::Read), |io| read_wanted(io, b'y'))
        }),
    );
    assert_eq!(found.expect("no error"), b'y');
}

/// A wait for readiness ends while there is something left, and only then.
fn a_wait_for_readiness_is_level_triggered(fail_poll: fn()) {
    let reactor = by_hand();
    let (near, far) = settled(&reactor);
    send(&reactor, &far, b"ab");
    fail_poll();
    for _ in 0..3 {
        finish(&reactor, near.ready(Checked(Direction::Read))).expect("there are two bytes");
    }
    read_directly(&near, 1);
    finish(&reactor, near.ready(Checked(Direction::Read))).expect("there is one byte");
    read_directly(&near, 1);
    let (mut ended, waker) = (0, CountingWaker::new());
    for _ in 0..1000 {
        ended += usize::from(poll_level(&near, Direction::Read, &waker).is_ready());
        reactor.turn(LOOK).expect("a turn");
    }
    assert!(ended <= 3, "there is nothing, and {ended} waits have ended");
    send(&reactor, &far, b"c");
    finish(&reactor, near.ready(Checked(Direction::Read))).expect("there is one byte");
}

#[test]
fn an_operation_waits_where_poll_is_refused() {
    const NAME: &str = "level::an_operation_waits_where_poll_is_refused";
    where_poll_fails(NAME, forbid_poll, an_operation_waits);
}

#[test]
fn an_operation_waits_where_no_descriptors_are_allowed() {
    const NAME: &str = "level::an_operation_waits_where_no_descriptors_are_allowed";
    where_poll_fails(NAME, no_descriptors, an_operation_waits);
}

#[test]
fn the_rest_is_found_where_poll_is_refused() {
    const NAME: &str = "level::the_rest_is_found_where_poll_is_refused";
    where_poll_fails(NAME, forbid_poll, the_rest_is_found);
}

#[test]
fn a_wait_for_readiness_is_level_triggered_where_poll_is_refused() {
    const NAME: &str = "level::a_wait_for_readiness_is_level_triggered_where_poll_is_refused";
    where_poll_fails(NAME, forbid_poll, a_wait_for_readiness_is_level_triggered);
}

#[test]
fn a_wait_for_readiness_is_level_triggered_where_no_descriptors_are_allowed() {
    const NAME: &str =
        "level::a_wait_for_readiness_is_level_triggered_where_no_descriptors_are_allowed";
    where_poll_fails(NAME, no_descriptors, a_wait_for_readiness_is_level_triggered);
}
