//! The main promises of the reactor, in seconds. The suites that show all of them are in `tests/` of the repository.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use netpoll::{
    Direction, Interest, Reactor, Registration, Timer, block_on, is_closed, is_deadline_exceeded,
};

/// A registered end of a pair, and the other end.
fn pair(reactor: &Reactor) -> (Registration<UnixStream>, UnixStream) {
    let (near, far) = UnixStream::pair().expect("a pair");
    near.set_nonblocking(true).expect("an option");
    (Registration::with(reactor, near, Interest::Both).expect("a registration"), far)
}

async fn read(near: &Registration<UnixStream>) -> std::io::Result<u8> {
    let mut byte = [0];
    near.io(Direction::Read, |mut near| near.read(&mut byte)).await?;
    Ok(byte[0])
}

#[test]
fn an_event_wakes_the_task_that_waits() {
    let (near, mut far) = pair(Reactor::global().expect("a reactor"));
    let echo = thread::spawn(move || {
        let mut byte = [0];
        far.read_exact(&mut byte).expect("a byte");
        far.write_all(&byte).expect("room");
    });
    block_on(async {
        near.io(Direction::Write, |mut near| near.write(b"x")).await.expect("room");
        assert_eq!(read(&near).await.expect("the echo"), b'x');
    });
    echo.join().expect("no panic");
}

#[test]
fn a_deadline_fires_and_can_be_cleared() {
    let (near, mut far) = pair(Reactor::global().expect("a reactor"));
    block_on(async {
        let deadline = Instant::now() + Duration::from_millis(5);
        near.set_read_deadline(Some(deadline)).expect("a deadline");
        let late = read(&near).await.expect_err("the peer is silent");
        assert!(is_deadline_exceeded(&late), "{late:?}");
        assert!(Instant::now() >= deadline, "never early");

        near.set_read_deadline(None).expect("no deadline");
        far.write_all(b"y").expect("room");
        assert_eq!(read(&near).await.expect("a byte"), b'y');
    });
}

#[test]
fn close_fails_a_pending_operation() {
    let (near, _far) = pair(Reactor::global().expect("a reactor"));
    block_on(async {
        let mut pending = pin!(read(&near));
        let poll = pending.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(poll.is_pending());
        let mut closing = pin!(near.close());
        let _ = closing.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        let closed = pending.await.expect_err("this side has closed");
        assert!(is_closed(&closed), "{closed:?}");
    });
}

#[test]
fn the_owner_of_a_reactor_without_a_thread_turns_it() {
    let reactor = Reactor::builder().embedded().manual_clock().build().expect("a reactor");
    let mut timer =
        pin!(Timer::at(&reactor, reactor.now() + Duration::from_secs(60)).expect("one"));
    let mut poll = || timer.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert!(poll().is_pending());
    reactor.advance(Duration::from_secs(61));
    reactor.turn(Some(Duration::ZERO)).expect("a turn");
    assert!(matches!(poll(), Poll::Ready(Ok(()))));
}
