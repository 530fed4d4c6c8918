//! Descriptors and slots that are used again, while something of the last user is still on its way.

use std::io::Write;
use std::net::TcpStream;
use std::os::fd::AsRawFd;
use std::task::{Context, Waker};
use std::time::Duration;

use netpoll::{Direction, Interest, Registration, Timer};
use netpoll_tests::fixtures::os::{Lent, wait_for};
use netpoll_tests::fixtures::would_block;
use netpoll_tests::{CountingWaker, watched};

use crate::fixtures::{
    LOOK, assert_quiet, by_hand, by_hand_with_clock, connection, poll_ready, read, registered,
    send, settled, take_events, turn_until,
};

/// golang/go#19289 and moonbit#571: an event waits in epoll while its socket is closed, and the
/// slot goes to the next one, which is then "ready" although nothing has happened to it.
#[test]
fn an_event_in_epoll_does_not_reach_the_next_tenant() {
    watched(|| {
        let reactor = by_hand();
        let (near, far) = settled(&reactor);
        (&far).write_all(b"for the old one").expect("room");
        wait_for(&near, libc::POLLIN);
        drop(near);

        let (next, _next_far) = settled(&reactor);

        let waker = CountingWaker::new();
        assert!(poll_ready(&next, Direction::Read, &waker).is_pending());
        assert_quiet(&reactor);
        assert_eq!(reactor.metrics().stale_events, 0, "it was taken back in time");
    });
}

/// golang/go#59545: the descriptor is closed behind the poller's back while a duplicate keeps its
/// description alive. epoll goes on reporting, by the token of the old registration, and no call can
/// make it stop. The next tenant of the slot must not hear of it: the generation tells them apart.
#[test]
fn an_event_with_an_old_token_is_stale() {
    watched(|| {
        let reactor = by_hand();
        let (near, far) = connection();
        let duplicate = near.try_clone().expect("a duplicate");
        let lent = Lent(near.as_raw_fd());
        let old = Registration::with(&reactor, lent, Interest::Both).expect("a registration");
        take_events(&reactor, 1);
        drop(near);
        drop(old);
        let (next, next_far) = settled(&reactor);
        let waker = CountingWaker::new();
        assert!(poll_ready(&next, Direction::Read, &waker).is_pending());

        (&far).write_all(b"x").expect("room");
        turn_until(&reactor, "an event", || reactor.metrics().stale_events == 1);

        assert!(poll_ready(&next, Direction::Read, &waker).is_pending());
        assert_eq!(waker.wakes(), 0);
        send(&reactor, &next_far, b"mine");
        assert_eq!(read(&next, 64).expect("bytes"), b"mine");
        drop(duplicate);
    });
}

/// The stale event of golang/go#59545 when the slot has no tenant yet: tokio, whose tokens are
/// pointers, must leak the registration then (tokio#8540). Here it is a number that fits no tenant.
#[test]
fn an_event_for_an_empty_slot_is_stale() {
    watched(|| {
        let reactor = by_hand();
        let (near, far) = connection();
        let _duplicate = near.try_clone().expect("a duplicate");
        let lent = Lent(near.as_raw_fd());
        let old = Registration::with(&reactor, lent, Interest::Both).expect("a registration");
        drop(near);
        drop(old);
        (&far).write_all(b"x").expect("room");
        turn_until(&reactor, "an event", || reactor.metrics().stale_events >= 1);
        assert_eq!(reactor.metrics().registrations, 0);
        assert_eq!(reactor.metrics().stale_events, reactor.metrics().events);
    });
}

/// tokio-core#172 and tokio#7563: closing a descriptor does not end its registration while a
/// duplicate is open, so the registration is ended first. After that the duplicate is free to use:
/// not even a stale event comes of it.
#[test]
fn a_live_duplicate_is_silent_after_the_end() {
    watched(|| {
        let reactor = by_hand();
        let ends: [fn(Registration<TcpStream>); 3] =
            [drop, |near| drop(near.into_inner()), close_and_drop];
        for end in ends {
            let (near, far) = settled(&reactor);
            let duplicate = near.get_ref().try_clone().expect("a duplicate");
            end(near);
            (&far).write_all(b"x").expect("room");
            wait_for(&duplicate, libc::POLLIN);
            assert_quiet(&reactor);
        }
        assert_eq!(reactor.metrics().stale_events, 0);
    });
}

fn close_and_drop(near: Registration<TcpStream>) {
    futures::executor::block_on(near.close()).expect("open");
    drop(near);
}

/// tokio#3103: a duplicate is a descriptor of its own and can be registered beside the original,
/// and the end of one is not the end of the other.
#[test]
fn a_duplicate_has_a_registration_of_its_own() {
    watched(|| {
        let reactor = by_hand();
        let (near, far) = settled(&reactor);
        let duplicate = near.get_ref().try_clone().expect("a duplicate");
        let second = Registration::with(&reactor, duplicate, Interest::Both).expect("another");
        take_events(&reactor, 1);
        (&far).write_all(b"for both").expect("room");
        take_events(&reactor, 2);
        drop(near);
        assert_eq!(read(&second, 64).expect("bytes"), b"for both");
        send(&reactor, &far, b"for one");
        assert_eq!(read(&second, 64).expect("bytes"), b"for one");
    });
}

/// golang/go#60782 is a counter that wrapped after days. The generation of a slot has 17 bits and
/// wraps after 131,072 tenants: the one before, the one after and all the others get their events.
#[test]
fn two_hundred_thousand_tenants_of_one_slot() {
    watched(|| {
        const TENANTS: u64 = 200_000;
        let reactor = by_hand();
        let (near, _far) = connection();
        let waker = CountingWaker::new();
        for tenant in 1..=TENANTS {
            let near = Registration::with(&reactor, &near, Interest::Both).expect("registered");
            reactor.turn(LOOK).expect("a turn");
            assert_eq!(reactor.metrics().events, tenant, "its first event: it is writable");
            let cx = &mut Context::from_waker(Waker::noop());
            assert!(near.poll_ready(cx, Direction::Write).is_ready());
            assert!(near.poll_ready(cx, Direction::Read).is_pending());
        }
        assert_eq!(reactor.metrics().stale_events, 0);
        assert_eq!(reactor.metrics().registrations, 0);
        let (next, far) = settled(&reactor);
        assert!(poll_ready(&next, Direction::Read, &waker).is_pending());
        send(&reactor, &far, b"x");
        assert_eq!(waker.wakes(), 1);
    });
}

/// The remains of a registration in its slot, besides its events: readiness, a deadline that
/// has passed, and wakers. golang/go#59545 was the first of these; the next tenant inherits none.
#[test]
fn the_next_tenant_inherits_nothing() {
    watched(|| {
        let reactor = by_hand();
        let (near, far) = settled(&reactor);
        let left_behind = CountingWaker::new();
        assert!(poll_ready(&near, Direction::Read, &left_behind).is_pending());
        send(&reactor, &far, b"x");
        near.set_deadline(Some(reactor.now())).expect("open");
        drop(near);
        assert_eq!(left_behind.wakes(), 1);

        let (next, _next_far) = registered(&reactor);
        assert!(would_block(&read(&next, 64)));
        assert!(would_block(&next.try_ready(Direction::Write)));
        take_events(&reactor, 1);
        assert!(next.try_ready(Direction::Write).is_ok());
        assert_eq!(left_behind.wakes(), 1);
    });
}

/// A slot serves timers and sockets in turn. An old event that finds a timer in its slot must not
/// fire it, nor make it panic: golang/go#59545, with a tenant of another kind.
#[test]
fn a_timer_in_the_slot_of_a_socket() {
    watched(|| {
        let reactor = by_hand();
        let (near, far) = connection();
        let _duplicate = near.try_clone().expect("a duplicate");
        let lent = Lent(near.as_raw_fd());
        let old = Registration::with(&reactor, lent, Interest::Both).expect("a registration");
        drop(near);
        drop(old);
        let timer = Timer::never(&reactor).expect("a timer");
        (&far).write_all(b"x").expect("room");
        turn_until(&reactor, "an event", || reactor.metrics().stale_events >= 1);
        let cx = &mut Context::from_waker(Waker::noop());
        assert!(timer.poll_fired(cx).is_pending());
    });
}

/// A slot keeps its place in the wheel when its deadline is cleared, and for its next tenant. A time that has passed, but
/// not that of the place, was then taken for one to come, until the wheel reached the place.
#[test]
fn a_time_that_has_passed_takes_effect_at_once_whatever_the_wheel_holds() {
    watched(|| {
        const SECOND: Duration = Duration::from_secs(1);
        let reactor = by_hand_with_clock();
        let timer = Timer::at(&reactor, reactor.now() + 10 * SECOND).expect("a timer");
        reactor.turn(LOOK).expect("a turn");
        drop(timer);
        reactor.advance(20 * SECOND);
        let timer = Timer::at(&reactor, reactor.now() - 5 * SECOND).expect("a timer");
        assert!(timer.has_fired(), "the next tenant");

        timer.set(Some(reactor.now() + 10 * SECOND));
        reactor.turn(LOOK).expect("a turn");
        timer.set(None);
        reactor.advance(20 * SECOND);
        timer.set(Some(reactor.now() - 5 * SECOND));
        assert!(timer.has_fired(), "the same tenant");
    });
}
