//! A future that is kept aside keeps no other task from its socket, and a task that waits for the write lock
//! sees the deadline, close and shutdown.
//!
//! Reads and accepts were served in the order in which they came: the first that waited held the place of
//! its direction until it was polled again. So a read that its task kept aside held up the reads behind it,
//! beyond their deadline, and an accept whose thread was busy held up all clients. Go's and tokio's do not
//! wait for each other.

use std::io;
use std::net::TcpStream;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use netpoll::{Interest, Reactor, Registration, is_closed, is_deadline_exceeded};
use netpoll_futures::{Listener, Stream};
use netpoll_tests::{CountingWaker, watched};

use crate::fixtures::{by_hand, by_hand_with_clock, is_reactor_gone, registered, send, turn_until};

fn stream(reactor: &Reactor) -> (Stream<TcpStream>, TcpStream) {
    let (near, far) = registered(reactor);
    (near.into(), far)
}

/// Both reads wait when the deadline passes; the first is not polled again.
#[test]
fn a_read_that_is_kept_aside_holds_up_no_deadline() {
    watched(|| {
        let reactor = by_hand_with_clock();
        let (near, _far) = stream(&reactor);
        let deadline = reactor.now() + Duration::from_millis(50);
        near.set_read_deadline(Some(deadline)).expect("open");
        let (waker, mut bytes) = (CountingWaker::new(), [[0]; 2]);
        let [first, second] = &mut bytes;
        let mut aside = Box::pin(near.read(first));
        let mut read = Box::pin(near.read(second));
        assert!(CountingWaker::new().poll(aside.as_mut()).is_pending());
        assert!(waker.poll(read.as_mut()).is_pending());
        reactor.advance(Duration::from_millis(50));
        turn_until(&reactor, "woken", || waker.wakes() > 0);
        match waker.poll(read.as_mut()) {
            Poll::Ready(late) => assert!(is_deadline_exceeded(&late.expect_err("late"))),
            Poll::Pending => panic!("the read is polled after its deadline, and waits"),
        }
    });
}

/// Data reaches the task that polls for it.
#[test]
fn a_read_that_is_kept_aside_keeps_no_data_from_another() {
    watched(|| {
        let reactor = by_hand();
        let (near, far) = stream(&reactor);
        let (waker, mut bytes) = (CountingWaker::new(), [[0]; 2]);
        let [first, second] = &mut bytes;
        let mut aside = Box::pin(near.read(first));
        let mut read = Box::pin(near.read(second));
        assert!(CountingWaker::new().poll(aside.as_mut()).is_pending());
        assert!(waker.poll(read.as_mut()).is_pending());
        send(&reactor, &far, b"x");
        turn_until(&reactor, "woken", || waker.wakes() > 0);
        assert!(matches!(waker.poll(read.as_mut()), Poll::Ready(Ok(1))));
    });
}

/// A listener that two executors share; the thread of the first is busy.
#[test]
fn an_accept_whose_thread_is_busy_holds_up_no_client() {
    watched(|| {
        let reactor = by_hand();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.set_nonblocking(true).expect("non-blocking");
        let address = listener.local_addr().expect("an address");
        let listener = Registration::with(&reactor, listener, Interest::Readable);
        let listener = Listener::from(listener.expect("a registration"));
        let (busy, idle) = (CountingWaker::new(), CountingWaker::new());
        let mut of_busy = Box::pin(listener.accept());
        let mut of_idle = Box::pin(listener.accept());
        assert!(busy.poll(of_busy.as_mut()).is_pending());
        assert!(idle.poll(of_idle.as_mut()).is_pending());
        let _client = TcpStream::connect(address).expect("a connection");
        turn_until(&reactor, "woken", || idle.wakes() > 0);
        assert!(matches!(idle.poll(of_idle.as_mut()), Poll::Ready(Ok(_))));
        drop(of_busy);
    });
}

/// A task that polls has no place of its own: tasks that await one accept after another leave it its share.
#[test]
fn a_task_that_polls_is_served_beside_tasks_that_await() {
    watched(|| {
        const CLIENTS: usize = 20;
        let reactor = by_hand();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.set_nonblocking(true).expect("non-blocking");
        let address = listener.local_addr().expect("an address");
        let listener = Registration::with(&reactor, listener, Interest::Readable);
        let listener = Listener::from(listener.expect("a registration"));
        let waker = CountingWaker::new();
        let mut awaiting = Box::pin(listener.accept());
        let (mut by_poll, mut clients) = (0, Vec::new());
        for _ in 0..CLIENTS {
            // The task that awaits waits already whenever the other one polls.
            assert!(waker.poll(awaiting.as_mut()).is_pending());
            let before = waker.wakes();
            clients.push(TcpStream::connect(address).expect("a connection"));
            turn_until(&reactor, "woken", || waker.wakes() > before);
            let cx = &mut Context::from_waker(Waker::noop());
            by_poll += usize::from(listener.poll_accept(cx).map(io::Result::ok).is_ready());
        }
        assert_eq!(by_poll, CLIENTS);
    });
}

/// More than a connection takes before a write blocks.
const BLOCK: usize = 16 * 1024 * 1024;

/// One writer waits for room with the write lock held, and one for the lock. `end` ends both waits: the second
/// writer is woken and fails though the first is not polled again before.
fn both_writers_end(
    end: impl FnOnce(&Reactor, &Stream<TcpStream>) + Send + 'static,
    is: fn(&io::Error) -> bool,
) {
    watched(move || {
        let reactor = by_hand_with_clock();
        let (near, _far) = stream(&reactor);
        let deadline = reactor.now() + Duration::from_millis(50);
        near.set_write_deadline(Some(deadline)).expect("open");
        let block = vec![0; BLOCK];
        let (holder, waiter) = (CountingWaker::new(), CountingWaker::new());
        let mut holds = Box::pin(near.write_all(&block));
        let mut waits = Box::pin(near.write_all(b"more"));
        assert!(holder.poll(holds.as_mut()).is_pending());
        assert!(waiter.poll(waits.as_mut()).is_pending());
        end(&reactor, &near);
        for (write, waker) in [(&mut waits, waiter), (&mut holds, holder)] {
            assert!(waker.wakes() > 0, "woken");
            match waker.poll(write.as_mut()) {
                Poll::Ready(Err(error)) => assert!(is(&error), "{error}"),
                other => panic!("not ended: {other:?}"),
            }
        }
    });
}

#[test]
fn the_write_deadline_ends_a_wait_for_the_write_lock() {
    let pass = |reactor: &Reactor, _: &Stream<TcpStream>| {
        reactor.advance(Duration::from_millis(50));
        turn_until(reactor, "late", || reactor.metrics().expiries > 0);
    };
    both_writers_end(pass, is_deadline_exceeded);
}

#[test]
fn close_ends_a_wait_for_the_write_lock() {
    let close = |_: &Reactor, near: &Stream<TcpStream>| {
        let mut close = Box::pin(near.close());
        assert!(CountingWaker::new().poll(close.as_mut()).is_ready());
    };
    both_writers_end(close, is_closed);
}

#[test]
fn close_of_the_registration_ends_a_wait_for_the_write_lock() {
    let close = |_: &Reactor, near: &Stream<TcpStream>| {
        let mut close = Box::pin(near.registration().close());
        assert!(CountingWaker::new().poll(close.as_mut()).is_ready());
    };
    both_writers_end(close, is_closed);
}

#[test]
fn shutdown_ends_a_wait_for_the_write_lock() {
    // The writer that was midway tells how far it came, around the error.
    let is = |error: &io::Error| {
        let source = error.get_ref().and_then(|partial| partial.source());
        let source = source.and_then(|source| source.downcast_ref::<io::Error>());
        is_reactor_gone(source.unwrap_or(error))
    };
    both_writers_end(|reactor, _| reactor.shutdown(), is);
}
