//! Timers, on a clock that stands still until it is moved.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::{Duration, Instant};

use futures::executor::block_on;
use futures::{Stream, StreamExt};
use netpoll::Reactor;
use netpoll_futures::Timer;
use netpoll_tests::fixtures::os::wait_until_named_thread_sleeps;
use netpoll_tests::fixtures::wait_until_woken;
use netpoll_tests::{CountingWaker, watched};

const MS: Duration = Duration::from_millis(1);

/// The wheel's, by which a timer may be late.
const TICK: Duration = Duration::from_nanos(1 << 16);

/// A turn that only looks.
const LOOK: Option<Duration> = Some(Duration::ZERO);

fn by_hand() -> Reactor {
    Reactor::builder().embedded().manual_clock().build().expect("a reactor")
}

fn pass(reactor: &Reactor, time: Duration) {
    reactor.turn(LOOK).expect("a turn");
    reactor.advance(time);
    reactor.turn(LOOK).expect("a turn");
}

fn poll(timer: &mut Timer, waker: &Arc<CountingWaker>) -> Poll<Instant> {
    waker.poll(Pin::new(timer))
}

/// How many times it gives without waiting, and the last of them.
fn ready_times(timer: &mut Timer) -> Vec<Instant> {
    let waker = CountingWaker::new();
    let mut times = Vec::new();
    while let Poll::Ready(time) = poll(timer, &waker) {
        times.push(time);
        assert!(times.len() < 10_000, "it does not end");
    }
    times
}

#[test]
fn fires_once_and_not_before() {
    watched(|| {
        let reactor = by_hand();
        let mut timer = Timer::with(&reactor);
        let waker = CountingWaker::new();
        let at = reactor.now() + 10 * MS;
        timer.set_after(10 * MS);
        assert!(timer.will_fire());
        assert!(poll(&mut timer, &waker).is_pending());
        pass(&reactor, 10 * MS - Duration::from_nanos(1));
        assert_eq!(waker.wakes(), 0);
        assert!(poll(&mut timer, &waker).is_pending());
        pass(&reactor, TICK);
        assert_eq!(waker.wakes(), 1);
        assert_eq!(poll(&mut timer, &waker), Poll::Ready(at));
        assert!(!timer.will_fire());
        assert!(poll(&mut timer, &waker).is_pending(), "once");
        pass(&reactor, 1000 * MS);
        assert_eq!(waker.wakes(), 1);
    });
}

#[test]
fn fires_again_and_again() {
    watched(|| {
        let reactor = by_hand();
        let start = reactor.now() + 7 * MS;
        let mut timer = Timer::with(&reactor);
        timer.set_interval_at(start, 10 * MS);
        assert_eq!(ready_times(&mut timer), []);
        pass(&reactor, 7 * MS + TICK);
        for tick in 0..100 {
            assert!(timer.will_fire());
            assert_eq!(ready_times(&mut timer), [start + tick * 10 * MS]);
            pass(&reactor, 10 * MS);
        }
        timer.set_interval(3 * MS);
        let now = reactor.now();
        assert_eq!(ready_times(&mut timer), []);
        pass(&reactor, 3 * MS + TICK);
        assert_eq!(ready_times(&mut timer), [now + 3 * MS]);
    });
}

#[test]
fn ticks_that_were_missed_are_given_one_after_another() {
    watched(|| {
        let reactor = by_hand();
        let start = reactor.now();
        let mut timer = Timer::with(&reactor);
        timer.set_interval(10 * MS);
        assert_eq!(ready_times(&mut timer), []);
        pass(&reactor, 47 * MS);
        let missed: Vec<_> = (1..=4).map(|tick| start + tick * 10 * MS).collect();
        assert_eq!(ready_times(&mut timer), missed);
        pass(&reactor, 3 * MS + TICK);
        assert_eq!(ready_times(&mut timer), [start + 50 * MS], "it keeps to its times");
    });
}

/// As a stream it gives the same, and does not end.
#[test]
fn a_stream_of_times() {
    watched(|| {
        let reactor = by_hand();
        let start = reactor.now();
        let mut timer = Timer::with(&reactor);
        timer.set_interval_at(start, MS);
        let waker = CountingWaker::new();
        assert_eq!(waker.poll(pin!(timer.next())), Poll::Ready(Some(start)));
        assert!(waker.poll(pin!(timer.next())).is_pending());
        pass(&reactor, MS + TICK);
        assert_eq!(waker.poll(pin!(timer.next())), Poll::Ready(Some(start + MS)));
        timer.clear();
        assert!(!timer.will_fire());
        assert!(waker.poll(pin!(timer.next())).is_pending());
        pass(&reactor, 1000 * MS);
        assert!(waker.poll(pin!(timer.next())).is_pending());
    });
}

/// tokio and Go panic for a period of zero, and async-io's stream is ready for ever.
#[test]
fn a_period_of_zero_is_a_tick_of_the_wheel() {
    watched(|| {
        for period in [Duration::ZERO, Duration::from_nanos(1), TICK] {
            let reactor = by_hand();
            let start = reactor.now();
            let mut timer = Timer::with(&reactor);
            timer.set_interval(period);
            assert_eq!(ready_times(&mut timer), []);
            pass(&reactor, 10 * TICK + TICK / 2);
            let times: Vec<_> = (1..=10).map(|tick| start + tick * TICK).collect();
            assert_eq!(ready_times(&mut timer), times, "{period:?}");
            timer.set_interval_at(reactor.now(), period);
            assert_eq!(ready_times(&mut timer).len(), 1);
        }
    });
}

#[test]
fn a_far_time_never_comes() {
    watched(|| {
        const CENTURY: Duration = Duration::from_secs(100 * 365 * 86_400);
        let reactor = by_hand();
        let mut timer = Timer::with(&reactor);
        let waker = CountingWaker::new();
        let now = reactor.now();
        timer.set_after(Duration::MAX);
        assert!(!timer.will_fire());
        timer.set_interval(Duration::MAX);
        assert!(!timer.will_fire());
        timer.set_interval_at(now, Duration::MAX);
        assert_eq!(poll(&mut timer, &waker), Poll::Ready(now));
        assert!(!timer.will_fire(), "there is no second time");
        assert!(poll(&mut timer, &waker).is_pending());
        timer.set_at(now + 5 * CENTURY);
        assert!(timer.will_fire());
        for _ in 0..10 {
            pass(&reactor, CENTURY / 10);
            assert!(poll(&mut timer, &waker).is_pending());
        }
        assert_eq!((waker.wakes(), reactor.metrics().expiries), (0, 0));
        assert!(!Timer::after(Duration::MAX).will_fire());
        assert!(!Timer::interval(Duration::MAX).will_fire());
        assert!(!Timer::never().will_fire());
    });
}

/// A task that has polled is woken for the new time, whatever was set before.
#[test]
fn set_anew_while_a_task_waits() {
    watched(|| {
        let reactor = by_hand();
        let waker = CountingWaker::new();
        let mut timer = Timer::with(&reactor);
        assert!(poll(&mut timer, &waker).is_pending(), "never");
        timer.set_after(10 * MS);
        pass(&reactor, 10 * MS + TICK);
        assert_eq!(waker.wakes(), 1);
        assert!(poll(&mut timer, &waker).is_ready());

        timer.set_after(1000 * MS);
        assert!(poll(&mut timer, &waker).is_pending());
        timer.set_after(10 * MS);
        pass(&reactor, 10 * MS + TICK);
        assert_eq!(waker.wakes(), 2, "earlier");
        timer.set_after(10 * MS);
        assert!(poll(&mut timer, &waker).is_pending(), "it had fired, but no poll has seen it");
        timer.set_after(30 * MS);
        pass(&reactor, 20 * MS);
        assert_eq!(waker.wakes(), 2, "later");
        timer.set_at(reactor.now());
        assert_eq!(waker.wakes(), 3, "now");
        assert!(poll(&mut timer, &waker).is_ready());
    });
}

#[test]
fn set_to_a_time_it_is_no_interval_any_more() {
    watched(|| {
        let reactor = by_hand();
        let mut timer = Timer::with(&reactor);
        timer.set_interval(MS);
        timer.set_at(reactor.now() + 5 * MS);
        assert_eq!(ready_times(&mut timer), []);
        pass(&reactor, 100 * MS);
        assert_eq!(ready_times(&mut timer).len(), 1);
        assert!(!timer.will_fire());
    });
}

#[test]
fn a_timer_that_is_never_polled_costs_the_reactor_nothing() {
    watched(|| {
        let reactor = by_hand();
        let mut timers: Vec<_> = (0..100).map(|_| Timer::with(&reactor)).collect();
        timers.iter_mut().for_each(|timer| timer.set_interval(MS));
        assert_eq!(reactor.metrics().registrations, 0);
        let waker = CountingWaker::new();
        assert!(poll(&mut timers[0], &waker).is_pending());
        assert_eq!(reactor.metrics().registrations, 1);
        drop(timers);
        assert_eq!(reactor.metrics().registrations, 0);
        pass(&reactor, 100 * MS);
        assert_eq!(reactor.metrics().expiries, 0);
    });
}

/// The tests whose timers have threads, one after another: they look at which threads sleep.
static WITH_THREADS: Mutex<()> = Mutex::new(());

/// Where the reactor has gone, a thread does: no sooner, and without an error.
#[test]
fn without_a_reactor() {
    watched(|| {
        let _alone = WITH_THREADS.lock().unwrap_or_else(PoisonError::into_inner);
        let reactor = Reactor::builder().build().expect("a reactor");
        let waker = CountingWaker::new();
        let (mut pending, mut begun) = (Timer::with(&reactor), Timer::with(&reactor));
        let at = Instant::now() + 20 * MS;
        pending.set_at(at);
        begun.set_at(at);
        assert!(poll(&mut begun, &waker).is_pending());
        reactor.shutdown();
        wait_until_woken(&waker);
        for timer in [pending, begun] {
            assert_eq!(block_on(timer), at);
            assert!(Instant::now() >= at);
        }
        let mut ticks = Timer::with(&reactor);
        let start = Instant::now() + MS;
        ticks.set_interval_at(start, MS);
        let times: Vec<_> = block_on((&mut ticks).take(5).collect());
        assert_eq!(times, (0..5).map(|tick| start + tick * MS).collect::<Vec<_>>());
        assert!(Instant::now() >= times[4]);
    });
}

#[test]
fn set_anew_without_a_reactor() {
    watched(|| {
        let _alone = WITH_THREADS.lock().unwrap_or_else(PoisonError::into_inner);
        let reactor = Reactor::builder().build().expect("a reactor");
        reactor.shutdown();
        let mut timer = Timer::with(&reactor);
        let waker = CountingWaker::new();
        assert!(poll(&mut timer, &waker).is_pending(), "never");
        timer.set_after(Duration::from_secs(3600));
        assert_eq!(waker.wakes(), 1, "it comes to wait for the new time");
        assert!(poll(&mut timer, &waker).is_pending());
        let at = Instant::now() + MS;
        timer.set_at(at);
        assert_eq!(block_on(&mut timer), at);
        assert!(Instant::now() >= at);
        assert!(poll(&mut timer, &waker).is_pending(), "once");
        timer.set_after(Duration::from_secs(3600));
        let last = CountingWaker::new();
        assert!(poll(&mut timer, &last).is_pending());
        wait_until_named_thread_sleeps("netpoll-timer");
        assert_eq!(last.wakes(), 0);
        drop(timer);
        // The thread forgets the task, and wakes no task for a timer that is gone.
        assert_eq!(Arc::strong_count(&last), 1);
        assert_eq!(last.wakes(), 0);
    });
}

/// A timer that is moved to another task wakes that one.
#[test]
fn another_task_takes_over() {
    watched(|| {
        let reactor = by_hand();
        let mut timer = Timer::with(&reactor);
        timer.set_after(MS);
        let (first, second) = (CountingWaker::new(), CountingWaker::new());
        assert!(poll(&mut timer, &first).is_pending());
        assert!(poll(&mut timer, &second).is_pending());
        pass(&reactor, MS + TICK);
        assert_eq!(second.wakes(), 1);
        assert!(poll(&mut timer, &second).is_ready());
    });
}

#[test]
fn auto_traits() {
    fn is<T: Future<Output = Instant> + Stream<Item = Instant> + Unpin + Send + Sync + 'static>() {}
    is::<Timer>();
    assert!(format!("{:?}", Timer::never()).starts_with("Timer"));
}
