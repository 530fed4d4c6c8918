//! golang/go#17249: a socket that is asked for writability for good reports it for every datagram
//! that was sent, and for every read of the peer, to no waiter. Here epoll watches for it while a task waits.

use std::io;
use std::net::UdpSocket;
use std::os::fd::AsFd;
use std::os::unix::net::UnixDatagram;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use netpoll::{Direction, Interest, Reactor, Registration};
use netpoll_tests::fixtures::would_block;
use netpoll_tests::{CountingWaker, watched};

use crate::fixtures::{LOOK, by_hand, turn_until};

const DATAGRAMS: u64 = 50;

fn datagrams(reactor: &Reactor, interest: Interest) -> (Registration<UnixDatagram>, UnixDatagram) {
    let (near, far) = UnixDatagram::pair().expect("a pair");
    near.set_nonblocking(true).expect("non-blocking");
    far.set_nonblocking(true).expect("non-blocking");
    (Registration::with(reactor, near, interest).expect("a registration"), far)
}

fn send(near: &Registration<UnixDatagram>) -> io::Result<usize> {
    near.try_io(Direction::Write, |socket| socket.send(b"datagram"))
}

/// Sends until that blocks.
fn fill(near: &Registration<UnixDatagram>) {
    let blocked = loop {
        if let Err(blocked) = send(near) {
            break Err::<(), _>(blocked);
        }
    };
    assert!(would_block(&blocked), "{blocked:?}");
}

fn poll_writable<T: AsFd>(near: &Registration<T>, waker: &Arc<CountingWaker>) -> Poll<()> {
    let waker = Waker::from(waker.clone());
    let ready = near.poll_ready(&mut Context::from_waker(&waker), Direction::Write);
    ready.map(|ready| assert!(ready.is_ok(), "it is open"))
}

/// Looks once more, and says how many events there were.
fn events(reactor: &Reactor) -> u64 {
    let before = reactor.metrics().events;
    reactor.turn(LOOK).expect("a turn");
    reactor.metrics().events - before
}

/// Reads all there is. The kernel reports room when most of it is free.
fn drain(far: &UnixDatagram) {
    while far.recv(&mut [0; 16]).is_ok() {}
}

/// How many events it takes to send some datagrams, one after another.
fn events_of_sending(interest: Interest) -> u64 {
    let reactor = by_hand();
    let far = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let near = UdpSocket::bind("127.0.0.1:0").expect("a port");
    near.connect(far.local_addr().expect("an address")).expect("a peer");
    near.set_nonblocking(true).expect("non-blocking");
    let near = Registration::with(&reactor, near, interest).expect("a registration");
    events(&reactor);
    let send = || near.get_ref().send(b"datagram").expect("room for it");
    (0..DATAGRAMS).map(|_| (send(), events(&reactor)).1).sum()
}

#[test]
fn nothing_is_reported_for_sent_datagrams() {
    watched(|| {
        assert_eq!(events_of_sending(Interest::WriteOnDemand), 0);
        assert_eq!(events_of_sending(Interest::Both), DATAGRAMS, "as it would be");
    });
}

#[test]
fn a_waiting_writer_is_woken_and_then_nothing_is_reported() {
    watched(|| {
        let reactor = by_hand();
        let (near, far) = datagrams(&reactor, Interest::WriteOnDemand);
        let waker = CountingWaker::new();
        assert!(poll_writable(&near, &waker).is_ready(), "until it has blocked");
        for _ in 0..3 {
            fill(&near);
            let wakes = waker.wakes();
            assert!(poll_writable(&near, &waker).is_pending());
            assert_eq!(events(&reactor), 0);
            drain(&far);
            turn_until(&reactor, "room", || waker.wakes() > wakes);
            assert!(poll_writable(&near, &waker).is_ready());
            for _ in 0..DATAGRAMS {
                send(&near).expect("there is room");
                drain(&far);
                assert_eq!(events(&reactor), 0, "no task waits any more");
            }
        }
    });
}

/// The room came between the write that blocked and the wait.
#[test]
fn a_late_waiter_is_woken_at_once() {
    watched(|| {
        let reactor = by_hand();
        let (near, far) = datagrams(&reactor, Interest::WriteOnDemand);
        fill(&near);
        drain(&far);
        let waker = CountingWaker::new();
        assert!(poll_writable(&near, &waker).is_pending());
        turn_until(&reactor, "room", || waker.wakes() > 0);
        assert!(poll_writable(&near, &waker).is_ready());
    });
}

/// Another takes the room for which one was woken. It waits again, and is woken again.
#[test]
fn a_writer_that_has_to_wait_again_is_woken_again() {
    watched(|| {
        let reactor = by_hand();
        let (near, far) = datagrams(&reactor, Interest::WriteOnDemand);
        fill(&near);
        let waker = CountingWaker::new();
        for _ in 0..3 {
            let wakes = waker.wakes();
            assert!(poll_writable(&near, &waker).is_pending());
            drain(&far);
            turn_until(&reactor, "room", || waker.wakes() > wakes);
            fill(&near);
        }
    });
}

/// One is inside its operation while another blocks and waits: bytes that the first has moved do
/// not end the wait of the second.
#[test]
fn a_waiter_is_woken_while_another_task_writes() {
    watched(|| {
        let reactor = by_hand();
        let (near, far) = datagrams(&reactor, Interest::WriteOnDemand);
        let waker = CountingWaker::new();
        let written = near.try_io(Direction::Write, |_| {
            fill(&near);
            assert!(poll_writable(&near, &waker).is_pending());
            Ok(())
        });
        written.expect("it says so");
        drain(&far);
        turn_until(&reactor, "room", || waker.wakes() > 0);
    });
}

/// Closing it, and dropping it, while epoll is asked.
#[test]
fn it_ends_as_any_other() {
    watched(|| {
        let reactor = by_hand();
        for closed in [true, false] {
            let (near, _far) = datagrams(&reactor, Interest::WriteOnDemand);
            fill(&near);
            let waker = CountingWaker::new();
            assert!(poll_writable(&near, &waker).is_pending());
            if closed {
                let _ = near.begin_close().expect("it is open");
                assert!(waker.wakes() > 0);
            }
            drop(near);
            assert_eq!(reactor.metrics().registrations, 0);
        }
    });
}
