//! Timers: slots without a descriptor, on a clock that stands still until it is moved.

use std::io::Write;
use std::pin::pin;
use std::sync::{Arc, Mutex, OnceLock};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures::executor::block_on;
use netpoll::{Direction, Reactor, Timer};
use netpoll_tests::fixtures::on_wake;
use netpoll_tests::fixtures::os::{wait_until_asleep, wait_until_delivered};
use netpoll_tests::{CountingWaker, watched};

use crate::fixtures::{
    LOOK, assert_quiet, by_hand, by_hand_with_clock, is_reactor_gone, poll_ready, send, settled,
    turning, wait_to_read,
};

const MS: Duration = Duration::from_millis(1);

/// How late the wheel may be.
const TICK: Duration = Duration::from_nanos(1 << 16);

fn pass(reactor: &Reactor, time: Duration) {
    reactor.turn(LOOK).expect("a turn");
    reactor.advance(time);
    reactor.turn(LOOK).expect("a turn");
}

fn poll(timer: &Timer, waker: &Arc<CountingWaker>) -> Poll<()> {
    let waker = Waker::from(waker.clone());
    timer.poll_fired(&mut Context::from_waker(&waker)).map(|fired| fired.expect("a reactor"))
}

/// golang/go#44343: a sleep of 50 microseconds took a millisecond. It is not early, and late by one
/// tick of the wheel.
#[test]
fn fires_in_its_tick() {
    watched(|| {
        let reactor = by_hand_with_clock();
        let timer = Timer::at(&reactor, reactor.now() + 50 * MS / 1000).expect("a timer");
        let waker = CountingWaker::new();
        assert!(poll(&timer, &waker).is_pending());
        pass(&reactor, 49 * MS / 1000);
        assert!(poll(&timer, &waker).is_pending());
        pass(&reactor, MS / 1000 + TICK);
        assert_eq!(waker.wakes(), 1);
        assert!(poll(&timer, &waker).is_ready());
        assert!(poll(&timer, &waker).is_ready(), "and stays so");
        assert_eq!(reactor.metrics().expiries, 1);
    });
}

/// async-io#113: a timer that is set anew is a removal and an insertion. Here it is moved, either
/// way, and its waiter goes on waiting for the new time.
#[test]
fn set_anew() {
    watched(|| {
        let reactor = by_hand_with_clock();
        let timer = Timer::at(&reactor, reactor.now() + 10 * MS).expect("a timer");
        let waker = CountingWaker::new();
        assert!(poll(&timer, &waker).is_pending());
        timer.set(Some(reactor.now() + 30 * MS));
        pass(&reactor, 20 * MS);
        assert_eq!(waker.wakes(), 0);
        timer.set(Some(reactor.now() + 5 * MS));
        pass(&reactor, 5 * MS + TICK);
        assert_eq!(waker.wakes(), 1);
        assert!(poll(&timer, &waker).is_ready());

        timer.set(Some(reactor.now() + 10 * MS));
        assert!(poll(&timer, &waker).is_pending(), "it can fire again");
        timer.set(Some(reactor.now()));
        assert_eq!(waker.wakes(), 2, "a time that is there already fires at once");
        assert!(poll(&timer, &waker).is_ready());
    });
}

/// tokio#8618: a waker that touches timers while the wheel is being turned. Here it sets its own
/// anew, as an interval does, each time it fires.
#[test]
fn set_by_its_own_waker() {
    watched(|| {
        const ROUNDS: u64 = 1000;
        let reactor = by_hand_with_clock();
        let timer = Arc::new(Timer::at(&reactor, reactor.now() + MS).expect("a timer"));
        let itself = Arc::new(OnceLock::<Waker>::new());
        // Weak, so that nothing keeps itself.
        let (again, same) = (Arc::downgrade(&timer), Arc::downgrade(&itself));
        let clock = reactor.clone();
        let waker = on_wake(move || {
            let (again, same) = (again.upgrade().expect("held"), same.upgrade().expect("held"));
            again.set(Some(clock.now() + MS));
            let cx = &mut Context::from_waker(same.get().expect("set before it is woken"));
            assert!(again.poll_fired(cx).is_pending());
        });
        itself.set(waker.clone()).expect("set once");
        assert!(timer.poll_fired(&mut Context::from_waker(&waker)).is_pending());
        for round in 0..ROUNDS {
            assert_eq!(reactor.metrics().expiries, round);
            pass(&reactor, MS + TICK);
        }
        timer.set(None);
        pass(&reactor, 1000 * MS);
        assert_eq!(reactor.metrics().expiries, ROUNDS);
    });
}

/// golang/go#18236 and tokio#4730: a sleeper that depends on another thread to read the clock sleeps too
/// long. A reactor sleeps until its first deadline; when the clock is moved past it, it looks.
#[test]
fn a_moved_clock_is_noticed() {
    watched(|| {
        let reactor = by_hand_with_clock();
        let (turner, thread) = turning(&reactor);
        for hours in 1..=10 {
            let wait = hours * Duration::from_secs(3600);
            let timer = Timer::at(&reactor, reactor.now() + wait).expect("a timer");
            let waker = CountingWaker::new();
            assert!(poll(&timer, &waker).is_pending());
            wait_until_asleep(thread);
            reactor.advance(wait + TICK);
            block_on(timer).expect("it fires, without another thread's help");
        }
        assert_eq!(reactor.metrics().registrations, 0);
        reactor.shutdown();
        turner.join().expect("no panic");
    });
}

/// `Timer::never` of async-io, and a timer that is told so later.
#[test]
fn never() {
    watched(|| {
        let reactor = by_hand_with_clock();
        let never = Timer::never(&reactor).expect("a timer");
        let no_more = Timer::at(&reactor, reactor.now() + 10 * MS).expect("a timer");
        let waker = CountingWaker::new();
        assert!(poll(&never, &waker).is_pending() && poll(&no_more, &waker).is_pending());
        reactor.turn(LOOK).expect("a turn");
        no_more.set(None);
        pass(&reactor, Duration::from_secs(1000 * 86_400));
        assert!(poll(&never, &waker).is_pending() && poll(&no_more, &waker).is_pending());
        assert_eq!((waker.wakes(), reactor.metrics().expiries), (0, 0));
        assert_quiet(&reactor);
        never.set(Some(reactor.now() + MS));
        pass(&reactor, 2 * MS);
        assert!(poll(&never, &waker).is_ready());
    });
}

/// glommio#44: timers of one length are due together, and a turn that fires them all keeps sockets
/// waiting. A turn looks at a bounded number, sees to its events, and goes on: none is lost, and
/// the next turn does not sleep in between.
#[test]
fn thousands_in_one_tick() {
    watched(|| {
        const TIMERS: usize = 5000;
        let reactor = by_hand_with_clock();
        let (near, far) = settled(&reactor);
        let reader = CountingWaker::new();
        assert!(poll_ready(&near, Direction::Read, &reader).is_pending());
        let at = reactor.now() + MS;
        let timers: Vec<_> =
            (0..TIMERS).map(|_| Timer::at(&reactor, at).expect("a timer")).collect();
        let wakers: Vec<_> = timers.iter().map(|_| CountingWaker::new()).collect();
        for (timer, waker) in timers.iter().zip(&wakers) {
            assert!(poll(timer, waker).is_pending());
        }
        reactor.turn(LOOK).expect("a turn");
        reactor.advance(2 * MS);
        reactor.turn(LOOK).expect("a turn");
        let first = reactor.metrics().expiries;
        assert!(first > 0 && first < TIMERS as u64, "{first} in one turn");
        send(&reactor, &far, b"x");
        assert_eq!(reader.wakes(), 1, "an event in between");
        while reactor.metrics().expiries < TIMERS as u64 {
            // It may wait for ever, and does not: there is work.
            reactor.turn(None).expect("a turn");
        }
        assert_eq!(reactor.metrics().expiries, TIMERS as u64);
        assert!(wakers.iter().all(|waker| waker.wakes() == 1));
    });
}

/// The same where they are not due yet, but the wheel reaches their bucket, as with the deadlines of
/// connections that were all quiet for as long: taking them out and filing them anew is work, and a
/// turn does its share of it.
#[test]
fn thousands_leave_a_bucket_together() {
    watched(|| {
        const TIMERS: u64 = 5000;
        let reactor = by_hand_with_clock();
        let (near, far) = settled(&reactor);
        let reader = CountingWaker::new();
        assert!(poll_ready(&near, Direction::Read, &reader).is_pending());
        let at = reactor.now() + 3600 * 1000 * MS;
        let _timers: Vec<_> =
            (0..TIMERS).map(|_| Timer::at(&reactor, at).expect("a timer")).collect();
        for _ in 0..TIMERS.div_ceil(1024) {
            reactor.turn(LOOK).expect("a turn that files a share of them");
        }
        reactor.advance(3_599_999 * MS);
        // Another deadline to file: the wheel goes on to the time that it is.
        let _later = Timer::at(&reactor, at + 3600 * 1000 * MS).expect("a timer");
        // Four turns that have more to do, and do not sleep; in between, an event.
        reactor.turn(None).expect("a turn");
        send(&reactor, &far, b"x");
        assert_eq!(reader.wakes(), 1, "an event in between");
        for _ in 0..2 {
            reactor.turn(None).expect("a turn");
        }
        assert_eq!(reactor.metrics().expiries, 0);
        reactor.turn(LOOK).expect("a turn");
        reactor.advance(2 * MS);
        for _ in 0..TIMERS.div_ceil(1024) {
            assert!(reactor.metrics().expiries < TIMERS);
            reactor.turn(LOOK).expect("a turn");
        }
        assert_eq!(reactor.metrics().expiries, TIMERS);
    });
}

/// tokio#6504 is the price of a timer that is dropped before it fires, as timeouts are. Its entry
/// in the wheel fires for no waiter.
#[test]
fn dropped_before_it_fires() {
    watched(|| {
        let reactor = by_hand_with_clock();
        let waker = CountingWaker::new();
        for _ in 0..1000 {
            let timer = Timer::at(&reactor, reactor.now() + 10 * MS).expect("a timer");
            assert!(poll(&timer, &waker).is_pending());
            pass(&reactor, MS / 100);
        }
        let wakes = waker.wakes();
        pass(&reactor, 100 * MS);
        assert_eq!((waker.wakes(), reactor.metrics().expiries), (wakes, 0));
        assert_eq!(reactor.metrics().registrations, 0);
    });
}

/// async-io#40: there is no way to end its reactor, and a timer outlives its purpose. Here
/// it fails, whether a task waits or comes later.
#[test]
fn after_a_shutdown() {
    watched(|| {
        let reactor = by_hand_with_clock();
        let mut pending = pin!(Timer::at(&reactor, reactor.now() + MS).expect("a timer"));
        let waker = CountingWaker::new();
        assert!(waker.poll(pending.as_mut()).is_pending());
        let later = Timer::never(&reactor).expect("a timer");
        reactor.shutdown();
        assert_eq!(waker.wakes(), 1);
        let gone = |polled| matches!(polled, Poll::Ready(Err(error)) if is_reactor_gone(&error));
        assert!(gone(waker.poll(pending)));
        later.set(Some(reactor.now()));
        assert!(gone(later.poll_fired(&mut Context::from_waker(Waker::noop()))));
        assert!(Timer::never(&reactor).is_err_and(|error| is_reactor_gone(&error)));
    });
}

/// Turns until a timer has fired, and says how many turns that took.
fn turns_until_fired(reactor: &Reactor, timer: Timer) -> u64 {
    let before = reactor.metrics().turns;
    let mut timer = pin!(timer);
    let waker = CountingWaker::new();
    while waker.poll(timer.as_mut()).is_pending() {
        reactor.turn(None).expect("a turn");
    }
    reactor.metrics().turns - before
}

/// 20,000 timers over four seconds, all dropped, once took 19,900 turns: the reactor woke for each. A
/// deadline that is gone costs a turn only if no turn before it found out, and the turn that finds one
/// looks for more.
#[test]
fn deadlines_that_are_gone_cost_few_turns() {
    watched(|| {
        let reactor = by_hand();
        // Far enough that none is due before all are filed, and dropped.
        let begin = reactor.now() + 2000 * MS;
        let time = |number: u32| begin + number * (MS / 10);
        let timers: Vec<Timer> =
            (0..4000).map(|number| Timer::at(&reactor, time(number)).expect("a timer")).collect();
        let cleared: Vec<Timer> =
            (0..4000).map(|number| Timer::at(&reactor, time(number)).expect("a timer")).collect();
        for _ in 0..8 {
            reactor.turn(LOOK).expect("a turn that files a share of them");
        }
        drop(timers);
        cleared.iter().for_each(|timer| timer.set(None));
        let last = Timer::at(&reactor, begin + 500 * MS).expect("a timer");
        let turns = turns_until_fired(&reactor, last);
        assert!(turns < 100, "{turns} turns for one timer");
        assert_eq!(reactor.metrics().expiries, 1);
    });
}

/// A turn looks at a share of the new deadlines, and at events before it goes on with the rest.
#[test]
fn many_new_deadlines_take_several_turns() {
    watched(|| {
        let reactor = by_hand_with_clock();
        let at = reactor.now() + MS;
        let timers: Vec<Timer> =
            (0..3000).map(|_| Timer::at(&reactor, at).expect("a timer")).collect();
        reactor.advance(2 * MS);
        let mut expiries = Vec::new();
        for timeout in [None, None, LOOK] {
            reactor.turn(timeout).expect("a turn that does not sleep");
            expiries.push(reactor.metrics().expiries);
        }
        assert_eq!(expiries, [1024, 2048, 3000]);
        drop(timers);
    });
}

/// The numbers that tell the tenants of a slot apart begin anew after 131,072. An event for the first of
/// them, which one turn has taken from epoll together with the event whose waker drops that tenant, reaches a
/// timer. It is not for the timer, which waits on and fires in its time.
#[test]
fn a_late_event_of_a_former_tenant_is_none_of_a_timers() {
    watched(|| {
        const GENERATIONS: usize = 1 << 17;
        let reactor = by_hand_with_clock();
        let (first, first_far) = settled(&reactor);
        let (second, second_far) = settled(&reactor);
        let both = Arc::new(Mutex::new(vec![first, second]));
        let kept = Arc::new(Mutex::new(None));
        // Whichever event comes first, its waker ends the other registration.
        for own in 0..2 {
            let (weak, kept, reactor) = (Arc::downgrade(&both), kept.clone(), reactor.clone());
            let waker = on_wake(move || {
                let Some(both) = weak.upgrade() else { return };
                let mut both = both.lock().expect("no panic");
                if both.len() < 2 {
                    return;
                }
                let other = both.swap_remove(1 - own);
                drop(both);
                drop(other);
                for _ in 1..GENERATIONS {
                    drop(Timer::never(&reactor));
                }
                *kept.lock().expect("no panic") = Some(Timer::never(&reactor).expect("a timer"));
            });
            wait_to_read(&both.lock().expect("no panic")[own], &waker);
        }
        for mut far in [&first_far, &second_far] {
            far.write_all(b"x").expect("room");
            wait_until_delivered(far);
        }
        let stale = reactor.metrics().stale_events;
        reactor.turn(LOOK).expect("a turn");

        let timer = kept.lock().expect("no panic").take().expect("a timer");
        assert_eq!(reactor.metrics().stale_events, stale, "the event found the timer");
        let waker = CountingWaker::new();
        let poll = || timer.poll_fired(&mut Context::from_waker(&Waker::from(waker.clone())));
        assert!(poll().is_pending());
        timer.set(Some(reactor.now() + Duration::from_millis(5)));
        assert!(poll().is_pending());
        reactor.advance(Duration::from_millis(6));
        reactor.turn(LOOK).expect("a turn");
        assert!(matches!(poll(), Poll::Ready(Ok(()))));
        assert!(waker.wakes() > 0);
    });
}

/// A deadline word holds 292 years. A clock that is moved by hand gets there, and a timer of 400 years is
/// not early by 107 of them.
#[test]
fn a_timer_of_four_centuries_is_not_early() {
    watched(|| {
        const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);
        let reactor = by_hand_with_clock();
        let waker = CountingWaker::new();
        let after = |years| Timer::at(&reactor, reactor.now() + YEAR * years).expect("a timer");
        let (century, four, five) = (after(100), after(400), after(500));
        for timer in [&century, &four, &five] {
            assert!(poll(timer, &waker).is_pending());
        }
        let mut passed = 0;
        while passed < 399 {
            pass(&reactor, YEAR);
            passed += 1;
            let fired = poll(&century, &waker).is_ready();
            assert!(fired == (passed > 100) || passed == 100, "after {passed} years");
            assert!(poll(&four, &waker).is_pending(), "after {passed} years");
            assert!(poll(&five, &waker).is_pending(), "after {passed} years");
        }
    });
}
