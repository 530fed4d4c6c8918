//! Reactors that the test turns, connections, and ways to wait for the kernel without sleeping.

use std::error::Error;
use std::future::Future;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::pin::pin;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::task::{Context, Poll, Waker};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use netpoll::{Direction, Interest, Reactor, ReactorGone, Readiness, Registration, Transfer};
use netpoll_tests::CountingWaker;
pub(crate) use netpoll_tests::fixtures::tcp::connection;
use netpoll_tests::fixtures::{os, would_block};

/// A turn that only looks.
pub(crate) const LOOK: Option<Duration> = Some(Duration::ZERO);

/// A turn that waits, but not for ever.
const WAIT: Option<Duration> = Some(Duration::from_millis(100));

/// How many turns something may take that takes one or two.
const TURNS: usize = 100;

/// The result of `poll_ready`.
pub(crate) type Polled = Poll<io::Result<Readiness>>;

/// A reactor that the test turns.
pub(crate) fn by_hand() -> Reactor {
    Reactor::builder().embedded().build().expect("a reactor")
}

/// A reactor that the test turns, with a clock that the test moves.
pub(crate) fn by_hand_with_clock() -> Reactor {
    Reactor::builder().embedded().manual_clock().build().expect("a reactor")
}

/// A connection with one end registered, for both directions, before any turn.
pub(crate) fn registered(reactor: &Reactor) -> (Registration<TcpStream>, TcpStream) {
    let (near, far) = connection();
    (Registration::with(reactor, near, Interest::Both).expect("a registration"), far)
}

/// The same after its first event: it is writable, and nothing has come to be read.
pub(crate) fn settled(reactor: &Reactor) -> (Registration<TcpStream>, TcpStream) {
    let (near, far) = registered(reactor);
    take_events(reactor, 1);
    (near, far)
}

/// A thread that turns a reactor until it is shut down, and the kernel's number of that thread.
pub(crate) fn turning(reactor: &Reactor) -> (JoinHandle<()>, i32) {
    let reactor = reactor.clone();
    let (tell, told) = channel();
    let turner = thread::spawn(move || {
        tell.send(os::thread_id()).expect("the receiver lives");
        while reactor.turn(None).is_ok() {}
    });
    (turner, told.recv().expect("a number"))
}

/// Turns until the condition holds.
pub(crate) fn turn_until(reactor: &Reactor, what: &str, mut done: impl FnMut() -> bool) {
    for _ in 0..TURNS {
        if done() {
            return;
        }
        reactor.turn(WAIT).expect("a turn");
    }
    panic!("{TURNS} turns, and still not {what}");
}

/// Turns until so many more events were reported.
pub(crate) fn take_events(reactor: &Reactor, count: u64) {
    let before = reactor.metrics().events;
    turn_until(reactor, "the events", || reactor.metrics().events >= before + count);
}

/// Looks several times, and finds nothing to report.
pub(crate) fn assert_quiet(reactor: &Reactor) {
    let before = reactor.metrics();
    for _ in 0..TURNS {
        reactor.turn(LOOK).expect("a turn");
    }
    let after = reactor.metrics();
    assert_eq!((after.events, after.wakes), (before.events, before.wakes), "a quiet reactor");
}

/// Sends bytes, and turns until they are an event at the other end.
pub(crate) fn send(reactor: &Reactor, mut far: &TcpStream, bytes: &[u8]) {
    far.write_all(bytes).expect("room for a few bytes");
    take_events(reactor, 1);
}

/// Makes operations of a future until it is done, turning the reactor while it is pending.
pub(crate) fn finish<F: Future>(reactor: &Reactor, future: F) -> F::Output {
    let mut future = pin!(future);
    let waker = CountingWaker::new();
    for _ in 0..TURNS {
        if let Poll::Ready(done) = waker.poll(future.as_mut()) {
            return done;
        }
        reactor.turn(WAIT).expect("a turn");
    }
    panic!("still pending after {TURNS} turns");
}

/// Reads the bytes that are there, up to `len`, as a stream's read does. No waiting, no turning.
pub(crate) fn read(near: &Registration<TcpStream>, len: usize) -> io::Result<Vec<u8>> {
    let mut buffer = vec![0; len];
    let count = near.try_io(Transfer(Direction::Read, len), |mut near| near.read(&mut buffer))?;
    buffer.truncate(count);
    Ok(buffer)
}

/// Fills the sending side until it blocks, and returns how many bytes that took. The reactor has
/// heard of it, and until the peer reads there is nothing more to hear.
pub(crate) fn fill(near: &Registration<TcpStream>, far: &TcpStream) -> usize {
    let chunk = [0x5a; 64 * 1024];
    let arrived_or_not = || os::unread(far) + os::unacknowledged(near.get_ref());
    let already = arrived_or_not();
    let mut sent = 0;
    let mut settled = false;
    // The peer's kernel takes bytes in its own time, which makes room once more.
    loop {
        let before = sent;
        while let Ok(count) = near.get_ref().write(&chunk) {
            sent += count;
        }
        if settled && sent == before {
            break;
        }
        settled = already + sent == arrived_or_not();
        thread::yield_now();
    }
    near.reactor().turn(LOOK).expect("a turn");
    let full = near.try_io(Direction::Write, |mut near| near.write(&chunk));
    assert!(would_block(&full), "a full socket: {full:?}");
    sent
}

/// Reads and drops `len` bytes, which are on their way.
pub(crate) fn discard(mut far: &TcpStream, len: usize) {
    let mut left = len;
    let mut buffer = vec![0; 64 * 1024];
    while left > 0 {
        os::wait_for(far, libc::POLLIN);
        left -= far.read(&mut buffer).expect("the bytes that were sent");
    }
}

/// Whether the poll ended with an error of this kind.
pub(crate) fn failed<T>(polled: &Poll<io::Result<T>>, is: impl FnOnce(&io::Error) -> bool) -> bool {
    matches!(polled, Poll::Ready(Err(error)) if is(error))
}

/// Whether the error says that there is no reactor any more.
pub(crate) fn is_reactor_gone(error: &io::Error) -> bool {
    error.get_ref().is_some_and(<dyn Error + Send + Sync>::is::<ReactorGone>)
}

/// Asks for readiness, as a task with this waker.
pub(crate) fn poll_ready(
    near: &Registration<TcpStream>,
    direction: Direction,
    waker: &Arc<CountingWaker>,
) -> Polled {
    near.poll_ready(&mut Context::from_waker(&Waker::from(waker.clone())), direction)
}

/// The same for reading, as a task that must wait.
pub(crate) fn wait_to_read(near: &Registration<TcpStream>, waker: &Waker) {
    let polled = near.poll_ready(&mut Context::from_waker(waker), Direction::Read);
    assert!(polled.is_pending(), "nothing to read: {polled:?}");
}
