//! Deadlines, on a clock that stands still until it is moved.

use std::future::Future;
use std::io::{ErrorKind, Write};
use std::net::TcpStream;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use netpoll::{
    Direction, Reactor, Readiness, Registration, Timer, is_closed, is_deadline_exceeded,
};
use netpoll_tests::fixtures::would_block;
use netpoll_tests::{CountingWaker, watched};

use crate::fixtures::{
    LOOK, assert_quiet, by_hand_with_clock, failed, fill, poll_ready, read, send, settled,
};

const MS: Duration = Duration::from_millis(1);
const HOUR: Duration = Duration::from_secs(3600);
const YEAR: Duration = Duration::from_secs(365 * 86_400);

/// How late the wheel may be.
const TICK: Duration = Duration::from_nanos(1 << 16);

fn after(reactor: &Reactor, wait: Duration) -> Option<Instant> {
    Some(reactor.now() + wait)
}

/// Lets time pass, and the reactor notice.
fn pass(reactor: &Reactor, time: Duration) {
    reactor.turn(LOOK).expect("a turn");
    reactor.advance(time);
    reactor.turn(LOOK).expect("a turn");
}

fn timed_out(
    waker: &Arc<CountingWaker>,
    reading: Pin<&mut impl Future<Output = std::io::Result<Readiness>>>,
) -> bool {
    failed(&waker.poll(reading), is_deadline_exceeded)
}

fn read_times_out(near: &Registration<TcpStream>) -> bool {
    read(near, 16).is_err_and(|error| is_deadline_exceeded(&error))
}

fn write_times_out(near: &Registration<TcpStream>) -> bool {
    let write = near.try_io(Direction::Write, |mut near| near.write(b"x"));
    write.is_err_and(|error| is_deadline_exceeded(&error))
}

/// golang/go#53824 and tokio's wheel round to milliseconds, and the errors of rounding go both
/// ways. A deadline is never early, not by a nanosecond, and late by one tick of the wheel.
#[test]
fn never_early_and_hardly_late() {
    watched(|| {
        let nanos = [1, 2, 65_535, 65_536, 65_537, 100_000, 1_000_000, 4_194_304];
        let waits = nanos.map(Duration::from_nanos).into_iter().chain([MS * 1000, HOUR, HOUR * 24]);
        for wait in waits {
            let reactor = by_hand_with_clock();
            let (near, _far) = settled(&reactor);
            let waker = CountingWaker::new();
            let mut reading = pin!(near.ready(Direction::Read));
            assert!(waker.poll(reading.as_mut()).is_pending());
            near.set_read_deadline(after(&reactor, wait)).expect("open");
            pass(&reactor, wait - Duration::from_nanos(1));
            assert!(waker.poll(reading.as_mut()).is_pending(), "{wait:?}: early");
            assert_eq!(waker.wakes(), 0);
            pass(&reactor, TICK + Duration::from_nanos(1));
            assert_eq!(waker.wakes(), 1, "{wait:?}");
            assert!(timed_out(&waker, reading), "{wait:?}");
        }
    });
}

/// scylla-rust-driver#564: a deadline is moved with each message and hardly ever fires. Moved away
/// before it has come, it does not fire at its old time, and does at its new one.
#[test]
fn extended_before_it_fires() {
    watched(|| {
        let reactor = by_hand_with_clock();
        let (near, _far) = settled(&reactor);
        let waker = CountingWaker::new();
        let mut reading = pin!(near.ready(Direction::Read));
        assert!(waker.poll(reading.as_mut()).is_pending());
        for _ in 0..100 {
            near.set_read_deadline(after(&reactor, 10 * MS)).expect("open");
            pass(&reactor, 7 * MS);
            assert!(waker.poll(reading.as_mut()).is_pending());
        }
        assert_eq!((waker.wakes(), reactor.metrics().expiries), (0, 0));
        pass(&reactor, 3 * MS + TICK);
        assert!(timed_out(&waker, reading));
    });
}

/// Go numbers its timers for this (`runtime/netpoll.go`, `rseq`): the time has come, the reactor is
/// on its way, and the deadline is moved. No operation reports a timeout that is not there any
/// more.
#[test]
fn extended_while_it_fires() {
    watched(|| {
        let reactor = by_hand_with_clock();
        let (near, _far) = settled(&reactor);
        let waker = CountingWaker::new();
        let mut reading = pin!(near.ready(Direction::Read));
        assert!(waker.poll(reading.as_mut()).is_pending());
        near.set_read_deadline(after(&reactor, 10 * MS)).expect("open");
        reactor.turn(LOOK).expect("a turn");

        reactor.advance(20 * MS);
        near.set_read_deadline(after(&reactor, 10 * MS)).expect("open");
        reactor.turn(LOOK).expect("a turn");
        assert_eq!(waker.wakes(), 0, "moved before the reactor looked");

        pass(&reactor, 20 * MS);
        assert_eq!(waker.wakes(), 1);
        near.set_read_deadline(after(&reactor, 10 * MS)).expect("open");
        assert!(waker.poll(reading.as_mut()).is_pending(), "moved before the task came to see it");
        pass(&reactor, 20 * MS);
        assert!(timed_out(&waker, reading));
    });
}

/// gVisor#9885 and golang/go#20963: a time in the past is the way to cancel. It fails every operation that is
/// pending now, not at the next turn, and all that follows, data or no data, until it is set anew.
#[test]
fn in_the_past() {
    watched(|| {
        let reactor = by_hand_with_clock();
        let (near, far) = settled(&reactor);
        reactor.advance(HOUR);
        for past in [HOUR, HOUR / 2, Duration::ZERO].map(|before| reactor.now() - before) {
            let waker = CountingWaker::new();
            let mut reading = pin!(near.ready(Direction::Read));
            near.set_read_deadline(after(&reactor, 10 * MS)).expect("open");
            near.set_read_deadline(None).expect("open");
            assert!(waker.poll(reading.as_mut()).is_pending());
            near.set_read_deadline(Some(past)).expect("open");
            assert_eq!(waker.wakes(), 1);
            assert!(timed_out(&waker, reading));

            send(&reactor, &far, b"data");
            assert!(read_times_out(&near) && read_times_out(&near), "sticky");
            assert!(!write_times_out(&near));
            near.set_read_deadline(None).expect("open");
            assert_eq!(read(&near, 16).expect("nothing was lost"), b"data");
        }
    });
}

/// gVisor#9885 again, at its narrowest: the deadline before is due, the reactor has not looked yet,
/// and "now" is set, which is later than that and past all the same. This one is a move away, which
/// reads no clock, so the reactor's next look decides: it is as late as the one before it was, and
/// the contract says so.
#[test]
fn in_the_past_after_one_that_is_overdue() {
    watched(|| {
        for clear in [false, true] {
            let reactor = by_hand_with_clock();
            let (near, _far) = settled(&reactor);
            let waker = CountingWaker::new();
            let mut reading = pin!(near.ready(Direction::Read));
            assert!(waker.poll(reading.as_mut()).is_pending());
            near.set_read_deadline(after(&reactor, 10 * MS)).expect("open");
            reactor.turn(LOOK).expect("a turn");
            if clear {
                near.set_read_deadline(None).expect("open");
            }
            reactor.advance(20 * MS);
            near.set_read_deadline(Some(reactor.now())).expect("open");
            reactor.advance(TICK);
            reactor.turn(LOOK).expect("a turn");
            assert_eq!(waker.wakes(), 1, "with the next look (cleared before: {clear})");
            assert!(timed_out(&waker, reading));
        }
    });
}

/// golang/go#25729: clearing leaves the timer where it is, to be found idle. It fires for no waiter;
/// and a deadline that is set after it counts, earlier or later.
#[test]
fn cleared() {
    watched(|| {
        for next in [5 * MS, 10 * MS, 30 * MS] {
            let reactor = by_hand_with_clock();
            let (near, _far) = settled(&reactor);
            let waker = CountingWaker::new();
            let mut reading = pin!(near.ready(Direction::Read));
            assert!(waker.poll(reading.as_mut()).is_pending());
            near.set_read_deadline(after(&reactor, 10 * MS)).expect("open");
            reactor.turn(LOOK).expect("a turn");
            near.set_read_deadline(None).expect("open");
            pass(&reactor, 20 * MS);
            assert!(waker.poll(reading.as_mut()).is_pending());
            assert_eq!((waker.wakes(), reactor.metrics().expiries), (0, 0));

            near.set_read_deadline(after(&reactor, next)).expect("open");
            pass(&reactor, next - MS);
            assert_eq!(waker.wakes(), 0);
            pass(&reactor, MS + TICK);
            assert!(timed_out(&waker, reading));
        }
    });
}

/// Go shares one timer between the directions where it can (`runtime/netpoll.go`, "combo"), and
/// must part them again. They share no deadline: each has its time, its clearing and its end.
#[test]
fn directions_are_independent() {
    watched(|| {
        let reactor = by_hand_with_clock();
        let (near, far) = settled(&reactor);
        near.set_read_deadline(after(&reactor, 10 * MS)).expect("open");
        near.set_write_deadline(after(&reactor, 20 * MS)).expect("open");
        pass(&reactor, 15 * MS);
        assert!(read_times_out(&near) && !write_times_out(&near));
        near.set_read_deadline(None).expect("open");
        pass(&reactor, 10 * MS);
        assert!(write_times_out(&near) && !read_times_out(&near));

        near.set_deadline(after(&reactor, 10 * MS)).expect("open");
        near.set_write_deadline(after(&reactor, 30 * MS)).expect("open");
        pass(&reactor, 20 * MS);
        assert!(read_times_out(&near) && !write_times_out(&near));
        near.set_deadline(Some(reactor.now())).expect("open");
        assert!(read_times_out(&near) && write_times_out(&near));
        near.set_deadline(None).expect("open");
        assert!(!write_times_out(&near));

        fill(&near, &far);
        let waker = CountingWaker::new();
        assert!(poll_ready(&near, Direction::Write, &waker).is_pending());
        near.set_read_deadline(Some(reactor.now())).expect("open");
        assert_eq!(waker.wakes(), 0);
        near.set_write_deadline(Some(reactor.now())).expect("open");
        assert_eq!(waker.wakes(), 1);
    });
}

/// Go's order (`netpollcheckerr`): closed, then the deadline, then readiness. And
/// golang/go#31449: a deadline can be told from the errors of the kernel that look like one.
#[test]
fn closed_before_deadline_before_ready() {
    watched(|| {
        let reactor = by_hand_with_clock();
        let (near, far) = settled(&reactor);
        send(&reactor, &far, b"x");
        let waker = CountingWaker::new();
        assert!(matches!(poll_ready(&near, Direction::Read, &waker), Poll::Ready(Ok(_))));
        near.set_deadline(Some(reactor.now())).expect("open");
        let polled = poll_ready(&near, Direction::Read, &waker);
        assert!(failed(&polled, is_deadline_exceeded));
        assert!(failed(&polled, |error| error.kind() == ErrorKind::TimedOut));

        futures::executor::block_on(near.close()).expect("open");
        assert!(failed(&poll_ready(&near, Direction::Read, &waker), is_closed));
        for set in [Registration::set_deadline, Registration::set_read_deadline] {
            for deadline in [None, Some(reactor.now()), after(&reactor, HOUR)] {
                assert!(set(&near, deadline).is_err_and(|error| is_closed(&error)));
            }
        }
        assert!(near.set_write_deadline(None).is_err_and(|error| is_closed(&error)));
        reactor.advance(2 * HOUR);
        assert_quiet(&reactor);
    });
}

/// A time so far away that it overflows is in the past for a poller that computes without care; Go clamps
/// it (`runtime/netpoll.go`, `poll_runtime_pollSetDeadline`). A century is not far enough to be
/// clamped.
#[test]
fn a_hundred_years_away() {
    watched(|| {
        let reactor = by_hand_with_clock();
        let (near, _far) = settled(&reactor);
        let waker = CountingWaker::new();
        let mut reading = pin!(near.ready(Direction::Read));
        assert!(waker.poll(reading.as_mut()).is_pending());
        near.set_deadline(after(&reactor, 100 * YEAR)).expect("open");
        let timer = Timer::at(&reactor, reactor.now() + 100 * YEAR).expect("a timer");
        let mut timer = pin!(timer);
        assert!(waker.poll(timer.as_mut()).is_pending());
        for year in 1..100 {
            pass(&reactor, YEAR);
            assert!(waker.poll(reading.as_mut()).is_pending(), "year {year}");
            assert!(waker.poll(timer.as_mut()).is_pending(), "year {year}");
        }
        assert_eq!(waker.wakes(), 0);
        assert!(would_block(&read(&near, 16)) && !write_times_out(&near));
        pass(&reactor, YEAR + TICK);
        assert!(timed_out(&waker, reading));
    });
}

/// A program sets the farthest `Instant` to say "never": that deadline does not fire, also when a deadline is moved there and back.
#[test]
fn the_end_of_time() {
    watched(|| {
        let reactor = by_hand_with_clock();
        let (near, _far) = settled(&reactor);
        let furthest = (0..64).rev().fold(reactor.now(), |at, bit| {
            at.checked_add(Duration::from_secs(1 << bit)).unwrap_or(at)
        });
        near.set_deadline(Some(furthest)).expect("open");
        pass(&reactor, 50 * YEAR);
        assert!(!read_times_out(&near) && !write_times_out(&near));
        near.set_read_deadline(after(&reactor, MS)).expect("open");
        pass(&reactor, 2 * MS);
        assert!(read_times_out(&near) && !write_times_out(&near));
        near.set_read_deadline(Some(furthest)).expect("open");
        assert!(!read_times_out(&near));
    });
}

/// golang/go#19289 for deadlines: the next tenant of a slot has no part in the deadline of the
/// last, whose place in the wheel it inherits; neither fired too early by it, nor too late.
#[test]
fn of_the_last_tenant() {
    watched(|| {
        for (old, new) in [(10 * MS, HOUR), (HOUR, 10 * MS), (10 * MS, 10 * MS)] {
            let reactor = by_hand_with_clock();
            let (near, _far) = settled(&reactor);
            near.set_deadline(after(&reactor, old)).expect("open");
            reactor.turn(LOOK).expect("a turn");
            drop(near);
            let (next, _next_far) = settled(&reactor);
            next.set_read_deadline(after(&reactor, new)).expect("open");
            pass(&reactor, new - MS);
            assert!(!read_times_out(&next), "{old:?}, then {new:?}");
            pass(&reactor, MS + TICK);
            assert!(read_times_out(&next) && !write_times_out(&next), "{old:?}, then {new:?}");
            assert_eq!(reactor.metrics().expiries, 1);
        }
    });
}
