//! Wakers are user code: they panic, drop their sockets, and call back.

use std::io::Write;
use std::net::TcpStream;
use std::panic::panic_any;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, OnceLock};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use netpoll::{Direction, Reactor, Registration, Timer};
use netpoll_tests::fixtures::{on_wake, os, panicking_waker};
use netpoll_tests::{CountingWaker, watched};

use crate::fixtures::{
    LOOK, assert_quiet, by_hand, by_hand_with_clock, poll_ready, read, registered, send, settled,
    take_events, wait_to_read,
};

type Near = Registration<TcpStream>;

/// A connection whose reader has a waker that panics, and behind it, in both directions as far as
/// they wait, wakers that count.
fn with_a_panicking_reader(reactor: &Reactor) -> (Near, TcpStream, Arc<CountingWaker>) {
    let (near, far) = settled(reactor);
    let second = CountingWaker::new();
    wait_to_read(&near, &panicking_waker());
    wait_to_read(&near, &Waker::from(second.clone()));
    (near, far, second)
}

/// async-io (`reactor.rs`, `react`): the wakers of one turn are collected and then woken, and a way
/// out in between loses those that come later. Here the first waker of each of ten sockets panics
/// in one turn; the second one of each is woken all the same, and the reactor goes on.
#[test]
fn a_panic_in_a_turn_loses_no_other_wake() {
    watched(|| {
        let reactor = by_hand();
        let sockets: Vec<_> = (0..10).map(|_| with_a_panicking_reader(&reactor)).collect();
        for (near, far, _) in &sockets {
            (&*far).write_all(b"x").expect("room");
            os::wait_for(near, libc::POLLIN);
        }
        take_events(&reactor, 10);
        assert!(sockets.iter().all(|(.., second)| second.wakes() == 1));

        let (near, far) = settled(&reactor);
        let waker = CountingWaker::new();
        assert!(poll_ready(&near, Direction::Read, &waker).is_pending());
        send(&reactor, &far, b"x");
        assert_eq!(waker.wakes(), 1);
    });
}

/// The same (async-io, `react`) for deadlines and timers, which a turn finds in its wheel.
#[test]
fn a_panic_in_an_expiry_loses_no_other_wake() {
    watched(|| {
        let reactor = by_hand_with_clock();
        let soon = reactor.now() + Duration::from_millis(10);
        let sockets: Vec<_> = (0..10).map(|_| with_a_panicking_reader(&reactor)).collect();
        for (near, ..) in &sockets {
            near.set_read_deadline(Some(soon)).expect("open");
        }
        let timer = Timer::at(&reactor, soon).expect("a timer");
        assert!(timer.poll_fired(&mut Context::from_waker(&panicking_waker())).is_pending());
        reactor.turn(LOOK).expect("a turn");
        reactor.advance(Duration::from_millis(11));
        reactor.turn(LOOK).expect("a turn");
        assert!(sockets.iter().all(|(.., second)| second.wakes() == 1));
        assert_eq!(reactor.metrics().expiries, 11);
    });
}

/// The wake-ups that do not come from a turn, but from a task that sets a deadline in the past, closes
/// or drops: the panic of another task's waker is not the caller's (async-io, `react`).
#[test]
fn a_panic_does_not_reach_a_setter_or_a_close() {
    watched(|| {
        let reactor = by_hand();
        let (near, _far, second) = with_a_panicking_reader(&reactor);
        near.set_deadline(Some(reactor.now())).expect("open");
        assert_eq!(second.wakes(), 1);

        let (near, _far, second) = with_a_panicking_reader(&reactor);
        futures::executor::block_on(near.close()).expect("open");
        assert_eq!(second.wakes(), 1);

        let (near, _far, second) = with_a_panicking_reader(&reactor);
        drop(near);
        assert_eq!((second.wakes(), Arc::strong_count(&second)), (0, 1), "dropped, not woken");

        let (_near, _far, second) = with_a_panicking_reader(&reactor);
        reactor.shutdown();
        assert_eq!(second.wakes(), 1);
    });
}

/// A bomb in the panic itself: the payload of a panic is dropped by the code that caught it, and can panic
/// in turn. (The same class as async-io's `react`: the panic of one wake-up must not reach the others.)
#[test]
fn a_panic_that_panics_when_it_is_dropped() {
    struct Bomb;

    impl Drop for Bomb {
        fn drop(&mut self) {
            if !thread::panicking() {
                panic!("the payload of a panic panics, as its test wants it");
            }
        }
    }

    watched(|| {
        let reactor = by_hand();
        let (near, far) = settled(&reactor);
        let second = CountingWaker::new();
        wait_to_read(&near, &on_wake(|| panic_any(Bomb)));
        wait_to_read(&near, &Waker::from(second.clone()));
        send(&reactor, &far, b"x");
        assert_eq!(second.wakes(), 1);
    });
}

/// The thread of a reactor survives too (async-io, `react`): there is no other to take its place.
#[test]
fn a_panic_does_not_end_the_reactors_thread() {
    watched(|| {
        let reactor = Reactor::builder().build().expect("a reactor with a thread");
        let (first, mut first_far) = registered(&reactor);
        let (second, mut second_far) = registered(&reactor);
        let (tell, told) = channel();
        wait_to_read(
            &first,
            &on_wake(move || {
                tell.send(()).expect("the receiver lives");
                panic!("a waker that panics, as its test wants it");
            }),
        );
        first_far.write_all(b"x").expect("room");
        told.recv().expect("it is about to panic");
        second_far.write_all(b"x").expect("room");
        futures::executor::block_on(second.ready(Direction::Read))
            .expect("an event after the panic");
    });
}

/// A waker that drops a value, once.
fn dropping<T: Send + 'static>(owner: &Arc<Mutex<Option<T>>>) -> Waker {
    let owner = owner.clone();
    on_wake(move || {
        // Not under the lock: the drop may wake, and this waker too.
        let owned = owner.lock().expect("no panic").take();
        drop(owned);
    })
}

/// tokio#8552 and tokio#8618: a waker drops the very thing it waits for, here a whole executor with
/// its tasks, while the reactor is about to touch it once more. The others of the same event are
/// woken, and the slot is free afterwards.
#[test]
fn a_waker_that_drops_the_registration_it_waits_for() {
    watched(|| {
        let reactor = by_hand();
        let (near, far) = settled(&reactor);
        let second = CountingWaker::new();
        let owner = Arc::new(Mutex::new(None));
        wait_to_read(&near, &dropping(&owner));
        wait_to_read(&near, &Waker::from(second.clone()));
        *owner.lock().expect("owner") = Some(near);
        assert_eq!(reactor.metrics().registrations, 1);

        send(&reactor, &far, b"x");

        assert_eq!(second.wakes(), 1);
        assert_eq!(reactor.metrics().registrations, 0);
        let (next, far) = settled(&reactor);
        wait_to_read(&next, &Waker::from(second.clone()));
        send(&reactor, &far, b"x");
        assert_eq!(second.wakes(), 2);
    });
}

/// The same (tokio#8552) from the wheel: the waker of a timer drops the timer, and one of a
/// deadline drops its socket, with the other direction's deadline due in the same look.
#[test]
fn a_waker_that_drops_the_timer_it_waits_for() {
    watched(|| {
        let reactor = by_hand_with_clock();
        let (near, _far) = settled(&reactor);
        near.set_deadline(Some(reactor.now() + Duration::from_millis(1))).expect("open");
        let timer = Timer::at(&reactor, reactor.now() + Duration::from_millis(1)).expect("one");
        let owner = Arc::new(Mutex::new(None));
        let dropping = dropping(&owner);
        wait_to_read(&near, &dropping);
        assert!(timer.poll_fired(&mut Context::from_waker(&dropping)).is_pending());
        *owner.lock().expect("owner") = Some((near, timer));

        reactor.advance(Duration::from_millis(2));
        reactor.turn(LOOK).expect("a turn");

        assert!(owner.lock().expect("owner").is_none());
        assert_eq!(reactor.metrics().registrations, 0);
        reactor.advance(Duration::from_secs(1));
        assert_quiet(&reactor);
    });
}

/// The acts of a waker, one bit each, so that the test sees that it got to the end.
static DONE: AtomicU64 = AtomicU64::new(0);

/// tokio's `io_driver.rs` test and tokio#8618: a waker that calls back into the reactor that wakes
/// it. With a lock held around the wake-up that is a deadlock. Here a waker may make any call, a turn included.
#[test]
fn a_waker_that_calls_back() {
    fn call_back(reactor: &Reactor, near: &Near) {
        reactor.turn(LOOK).expect("a turn within a turn");
        let timer = Timer::at(reactor, reactor.now()).expect("a timer");
        let cx = &mut Context::from_waker(Waker::noop());
        assert!(timer.poll_fired(cx).is_ready());
        near.set_deadline(Some(reactor.now() + Duration::from_secs(1))).expect("open");
        near.set_write_deadline(Some(reactor.now())).expect("open");
        let Poll::Ready(Ok(readiness)) = near.poll_ready(cx, Direction::Read) else {
            panic!("it was woken for readiness");
        };
        near.clear_ready(readiness);
        assert!(near.poll_ready(cx, Direction::Read).is_pending());
        let (other, _far) = registered(reactor);
        assert!(other.poll_ready(cx, Direction::Read).is_pending());
        reactor.notify();
        assert!(reactor.metrics().registrations >= 2);
        DONE.fetch_add(1, Ordering::SeqCst);
    }

    watched(|| {
        let reactor = by_hand();
        let (near, far) = settled(&reactor);
        let near = Arc::new(near);
        let (in_waker, for_waker) = (near.clone(), reactor.clone());
        wait_to_read(&near, &on_wake(move || call_back(&for_waker, &in_waker)));
        send(&reactor, &far, b"x");
        assert_eq!(DONE.load(Ordering::SeqCst), 1, "the waker came to its end");
        assert!(near.try_io(Direction::Write, |_| Ok(())).is_err(), "its deadline holds");
        assert_quiet(&reactor);
    });
}

/// A waker whose drop panics is displaced by the task's next waker: the panic does not reach the task, and the
/// other waiter is woken at the next event.
#[test]
fn a_displaced_waker_that_panics_when_it_is_dropped() {
    struct Bomb;

    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("a waker panics when it is dropped, as its test wants it");
        }
    }

    watched(|| {
        let reactor = by_hand();
        let (near, far) = settled(&reactor);
        let bomb = Bomb;
        let mut future = Box::pin(near.ready(Direction::Read));
        let armed = on_wake(move || {
            std::hint::black_box(&bomb);
        });
        assert!(future.as_mut().poll(&mut Context::from_waker(&armed)).is_pending());
        drop(armed);
        let others = [CountingWaker::new(), CountingWaker::new()];
        let mut second = Box::pin(near.ready(Direction::Read));
        assert!(others[1].poll(second.as_mut()).is_pending());
        assert!(others[0].poll(future.as_mut()).is_pending(), "the older waker is dropped now");
        send(&reactor, &far, b"x");
        assert!(others.iter().all(|waker| waker.wakes() == 1));
    });
}

/// A waker that waits, on the thread that makes the turn. The timer that it waits for is a later turn's, which that
/// thread makes inside the waker; the other tasks of the outer turn are woken first.
#[test]
fn a_waker_that_waits() {
    for of_its_own_thread in [false, true] {
        watched(move || {
            let builder = Reactor::builder();
            let builder = if of_its_own_thread { builder } else { builder.embedded() };
            let reactor = builder.build().expect("a reactor");
            let (near, far) = registered(&reactor);
            let (other, far_other) = registered(&reactor);
            let woken = CountingWaker::new();
            let (done, waited) = channel();
            let (in_waker, others) = (reactor.clone(), woken.clone());
            let waits = on_wake(move || {
                let soon = in_waker.now() + Duration::from_millis(5);
                let timer = Timer::at(&in_waker, soon).expect("a timer");
                in_waker.block_on(timer).expect("it fires");
                done.send(others.wakes()).expect("the test waits");
            });
            wait_to_read(&near, &waits);
            wait_to_read(&other, &Waker::from(woken.clone()));
            for far in [&far, &far_other] {
                (&*far).write_all(b"x").expect("room");
            }
            if !of_its_own_thread {
                [&near, &other].into_iter().for_each(|near| os::wait_for(near, libc::POLLIN));
                reactor.turn(LOOK).expect("a turn");
            }
            assert_eq!(waited.recv(), Ok(1), "the other task was woken while the waker waited");
        });
    }
}

/// An event that wakes a task that waits again at once, inside the wake-up: async-io once woke such
/// a task for the same event until the end of days. It is woken by the next event.
#[test]
fn a_waker_that_waits_again_at_once() {
    watched(|| {
        let reactor = by_hand();
        let (near, far) = settled(&reactor);
        let near = Arc::new(near);
        let woken = Arc::new(AtomicU64::new(0));
        let itself = Arc::new(OnceLock::<Waker>::new());
        // Weak, so that nothing keeps itself.
        let (counted, again, same) =
            (woken.clone(), Arc::downgrade(&near), Arc::downgrade(&itself));
        let waker = on_wake(move || {
            counted.fetch_add(1, Ordering::SeqCst);
            let (again, same) = (again.upgrade().expect("held"), same.upgrade().expect("held"));
            let cx = &mut Context::from_waker(same.get().expect("set before it is woken"));
            while let Poll::Ready(ready) = again.poll_ready(cx, Direction::Read) {
                again.clear_ready(ready.expect("readiness"));
            }
        });
        itself.set(waker.clone()).expect("set once");
        wait_to_read(&near, &waker);
        for edge in 1..=10 {
            send(&reactor, &far, b"x");
            assert_eq!(woken.load(Ordering::SeqCst), edge);
        }
        assert_quiet(&reactor);
    });
}

/// The payload of a waker's panic may be of any type, and is not kept.
#[test]
fn the_payload_of_its_panic_is_dropped() {
    watched(|| {
        let reactor = by_hand();
        let (near, far) = settled(&reactor);
        let thrown = Arc::new(());
        for round in 0..3 {
            let throws = thrown.clone();
            wait_to_read(&near, &on_wake(move || panic_any(throws.clone())));
            send(&reactor, &far, b"x");
            assert_eq!(read(&near, 2).expect("a byte").len(), 1);
            // The waker has gone with its values, and so has the payload of its panic.
            assert_eq!(Arc::strong_count(&thrown), 1, "after {} panics", round + 1);
        }
    });
}
