//! Several waiters in one direction: nobody is lost, nobody is woken for another's waking, and what
//! no longer waits is no longer held.

use std::io::{ErrorKind, Read};
use std::net::TcpStream;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use netpoll::{Direction, Registration, is_deadline_exceeded};
use netpoll_tests::{CountingWaker, watched};

use crate::stage::{
    LOOK, assert_quiet, by_hand, by_hand_with_clock, failed, poll_ready, send, settled,
};

/// How many wakers of `poll_*` calls are kept: one in the cell, and the list with its bound.
const KEPT: usize = 1 + 256;

fn counting(count: usize) -> Vec<Arc<CountingWaker>> {
    (0..count).map(|_| CountingWaker::new()).collect()
}

/// How many of these are held by somebody besides the test.
fn held(wakers: &[Arc<CountingWaker>]) -> usize {
    wakers.iter().filter(|waker| Arc::strong_count(waker) > 1).count()
}

/// A task that reads whatever comes, by `poll_ready`.
struct Task {
    waker: Arc<CountingWaker>,
    seen: usize,
    polls: usize,
    bytes: usize,
}

impl Task {
    fn new() -> Self {
        Self { waker: CountingWaker::new(), seen: 0, polls: 0, bytes: 0 }
    }

    fn poll(&mut self, near: &Registration<TcpStream>) {
        self.polls += 1;
        while let Poll::Ready(ready) = poll_ready(near, Direction::Read, &self.waker) {
            let ready = ready.expect("readiness");
            match near.get_ref().read(&mut [0; 16]) {
                Ok(count) => self.bytes += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => near.clear_ready(ready),
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// Whether it was woken, as an executor sees it: any number of times is once.
    fn take_wake(&mut self) -> bool {
        let wakes = self.waker.wakes();
        std::mem::replace(&mut self.seen, wakes) < wakes
    }
}

/// async-io#156 and its tick protocol: two tasks on one socket displace each other's waker, each
/// displacement is a wake-up, and they poll in circles. Here an edge wakes each of them once.
#[test]
fn two_tasks_do_not_wake_each_other_in_circles() {
    watched(|| {
        const EDGES: usize = 100;
        let reactor = by_hand();
        let (near, far) = settled(&reactor);
        let mut tasks = [Task::new(), Task::new()];
        tasks.iter_mut().for_each(|task| task.poll(&near));
        for edge in 1..=EDGES {
            send(&reactor, &far, b"x");
            while let Some(task) = tasks.iter_mut().find_map(|t| t.take_wake().then_some(t)) {
                task.poll(&near);
                assert!(task.polls <= 1 + edge, "one poll for each edge");
            }
            assert_eq!(tasks[0].bytes + tasks[1].bytes, edge);
        }
        let [first, second] = tasks.map(|task| task.polls);
        assert_eq!(first + second, 2 + 2 * EDGES);
        assert_quiet(&reactor);
    });
}

/// tokio documents that the last waker of `poll_*` wins; futures-rs#2139 asks for how many there
/// must be. A waker that another has displaced is woken by the next edge like any other, whichever
/// of the two came first.
#[test]
fn a_displaced_waker_is_woken_at_the_next_edge() {
    watched(|| {
        let reactor = by_hand();
        let (near, far) = settled(&reactor);
        let wakers = counting(3);
        for waker in &wakers {
            assert!(poll_ready(&near, Direction::Read, waker).is_pending());
        }
        // Waiting again is not waiting twice.
        for waker in wakers.iter().rev() {
            assert!(poll_ready(&near, Direction::Read, waker).is_pending());
        }
        assert!(wakers.iter().all(|waker| waker.wakes() == 0), "nor does anybody else hear of it");
        send(&reactor, &far, b"x");
        assert!(wakers.iter().all(|waker| waker.wakes() == 1));
        assert_eq!(reactor.metrics().wakes, 3);
        assert_eq!(held(&wakers), 0);
    });
}

/// tokio#1108: wakers pile up when a task polls with a new one each time, as `select`s and
/// `FuturesUnordered` do. A bound keeps the memory; whoever falls over it is woken at once, so that
/// it may wait again, and nobody is forgotten.
#[test]
fn more_wakers_than_are_kept() {
    watched(|| {
        let reactor = by_hand();
        let (near, far) = settled(&reactor);
        let wakers = counting(1000);
        for (count, waker) in wakers.iter().enumerate() {
            assert!(poll_ready(&near, Direction::Read, waker).is_pending());
            assert!(held(&wakers[..=count]) <= KEPT);
        }
        let woken = wakers.iter().filter(|waker| waker.wakes() == 1).count();
        assert_eq!((woken, held(&wakers)), (1000 - KEPT, KEPT), "kept, or woken");
        assert_eq!(wakers[0].wakes(), 0, "the cell is not the list's");
        assert_eq!(wakers[1].wakes(), 1, "the oldest of the list goes first");

        send(&reactor, &far, b"x");
        assert!(wakers.iter().all(|waker| waker.wakes() == 1));
        assert_eq!(held(&wakers), 0);
    });
}

/// tokio tests fifty tasks in `readable()`, and so do we, on either side of the bound of `poll_*`:
/// futures have places of their own and are never pushed out.
#[test]
fn any_number_of_futures_wait() {
    watched(|| {
        let reactor = by_hand();
        let (near, far) = settled(&reactor);
        let wakers = counting(2 * KEPT);
        let mut futures: Vec<_> = wakers.iter().map(|_| Box::pin(near.readable())).collect();
        for (future, waker) in futures.iter_mut().zip(&wakers) {
            assert!(waker.poll(future.as_mut()).is_pending());
        }
        assert!(wakers.iter().all(|waker| waker.wakes() == 0));
        send(&reactor, &far, b"x");
        for (future, waker) in futures.iter_mut().zip(&wakers) {
            assert_eq!(waker.wakes(), 1);
            assert!(waker.poll(future.as_mut()).is_ready());
        }
    });
}

/// futures-rs#2292: a dropped `readable()` leaves its waker behind, and with it the task, until an
/// event comes that may never come. Here it goes with the future, and the others wait on: whoever
/// came first, whoever is dropped.
#[test]
fn a_dropped_future_takes_its_waker_along() {
    watched(|| {
        for dropped in 0..3 {
            let reactor = by_hand();
            let (near, far) = settled(&reactor);
            let wakers = counting(3);
            let mut futures: Vec<_> = wakers.iter().map(|_| Box::pin(near.readable())).collect();
            for (future, waker) in futures.iter_mut().zip(&wakers) {
                assert!(waker.poll(future.as_mut()).is_pending());
            }
            drop(futures.remove(dropped));
            assert_eq!(Arc::strong_count(&wakers[dropped]), 1, "it went along");
            assert_eq!(held(&wakers), 2);
            send(&reactor, &far, b"x");
            for (index, waker) in wakers.iter().enumerate() {
                assert_eq!(waker.wakes(), usize::from(index != dropped));
            }
        }
    });
}

/// A future that was woken and is dropped instead of polled takes nobody's wake-up with it: the
/// edge was for all. (The risk of every design that wakes one waiter of several; async-io#78 lost
/// wakes so.)
#[test]
fn a_woken_future_may_be_dropped() {
    watched(|| {
        let reactor = by_hand();
        let (near, far) = settled(&reactor);
        let wakers = counting(2);
        let mut first = Box::pin(near.readable());
        let mut second = pin!(near.readable());
        assert!(wakers[0].poll(first.as_mut()).is_pending());
        assert!(wakers[1].poll(second.as_mut()).is_pending());
        send(&reactor, &far, b"x");
        drop(first);
        assert!(wakers[1].poll(second).is_ready());
    });
}

/// A future that moves to another task has another waker at its next poll. The old one is dropped,
/// and not woken: async-io#62 is a needless poll for each.
#[test]
fn a_future_has_one_waker() {
    watched(|| {
        let reactor = by_hand();
        let (near, far) = settled(&reactor);
        let wakers = counting(3);
        let mut behind = pin!(near.readable());
        let mut future = pin!(near.readable());
        for waker in &wakers {
            assert!(waker.poll(future.as_mut()).is_pending());
        }
        for waker in &wakers {
            assert!(waker.poll(behind.as_mut()).is_pending());
        }
        assert_eq!(held(&wakers), 1);
        assert_eq!(Arc::strong_count(&wakers[2]), 3);
        send(&reactor, &far, b"x");
        assert_eq!(wakers.iter().map(|waker| waker.wakes()).collect::<Vec<_>>(), [0, 0, 2]);
    });
}

/// tokio#1108, from the other side: a task that polls a socket over and over without result (a
/// `select` around it) has one waker in it, not one for each poll.
#[test]
fn polling_again_is_not_waiting_twice() {
    watched(|| {
        let reactor = by_hand();
        let (near, far) = settled(&reactor);
        let wakers = counting(2);
        for _ in 0..1000 {
            for waker in &wakers {
                assert!(poll_ready(&near, Direction::Read, waker).is_pending());
                assert_eq!(Arc::strong_count(waker), 2);
            }
        }
        send(&reactor, &far, b"x");
        assert!(wakers.iter().all(|waker| waker.wakes() == 1));
    });
}

/// Deadlines wake the list too: golang/go#20280 cancels by them, whoever reads, and Go's nettest
/// (RacyRead) has ten readers.
#[test]
fn a_deadline_ends_every_waiter() {
    watched(|| {
        let reactor = by_hand_with_clock();
        let (near, _far) = settled(&reactor);
        let wakers = counting(10);
        let mut futures: Vec<_> = wakers.iter().map(|_| Box::pin(near.readable())).collect();
        for (future, waker) in futures.iter_mut().zip(&wakers) {
            assert!(waker.poll(future.as_mut()).is_pending());
        }
        let soon = reactor.now() + Duration::from_millis(1);
        near.set_read_deadline(Some(soon)).expect("open");
        reactor.advance(Duration::from_millis(2));
        reactor.turn(LOOK).expect("a turn");
        for (future, waker) in futures.iter_mut().zip(&wakers) {
            assert_eq!(waker.wakes(), 1);
            assert!(failed(&waker.poll(future.as_mut()), is_deadline_exceeded));
        }
    });
}

/// futures-rs#2292 for `poll_*`: nobody tells the socket that a task is gone, and its waker is held
/// until something happens. The end of the registration is something.
#[test]
fn the_end_of_a_registration_lets_every_waker_go() {
    watched(|| {
        let reactor = by_hand();
        let (near, _far) = settled(&reactor);
        let wakers = counting(5);
        for waker in &wakers {
            assert!(poll_ready(&near, Direction::Read, waker).is_pending());
        }
        assert_eq!(held(&wakers), 5);
        drop(near);
        assert_eq!(held(&wakers), 0);
    });
}
