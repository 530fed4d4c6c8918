//! `timeout` and `deadline` under every executor, by the clock of the system.

use std::future::pending;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::pin::pin;
use std::time::{Duration, Instant};

use futures::FutureExt;
use futures::future::{Either, join_all, select};
use netpoll::{DeadlineExceeded, Reactor};
use netpoll_futures::{Timeout, Timer, deadline, deadline_on};
use netpoll_tests::conformance::EXECUTORS;
use netpoll_tests::watched;

const MS: Duration = Duration::from_millis(1);

/// In the care of the executor's own reactor, if it has one.
fn limited<F: Future>(reactor: Option<&Reactor>, at: Instant, future: F) -> Timeout<F> {
    match reactor {
        Some(reactor) => deadline_on(reactor, at, future),
        None => deadline(at, future),
    }
}

#[test]
fn none_is_early_and_all_end() {
    watched(|| {
        for executor in EXECUTORS {
            (executor.run)(Box::new(|_, reactor| {
                let body = async move {
                    let start = Instant::now();
                    let waits = (0..50).map(|index| {
                        let at = start + index % 10 * MS;
                        let wait = limited(reactor.as_ref(), at, pending::<()>());
                        async move {
                            assert_eq!(wait.await, Err(DeadlineExceeded::default()));
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
fn it_is_moved_later_and_earlier_while_it_waits() {
    watched(|| {
        for executor in EXECUTORS {
            (executor.run)(Box::new(|_, reactor| {
                let body = async move {
                    let reactor = reactor.as_ref();
                    let start = Instant::now();
                    let mut wait = pin!(limited(reactor, start + 20 * MS, pending::<()>()));
                    let mut moved = reactor.map_or_else(Timer::never, Timer::with);
                    for step in 1..=3 {
                        moved.set_after(MS);
                        match select(wait.as_mut(), &mut moved).await {
                            Either::Right(_) => wait.as_mut().set_deadline(start + step * 30 * MS),
                            // The machine was busy for so long.
                            Either::Left(_) => wait.as_mut().set_deadline(start + 90 * MS),
                        }
                    }
                    assert!(wait.as_mut().await.is_err());
                    assert!(Instant::now() >= start + 90 * MS, "early");

                    let mut wait = pin!(limited(reactor, start + 3_600_000 * MS, pending::<()>()));
                    moved.set_after(MS);
                    assert!(matches!(select(wait.as_mut(), &mut moved).await, Either::Right(_)));
                    let soon = Instant::now() + 2 * MS;
                    wait.as_mut().set_deadline(soon);
                    assert!(wait.await.is_err());
                    assert!(Instant::now() >= soon, "early");
                };
                body.boxed()
            }));
        }
    });
}

/// One read that is late ends alone: the stream stays as it is.
#[test]
fn a_read_that_is_late_loses_nothing() {
    watched(|| {
        for executor in EXECUTORS {
            (executor.run)(Box::new(|_, reactor| {
                let body = async move {
                    let (near, mut far) = UnixStream::pair().expect("a pair");
                    let near = match &reactor {
                        Some(reactor) => netpoll_futures::UnixStream::register_on(reactor, near),
                        None => netpoll_futures::UnixStream::try_from(near),
                    };
                    let (near, mut buffer) = (near.expect("it is registered"), [0; 8]);
                    let soon = Instant::now() + MS;
                    let read = limited(reactor.as_ref(), soon, near.read(&mut buffer)).await;
                    assert!(read.is_err(), "no byte has come");
                    far.write_all(b"late").expect("room");
                    let later = Instant::now() + 3_600_000 * MS;
                    let read = limited(reactor.as_ref(), later, near.read(&mut buffer)).await;
                    assert_eq!(read.expect("it is not late").expect("it is open"), 4);
                };
                body.boxed()
            }));
        }
    });
}
