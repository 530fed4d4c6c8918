//! Closing, as Go does it: pending operations fail, the descriptor ends when no operation is inside, and
//! the promise is kept when `close` resolves.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::task::Poll;
use std::thread;

use futures::executor::block_on;
use netpoll::{Direction, Interest, Registration, is_closed};
use netpoll_futures::sys;
use netpoll_tests::alone::alone;
use netpoll_tests::fixtures::os::{is_open, wait_for};
use netpoll_tests::{CountingWaker, watched};

use crate::fixtures::{assert_quiet, by_hand, failed, fill, poll_ready, read, send, settled};

/// The errno of a receive on this descriptor, past its registration.
fn recv_errno(near: &Registration<TcpStream>) -> Option<i32> {
    let received = sys::recv(near.as_fd(), &mut [0]);
    received.err().and_then(|error| error.raw_os_error())
}

fn says_closed<T>(result: std::io::Result<T>) -> bool {
    result.is_err_and(|error| is_closed(&error))
}

/// golang/go#45211: `Close` and a pending operation miss each other, and hang. A pending operation in
/// either direction is woken and says Closed; so does all that comes later, and a second close.
#[test]
fn pending_operations_fail() {
    watched(|| {
        let reactor = by_hand();
        let (near, far) = settled(&reactor);
        fill(&near, &far);
        let wakers: Vec<_> = (0..4).map(|_| CountingWaker::new()).collect();
        let mut reading = pin!(near.io(Direction::Read, |mut near| near.read(&mut [0])));
        let mut also_reading = pin!(near.ready(Direction::Read));
        let mut writing = pin!(near.ready(Direction::Write));
        assert!(wakers[0].poll(reading.as_mut()).is_pending());
        assert!(wakers[1].poll(also_reading.as_mut()).is_pending());
        assert!(wakers[2].poll(writing.as_mut()).is_pending());
        assert!(poll_ready(&near, Direction::Write, &wakers[3]).is_pending());

        block_on(near.close()).expect("the first close");

        assert!(wakers.iter().all(|waker| waker.wakes() == 1));
        assert!(failed(&wakers[0].poll(reading), is_closed));
        assert!(failed(&wakers[1].poll(also_reading), is_closed));
        assert!(failed(&wakers[2].poll(writing), is_closed));
        assert!(says_closed(read(&near, 16)));
        assert!(says_closed(block_on(near.close())), "the second");
        assert!(near.is_closed());
        assert_quiet(&reactor);
    });
}

/// golang/go#21856: closed is closed when `close` says so. The peer sees the end; the description
/// is gone; but the number is not: a borrower of it must not reach another socket
/// (tokio#3103).
#[test]
fn the_number_stays_taken() {
    watched(|| {
        let reactor = by_hand();
        let (near, mut far) = settled(&reactor);
        let number = near.as_fd().as_raw_fd();
        block_on(near.close()).expect("open");
        assert!(is_open(number), "taken");
        assert_eq!(recv_errno(&near), Some(libc::ENOTSOCK), "by nothing");
        wait_for(&far, libc::POLLIN);
        assert_eq!(far.read(&mut [0]).expect("the end"), 0);
        for _ in 0..10 {
            let (other, _other_far) = settled(&reactor);
            assert_ne!(other.as_fd().as_raw_fd(), number);
        }
        assert_eq!(reactor.metrics().registrations, 1);
        drop(near);
        assert_eq!(reactor.metrics().registrations, 0);
    });
}

/// golang/go#10527 and golang/go#21856: the port was still taken when `Close` had returned.
#[test]
fn a_port_can_be_bound_again() {
    // Alone: another test may just be starting a process, which has our listener until it execs.
    alone("close::a_port_can_be_bound_again", bind_again_and_again);
}

fn bind_again_and_again() {
    let reactor = by_hand();
    // And an address of its own: no other program is given its ports.
    let mut address = "127.41.0.1:0".parse().expect("an address");
    for _ in 0..20 {
        let listener = TcpListener::bind(address).expect("a port, and then the same");
        listener.set_nonblocking(true).expect("non-blocking");
        address = listener.local_addr().expect("an address");
        let listener = Registration::with(&reactor, listener, Interest::Readable);
        let listener = listener.expect("a registration");
        let waker = CountingWaker::new();
        let mut accepting = pin!(listener.io(Direction::Read, TcpListener::accept));
        assert!(waker.poll(accepting.as_mut()).is_pending());
        assert!(TcpListener::bind(address).is_err(), "taken");
        block_on(listener.close()).expect("open");
        // The waiting accept is still there, and must not need to run for the port to be free.
        let again = TcpListener::bind(address).expect("free, with the registration alive");
        drop(again);
        assert!(failed(&waker.poll(accepting), is_closed));
    }
}

/// golang/go#21856, the mechanism: an operation is inside the descriptor, on another thread. Its
/// descriptor must not be pulled from under it, and `close` must not say that it is gone.
#[test]
fn while_an_operation_is_inside() {
    watched(|| {
        let reactor = by_hand();
        let (near, mut far) = settled(&reactor);
        let (enter, entered) = channel();
        let (leave, left) = channel::<()>();
        let near = &near;
        thread::scope(|scope| {
            let inside = scope.spawn(move || {
                near.try_io(Direction::Write, |stream| {
                    enter.send(()).expect("the receiver lives");
                    left.recv().expect_err("hung up to let it go");
                    stream.peer_addr()
                })
            });
            entered.recv().expect("it is inside");
            let waker = CountingWaker::new();
            let mut closing = pin!(near.close());
            assert!(waker.poll(closing.as_mut()).is_pending());
            assert!(near.is_closed() && says_closed(read(near, 16)), "no other operation begins");
            assert!(says_closed(block_on(near.close())), "the second does not wait");
            assert!(waker.poll(closing.as_mut()).is_pending());
            assert_eq!(recv_errno(near), Some(libc::EAGAIN), "a socket still");
            assert_eq!(waker.wakes(), 0);

            drop(leave);
            inside.join().expect("no panic").expect("the operation had its descriptor");
            assert_eq!(waker.wakes(), 1);
            assert!(matches!(waker.poll(closing), Poll::Ready(Ok(()))));
        });
        assert_eq!(recv_errno(near), Some(libc::ENOTSOCK));
        wait_for(&far, libc::POLLIN);
        assert_eq!(far.read(&mut [0]).expect("the end"), 0);
    });
}

/// The future of `close` is dropped before it resolves, as a timeout around it does
/// (golang/go#21856 with Rust's way to give up). The descriptor is closed all the same, by the last
/// one out.
#[test]
fn a_close_that_is_not_awaited() {
    watched(|| {
        let reactor = by_hand();
        let (near, _far) = settled(&reactor);
        drop(near.close());
        assert!(!near.is_closed(), "not even begun");
        let closed = near.try_io(Direction::Write, |stream| {
            let waker = CountingWaker::new();
            assert!(waker.poll(pin!(near.close())).is_pending(), "we are inside ourselves");
            assert!(stream.peer_addr().is_ok());
            Ok(())
        });
        closed.expect("an operation that was inside ends as if nothing had happened");
        assert_eq!(recv_errno(&near), Some(libc::ENOTSOCK));
    });
}

/// A close that is begun and not finished: its future is dropped, and the descriptor ends with it; with an
/// operation inside, with that.
#[test]
fn a_close_that_is_begun_and_dropped() {
    watched(|| {
        let reactor = by_hand();
        let (near, mut far) = settled(&reactor);
        let closing = near.begin_close().expect("open");
        assert!(near.is_closed() && says_closed(near.begin_close()));
        assert_eq!(recv_errno(&near), Some(libc::EAGAIN), "a socket still");
        drop(closing);
        assert_eq!(recv_errno(&near), Some(libc::ENOTSOCK));
        wait_for(&far, libc::POLLIN);
        assert_eq!(far.read(&mut [0]).expect("the end"), 0);

        let (near, _far) = settled(&reactor);
        let inside = near.try_io(Direction::Write, |_| {
            let closing = near.begin_close().expect("open");
            drop(closing.finish());
            Ok(recv_errno(&near))
        });
        assert_eq!(inside.expect("it was inside"), Some(libc::EAGAIN));
        assert_eq!(recv_errno(&near), Some(libc::ENOTSOCK));
    });
}

/// A value that a registration holds until its descriptor is closed, and one that comes too late.
#[test]
fn values_are_held_until_the_descriptor_is_closed() {
    watched(|| {
        let reactor = by_hand();
        let (near, _far) = settled(&reactor);
        let (held, other) = (Arc::new(()), Arc::new(()));
        near.hold_until_closed(held.clone());
        near.hold_until_closed((held.clone(), PanicsWhenDropped));
        near.hold_until_closed(other.clone());
        assert_eq!((Arc::strong_count(&held), Arc::strong_count(&other)), (3, 2));
        block_on(near.close()).expect("open");
        assert_eq!((Arc::strong_count(&held), Arc::strong_count(&other)), (1, 1));
        near.hold_until_closed(held.clone());
        assert_eq!(Arc::strong_count(&held), 1, "too late");

        for end in [drop, |near: Registration<TcpStream>| drop(near.into_inner())] {
            let (near, _far) = settled(&reactor);
            near.hold_until_closed(held.clone());
            end(near);
            assert_eq!(Arc::strong_count(&held), 1, "it went with the registration");
        }
    });
}

struct PanicsWhenDropped;

impl Drop for PanicsWhenDropped {
    fn drop(&mut self) {
        panic!("a value that panics when it is dropped, as its test wants it");
    }
}

/// An operation that panics is out again, too: `close` must not wait for it until the end of days
/// (Go says "inconsistent poll.fdMutex" when that count is wrong).
#[test]
fn after_an_operation_that_panicked() {
    watched(|| {
        let reactor = by_hand();
        let (near, _far) = settled(&reactor);
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            near.try_io(Direction::Write, |_| -> std::io::Result<()> {
                panic!("an operation panics, as we want it")
            })
        }));
        assert!(panicked.is_err());
        assert!(near.try_io(Direction::Write, |_| Ok(())).is_ok(), "nothing is broken");
        let waker = CountingWaker::new();
        assert!(matches!(waker.poll(pin!(near.close())), Poll::Ready(Ok(()))));
        assert_eq!(recv_errno(&near), Some(libc::ENOTSOCK));
    });
}

/// golang/go#29277: a descriptor taken out of the poller is as it was put in, neither closed nor
/// blocking; and of a closed one there is nothing to take.
#[test]
fn taking_the_socket_back() {
    watched(|| {
        let reactor = by_hand();
        let (near, far) = settled(&reactor);
        send(&reactor, &far, b"x");
        let mut stream = near.into_inner().expect("open");
        assert_eq!(stream.read(&mut [0; 16]).expect("bytes"), 1);
        let blocked = stream.read(&mut [0]).expect_err("still non-blocking");
        assert_eq!(blocked.kind(), std::io::ErrorKind::WouldBlock);
        assert_eq!(reactor.metrics().registrations, 0);

        let (near, _far) = settled(&reactor);
        block_on(near.close()).expect("open");
        assert!(says_closed(near.into_inner()));
        assert_eq!(reactor.metrics().registrations, 0);
    });
}

/// Go's E8: closing is not shutting down. A duplicate of the socket, which another process may
/// have, goes on as if nothing had happened (golang/go#29277).
#[test]
fn a_duplicate_lives_on() {
    watched(|| {
        let reactor = by_hand();
        let (near, far) = settled(&reactor);
        let mut duplicate = near.get_ref().try_clone().expect("a duplicate");
        block_on(near.close()).expect("open");
        (&far).write_all(b"x").expect("room");
        wait_for(&duplicate, libc::POLLIN);
        assert_eq!(duplicate.read(&mut [0; 16]).expect("bytes"), 1);
        assert_quiet(&reactor);
    });
}
