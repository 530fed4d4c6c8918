//! hyper's timers: in time, never early, and moved in place.

use std::future::Future;
use std::pin::Pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use futures::executor::block_on;
use hyper::rt::{self, Timer as _};
use netpoll::Reactor;
use netpoll_hyper::{Sleep, Timer};
use netpoll_tests::{CountingWaker, watched};

use crate::fixtures::ms;

type Slept = Pin<Box<dyn rt::Sleep>>;

fn at(sleep: &Slept) -> *const () {
    std::ptr::from_ref(&**sleep).cast()
}

#[test]
fn a_sleep_is_never_early() {
    watched(|| {
        let timer = Timer::new().expect("a reactor");
        for micros in [0, 1, 50, 100, 1000, 1234, 5000, 20_000] {
            let time = Duration::from_micros(micros);
            let begin = Instant::now();
            block_on(timer.sleep(time));
            assert!(begin.elapsed() >= time);
            let until = Instant::now() + time;
            block_on(timer.sleep_until(until));
            assert!(Instant::now() >= until);
        }
    });
}

#[test]
fn a_sleep_that_is_reset_stays_where_it_is() {
    watched(|| {
        let timer = Timer::new().expect("a reactor");
        let mut sleep = timer.sleep(ms(1));
        let place = at(&sleep);
        let until = Instant::now() + ms(60);
        timer.reset(&mut sleep, until);
        assert_eq!(at(&sleep), place, "later");
        block_on(&mut sleep);
        assert!(Instant::now() >= until);
        // Once more: hyper does that with the next request.
        let until = Instant::now() + ms(10);
        timer.reset(&mut sleep, until);
        assert_eq!(at(&sleep), place, "again");
        block_on(&mut sleep);
        assert!(Instant::now() >= until);
    });
}

#[test]
fn a_waiter_is_woken_for_the_new_time() {
    watched(|| {
        let timer = Timer::new().expect("a reactor");
        let mut sleep = timer.sleep(Duration::MAX);
        let waker = CountingWaker::new();
        assert!(waker.poll(sleep.as_mut()).is_pending());
        let until = Instant::now() + ms(5);
        timer.reset(&mut sleep, until);
        while waker.wakes() == 0 {
            std::thread::yield_now();
        }
        assert!(Instant::now() >= until);
        assert!(waker.poll(sleep.as_mut()).is_ready());
    });
}

#[test]
fn time_is_the_reactors() {
    watched(|| {
        let reactor = Reactor::builder().manual_clock().build().expect("a reactor");
        let timer = Timer::with(&reactor);
        let begin = timer.now();
        let mut sleep = timer.sleep(ms(100));
        let waker = CountingWaker::new();
        reactor.advance(ms(99));
        assert!(waker.poll(sleep.as_mut()).is_pending());
        timer.reset(&mut sleep, begin + ms(200));
        reactor.advance(ms(100));
        assert!(waker.poll(sleep.as_mut()).is_pending(), "it was moved away");
        // It fires with the tick after its time.
        reactor.advance(ms(2));
        block_on(&mut sleep);
        assert_eq!(timer.now(), begin + ms(201));
    });
}

/// A sleep of another runtime cannot be moved; it is made anew.
#[test]
fn a_foreign_sleep_is_replaced() {
    struct Foreign;
    impl Future for Foreign {
        type Output = ();
        fn poll(self: Pin<&mut Self>, _: &mut std::task::Context<'_>) -> Poll<()> {
            panic!("it was replaced");
        }
    }
    impl rt::Sleep for Foreign {}
    watched(|| {
        let timer = Timer::new().expect("a reactor");
        let mut sleep: Slept = Box::pin(Foreign);
        let until = Instant::now() + ms(3);
        timer.reset(&mut sleep, until);
        assert!(sleep.as_mut().downcast_mut_pin::<Sleep>().is_some());
        block_on(sleep);
        assert!(Instant::now() >= until);
    });
}

/// No thread would wake it.
#[test]
fn without_its_reactor_a_sleep_is_over() {
    watched(|| {
        let reactor = Reactor::builder().build().expect("a reactor");
        let timer = Timer::with(&reactor);
        let before = timer.sleep(Duration::from_secs(3600));
        reactor.shutdown();
        block_on(before);
        block_on(timer.sleep(Duration::from_secs(3600)));
    });
}
