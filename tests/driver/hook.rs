//! Executors that drive by the public hook.

use std::cell::Cell;
use std::rc::Rc;
use std::task::{Context, Poll};

use futures::executor::LocalPool;
use futures::task::LocalSpawnExt;
use netpoll::Reactor;
use netpoll_tests::watched;

use crate::fixtures::{Echo, ended_by_a_thread, reactors, without_thread};

/// Runs a pool until it has nothing left, and drives whenever it is stalled.
fn run_pool(reactor: &Reactor, spawn: impl FnOnce(&mut dyn FnMut(Task))) {
    let mut driver = reactor.driver();
    let mut pool = LocalPool::new();
    let left = Rc::new(Cell::new(0));
    spawn(&mut |task| {
        let left = left.clone();
        left.set(left.get() + 1);
        let task = async move {
            task.await;
            left.set(left.get() - 1);
        };
        pool.spawner().spawn_local(driver.wrap(task)).expect("it runs");
    });
    loop {
        pool.run_until_stalled();
        if left.get() == 0 {
            return;
        }
        driver.park();
    }
}

type Task = std::pin::Pin<Box<dyn Future<Output = ()>>>;

#[test]
fn a_local_pool_that_drives() {
    watched(|| {
        for reactor in reactors() {
            run_pool(&reactor, |spawn| {
                for _ in 0..20 {
                    let echo = Echo::new(&reactor);
                    spawn(Box::pin(async move { echo.exchange_often(20).await }));
                }
            });
        }
    });
}

/// Its tasks are woken by other threads too, of which the pool would not learn.
#[test]
fn a_wake_by_another_thread_wakes_the_driver() {
    watched(|| {
        for reactor in reactors() {
            run_pool(&reactor, |spawn| {
                for _ in 0..20 {
                    spawn(Box::pin(async {
                        for _ in 0..20 {
                            assert_eq!(ended_by_a_thread().await, Ok(7));
                        }
                    }));
                }
            });
        }
    });
}

/// An executor that never waits: it looks now and then.
#[test]
fn a_busy_executor_looks() {
    watched(|| {
        let reactor = without_thread();
        let echo = Echo::new(&reactor);
        let mut driver = reactor.driver();
        let waker = driver.waker();
        let mut exchange = Box::pin(echo.exchange_often(10));
        while exchange.as_mut().poll(&mut Context::from_waker(&waker)) == Poll::Pending {
            driver.poll_now();
        }
    });
}

/// A wake-up before the wait ends it, once.
#[test]
fn a_wake_up_is_kept_for_the_next_park() {
    watched(|| {
        for reactor in reactors() {
            let mut driver = reactor.driver();
            driver.waker().wake();
            driver.park();
        }
    });
}
