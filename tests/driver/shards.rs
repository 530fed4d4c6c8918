//! Several reactors behind one handle.

use std::collections::HashSet;
use std::io::ErrorKind;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::task::{Context, Wake, Waker};
use std::thread::{self, ThreadId};
use std::time::Duration;

use async_executor::LocalExecutor;
use futures::executor;
use netpoll::{Interest, Reactor, Registration, Timer, raw_os_error};
use netpoll_tests::{CountingWaker, watched};

use crate::fixtures::Echo;

/// A waker that tells on which thread it is woken.
struct Tells(Sender<ThreadId>);

impl Wake for Tells {
    fn wake(self: Arc<Self>) {
        self.0.send(thread::current().id()).expect("the test listens");
    }
}

fn three() -> Reactor {
    Reactor::builder().reactors(3).build().expect("three reactors")
}

/// Registrations go to each in turn: timers are fired by three threads, and none is left out.
#[test]
fn they_are_given_work_in_turn() {
    watched(|| {
        let reactor = Reactor::builder().reactors(3).manual_clock().build().expect("reactors");
        let soon = reactor.now() + Duration::from_secs(1);
        let (tell, told) = channel();
        let timers: Vec<_> = (0..9)
            .map(|_| {
                let timer = Timer::at(&reactor, soon).expect("a timer");
                let waker = Waker::from(Arc::new(Tells(tell.clone())));
                (timer, waker)
            })
            .collect();
        assert_eq!(reactor.metrics().registrations, 9);
        for (timer, waker) in &timers {
            let polled = timer.poll_fired(&mut Context::from_waker(waker));
            assert!(polled.is_pending(), "its time has not come");
        }
        // And a tick of the wheel.
        reactor.advance(Duration::from_millis(1001));
        let threads: HashSet<_> = told.iter().take(9).collect();
        assert_eq!(threads.len(), 3);
    });
}

/// Executors that know nothing of this.
#[test]
fn every_task_is_served() {
    watched(|| {
        let reactor = three();
        let echoes: Vec<_> = (0..9).map(|_| Echo::new(&reactor)).collect();
        for echo in &echoes {
            executor::block_on(echo.exchange_often(20));
        }
    });
}

/// Threads that drive have a reactor each, which owns their registrations: no other thread wakes
/// their tasks.
#[test]
fn threads_that_drive_register_where_they_drive() {
    watched(|| {
        let reactor = three();
        thread::scope(|scope| {
            for _ in 0..6 {
                scope.spawn(|| {
                    let tasks = LocalExecutor::new();
                    reactor.block_on(tasks.run(async {
                        let tasks: Vec<_> = (0..5)
                            .map(|_| {
                                let echo = Echo::new(&reactor);
                                tasks.spawn(async move { echo.exchange_often(50).await })
                            })
                            .collect();
                        for task in tasks {
                            task.await;
                        }
                    }));
                });
            }
        });
    });
}

#[test]
fn a_clock_moved_by_hand_moves_for_all() {
    watched(|| {
        let reactor = Reactor::builder().reactors(3).manual_clock().build().expect("reactors");
        let later = reactor.now() + Duration::from_secs(1);
        let timers = (0..6).map(|_| Timer::at(&reactor, later).expect("a timer"));
        let mut timers: Vec<_> = timers.map(Box::pin).collect();
        let waker = CountingWaker::new();
        assert!(timers.iter_mut().all(|timer| waker.poll(timer.as_mut()).is_pending()));
        // And a tick of the wheel.
        reactor.advance(Duration::from_millis(1001));
        for timer in timers {
            executor::block_on(timer).expect("it fires");
        }
    });
}

/// Every one of them ends, and so do their threads.
#[test]
fn shutdown_ends_all() {
    watched(|| {
        let reactor = three();
        let timers: Vec<_> = (0..6).map(|_| Timer::never(&reactor).expect("a timer")).collect();
        reactor.shutdown();
        for timer in timers {
            executor::block_on(timer).expect_err("the reactor is gone");
        }
        Timer::never(&reactor).expect_err("the reactor is gone");
    });
}

#[test]
fn several_without_threads_are_refused() {
    let refused = Reactor::builder().reactors(2).embedded().build();
    assert_eq!(refused.expect_err("no thread would turn them").kind(), ErrorKind::InvalidInput);
    Reactor::builder().reactors(0).embedded().build().expect("zero is one");
}

/// Wherever the first of them went: to the next in turn, or to the one that a thread drives.
#[test]
fn a_descriptor_is_registered_once() {
    watched(|| {
        let reactor = Reactor::builder().reactors(4).build().expect("reactors");
        let (near, _far) = UnixStream::pair().expect("a pair");
        let register = || Registration::with(&reactor, near.as_fd(), Interest::Both);
        let assert_is_there = || {
            let error = register().expect_err("it is registered");
            assert_eq!(raw_os_error(&error), Some(libc::EEXIST), "{error}");
        };
        for _ in 0..3 {
            let registered = register().expect("a registration");
            (0..4).for_each(|_| assert_is_there());
            thread::scope(|scope| {
                for _ in 0..4 {
                    scope.spawn(|| reactor.block_on(async { assert_is_there() }));
                }
            });
            registered.into_inner().expect("open");
        }
        drop(register().expect("a registration"));
        reactor.block_on(async { register() }).expect("a registration");
    });
}

/// One that was closed by another hand than its registration's is another descriptor when it comes again.
#[test]
fn a_number_that_comes_again_is_registered_again() {
    watched(|| {
        let reactor = three();
        for _ in 0..20 {
            let (near, _far) = UnixStream::pair().expect("a pair");
            let registered = Registration::with(&reactor, near.as_fd(), Interest::Both);
            std::mem::forget(registered.expect("a registration"));
        }
    });
}
