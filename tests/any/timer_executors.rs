//! Timers under every executor, by the clock of the system.

use std::time::{Duration, Instant};

use futures::future::{FutureExt, join_all, select};
use futures::{StreamExt, channel::oneshot};
use netpoll::Reactor;
use netpoll_futures::Timer;
use netpoll_tests::conformance::{EXECUTORS, Spawn};
use netpoll_tests::watched;

const MS: Duration = Duration::from_millis(1);

/// In the care of the executor's own reactor, if it has one.
fn timer(reactor: Option<&Reactor>) -> Timer {
    reactor.map_or_else(Timer::never, Timer::with)
}

/// Has a task wait, and answers when it is done.
fn spawn_timer(spawn: &Spawn, mut timer: Timer, at: Instant) -> oneshot::Receiver<Instant> {
    let (done, told) = oneshot::channel();
    timer.set_at(at);
    let wait = async move { done.send(timer.await).expect("the receiver lives") };
    spawn(wait.boxed());
    told
}

#[test]
fn none_is_early_and_all_come() {
    watched(|| {
        for executor in EXECUTORS {
            (executor.run)(Box::new(|spawn, reactor| {
                let body = async move {
                    let start = Instant::now();
                    let waits = (0..50).map(|index| {
                        let at = start + index % 10 * MS;
                        let told = spawn_timer(&spawn, timer(reactor.as_ref()), at);
                        async move {
                            assert_eq!(told.await, Ok(at));
                            assert!(Instant::now() >= at, "early");
                        }
                    });
                    join_all(waits).await;
                };
                body.boxed()
            }));
        }
    });
}

#[test]
fn an_interval_keeps_to_its_times() {
    watched(|| {
        for executor in EXECUTORS {
            (executor.run)(Box::new(|_, reactor| {
                let body = async move {
                    let start = Instant::now() + MS;
                    let mut ticks = timer(reactor.as_ref());
                    ticks.set_interval_at(start, MS);
                    for tick in 0..10 {
                        assert_eq!(ticks.next().await, Some(start + tick * MS));
                        assert!(Instant::now() >= start + tick * MS, "early");
                    }
                };
                body.boxed()
            }));
        }
    });
}

#[test]
fn the_first_of_two_wins() {
    watched(|| {
        for executor in EXECUTORS {
            (executor.run)(Box::new(|_, reactor| {
                let body = async move {
                    let (mut never, mut soon) = (timer(reactor.as_ref()), timer(reactor.as_ref()));
                    soon.set_after(MS);
                    for _ in 0..5 {
                        select(&mut never, &mut soon).await.factor_first();
                        assert!(!soon.will_fire() && !never.will_fire());
                        soon.set_after(MS);
                    }
                    never.set_after(MS);
                    soon.clear();
                    select(&mut never, &mut soon).await.factor_first();
                    assert!(!never.will_fire());
                };
                body.boxed()
            }));
        }
    });
}

#[test]
fn the_ways_to_make_one() {
    watched(|| {
        for executor in EXECUTORS.iter().filter(|executor| executor.name != "turned_by_hand") {
            (executor.run)(Box::new(|_, _| {
                let body = async {
                    let start = Instant::now();
                    assert!(Timer::after(MS).await >= start + MS);
                    assert_eq!(Timer::at(start).await, start, "it is there already");
                    let mut ticks = Timer::interval(MS);
                    let first = ticks.next().await.expect("a time");
                    assert_eq!(ticks.next().await, Some(first + MS));
                    assert_eq!(Timer::interval_at(start, MS).next().await, Some(start));
                    assert!(Timer::never().now_or_never().is_none());
                    let before = Instant::now();
                    let mut zero = Timer::interval(Duration::ZERO);
                    for _ in 0..20 {
                        zero.next().await.expect("a time");
                    }
                    assert!(before.elapsed() >= MS, "20 ticks of the wheel");
                };
                body.boxed()
            }));
        }
    });
}
