//! A task that keeps its thread: others' events do not wait for it.
//!
//! The task that blocks waits, with its whole thread, for a state that only an event can bring about. If
//! no other thread takes over, it waits for ever.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Instant;

use futures::executor;
use netpoll::Reactor;
use netpoll_tests::watched;

use crate::fixtures::{Echo, with_thread};

/// A driver that is known to have the lease, and then blocks its thread until it hears something.
fn drive_then_block(reactor: &Reactor, blocked: &Sender<()>, until: &Receiver<()>) {
    let echo = Echo::new(reactor);
    reactor.block_on(async {
        echo.exchange_often(10).await;
        blocked.send(()).expect("the test listens");
        until.recv().expect("the test says when");
        echo.exchange_often(10).await;
    });
}

/// Runs `meanwhile` while a driver blocks its thread.
fn while_one_is_blocked(reactor: &Reactor, meanwhile: impl FnOnce()) {
    let (tell_blocked, blocked) = channel();
    let (unblock, until) = channel();
    thread::scope(|scope| {
        scope.spawn(move || drive_then_block(reactor, &tell_blocked, &until));
        blocked.recv().expect("it gets there");
        meanwhile();
        unblock.send(()).expect("it waits for it");
    });
}

#[test]
fn the_reactors_thread_takes_over() {
    watched(|| {
        let reactor = with_thread();
        for _ in 0..20 {
            let echo = Echo::new(&reactor);
            while_one_is_blocked(&reactor, || executor::block_on(echo.exchange_often(10)));
        }
    });
}

#[test]
fn another_driver_takes_over() {
    watched(|| {
        let reactor = with_thread();
        for _ in 0..20 {
            let echo = Echo::new(&reactor);
            while_one_is_blocked(&reactor, || reactor.block_on(echo.exchange_often(10)));
        }
    });
}

/// A driver that sleeps, because another had the lease, is called when that one blocks.
#[test]
fn a_driver_that_slept_takes_over() {
    watched(|| {
        let reactor = with_thread();
        for _ in 0..20 {
            let echo = Echo::new(&reactor);
            let (tell_waiting, waiting) = channel();
            thread::scope(|scope| {
                let (reactor, echo) = (&reactor, &echo);
                let (go, gone) = futures::channel::oneshot::channel::<()>();
                let sleeper = scope.spawn(move || {
                    reactor.block_on(async {
                        tell_waiting.send(()).expect("the test listens");
                        gone.await.expect("the test says when");
                        echo.exchange_often(10).await;
                    });
                });
                waiting.recv().expect("it gets there");
                while_one_is_blocked(reactor, || {
                    go.send(()).expect("it waits for it");
                    sleeper.join().expect("it ends");
                });
            });
        }
    });
}

/// Each event needs the reactor's thread, as the driver stays away. How long each exchange took is
/// printed (`--nocapture` shows it): with a tick of 4 ms, the first may take 12, and
/// the others nothing, as the thread goes on once it has taken over.
#[test]
fn while_it_is_blocked_every_event_is_served() {
    watched(|| {
        let reactor = with_thread();
        let echo = Echo::new(&reactor);
        while_one_is_blocked(&reactor, || {
            let mut took = Vec::new();
            while reactor.metrics().thread_turns < 200 {
                let began = Instant::now();
                executor::block_on(echo.exchange(1));
                took.push(began.elapsed());
            }
            println!("first {:?}, longest of the others {:?}", took[0], took[1..].iter().max());
        });
    });
}
