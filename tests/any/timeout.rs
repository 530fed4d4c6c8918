//! `timeout` and `deadline`, on a clock that stands still until it is moved.

use std::future::{Future, pending, poll_fn, ready};
use std::io::{self, ErrorKind};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures::FutureExt;
use netpoll::{DeadlineExceeded, Direction, Interest, Reactor, Registration};
use netpoll_futures::{Timeout, deadline, deadline_on, timeout, timeout_on};
use netpoll_tests::fixtures::{budget, past, wait_until_woken, yield_now};
use netpoll_tests::{CountingWaker, watched};

const MS: Duration = Duration::from_millis(1);

/// The wheel's, by which a deadline may be late.
const TICK: Duration = Duration::from_nanos(1 << 16);

fn by_hand() -> Reactor {
    Reactor::builder().embedded().manual_clock().build().expect("a reactor")
}

fn pass(reactor: &Reactor, time: Duration) {
    reactor.turn(Some(Duration::ZERO)).expect("a turn");
    reactor.advance(time);
    reactor.turn(Some(Duration::ZERO)).expect("a turn");
}

fn late<T>() -> Poll<Result<T, DeadlineExceeded>> {
    Poll::Ready(Err(DeadlineExceeded::default()))
}

/// A timeout of ten milliseconds that waits, and its waker.
fn waits(reactor: &Reactor) -> (Pin<Box<Timeout<impl Future<Output = ()>>>>, Arc<CountingWaker>) {
    let mut timeout = Box::pin(timeout_on(reactor, 10 * MS, pending()));
    let waker = CountingWaker::new();
    assert!(waker.poll(timeout.as_mut()).is_pending());
    (timeout, waker)
}

#[test]
fn it_fails_at_its_deadline_and_not_before() {
    watched(|| {
        let reactor = by_hand();
        let (mut timeout, waker) = waits(&reactor);
        pass(&reactor, 10 * MS - Duration::from_nanos(1));
        assert_eq!(waker.wakes(), 0);
        assert!(waker.poll(timeout.as_mut()).is_pending());
        pass(&reactor, TICK);
        assert_eq!(waker.wakes(), 1);
        assert_eq!(waker.poll(timeout.as_mut()), late());
    });
}

/// The time counts from the call, and not from the first poll.
#[test]
fn the_time_before_the_first_poll_counts() {
    watched(|| {
        let reactor = by_hand();
        let mut timeout = pin!(timeout_on(&reactor, 10 * MS, pending::<()>()));
        pass(&reactor, 10 * MS);
        assert_eq!(CountingWaker::new().poll(timeout.as_mut()), late());
    });
}

#[test]
fn a_move_to_a_later_time_takes_effect_while_it_waits() {
    watched(|| {
        let reactor = by_hand();
        let (mut timeout, waker) = waits(&reactor);
        pass(&reactor, 9 * MS);
        timeout.as_mut().set_deadline(10 * MS);
        pass(&reactor, 10 * MS - Duration::from_nanos(1));
        assert_eq!(waker.wakes(), 0, "not at the first deadline");
        pass(&reactor, TICK);
        assert_eq!(waker.wakes(), 1);
        assert_eq!(waker.poll(timeout.as_mut()), late());
    });
}

#[test]
fn a_move_to_an_earlier_time_takes_effect_while_it_waits() {
    watched(|| {
        let reactor = by_hand();
        let (mut timeout, waker) = waits(&reactor);
        timeout.as_mut().set_deadline(reactor.now() + 2 * MS);
        pass(&reactor, 2 * MS + TICK);
        assert_eq!(waker.wakes(), 1);
        assert_eq!(waker.poll(timeout.as_mut()), late());
    });
}

#[test]
fn a_move_into_the_past_wakes_the_task_at_once() {
    watched(|| {
        let reactor = by_hand();
        let (mut timeout, waker) = waits(&reactor);
        timeout.as_mut().set_deadline(past());
        assert_eq!(waker.wakes(), 1, "without a turn of the reactor");
        assert_eq!(waker.poll(timeout.as_mut()), late());
    });
}

#[test]
fn a_deadline_that_is_taken_away_comes_back() {
    watched(|| {
        let reactor = by_hand();
        let (mut timeout, waker) = waits(&reactor);
        timeout.as_mut().set_deadline(None);
        pass(&reactor, 1000 * MS);
        assert_eq!(waker.wakes(), 0);
        assert!(waker.poll(timeout.as_mut()).is_pending());
        timeout.as_mut().set_deadline(MS);
        pass(&reactor, MS + TICK);
        assert_eq!(waker.poll(timeout.as_mut()), late());
    });
}

/// A deadline that was moved after it had passed, and before the task looked, has not passed.
#[test]
fn a_move_before_the_task_looks_wins() {
    watched(|| {
        let reactor = by_hand();
        let (mut timeout, waker) = waits(&reactor);
        pass(&reactor, 10 * MS + TICK);
        assert_eq!(waker.wakes(), 1);
        timeout.as_mut().set_deadline(10 * MS);
        assert!(waker.poll(timeout.as_mut()).is_pending());
    });
}

/// As in tokio: the future comes first, also where the deadline has passed before the first poll.
#[test]
fn a_future_that_is_ready_wins_over_a_deadline_in_the_past() {
    watched(|| {
        assert_eq!(deadline(past(), ready(7)).now_or_never(), Some(Ok(7)));
        assert_eq!(timeout(Duration::ZERO, ready(7)).now_or_never(), Some(Ok(7)));
        let pending = timeout(Duration::ZERO, pending::<()>()).now_or_never();
        assert_eq!(pending, Some(Err(DeadlineExceeded::default())), "at the first poll");

        let reactor = by_hand();
        let mut one_poll = pin!(timeout_on(&reactor, MS, yield_now()));
        let waker = CountingWaker::new();
        assert!(waker.poll(one_poll.as_mut()).is_pending());
        pass(&reactor, 2 * MS);
        assert_eq!(waker.poll(one_poll), Poll::Ready(Ok(())), "both have come");
    });
}

#[test]
fn the_error_becomes_one_of_io() {
    watched(|| {
        let read = || -> io::Result<()> {
            timeout(Duration::ZERO, pending()).now_or_never().expect("it has passed")?
        };
        let error = read().expect_err("no byte comes");
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert!(netpoll_futures::is_deadline_exceeded(&error));
    });
}

#[test]
fn a_drop_takes_the_waker_and_the_slot_back() {
    watched(|| {
        let reactor = by_hand();
        let (timeout, waker) = waits(&reactor);
        assert_eq!((reactor.metrics().registrations, Arc::strong_count(&waker)), (1, 2));
        drop(timeout);
        assert_eq!((reactor.metrics().registrations, Arc::strong_count(&waker)), (0, 1));
        pass(&reactor, 20 * MS);
        assert_eq!(waker.wakes(), 0);
        // A future that is ready at once takes none.
        assert_eq!(deadline_on(&reactor, 10 * MS, ready(7)).now_or_never(), Some(Ok(7)));
        assert!(reactor.metrics().registrations == 0);
    });
}

/// It has one place, as every future has: another task that polls it is woken in place of the first.
#[test]
fn the_newest_waker_is_woken() {
    watched(|| {
        let reactor = by_hand();
        let (mut timeout, first) = waits(&reactor);
        let second = CountingWaker::new();
        assert!(second.poll(timeout.as_mut()).is_pending());
        pass(&reactor, 10 * MS + TICK);
        assert_eq!((first.wakes(), second.wakes()), (0, 1));
    });
}

/// A future that wakes its own task in each poll, and one that uses up the budget of the thread in each.
#[test]
fn a_future_that_is_always_busy_does_not_hide_the_deadline() {
    watched(|| {
        let reactor = by_hand();
        let waker = CountingWaker::new();
        let mut yields = pin!(timeout_on(&reactor, 10 * MS, async {
            loop {
                yield_now().await;
            }
        }));
        assert!(waker.poll(yields.as_mut()).is_pending());
        pass(&reactor, 10 * MS + TICK);
        assert_eq!(waker.poll(yields), late::<()>());

        let (reader, _writer) = io::pipe().expect("a pipe");
        let busy = Registration::with(&reactor, reader, Interest::Readable).expect("it is");
        busy.assume_ready(Direction::Read);
        let mut spends = pin!(timeout_on(&reactor, 10 * MS, async {
            loop {
                busy.ready(Direction::Read).await.expect("it is open");
            }
        }));
        for _ in 0..5 {
            assert!(waker.poll(spends.as_mut()).is_pending());
            assert!(budget::is_spent());
        }
        pass(&reactor, 10 * MS + TICK);
        assert_eq!(waker.poll(spends), late::<()>());
    });
}

#[test]
fn a_panic_of_the_future_leaves_the_reactor_as_it_is() {
    watched(|| {
        let reactor = by_hand();
        let mut polls = 0;
        let panics = poll_fn(|_| {
            polls += 1;
            assert!(polls < 2, "a future that panics, as its test wants it");
            Poll::<()>::Pending
        });
        let waker = CountingWaker::new();
        let mut timeout = Box::pin(timeout_on(&reactor, 10 * MS, panics));
        assert!(waker.poll(timeout.as_mut()).is_pending());
        let (mut other, other_waker) = waits(&reactor);
        let polled = catch_unwind(AssertUnwindSafe(|| waker.poll(timeout.as_mut())));
        assert!(polled.is_err());
        drop(timeout);
        assert_eq!(reactor.metrics().registrations, 1, "its slot is free");
        pass(&reactor, 10 * MS + TICK);
        assert_eq!((waker.wakes(), other_waker.wakes()), (0, 1));
        assert_eq!(other_waker.poll(other.as_mut()), late());
    });
}

/// Without its reactor, a thread that serves the timers wakes the task.
#[test]
fn a_shutdown_of_the_reactor_does_not_lose_the_deadline() {
    watched(|| {
        let reactor = Reactor::builder().build().expect("a reactor");
        let mut timeout = pin!(timeout_on(&reactor, 20 * MS, pending::<()>()));
        let waker = CountingWaker::new();
        assert!(waker.poll(timeout.as_mut()).is_pending());
        reactor.shutdown();
        let mut seen = 0;
        let ended = loop {
            while waker.wakes() == seen {
                std::thread::yield_now();
            }
            seen = waker.wakes();
            if let Poll::Ready(ended) = waker.poll(timeout.as_mut()) {
                break ended;
            }
        };
        assert_eq!(ended, Err(DeadlineExceeded::default()));
    });
}

/// On the reactor of the process, whose own thread wakes the task.
#[test]
fn the_global_reactor_wakes_the_task() {
    watched(|| {
        let mut timeout = pin!(timeout(5 * MS, pending::<()>()));
        let waker = CountingWaker::new();
        if waker.poll(timeout.as_mut()).is_pending() {
            wait_until_woken(&waker);
            assert_eq!(waker.poll(timeout.as_mut()), late());
        }
    });
}

/// Once the reactor has had as many timeouts at a time as now: neither a timeout from its first poll to its drop, nor
/// its moves, nor the turns of the reactor, nor a poll of another task.
#[test]
fn a_timeout_allocates_nothing() {
    watched(|| {
        let reactor = by_hand();
        let wakers = [CountingWaker::new(), CountingWaker::new()].map(Waker::from);
        let round = |rounds: u32| {
            for _ in 0..rounds {
                let mut timeout = pin!(timeout_on(&reactor, 10 * MS, pending::<()>()));
                for waker in &wakers {
                    let polled = timeout.as_mut().poll(&mut Context::from_waker(waker));
                    assert!(polled.is_pending());
                    pass(&reactor, MS);
                    timeout.as_mut().set_deadline(20 * MS);
                    timeout.as_mut().set_deadline(2 * MS);
                    pass(&reactor, MS);
                }
                pass(&reactor, 2 * MS);
                let polled = timeout.as_mut().poll(&mut Context::from_waker(&wakers[0]));
                assert_eq!(polled, late());
            }
        };
        round(100);
        let allocated = allocation_counter::measure(|| round(1000));
        assert_eq!(allocated.count_total, 0);
    });
}
