//! Nothing to do: no thread ticks.

use std::fs;
use std::thread;
use std::time::Duration;

use futures::channel::oneshot;
use futures::future::join;
use netpoll_tests::watched;

use crate::fixtures::{Echo, with_thread};

/// How often the threads of the name have gone to sleep so far.
fn sleeps(name: &str) -> u64 {
    let tasks = fs::read_dir("/proc/self/task").expect("procfs");
    let statuses = tasks
        .filter_map(|task| fs::read_to_string(task.ok()?.path().join("status")).ok())
        .filter(|status| status.lines().next() == Some(&format!("Name:\t{name}")));
    let counts = statuses.filter_map(|status| {
        let line = status.lines().find(|line| line.starts_with("voluntary_ctxt_switches"))?;
        line.split_whitespace().next_back()?.parse::<u64>().ok()
    });
    counts.sum()
}

/// A driver waits in epoll, another sleeps, and the reactor's thread stops ticking. It must come
/// about, and is looked for until it does: 25 ticks' time without one.
#[test]
fn the_thread_stops_ticking_while_drivers_wait() {
    watched(|| {
        let reactor = with_thread();
        let echoes = [Echo::new(&reactor), Echo::new(&reactor)];
        let (ends, waits): (Vec<_>, Vec<_>) = (0..2).map(|_| oneshot::channel::<()>()).unzip();
        thread::scope(|scope| {
            for (echo, wait) in echoes.iter().zip(waits) {
                let reactor = &reactor;
                scope.spawn(move || {
                    reactor.block_on(async {
                        echo.exchange_often(50).await;
                        wait.await.expect("the test says when");
                        echo.exchange_often(50).await;
                    });
                });
            }
            let (mut turns, mut before) = (0, u64::MAX);
            while (reactor.metrics().turns, sleeps("netpoll")) != (turns, before) {
                (turns, before) = (reactor.metrics().turns, sleeps("netpoll"));
                thread::sleep(Duration::from_millis(100));
            }
            for end in ends {
                end.send(()).expect("it waits for it");
            }
        });
    });
}

/// Asleep, it is there again when it is needed: the driver comes from epoll and stays away.
#[test]
fn the_thread_that_slept_takes_over_as_well() {
    watched(|| {
        let reactor = with_thread();
        let (mine, others) = (Echo::new(&reactor), Echo::new(&reactor));
        let (end, wait) = oneshot::channel::<()>();
        thread::scope(|scope| {
            scope.spawn(|| {
                reactor.block_on(async {
                    mine.exchange_often(10).await;
                    wait.await.expect("the test says when");
                    // This blocks the thread, and needs another thread to turn.
                    futures::executor::block_on(join(mine.exchange(1), others.exchange(2)));
                });
            });
            let mut before = u64::MAX;
            while sleeps("netpoll") != before {
                before = sleeps("netpoll");
                thread::sleep(Duration::from_millis(100));
            }
            end.send(()).expect("it waits for it");
        });
    });
}
