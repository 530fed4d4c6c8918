//! Which deadlines wake the reactor that sleeps, and which do not: each wake-up is a system call on
//! either side, and a turn.

use std::net::TcpStream;
use std::time::Duration;

use netpoll::{Registration, Timer};
use netpoll_tests::fixtures::os::wait_until_asleep;
use netpoll_tests::watched;

use crate::fixtures::{by_hand, by_hand_with_clock, settled, turning};

const MS: Duration = Duration::from_millis(1);
const HOUR: Duration = Duration::from_secs(3600);

/// async-io notifies its reactor for each timer that is inserted, and golang/go#36752 for each that
/// is moved: the 160,000 connections of golang/go#41699 kept it from sleeping. It must be woken for
/// a deadline that it would oversleep, and for nothing else.
#[test]
fn only_an_earlier_deadline_notifies() {
    watched(|| {
        let reactor = by_hand();
        let (first, _first_far) = settled(&reactor);
        let (second, _second_far) = settled(&reactor);
        let (turner, thread) = turning(&reactor);
        let now = reactor.now();
        let set = |near: &Registration<TcpStream>, at: Duration, notifies: u64| {
            wait_until_asleep(thread);
            let before = reactor.metrics();
            near.set_read_deadline(Some(now + at)).expect("open");
            wait_until_asleep(thread);
            let after = reactor.metrics();
            assert_eq!(after.notifies - before.notifies, notifies, "{at:?}");
            assert_eq!(after.turns - before.turns, notifies, "{at:?}");
        };
        set(&first, HOUR, 1);
        // The wheel fires by ticks, so the reactor wakes a little after the deadline that it has filed, and
        // in time for an equal one.
        set(&second, HOUR, 0);
        set(&second, 2 * HOUR, 0);
        set(&second, HOUR / 2, 1);
        for step in 1..100 {
            set(&first, HOUR + step * MS, 0);
            set(&second, HOUR / 2 + step * MS, 0);
        }
        set(&first, HOUR - MS, 0);
        set(&first, HOUR / 4, 1);
        reactor.shutdown();
        turner.join().expect("no panic");
    });
}

/// golang/go#25729: a million connections that move their deadline with each message keep the
/// timers busy. A deadline that is moved away wakes no thread: on a clock that only a
/// notification can move, where every look that is asked for is one, there is none.
#[test]
fn a_deadline_moved_away_wakes_no_thread() {
    watched(|| {
        let reactor = by_hand_with_clock();
        let (near, _far) = settled(&reactor);
        let timer = Timer::at(&reactor, reactor.now() + HOUR).expect("a timer");
        near.set_deadline(Some(reactor.now() + HOUR)).expect("open");
        let (turner, thread) = turning(&reactor);
        wait_until_asleep(thread);
        let before = reactor.metrics();
        for step in 1..10_000 {
            near.set_deadline(Some(reactor.now() + HOUR + step * MS)).expect("open");
            timer.set(Some(reactor.now() + HOUR + step * MS));
            if step % 100 == 0 {
                // Nor is one that is taken away and set again: that is how clients do it.
                near.set_deadline(None).expect("open");
                timer.set(None);
            }
        }
        wait_until_asleep(thread);
        assert_eq!(reactor.metrics(), before);
        reactor.shutdown();
        turner.join().expect("no panic");
    });
}
