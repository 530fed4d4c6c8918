//! Several waiters in one direction: none is lost, none is woken for another's wake-up, and a future that
//! no longer waits is no longer held.

use std::io::{ErrorKind, Read};
use std::net::TcpStream;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use netpoll::{Direction, Registration, Timer, is_deadline_exceeded};
use netpoll_tests::{CountingWaker, watched};

use crate::fixtures::{
    LOOK, assert_quiet, by_hand, by_hand_with_clock, failed, poll_ready, send, settled,
};
use netpoll_tests::fixtures::os;

/// How many wakers of `poll_*` calls are kept at first: one in the slot, and those beside it up to their limit.
const KEPT: usize = 1 + 256;

fn counting(count: usize) -> Vec<Arc<CountingWaker>> {
    (0..count).map(|_| CountingWaker::new()).collect()
}

/// How many of these have an owner besides the test.
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
        assert!(wakers.iter().all(|waker| waker.wakes() == 0), "nor is any other woken");
        send(&reactor, &far, b"x");
        assert!(wakers.iter().all(|waker| waker.wakes() == 1));
        assert_eq!(reactor.metrics().wakes, 3);
        assert_eq!(held(&wakers), 0);
    });
}

/// tokio#1108: wakers pile up when a task polls with a new one each time, as `select`s and
/// `FuturesUnordered` do. A limit keeps the memory: all of them are woken when it is reached, so that those which
/// are alive may wait again, and the limit doubles.
#[test]
fn more_wakers_than_are_kept() {
    watched(|| {
        let reactor = by_hand();
        let (near, far) = settled(&reactor);
        let wakers = counting(1000);
        let woken = || wakers.iter().filter(|waker| waker.wakes() == 1).count();
        for (count, waker) in wakers.iter().enumerate() {
            assert!(poll_ready(&near, Direction::Read, waker).is_pending());
            assert_eq!(woken() + held(&wakers), count + 1, "each is kept, or woken");
            let limits = [KEPT, KEPT + 512];
            let expected = if count < limits[0] {
                0
            } else if count < limits[1] {
                256
            } else {
                768
            };
            assert_eq!(woken(), expected);
        }
        send(&reactor, &far, b"x");
        assert!(wakers.iter().all(|waker| waker.wakes() == 1));
        assert_eq!(held(&wakers), 0);
        // The event takes the limit back.
        near.clear_ready(near.seen(Direction::Read));
        for waker in &wakers[..=KEPT] {
            assert!(poll_ready(&near, Direction::Read, waker).is_pending());
        }
        assert_eq!(wakers.iter().filter(|waker| waker.wakes() == 2).count(), 256);
    });
}

/// Tasks that poll an idle socket by `poll_ready` and are served by an executor: after they have all come back once
/// or twice, none of them runs any more.
#[test]
fn many_tasks_that_poll_an_idle_socket_come_to_rest() {
    watched(|| {
        const TASKS: usize = 2000;
        let reactor = by_hand();
        let (near, _far) = settled(&reactor);
        let mut tasks: Vec<_> = (0..TASKS).map(|_| Task::new()).collect();
        tasks.iter_mut().for_each(|task| task.poll(&near));
        let mut polls = TASKS;
        while let Some(task) = tasks.iter_mut().find_map(|task| task.take_wake().then_some(task)) {
            task.poll(&near);
            polls += 1;
            assert!(polls < 4 * TASKS, "they wake each other in circles");
        }
    });
}

/// One task that shows a fresh waker at each poll, in a socket and in a lone timer: its own wakers do not wake it in
/// circles, and the memory is bounded.
#[test]
fn a_task_with_a_fresh_waker_at_each_poll_comes_to_rest() {
    watched(|| {
        let reactor = by_hand();
        let (near, _far) = settled(&reactor);
        let timer = Timer::never(&reactor).expect("a timer");
        let poll_timer = |waker: &Arc<CountingWaker>| {
            timer.poll_fired(&mut Context::from_waker(&Waker::from(waker.clone()))).is_pending()
        };
        let poll_socket =
            |waker: &Arc<CountingWaker>| poll_ready(&near, Direction::Read, waker).is_pending();
        for is_timer in [false, true] {
            let wakers = counting(60_000);
            for waker in &wakers {
                assert!(if is_timer { poll_timer(waker) } else { poll_socket(waker) });
            }
            assert!(held(&wakers) <= 1 << 15, "{} wakers are kept", held(&wakers));
            let wakes: usize = wakers.iter().map(|waker| waker.wakes()).sum();
            assert!(wakes <= wakers.len(), "each at most once");
        }
    });
}

/// Timers and futures that are dropped while they wait wake no task.
#[test]
fn a_dropped_timer_wakes_no_task() {
    watched(|| {
        let reactor = by_hand();
        let wakers = counting(2);
        let mut timer = Timer::never(&reactor).expect("a timer");
        assert!(wakers[0].poll(std::pin::Pin::new(&mut timer)).is_pending());
        let cx = &mut Context::from_waker(Waker::noop());
        assert!(timer.poll_fired(cx).is_pending());
        drop(timer);
        assert_eq!(wakers[0].wakes(), 0);
        assert_eq!(held(&wakers), 0);
    });
}

/// A timer is one future: the newest waker replaces the older one, also a fresh one each time.
#[test]
fn a_timer_has_one_waker() {
    watched(|| {
        let reactor = by_hand();
        let wakers = counting(1000);
        let mut timer = Timer::never(&reactor).expect("a timer");
        for waker in &wakers {
            assert!(waker.poll(std::pin::Pin::new(&mut timer)).is_pending());
        }
        assert_eq!(held(&wakers), 1);
        assert!(wakers.iter().all(|waker| waker.wakes() == 0));
    });
}

/// Waiting costs the same however many wait: 40,000 futures of one direction begin, are polled again and are
/// dropped in about ten times the processor time of 4,000. A list that is searched would need a hundred times.
#[test]
fn the_cost_of_waiting_does_not_grow_with_the_waiters() {
    watched(|| {
        let reactor = by_hand();
        let (near, _far) = settled(&reactor);
        let cost = |count: usize| {
            let waker = CountingWaker::new();
            let mut futures: Vec<_> =
                (0..count).map(|_| Box::pin(near.ready(Direction::Read))).collect();
            let began = os::thread_time();
            for _ in 0..2 {
                for future in &mut futures {
                    assert!(waker.poll(future.as_mut()).is_pending());
                }
            }
            futures.into_iter().rev().for_each(drop);
            os::thread_time() - began
        };
        let least = |count| (0..5).map(|_| cost(count)).min().expect("five");
        let (few, many) = (least(4000), least(40_000));
        assert!(many < few * 40, "4,000: {few:?}, 40,000: {many:?}");
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
        let mut futures: Vec<_> =
            wakers.iter().map(|_| Box::pin(near.ready(Direction::Read))).collect();
        for (future, waker) in futures.iter_mut().zip(&wakers) {
            assert!(waker.poll(future.as_mut()).is_pending());
        }
        assert!(wakers.iter().all(|waker| waker.wakes() == 0));
        send(&reactor, &far, b"x");
        for (future, waker) in futures.iter_mut().zip(&wakers) {
            assert_eq!(waker.wakes(), 1);
            netpoll::refill_budget_if(|| true);
            assert!(waker.poll(future.as_mut()).is_ready());
        }
    });
}

/// futures-rs#2292: a dropped `readable()` leaves its waker behind, and with it the task, until an
/// event comes that may never come. Here it goes with the future, and the others wait on: whichever
/// came first, whichever is dropped.
#[test]
fn a_dropped_future_takes_its_waker_along() {
    watched(|| {
        for dropped in 0..3 {
            let reactor = by_hand();
            let (near, far) = settled(&reactor);
            let wakers = counting(3);
            let mut futures: Vec<_> =
                wakers.iter().map(|_| Box::pin(near.ready(Direction::Read))).collect();
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

/// A future that was woken and is dropped instead of polled takes no other wake-up with it: the
/// edge was for all. (The risk of every design that wakes one waiter of several; async-io#78 lost
/// wakes so.)
#[test]
fn a_woken_future_may_be_dropped() {
    watched(|| {
        let reactor = by_hand();
        let (near, far) = settled(&reactor);
        let wakers = counting(2);
        let mut first = Box::pin(near.ready(Direction::Read));
        let mut second = pin!(near.ready(Direction::Read));
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
        let mut behind = pin!(near.ready(Direction::Read));
        let mut future = pin!(near.ready(Direction::Read));
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

/// Deadlines wake the list too: golang/go#20280 cancels by them, whichever task reads, and Go's nettest
/// (RacyRead) has ten readers.
#[test]
fn a_deadline_ends_every_waiter() {
    watched(|| {
        let reactor = by_hand_with_clock();
        let (near, _far) = settled(&reactor);
        let wakers = counting(10);
        let mut futures: Vec<_> =
            wakers.iter().map(|_| Box::pin(near.ready(Direction::Read))).collect();
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

/// futures-rs#2292 for `poll_*`: the socket does not learn that a task is gone, and its waker is held
/// until an event comes. The end of the registration is one.
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
