//! Several threads that wait for one reactor.

use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread;

use async_executor::Executor;
use futures::channel::oneshot;
use futures::executor;
use netpoll_tests::fixtures::os::{switches, thread_id, wait_until_asleep};
use netpoll_tests::watched;

use crate::fixtures::{Echo, ended_by_a_thread, reactors, with_thread};

/// One turns and the others sleep: which one changes all the time, and none is forgotten.
#[test]
fn four_threads_share_a_reactor() {
    watched(|| {
        for reactor in reactors() {
            thread::scope(|scope| {
                for _ in 0..4 {
                    scope.spawn(|| {
                        let echo = Echo::new(&reactor);
                        reactor.block_on(echo.exchange_often(500));
                    });
                }
            });
        }
    });
}

/// An idle driver has the lease, and the events are another driver's: the idle one gives the lease up and sleeps, so an
/// event costs no switch to its thread. (The reactor's thread may give the lease to it again, where the machine is busy.)
#[test]
fn an_idle_driver_gives_the_lease_up() {
    const EXCHANGES: usize = 500;
    watched(|| {
        let reactor = with_thread();
        let (stop, stopped) = oneshot::channel::<()>();
        let (name, named) = channel();
        thread::scope(|scope| {
            let idle = scope.spawn(|| {
                name.send(thread_id()).expect("the test waits");
                // From its second wait on a driver requests the lease, and the first event is its own.
                let echo = Echo::new(&reactor);
                reactor.block_on(echo.exchange_often(10));
                let _ = reactor.block_on(stopped);
                switches()
            });
            wait_until_asleep(named.recv().expect("its name"));
            let echo = Echo::new(&reactor);
            reactor.block_on(echo.exchange_often(EXCHANGES));
            drop(stop);
            let switches = idle.join().expect("no panic");
            assert!(switches < EXCHANGES / 2, "the idle thread was woken {switches} times");
        });
    });
}

/// Drivers come and go, while others wait: a driver that goes leaves the lease to another.
#[test]
fn a_driver_that_goes_leaves_the_lease_to_one_that_stays() {
    watched(|| {
        for reactor in reactors() {
            thread::scope(|scope| {
                for thread in 0..4 {
                    let reactor = &reactor;
                    scope.spawn(move || {
                        let echo = Echo::new(reactor);
                        for number in 0..100 {
                            reactor.block_on(echo.exchange_often(thread * number % 5));
                        }
                    });
                }
            });
        }
    });
}

/// A thread in another `block_on` is served by the reactor's thread once the last driver is gone.
#[test]
fn after_the_last_driver_the_thread_turns() {
    watched(|| {
        let reactor = with_thread();
        let (mine, others) = (Echo::new(&reactor), Echo::new(&reactor));
        for _ in 0..200 {
            reactor.block_on(mine.exchange_often(3));
            executor::block_on(others.exchange_often(3));
        }
    });
}

/// Executors with drivers and executors without, side by side.
#[test]
fn drivers_serve_threads_that_do_not_drive() {
    watched(|| {
        let reactor = with_thread();
        thread::scope(|scope| {
            for drives in [true, false, true, false] {
                let reactor = &reactor;
                scope.spawn(move || {
                    let echo = Echo::new(reactor);
                    if drives {
                        reactor.block_on(echo.exchange_often(500));
                    } else {
                        executor::block_on(echo.exchange_often(500));
                    }
                });
            }
        });
    });
}

/// An executor of several threads, each of which drives, with tasks that wake each other.
#[test]
fn an_executor_of_four_threads() {
    watched(|| {
        for reactor in reactors() {
            let executor = Arc::new(Executor::new());
            let tasks: Vec<_> = (0..32)
                .map(|_| {
                    let echo = Echo::new(&reactor);
                    executor.spawn(async move {
                        echo.exchange_often(50).await;
                        ended_by_a_thread().await.expect("it ends")
                    })
                })
                .collect();
            let (stop, stopped) = oneshot::channel::<()>();
            let stopped = futures::FutureExt::shared(stopped);
            thread::scope(|scope| {
                for _ in 0..4 {
                    let (stopped, executor, reactor) =
                        (stopped.clone(), executor.clone(), &reactor);
                    scope.spawn(move || reactor.block_on(executor.run(stopped)));
                }
                for task in tasks {
                    assert_eq!(executor::block_on(task), 7);
                }
                drop(stop);
            });
        }
    });
}
