//! The end of a reactor, of a driver, of a future that panics.

use std::error::Error;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

use futures::channel::oneshot;
use futures::executor;
use netpoll::{Direction, Interest, Reactor, ReactorGone, Registration};
use netpoll_tests::watched;

use crate::fixtures::{Echo, ended_by_a_thread, reactors, with_thread};

/// A shutdown from another thread ends the operation that `block_on` waits for, and `block_on` goes on
/// for whatever else the future waits for.
#[test]
fn shut_down_while_a_driver_waits() {
    watched(|| {
        for reactor in reactors() {
            let (socket, _peer) = std::os::unix::net::UnixStream::pair().expect("a pair");
            socket.set_nonblocking(true).expect("non-blocking");
            let socket =
                Registration::with(&reactor, socket, Interest::Both).expect("a registration");
            let echo = Echo::new(&reactor);
            let (tell_waiting, waiting) = oneshot::channel::<()>();
            thread::scope(|scope| {
                let reactor = &reactor;
                scope.spawn(move || {
                    executor::block_on(waiting).expect("it gets there");
                    reactor.shutdown();
                });
                reactor.block_on(async {
                    echo.exchange_often(3).await;
                    tell_waiting.send(()).expect("a thread waits for it");
                    let read = socket.io(Direction::Read, |_| {
                        Err::<(), _>(std::io::ErrorKind::WouldBlock.into())
                    });
                    let error = read.await.expect_err("the reactor is gone");
                    assert!(
                        error.get_ref().is_some_and(<dyn Error + Send + Sync>::is::<ReactorGone>)
                    );
                    assert_eq!(ended_by_a_thread().await, Ok(7));
                });
            });
            assert_eq!(reactor.block_on(ended_by_a_thread()), Ok(7), "gone, it only waits");
        }
    });
}

/// A panic leaves through `block_on`, and the reactor serves the next.
#[test]
fn a_future_that_panics_gives_the_lease_back() {
    watched(|| {
        for reactor in reactors() {
            let echo = Echo::new(&reactor);
            let panicked = catch_unwind(AssertUnwindSafe(|| {
                reactor.block_on(async {
                    echo.exchange_often(5).await;
                    panic!("as its test wants it");
                });
            }));
            assert!(panicked.is_err());
            reactor.block_on(echo.exchange_often(5));
        }
    });
}

/// A waker that outlives its driver, and its reactor, does nothing.
#[test]
fn wakers_outlive_their_driver() {
    watched(|| {
        for reactor in reactors() {
            let driver = reactor.driver();
            let waker = driver.waker();
            waker.wake_by_ref();
            drop(driver);
            waker.wake_by_ref();
            drop(reactor);
            waker.wake();
        }
    });
}

/// The last handle goes while its driver is still there.
#[test]
fn a_driver_outlives_its_reactor() {
    watched(|| {
        let mut driver = with_thread().driver();
        driver.waker().wake();
        driver.park();
        driver.poll_now();
    });
}

/// The global reactor, by the function of the crate.
#[test]
fn the_global_reactor() {
    watched(|| {
        let reactor = Reactor::global().expect("a reactor");
        let echo = Echo::new(reactor);
        netpoll::block_on(echo.exchange_often(100));
        assert_eq!(netpoll::block_on(ended_by_a_thread()), Ok(7));
    });
}
