//! Accepting with no descriptor to spare.

use std::cell::Cell;
use std::fs::File;
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::pin::pin;
use std::task::Poll;

use netpoll::{Direction, Interest, Reactor, Registration, raw_os_error};
use netpoll_futures::sys;
use netpoll_tests::CountingWaker;
use netpoll_tests::alone::alone;
use netpoll_tests::fixtures::os::{limit_descriptors, open_descriptors, wait_for};
use netpoll_tests::fixtures::would_block;

use crate::fixtures::{assert_quiet, by_hand, take_events};

fn listening(reactor: &Reactor) -> Registration<TcpListener> {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.set_nonblocking(true).expect("non-blocking");
    Registration::with(reactor, listener, Interest::Readable).expect("a registration")
}

fn connect(listener: &Registration<TcpListener>) -> TcpStream {
    let address = listener.get_ref().local_addr().expect("an address");
    TcpStream::connect(address).expect("a place in the queue")
}

fn accept(listener: &TcpListener) -> std::io::Result<OwnedFd> {
    sys::accept(listener.as_fd()).map(|(accepted, _)| accepted)
}

/// Takes all descriptors there are, and returns the limit that there was.
fn exhaust_descriptors() -> libc::rlim_t {
    let next = File::open("/dev/null").expect("a descriptor").as_raw_fd();
    limit_descriptors(libc::rlim_t::try_from(next).expect("a number"))
}

/// tokio#3529: a server without a free descriptor is told so by `accept`, the connection stays in
/// the queue, and a level-triggered or re-armed listener reports it again at once, for ever. Here
/// the error comes out, once; the listener stays ready, because it is; and the reactor has nothing
/// more to say.
#[test]
fn no_descriptor_to_spare() {
    alone("accept::no_descriptor_to_spare", out_of_descriptors);
}

fn out_of_descriptors() {
    let reactor = by_hand();
    let listener = listening(&reactor);
    let peers = [connect(&listener), connect(&listener), connect(&listener)];
    wait_for(&listener, libc::POLLIN);
    take_events(&reactor, 1);
    assert_quiet(&reactor);
    let limit = exhaust_descriptors();

    for _ in 0..3 {
        let error = listener.try_io(Direction::Read, accept).expect_err("no descriptor");
        assert_eq!(raw_os_error(&error), Some(libc::EMFILE));
        assert_eq!(error.raw_os_error(), Some(libc::EMFILE));
        assert_quiet(&reactor);
    }

    limit_descriptors(limit);
    let events = reactor.metrics().events;
    let accepted: Vec<_> =
        peers.iter().map(|_| listener.try_io(Direction::Read, accept).expect("one")).collect();
    assert_eq!(reactor.metrics().events, events, "all three, without another event");
    assert!(would_block(&listener.try_io(Direction::Read, accept)));
    assert_eq!(accepted.len(), 3);
}

/// The same for a task that waits (tokio#3529): it is woken once, tries once, and has its error. A
/// loop around it spins only if it wants to.
#[test]
fn a_task_without_a_descriptor_to_spare() {
    alone("accept::a_task_without_a_descriptor_to_spare", a_task_runs_out);
}

fn a_task_runs_out() {
    let reactor = by_hand();
    let listener = listening(&reactor);
    let waker = CountingWaker::new();
    let calls = Cell::new(0);
    let mut accepting = pin!(listener.io(Direction::Read, |listener| {
        calls.set(calls.get() + 1);
        accept(listener)
    }));
    assert!(waker.poll(accepting.as_mut()).is_pending());
    let before = open_descriptors();
    let peer = connect(&listener);
    wait_for(&listener, libc::POLLIN);
    let limit = exhaust_descriptors();
    take_events(&reactor, 1);

    assert_eq!(waker.wakes(), 1);
    match waker.poll(accepting) {
        Poll::Ready(Err(error)) => assert_eq!(raw_os_error(&error), Some(libc::EMFILE)),
        other => panic!("accepted without a descriptor: {other:?}"),
    }
    assert_eq!(calls.get(), 1);
    assert_quiet(&reactor);

    limit_descriptors(limit);
    assert_eq!(open_descriptors(), before + 1, "nothing is lost but the peer's own");
    let again = pin!(listener.io(Direction::Read, accept));
    assert!(matches!(waker.poll(again), Poll::Ready(Ok(_))), "it was there all the time");
    drop(peer);
}
