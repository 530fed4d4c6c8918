//! Whose turn it is: takers, those who queue, and those who pass it on.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::Context;

use loom::future::block_on;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;
use netpoll_tests::CountingWaker;

use super::kit::{explore, explore_up_to};
use crate::order::Orders;
use crate::ready::Direction::Read;

/// Takes the turn as a future does, is alone while it has it, and passes it on.
fn have_a_turn(order: &Orders, inside: &AtomicUsize) {
    let turn = block_on(order.take(Read)).expect("the order goes on");
    assert_eq!(inside.fetch_add(1, Ordering::Relaxed), 0, "one has the turn at a time");
    inside.fetch_sub(1, Ordering::Relaxed);
    drop(turn);
}

/// Three futures, on a thread each: all have their turn, one at a time. Who is forgotten in the queue,
/// loom finds as a deadlock.
#[test]
fn order_of_three() {
    explore_up_to(3, || {
        let shared = Arc::new((Orders::new(), AtomicUsize::new(0)));
        let others = [0, 1].map(|_| {
            let shared = shared.clone();
            thread::spawn(move || have_a_turn(&shared.0, &shared.1))
        });
        have_a_turn(&shared.0, &shared.1);
        for other in others {
            other.join().unwrap();
        }
        assert!(shared.0.is_free(Read));
    });
}

/// One has the turn, one waits for it and leaves, one waits for it and stays.
#[test]
fn order_and_one_who_leaves() {
    explore_up_to(3, || {
        let shared = Arc::new((Orders::new(), AtomicUsize::new(0)));
        let turn = shared.0.try_take(Read).expect("nobody else is there yet");
        let leaver = {
            let shared = shared.clone();
            thread::spawn(move || {
                let wait = pin!(shared.0.take(Read));
                drop(wait.poll(&mut Context::from_waker(std::task::Waker::noop())));
            })
        };
        let stayer = {
            let shared = shared.clone();
            thread::spawn(move || have_a_turn(&shared.0, &shared.1))
        };
        drop(turn);
        leaver.join().unwrap();
        stayer.join().unwrap();
        assert!(shared.0.is_free(Read));
    });
}

/// A `poll_*` call comes while the turn is passed on: it has it, or is woken to ask again.
#[test]
fn order_and_one_who_polls() {
    explore(|| {
        let order = Arc::new(Orders::new());
        let turn = order.try_take(Read).expect("nobody else is there yet");
        let poller = {
            let order = order.clone();
            thread::spawn(move || {
                let wakes = CountingWaker::new();
                let waker = wakes.clone().into();
                let polled = order.poll_take(&mut Context::from_waker(&waker), Read).map(drop);
                (polled.is_ready(), wakes)
            })
        };
        drop(turn);
        let (taken, wakes) = poller.join().unwrap();
        assert!(taken || wakes.wakes() == 1);
        assert!(order.is_free(Read));
    });
}

/// The socket is closed while one has the turn and another waits: it is told, or has its turn.
#[test]
fn order_that_ends() {
    explore(|| {
        let order = Arc::new(Orders::new());
        let turn = order.try_take(Read).expect("nobody else is there yet");
        let waiter = {
            let order = order.clone();
            thread::spawn(move || drop(block_on(order.take(Read))))
        };
        order.end();
        drop(turn);
        waiter.join().unwrap();
        assert!(
            order.try_take(Read).is_none(),
            "of what is over, nobody has the turn without asking"
        );
        assert!(block_on(order.take(Read)).is_ok(), "but it was passed on");
    });
}
