//! A forked child has the parent's descriptors, epoll included, and must leave them alone.

use std::io::{self, Read, Write};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Wake, Waker};
use std::thread;
use std::time::Duration;

use netpoll::{Direction, Interest, Reactor, Registration, Timer};
use netpoll_futures::UnixListener;
use netpoll_tests::CountingWaker;
use netpoll_tests::alone::alone;
use netpoll_tests::fixtures::os::{in_a_child, wait_until_asleep};

use crate::fixtures::{
    assert_quiet, by_hand, connection, is_reactor_gone, poll_ready, send, settled, turn_until,
    turning,
};

fn gone<T>(result: io::Result<T>) -> bool {
    result.is_err_and(|error| is_reactor_gone(&error))
}

/// One bit for each thing that is as it should be.
fn bits<const N: usize>(facts: [bool; N]) -> u8 {
    facts.iter().enumerate().map(|(bit, fact)| u8::from(*fact) << bit).sum()
}

/// Alone: a child has the descriptors of every other test as well, and a file that they close stays open.
fn forking(name: &'static str, body: impl FnOnce() + Send + 'static) {
    alone(name, body);
}

/// polling#37 (open): a child of `fork` drops its inherited sockets, as it should, and
/// `EPOLL_CTL_DEL` takes the parent's socket out of the epoll instance that both share. The parent
/// never hears of its socket again.
#[test]
fn a_child_that_drops_a_registration() {
    forking("fork::a_child_that_drops_a_registration", || {
        let reactor = by_hand();
        let (near, far) = settled(&reactor);
        let waker = CountingWaker::new();
        assert!(poll_ready(&near, Direction::Read, &waker).is_pending());
        let mut mine = Some((near, reactor));

        let code = in_a_child(|| {
            drop(mine.take());
            7
        });

        assert_eq!(code, 7);
        let (near, reactor) = mine.expect("the parent still has it");
        send(&reactor, &far, b"x");
        assert_eq!(waker.wakes(), 1);
        assert!(near.try_io(Direction::Read, |mut near| near.read(&mut [0])).is_ok());
    });
}

/// polling#37, the other ways to end a registration: by `close`, which in the child closes the
/// child's copy of the descriptor, and by `into_inner`.
#[test]
fn a_child_that_closes_a_registration() {
    forking("fork::a_child_that_closes_a_registration", || {
        let reactor = by_hand();
        let (first, first_far) = settled(&reactor);
        let (second, second_far) = settled(&reactor);
        let mut given = Some(second);

        let code = in_a_child(|| {
            let closed = futures::executor::block_on(first.close());
            let inner = given.take().map(Registration::into_inner);
            bits([closed.is_ok(), inner.is_some_and(|inner| inner.is_ok())])
        });

        assert_eq!(code, 0b11);
        assert!(!first.is_closed());
        send(&reactor, &first_far, b"x");
        send(&reactor, &second_far, b"x");
        for near in [&first, given.as_ref().expect("the parent's")] {
            assert!(near.try_io(Direction::Read, |mut near| near.read(&mut [0])).is_ok());
        }
    });
}

/// A close waits for an operation that is inside the descriptor. In the child that operation never ends, and a thread of the
/// parent may hold the lock under which the close waits: there the close ends at the next poll.
#[test]
fn a_child_does_not_wait_for_a_close_that_its_parent_began() {
    forking("fork::a_child_does_not_wait_for_a_close_that_its_parent_began", || {
        let reactor = by_hand();
        let (near, _far) = settled(&reactor);
        let waker = CountingWaker::new();
        let mut closing = Box::pin(near.close());
        let code = near.while_open(|_| {
            assert!(waker.poll(closing.as_mut()).is_pending());
            Ok(in_a_child(|| u8::from(waker.poll(closing.as_mut()).is_ready())))
        });
        assert_eq!(code.expect("the call"), 1);
        assert!(waker.poll(closing.as_mut()).is_ready(), "in the parent, the operation has ended");
    });
}

/// polling#37, the other half: the child goes on to use its inherited reactor, and adds its sockets
/// to the parent's epoll. It gets an error, as this is not its reactor, whichever thread turns it in the parent.
#[test]
fn a_child_has_no_reactor() {
    forking("fork::a_child_has_no_reactor", || {
        let by_hand = by_hand();
        let with_thread = Reactor::builder().build().expect("a reactor with a thread");
        for reactor in [by_hand, with_thread] {
            let (near, _far) = connection();
            let before = reactor.metrics();
            let code = in_a_child(|| {
                let registered = Registration::with(&reactor, &near, Interest::Both);
                let timer = Timer::never(&reactor);
                let turned = reactor.turn(Some(Duration::ZERO));
                bits([gone(registered), gone(timer), gone(turned)])
            });
            assert_eq!(code, 0b111, "one bit each: register, timer, turn");
            assert_eq!(reactor.metrics().registrations, before.registrations);
            let registered = Registration::with(&reactor, &near, Interest::Both);
            drop(registered.expect("the parent has its reactor still"));
        }
    });
}

/// A write of the child to the shared eventfd wakes the parent. The parent is asleep, and the
/// child's copy of the memory says so: every reason to write is there (polling#37, the wake-up
/// side).
#[test]
fn a_child_does_not_wake_the_parent() {
    forking("fork::a_child_does_not_wake_the_parent", || {
        let reactor = by_hand();
        let (near, far) = settled(&reactor);
        let woken = CountingWaker::new();
        assert!(poll_ready(&near, Direction::Read, &woken).is_pending());
        let (turner, turners_thread) = turning(&reactor);
        wait_until_asleep(turners_thread);
        let before = reactor.metrics();

        let code = in_a_child(|| {
            reactor.notify();
            let soon = reactor.now() + Duration::from_secs(3600);
            let set = near.set_deadline(Some(soon));
            let expired = near.set_deadline(Some(reactor.now()));
            reactor.shutdown();
            bits([gone(set), gone(expired), true])
        });

        assert_eq!(code, 0b111);
        wait_until_asleep(turners_thread);
        assert_eq!(reactor.metrics(), before, "not a turn");
        assert_eq!(woken.wakes(), 0);
        (&far).write_all(b"x").expect("room");
        while woken.wakes() == 0 {
            thread::yield_now();
        }
        assert_eq!(reactor.metrics().notifies, before.notifies);
        reactor.shutdown();
        turner.join().expect("no panic");
    });
}

/// A waker that writes to a pipe, as those of an executor write to the eventfd it sleeps on: shared
/// with the parent, like everything.
struct Writing(io::PipeWriter);

impl Wake for Writing {
    fn wake(self: Arc<Self>) {
        (&self.0).write_all(b"!").expect("room in a pipe");
    }
}

/// polling#37, one step further: a child that only drops its inherited objects wakes tasks, by
/// wakers that reach the parent through a descriptor that both share, as those of most executors
/// do. Nothing has happened to the parent's tasks, and they must not be woken.
#[test]
fn a_child_that_drops_wakes_no_task_of_the_parent() {
    forking("fork::a_child_that_drops_wakes_no_task_of_the_parent", || {
        let reactor = by_hand();
        let (near, _far) = settled(&reactor);
        let timer = Timer::never(&reactor).expect("a timer");
        let (mut receiver, sender) = io::pipe().expect("a pipe");
        let waker = Waker::from(Arc::new(Writing(sender)));
        let cx = &mut Context::from_waker(&waker);
        assert!(near.poll_ready(cx, Direction::Read).is_pending());
        assert!(timer.poll_fired(cx).is_pending());
        let mut registration = Some(near);
        let mut timer = Some(timer);

        // Each in a child of its own: the first drop may teach the second.
        let by_registration = in_a_child(|| {
            drop(registration.take());
            0
        });
        let by_timer = in_a_child(|| {
            drop(timer.take());
            0
        });

        assert_eq!((by_registration, by_timer), (0, 0));
        assert_quiet(&reactor);
        drop(waker);
        drop(registration);
        drop(timer);
        let mut woken = Vec::new();
        receiver.read_to_end(&mut woken).expect("everything that was ever written");
        assert_eq!(woken.len(), 0, "a drop wakes no task, in the child or in the parent");
    });
}

/// A child may have a reactor of its own, and it works: the parent's is the only one that is gone.
#[test]
fn a_child_makes_a_reactor_of_its_own() {
    forking("fork::a_child_makes_a_reactor_of_its_own", || {
        let parents = by_hand();
        let (near, far) = settled(&parents);
        let code = in_a_child(|| {
            let mine = by_hand();
            let (own, own_far) = settled(&mine);
            let mut reading = pin!(own.ready(Direction::Read));
            let waker = CountingWaker::new();
            let pending = waker.poll(reading.as_mut()).is_pending();
            send(&mine, &own_far, b"x");
            bits([pending, waker.wakes() == 1, mine.metrics().registrations == 1])
        });
        assert_eq!(code, 0b111);
        let waker = CountingWaker::new();
        assert!(poll_ready(&near, Direction::Read, &waker).is_pending());
        (&far).write_all(b"x").expect("room");
        turn_until(&parents, "an event", || waker.wakes() == 1);
    });
}

/// A socket's file is removed by the process that made it, and a child did not: not by a drop, and not by `close`.
#[test]
fn a_child_that_ends_a_listener_leaves_its_file() {
    forking("fork::a_child_that_ends_a_listener_leaves_its_file", || {
        let path = std::env::temp_dir().join(format!("netpoll-fork-{}", std::process::id()));
        let listener = UnixListener::bind(&path).expect("a free path");
        let mut dropped = Some(listener.clone());

        let code = in_a_child(|| {
            let closed = futures::executor::block_on(listener.close());
            drop(dropped.take());
            bits([closed.is_ok(), path.exists()])
        });

        assert_eq!(code, 0b11);
        drop(std::os::unix::net::UnixStream::connect(&path).expect("it listens"));
        drop((listener, dropped));
        assert!(!path.exists(), "the parent removes it");
    });
}
