//! Room that the kernel does not report. epoll and poll say that a socket is writable when a third of
//! its buffer is free (TCP, `sk_stream_is_writeable`), half of it (UDP, `sock_writeable`), or three
//! quarters (Unix, `unix_writable`); `send` takes bytes as soon as there is any room. A Go writer tries
//! `write` before it waits, so it makes progress at each call where a writer that waits for readiness
//! first makes none: measured over 1 Mbit/s with a buffer of 4 MB and a fresh deadline of 2 seconds before
//! each write, Go took 257,744 bytes, 231,680 and 289,600, and a writer that waited 0, 0, 0 and 0.
//!
//! The tests use Unix sockets, as nothing happens there in the kernel's own time.

use std::cell::Cell;
use std::future::Future;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures::AsyncWrite;
use netpoll::{
    Checked, Direction, Interest, Reactor, Registration, Transfer, is_closed, is_deadline_exceeded,
};
use netpoll_futures::{Async, Datagram, Stream, TimeoutStream, Timeouts};
use netpoll_tests::fixtures::{os, would_block};
use netpoll_tests::{CountingWaker, watched};

use crate::fixtures::{LOOK, by_hand, failed, finish};

const CHUNK: [u8; 4096] = [0x5a; 4096];

/// The Unix stream's near end in the care of a reactor.
type Near = Registration<UnixStream>;

fn streams() -> (UnixStream, UnixStream) {
    let (near, far) = UnixStream::pair().expect("a pair");
    near.set_nonblocking(true).expect("non-blocking");
    (near, far)
}

fn registered(reactor: &Reactor, interest: Interest) -> (Near, UnixStream) {
    let (near, far) = streams();
    let near = Registration::with(reactor, near, interest).expect("a registration");
    reactor.turn(LOOK).expect("a turn");
    (near, far)
}

/// Writes until the kernel takes no more.
fn fill(mut near: &UnixStream) {
    while near.write(&CHUNK).is_ok() {}
}

/// A socket that was full, and of which its peer has taken a little: `send` has room, and `poll`
/// reports none. The reactor knows that it was full.
fn little_room(near: &Near, far: &UnixStream) {
    fill(near.get_ref());
    let full = near.try_io(Direction::Write, |mut near| near.write(&CHUNK));
    assert!(would_block(&full), "a full socket: {full:?}");
    take_a_little(near.get_ref(), far);
    near.reactor().turn(LOOK).expect("a turn");
    assert!(would_block(&near.try_ready(Direction::Write)));
}

fn take_a_little(near: &UnixStream, mut far: &UnixStream) {
    far.read_exact(&mut [0; 4 * CHUNK.len()]).expect("the written bytes");
    assert!(!os::is_ready(near, libc::POLLOUT), "the kernel reports this much room");
}

/// As a write that was late: from then on, the slot knows that a deadline has passed.
fn be_late(near: &Near) {
    let now = near.reactor().now();
    near.set_write_deadline(Some(now)).expect("open");
    let late = near.try_io(Direction::Write, |_| Ok(()));
    assert!(late.is_err_and(|error| is_deadline_exceeded(&error)));
    near.set_write_deadline(Some(now + Duration::from_secs(3600))).expect("open");
}

fn once<F: Future>(future: F) -> Poll<F::Output> {
    CountingWaker::new().poll(pin!(future))
}

#[track_caller]
fn assert_wrote(polled: &Poll<io::Result<usize>>) {
    assert!(matches!(polled, Poll::Ready(Ok(1..))), "there is room: {polled:?}");
}

fn noop() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

#[test]
fn a_new_write_uses_it() {
    watched(|| {
        for interest in [Interest::Both, Interest::WriteOnDemand] {
            let reactor = by_hand();
            let (near, far) = registered(&reactor, interest);
            let write = |mut near: &UnixStream| near.write(&CHUNK);
            little_room(&near, &far);
            assert_wrote(&once(near.io(Direction::Write, write)));
            little_room(&near, &far);
            assert_wrote(&once(near.io(Transfer(Direction::Write, CHUNK.len()), write)));
            little_room(&near, &far);
            assert_wrote(&Poll::Ready(near.try_io(Direction::Write, write)));
            little_room(&near, &far);
            let len = CHUNK.len();
            assert_wrote(&Poll::Ready(near.try_io(Transfer(Direction::Write, len), write)));
        }
    });
}

/// One that is polled again waits: it has made its attempt. One that is woken by room makes no more
/// attempts than it needs.
#[test]
fn a_write_makes_one_attempt_and_then_waits() {
    watched(|| {
        let reactor = by_hand();
        let (near, mut far) = registered(&reactor, Interest::Both);
        little_room(&near, &far);
        fill(near.get_ref());
        let attempts = Cell::new(0);
        let mut write = pin!(near.io(Direction::Write, |mut near| {
            attempts.set(attempts.get() + 1);
            near.write(&CHUNK)
        }));
        let waker = CountingWaker::new();
        for _ in 0..3 {
            assert!(waker.poll(write.as_mut()).is_pending());
            assert_eq!(attempts.get(), 1);
        }
        far.set_nonblocking(true).expect("non-blocking");
        while far.read(&mut [0; 65536]).is_ok() {}
        reactor.turn(LOOK).expect("a turn");
        assert_eq!(waker.wakes(), 1);
        assert_wrote(&waker.poll(write.as_mut()));
        assert_eq!(attempts.get(), 2);
    });
}

/// A write that was cut short has found out that there is no more room: the rest waits.
#[test]
fn the_rest_of_a_write_waits() {
    watched(|| {
        let reactor = by_hand();
        let (near, far) = registered(&reactor, Interest::Both);
        little_room(&near, &far);
        let attempts = Cell::new(0);
        let mut waiting = near.readiness_wait(Direction::Write);
        let mut write = |len| {
            waiting.poll_io(&mut noop(), Transfer(Direction::Write, len), |mut near| {
                attempts.set(attempts.get() + 1);
                near.write(&CHUNK)
            })
        };
        // It says that it wanted more.
        assert_wrote(&write(CHUNK.len() + 1));
        assert!(write(1).is_pending());
        assert_eq!(attempts.get(), 1);
        waiting.leave();
        let again = waiting
            .poll_io(&mut noop(), Transfer(Direction::Write, 1), |mut near| near.write(&CHUNK));
        assert_wrote(&again);
    });
}

/// A `poll_*` call has no place of its own. Where a write deadline has passed before and no task waits, it
/// is a new write; where one waits, it may be the same again.
#[test]
fn a_poll_after_a_deadline_is_a_new_write() {
    watched(|| {
        let reactor = by_hand();
        let (near, far) = registered(&reactor, Interest::Both);
        let attempts = Cell::new(0);
        let write = |mut near: &UnixStream| {
            attempts.set(attempts.get() + 1);
            near.write(&CHUNK)
        };
        let cx = &mut noop();
        little_room(&near, &far);
        assert!(near.poll_io(cx, Direction::Write, write).is_pending(), "as in tokio");
        assert_eq!(attempts.get(), 0);

        be_late(&near);
        assert_wrote(&near.poll_io(cx, Direction::Write, write));
        little_room(&near, &far);
        assert_wrote(&near.poll_io(cx, Transfer(Direction::Write, CHUNK.len()), write));
        little_room(&near, &far);
        assert_wrote(&near.poll_io(cx, Checked(Direction::Write), write));
        fill(near.get_ref());
        attempts.set(0);
        for _ in 0..3 {
            assert!(near.poll_io(cx, Direction::Write, write).is_pending());
            assert_eq!(attempts.get(), 1);
        }
        let mut near = near;
        be_late(&near);
        take_a_little(near.get_ref(), &far);
        let polled = near.poll_io_mut(cx, Direction::Write, |near| near.write(&CHUNK));
        assert_wrote(&polled);
    });
}

/// Closed comes first, then the deadline: nothing is attempted. Nor is it where epoll is not asked for
/// room, as before.
#[test]
fn nothing_is_attempted_where_it_must_fail() {
    watched(|| {
        let reactor = by_hand();
        let (near, _far) = registered(&reactor, Interest::Both);
        let attempt = |_: &UnixStream| -> io::Result<usize> { panic!("an attempt") };
        fill(near.get_ref());
        near.set_write_deadline(Some(reactor.now())).expect("open");
        assert!(failed(&once(near.io(Direction::Write, attempt)), is_deadline_exceeded));
        let now = Poll::Ready(near.try_io(Direction::Write, attempt));
        assert!(failed(&now, is_deadline_exceeded));
        finish(&reactor, near.close()).expect("open");
        assert!(failed(&once(near.io(Direction::Write, attempt)), is_closed));
        assert!(failed(&Poll::Ready(near.try_io(Direction::Write, attempt)), is_closed));

        let (near, _far) = registered(&reactor, Interest::Readable);
        let is_refused = |error: &io::Error| error.kind() == ErrorKind::InvalidInput;
        assert!(failed(&once(near.io(Direction::Write, attempt)), is_refused));
        assert!(failed(&Poll::Ready(near.try_io(Direction::Write, attempt)), is_refused));
    });
}

/// Reads wait for readiness: the kernel reports the first byte. To look for it without being told
/// would be one call more for each read that waits.
#[test]
fn a_read_is_attempted_when_there_is_something() {
    watched(|| {
        let reactor = by_hand();
        let (near, mut far) = registered(&reactor, Interest::Both);
        let attempts = Cell::new(0);
        let mut read = pin!(near.io(Direction::Read, |mut near| {
            attempts.set(attempts.get() + 1);
            near.read(&mut [0; 8])
        }));
        assert!(CountingWaker::new().poll(read.as_mut()).is_pending());
        assert_eq!(attempts.get(), 0);
        far.write_all(b"x").expect("room");
        reactor.turn(LOOK).expect("a turn");
        assert_eq!(once(read.as_mut()).map(Result::unwrap), Poll::Ready(1));
        assert_eq!(attempts.get(), 1);
    });
}

/// The byte that comes while an attempt finds none is an event after it: its readiness stays.
#[test]
fn an_attempt_clears_no_readiness_that_came_meanwhile() {
    watched(|| {
        let reactor = by_hand();
        let (near, mut far) = registered(&reactor, Interest::Both);
        near.assume_ready(Direction::Read);
        let attempted = near.try_io(Direction::Read, |_| -> io::Result<usize> {
            far.write_all(b"x").expect("room");
            reactor.turn(LOOK).expect("a turn");
            Err(ErrorKind::WouldBlock.into())
        });
        assert!(would_block(&attempted));
        assert!(near.try_ready(Direction::Read).is_ok());
    });
}

/// A stream that was late once, and has a little room now.
fn late_stream(reactor: &Reactor) -> (Stream<UnixStream>, UnixStream) {
    let (near, far) = registered(reactor, Interest::WriteOnDemand);
    little_room(&near, &far);
    be_late(&near);
    (Stream::from(near), far)
}

#[test]
fn every_way_to_write_to_a_stream_uses_it() {
    type Way = fn(&Stream<UnixStream>) -> Poll<io::Result<usize>>;
    let ways: [(&str, Way); 10] = [
        ("write", |near| once(near.write(&CHUNK))),
        ("write_all", |near| once(near.write_all(&[1])).map_ok(|()| 1)),
        ("write_vectored", |near| once(near.write_vectored(&[IoSlice::new(&CHUNK)]))),
        ("try_write", |near| Poll::Ready(near.try_write(&CHUNK))),
        ("try_write_vectored", |near| {
            Poll::Ready(near.try_write_vectored(&[IoSlice::new(&CHUNK)]))
        }),
        ("poll_write", |near| near.poll_write(&mut noop(), &CHUNK)),
        ("futures-io", |mut near| Pin::new(&mut near).poll_write(&mut noop(), &CHUNK)),
        ("with a timeout", |near| {
            let near = TimeoutStream::new(near.clone(), Timeouts::none());
            once(near.write(&CHUNK))
        }),
        ("all, with a timeout", |near| {
            let near = TimeoutStream::new(near.clone(), Timeouts::none());
            once(near.write_all(&[1])).map_ok(|()| 1)
        }),
        ("in tokio's shape", |near| {
            let mut near = netpoll_tokio::net::UnixStream::from(near.clone());
            tokio::io::AsyncWrite::poll_write(Pin::new(&mut near), &mut noop(), &CHUNK)
        }),
    ];
    watched(move || {
        let reactor = by_hand();
        for (name, way) in ways {
            let (near, _far) = late_stream(&reactor);
            let wrote = way(&near);
            assert!(matches!(wrote, Poll::Ready(Ok(1..))), "{name}: there is room: {wrote:?}");
        }
    });
}

/// The peer takes a little while a write waits for it. When the limit of the stall has passed, the write
/// goes on with the room that there is, and does not wait for more.
#[test]
fn a_write_that_was_nearly_stalled_uses_it() {
    watched(|| {
        let (near, far) = streams();
        let reactor = Reactor::builder().build().expect("a reactor");
        let near = Registration::with(&reactor, near, Interest::WriteOnDemand);
        let near = Stream::from(near.expect("a registration"));
        fill(near.registration().get_ref());
        let stall = Some(Duration::from_millis(20));
        let near = TimeoutStream::new(near, Timeouts { idle: None, write_stall: stall });
        let mut write = pin!(near.write(&CHUNK));
        assert!(CountingWaker::new().poll(write.as_mut()).is_pending());
        take_a_little(near.get_ref().registration().get_ref(), &far);
        assert!(futures::executor::block_on(write).is_ok_and(|count| count > 0));
        reactor.shutdown();
    });
}

#[test]
fn every_way_to_write_to_anything_uses_it() {
    type Way = fn(&Async<UnixStream>) -> Poll<io::Result<usize>>;
    let ways: [(&str, Way); 3] = [
        ("write_with", |near| once(near.write_with(|mut near| near.write(&CHUNK)))),
        ("try_io", |near| {
            Poll::Ready(near.try_io(Direction::Write, |mut near| near.write(&CHUNK)))
        }),
        ("futures-io", |mut near| Pin::new(&mut near).poll_write(&mut noop(), &CHUNK)),
    ];
    watched(move || {
        let reactor = by_hand();
        for (name, way) in ways {
            let (near, far) = registered(&reactor, Interest::Both);
            little_room(&near, &far);
            be_late(&near);
            let wrote = way(&Async::from(near));
            assert!(matches!(wrote, Poll::Ready(Ok(1..))), "{name}: there is room: {wrote:?}");
        }
    });
}

#[test]
fn every_way_to_send_a_datagram_uses_it() {
    type Way = fn(&Datagram<UnixDatagram>) -> Poll<io::Result<usize>>;
    let ways: [(&str, Way); 3] = [
        ("send", |near| once(near.send(&CHUNK))),
        ("try_send", |near| Poll::Ready(near.try_send(&CHUNK))),
        ("poll_send", |near| near.poll_send(&mut noop(), &CHUNK)),
    ];
    // Few enough for the queue of the peer, and too much for the socket's own buffer.
    let large = vec![0x5a; 60_000];
    watched(move || {
        let reactor = by_hand();
        for (name, way) in ways {
            let (near, far) = UnixDatagram::pair().expect("a pair");
            near.set_nonblocking(true).expect("non-blocking");
            let near = Registration::with(&reactor, near, Interest::WriteOnDemand);
            let near = near.expect("a registration");
            while near.try_io(Direction::Write, |near| near.send(&large)).is_ok() {}
            let now = reactor.now();
            near.set_write_deadline(Some(now)).expect("open");
            near.set_write_deadline(Some(now + Duration::from_secs(3600))).expect("open");
            far.recv(&mut [0; 60_000]).expect("one of them");
            assert!(
                !os::is_ready(near.get_ref(), libc::POLLOUT),
                "the kernel reports this much room"
            );
            let sent = way(&Datagram::from(near));
            assert!(matches!(sent, Poll::Ready(Ok(1..))), "{name}: there is room: {sent:?}");
        }
    });
}

/// TCP, as it was found: the peer takes less than a third of the bytes that wait for it.
#[test]
fn a_late_writer_over_tcp_goes_on() {
    /// The sender's buffer: the kernel doubles it.
    const SENT: i32 = 200 * 1024;
    const RECEIVED: i32 = 16 * 1024;
    watched(|| {
        let reactor = by_hand();
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        os::set_receive_buffer(&listener, RECEIVED);
        let near = TcpStream::connect(listener.local_addr().expect("an address"));
        let (near, (mut far, _)) = (near.expect("a peer"), listener.accept().expect("a peer"));
        os::set_send_buffer(&near, SENT);
        near.set_nonblocking(true).expect("non-blocking");
        let near = Registration::with(&reactor, near, Interest::Both).expect("a registration");
        reactor.turn(LOOK).expect("a turn");
        let mut raw = near.get_ref().try_clone().expect("a duplicate");
        // Until nothing moves any more.
        let mut before = None;
        while before != Some((os::unacknowledged(&raw), os::unread(&far))) {
            before = Some((os::unacknowledged(&raw), os::unread(&far)));
            while raw.write(&CHUNK).is_ok() {}
            std::thread::yield_now();
        }
        let full = near.try_io(Direction::Write, |mut near| near.write(&CHUNK));
        assert!(would_block(&full), "a full socket: {full:?}");
        let now = reactor.now();
        near.set_write_deadline(Some(now)).expect("open");
        assert!(failed(&once(near.io(Direction::Write, |_| Ok(0))), is_deadline_exceeded));
        near.set_write_deadline(Some(now + Duration::from_secs(3600))).expect("open");
        // The peer takes a little, until `send` has some room.
        while would_block(&raw.write(&[0])) {
            far.read_exact(&mut [0; 4096]).expect("the written bytes");
        }
        reactor.turn(LOOK).expect("a turn");
        assert!(!os::is_ready(&near.as_fd(), libc::POLLOUT), "the kernel reports this much room");
        assert_wrote(&once(near.io(Direction::Write, |mut near| near.write(&CHUNK))));
    });
}
