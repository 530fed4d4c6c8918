//! The end of a reactor, and its rest.

use std::cell::RefCell;
use std::io::Write;
use std::net::TcpStream;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use netpoll::{Direction, Interest, Reactor, Registration, Timer};
use netpoll_tests::fixtures::on_wake;
use netpoll_tests::fixtures::os::{thread_id, wait_until_asleep};
use netpoll_tests::{CountingWaker, watched};

use crate::fixtures::{
    LOOK, by_hand, connection, failed, is_reactor_gone, poll_ready, registered, turning,
    wait_to_read,
};

fn with_thread() -> Reactor {
    Reactor::builder().build().expect("a reactor with a thread")
}

fn gone<T>(result: std::io::Result<T>) -> bool {
    result.is_err_and(|error| is_reactor_gone(&error))
}

type Connection = (Registration<TcpStream>, TcpStream);

/// Has the thread that turns the reactor run a function, as the waker of an event.
fn on_an_event(reactor: &Reactor, act: impl Fn() + Send + Sync + 'static) -> Connection {
    let (near, mut far) = registered(reactor);
    wait_to_read(&near, &on_wake(act));
    far.write_all(b"x").expect("room");
    (near, far)
}

thread_local! {
    static UNTIL_IT_ENDS: RefCell<Vec<Sender<()>>> = const { RefCell::new(Vec::new()) };
}

/// A channel whose other end the reactor's thread holds until it ends.
fn lifeline(reactor: &Reactor) -> Receiver<()> {
    let (held, lifeline) = channel();
    let socket = on_an_event(reactor, move || {
        UNTIL_IT_ENDS.with_borrow_mut(|until_it_ends| until_it_ends.push(held.clone()));
        held.send(()).expect("the receiver lives");
    });
    lifeline.recv().expect("the thread runs");
    drop(socket);
    lifeline
}

/// async-io#40 and smol#14: a reactor that cannot be ended. Here it can, and every waiter gets
/// an error, however it waits: futures, polls and timers.
#[test]
fn every_waiter_is_told() {
    watched(|| {
        for reactor in [by_hand(), with_thread()] {
            let (near, _far) = registered(&reactor);
            let wakers: Vec<_> = (0..10).map(|_| CountingWaker::new()).collect();
            let mut futures: Vec<_> =
                (0..5).map(|_| Box::pin(near.ready(Direction::Read))).collect();
            let (polls, awaits) = wakers.split_at(5);
            for ((future, awaiting), polling) in futures.iter_mut().zip(awaits).zip(polls) {
                assert!(awaiting.poll(future.as_mut()).is_pending());
                assert!(poll_ready(&near, Direction::Read, polling).is_pending());
            }
            reactor.shutdown();
            assert!(wakers.iter().all(|waker| waker.wakes() == 1));
            for (future, waker) in futures.iter_mut().zip(awaits) {
                assert!(failed(&waker.poll(future.as_mut()), is_reactor_gone));
            }
            for direction in Direction::BOTH {
                assert!(failed(&poll_ready(&near, direction, &wakers[0]), is_reactor_gone));
                assert!(gone(near.try_io(direction, |_| Ok(()))));
            }
        }
    });
}

/// tokio says "there is no reactor running", by a panic (hyper#2053 and others). Every operation after a
/// shutdown is an error, whatever it is; and the sockets are still there, to be closed or taken.
#[test]
fn every_later_operation_is_an_error() {
    watched(|| {
        for reactor in [by_hand(), with_thread()] {
            let (kept, _far) = registered(&reactor);
            let (closed, _far) = registered(&reactor);
            let (stream, _far) = connection();
            reactor.shutdown();
            reactor.shutdown();
            assert!(gone(reactor.turn(LOOK)));
            assert!(gone(Registration::with(&reactor, &stream, Interest::Both)));
            assert!(gone(Timer::never(&reactor)));
            assert!(gone(kept.set_deadline(None)));
            assert!(gone(kept.set_read_deadline(Some(reactor.now()))));
            reactor.notify();
            assert!(kept.is_closed());
            futures::executor::block_on(closed.close()).expect("the descriptor is there");
            let inner = kept.into_inner().expect("and so is this one");
            assert!(inner.peer_addr().is_ok());
            assert_eq!(reactor.metrics().registrations, 1);
            drop(closed);
            assert_eq!(reactor.metrics().registrations, 0);
        }
    });
}

/// smol#14: when `shutdown` has returned, nothing runs any more. The thread has ended, and all that
/// it held is dropped.
#[test]
fn shutdown_joins_the_thread() {
    watched(|| {
        let reactor = with_thread();
        let lifeline = lifeline(&reactor);
        assert_eq!(lifeline.try_recv(), Err(TryRecvError::Empty));
        reactor.shutdown();
        assert_eq!(lifeline.try_recv(), Err(TryRecvError::Disconnected));
    });
}

/// async-io#53: one thread for each reactor that was ever made. It ends with the last that needs
/// it: a handle, a socket or a timer.
#[test]
fn the_last_handle_ends_the_thread() {
    watched(|| {
        let reactor = with_thread();
        let lifeline = lifeline(&reactor);
        let (near, _far) = registered(&reactor);
        let timer = Timer::never(&reactor).expect("a timer");
        let clone = reactor.clone();
        drop(reactor);
        drop(near);
        drop(clone);
        assert_eq!(lifeline.try_recv(), Err(TryRecvError::Empty), "the timer needs it");
        drop(timer);
        lifeline.recv().expect_err("it ends");
    });
}

/// smol#14, from inside: a task ends the reactor on the reactor's own thread, which cannot
/// wait for itself. It ends all the same, and so does a wait for it elsewhere.
#[test]
fn shutdown_by_a_waker() {
    watched(|| {
        let reactor = with_thread();
        let lifeline = lifeline(&reactor);
        let (other, _far) = registered(&reactor);
        let waker = CountingWaker::new();
        assert!(poll_ready(&other, Direction::Read, &waker).is_pending());
        let ending = reactor.clone();
        let (tell, told) = channel();
        let _socket = on_an_event(&reactor, move || {
            ending.shutdown();
            tell.send(()).expect("the receiver lives");
        });
        told.recv().expect("it returns");
        lifeline.recv().expect_err("it ends");
        assert_eq!(waker.wakes(), 1);
        assert!(gone(other.try_io(Direction::Read, |_| Ok(()))));
        reactor.shutdown();
    });
}

/// The same (smol#14) on a reactor that is turned by hand: the turn goes on to its end, the next
/// one does not begin.
#[test]
fn shutdown_by_a_waker_in_a_turn_by_hand() {
    watched(|| {
        let reactor = by_hand();
        let ending = reactor.clone();
        let (_near, _far) = on_an_event(&reactor, move || ending.shutdown());
        let mut turned = (0..100).map(|_| reactor.turn(Some(Duration::from_millis(100))));
        assert!(gone(turned.find(Result::is_err).expect("a turn that fails")));
    });
}

/// The last handle goes inside of a waker, on the reactor's own thread (tokio#8552): with it the
/// reactor goes, while it is in the middle of a turn.
#[test]
fn the_last_handle_dropped_by_a_waker() {
    watched(|| {
        let reactor = with_thread();
        let lifeline = lifeline(&reactor);
        let (near, mut far) = registered(&reactor);
        let owner = Arc::new(Mutex::new(None));
        let also_owner = owner.clone();
        let (tell, told) = channel();
        wait_to_read(
            &near,
            &on_wake(move || {
                let owned = also_owner.lock().expect("no panic").take();
                drop(owned);
                tell.send(()).expect("the receiver lives");
            }),
        );
        *owner.lock().expect("no panic") = Some((near, reactor));
        far.write_all(b"x").expect("room");
        told.recv().expect("it returns");
        lifeline.recv().expect_err("it ends");
        assert!(owner.lock().expect("no panic").is_none());
    });
}

/// Several threads end it at once, while another is in a turn: each call returns, and none is
/// left in it (golang/go#45211 is a close that hung for ever).
#[test]
fn shutdown_by_several_threads() {
    watched(|| {
        for reactor in [by_hand(), with_thread()] {
            // On the reactor with a thread this one is turned away at once.
            let (turner, _) = turning(&reactor);
            thread::scope(|scope| {
                for _ in 0..4 {
                    scope.spawn(|| reactor.shutdown());
                }
            });
            turner.join().expect("no panic");
            assert!(gone(reactor.turn(LOOK)));
        }
    });
}

/// A task that registers while another thread shuts down gets an error, or an object that has ended;
/// it does not wait on a reactor that no thread turns (golang/go#45211, at the other end of
/// life).
#[test]
fn shutdown_against_registering() {
    watched(|| {
        for _ in 0..200 {
            let reactor = by_hand();
            let (near, _far) = connection();
            thread::scope(|scope| {
                let registering = scope.spawn(|| {
                    let mut got = Vec::new();
                    while let Ok(timer) = Timer::never(&reactor) {
                        let near = Registration::with(&reactor, &near, Interest::Both);
                        got.push(timer);
                        drop(near);
                    }
                    got
                });
                reactor.shutdown();
                for timer in registering.join().expect("no panic") {
                    assert!(gone(futures::executor::block_on(timer)));
                }
            });
        }
    });
}

/// async-io#6 and async-std#604: ten to fifteen percent of a processor for doing nothing. A reactor
/// with connections and deadlines, none of which has anything to say, does not turn.
#[test]
fn an_idle_reactor_does_not_turn() {
    watched(|| {
        let reactor = with_thread();
        let (tell, told) = channel();
        let _socket = on_an_event(&reactor, move || {
            tell.send(thread_id()).expect("the receiver lives");
        });
        let the_thread = told.recv().expect("a number");
        let an_hour_away = reactor.now() + Duration::from_secs(3600);
        let connections: Vec<_> = (0..100).map(|_| registered(&reactor)).collect();
        for (index, (near, _)) in connections.iter().enumerate() {
            let deadline = an_hour_away + Duration::from_millis(17 * index as u64);
            near.set_deadline(Some(deadline)).expect("open");
            futures::executor::block_on(near.ready(Direction::Write)).expect("its first event");
        }
        wait_until_asleep(the_thread);
        let before = reactor.metrics();

        // The one wait in these tests: that nothing happens is seen only by letting time pass.
        thread::sleep(Duration::from_millis(300));

        assert_eq!(reactor.metrics(), before);
    });
}
