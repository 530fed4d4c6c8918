//! Ends of streams: half of one, all of it, and by force. Each is found, and none spins.

use std::io::{self, PipeWriter, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use netpoll::{Direction, Interest, Ready, Registration, Transfer, raw_os_error};
use netpoll_futures::sys;
use netpoll_tests::fixtures::os::wait_for;
use netpoll_tests::fixtures::{os, would_block};
use netpoll_tests::{CountingWaker, watched};

use crate::fixtures::{
    LOOK, assert_quiet, by_hand, discard, failed, fill, finish, poll_ready, read, send, settled,
    take_events, turn_until,
};

/// Ends a connection by force: the peer gets a reset.
fn reset(far: TcpStream) {
    sys::set_linger(far.as_fd(), Some(Duration::ZERO)).expect("an option");
    drop(far);
}

/// tokio#4840, and why Go asks for RDHUP: the last bytes and the end of the stream arrive as one
/// event. The read of the bytes is short, which usually means drained; a reader that believes it
/// here waits for an event that was delivered already.
#[test]
fn data_and_fin_in_one_event() {
    watched(|| {
        let reactor = by_hand();
        let (near, mut far) = settled(&reactor);
        far.write_all(b"last words").expect("room");
        far.shutdown(Shutdown::Write).expect("a half-close");
        wait_for(&near, libc::POLLRDHUP);
        take_events(&reactor, 1);
        let events = reactor.metrics().events;

        assert_eq!(read(&near, 64).expect("bytes"), b"last words");
        assert_eq!(read(&near, 64).expect("the end"), b"");
        assert_eq!(read(&near, 64).expect("the end stays"), b"");
        assert_eq!(reactor.metrics().events, events, "without another event");
    });
}

/// The neighbour of tokio#4840: the read fills the buffer exactly, and the end arrives behind it. A
/// full buffer proves nothing, so the reader goes on, and finds the end.
#[test]
fn fin_during_a_full_buffer_read() {
    watched(|| {
        let reactor = by_hand();
        let (near, mut far) = settled(&reactor);
        far.write_all(b"12345678").expect("room");
        take_events(&reactor, 1);
        assert_eq!(read(&near, 8).expect("bytes"), b"12345678");

        far.shutdown(Shutdown::Write).expect("a half-close");
        wait_for(&near, libc::POLLRDHUP);

        assert_eq!(read(&near, 8).expect("the end, before its event"), b"");
    });
}

/// The other order of the same race (tokio#4840): the reader has seen the bytes and nothing of the
/// end, and its short read forgets the readiness. The end has an event of its own.
#[test]
fn fin_after_a_short_read() {
    watched(|| {
        let reactor = by_hand();
        let (near, far) = settled(&reactor);
        send(&reactor, &far, b"last words");
        far.shutdown(Shutdown::Write).expect("a half-close");
        wait_for(&near, libc::POLLRDHUP);
        assert_eq!(read(&near, 64).expect("bytes"), b"last words");
        let mut buffer = [0; 64];

        let end = near.io(Transfer(Direction::Read, 64), |mut near| near.read(&mut buffer));

        assert_eq!(finish(&reactor, end).expect("the end"), 0);
    });
}

/// mio#939: the state after a reset. Both directions get an event, the error is reported
/// once, and then the stream is at its end; no operation waits, and nothing spins.
#[test]
fn a_reset_ends_both_directions() {
    watched(|| {
        let reactor = by_hand();
        let (near, far) = settled(&reactor);
        fill(&near, &far);
        let (reader, writer) = (CountingWaker::new(), CountingWaker::new());
        assert!(poll_ready(&near, Direction::Read, &reader).is_pending());
        assert!(poll_ready(&near, Direction::Write, &writer).is_pending());
        reset(far);
        wait_for(&near, libc::POLLERR);
        turn_until(&reactor, "both woken", || reader.wakes() == 1 && writer.wakes() == 1);

        let error = read(&near, 64).expect_err("a reset");
        assert_eq!(raw_os_error(&error), Some(libc::ECONNRESET));
        assert_eq!(read(&near, 64).expect("the end"), b"");
        let write = near.try_io(Direction::Write, |near| sys::send(near.as_fd(), b"x"));
        assert_eq!(raw_os_error(&write.expect_err("the peer is gone")), Some(libc::EPIPE));
        assert_quiet(&reactor);
    });
}

/// tokio#4840 once more, by force: bytes and a reset arrive together. The bytes come first, their
/// read is short, and the error is found by the next read, not by the next event.
#[test]
fn data_and_reset_together() {
    watched(|| {
        let reactor = by_hand();
        let (near, mut far) = settled(&reactor);
        far.write_all(b"last words").expect("room");
        reset(far);
        wait_for(&near, libc::POLLERR);
        take_events(&reactor, 1);

        assert_eq!(read(&near, 64).expect("bytes"), b"last words");
        let error = read(&near, 64).expect_err("a reset");
        assert_eq!(raw_os_error(&error), Some(libc::ECONNRESET));
    });
}

/// The rule behind tokio#4840 for both directions, with an operation that says it moved little: once
/// the end or an error was reported, there is no other event to come, and nothing is forgotten for a
/// short transfer. An operation that blocks clears readiness all the same.
#[test]
fn a_short_transfer_proves_nothing_after_the_end() {
    watched(|| {
        let reactor = by_hand();
        let (near, far) = settled(&reactor);
        reset(far);
        wait_for(&near, libc::POLLERR);
        take_events(&reactor, 1);
        for direction in Direction::BOTH {
            for _ in 0..2 {
                assert!(near.try_io(Transfer(direction, 16), |_| Ok(1)).is_ok());
            }
            let blocked = || io::Error::from(io::ErrorKind::WouldBlock);
            let transfer = near.try_io(Transfer(direction, 16), |_| Err(blocked()));
            assert!(would_block(&transfer));
            assert!(poll_ready(&near, direction, &CountingWaker::new()).is_pending());
        }
    });
}

/// tokio#449 and bun#37920: a peer that closes its sending side is a condition that lasts, and a
/// level-triggered or sticky one is reported again and again. It is one event; the other half of
/// the connection goes on as long as it likes.
#[test]
fn a_half_closed_peer_is_one_event() {
    watched(|| {
        let reactor = by_hand();
        let (near, mut far) = settled(&reactor);
        far.shutdown(Shutdown::Write).expect("a half-close");
        wait_for(&near, libc::POLLRDHUP);
        take_events(&reactor, 1);
        assert_eq!(read(&near, 64).expect("the end"), b"");
        assert_quiet(&reactor);

        let write = near.io(Direction::Write, |mut near| near.write(b"still here"));
        assert_eq!(finish(&reactor, write).expect("a write"), 10);
        wait_for(&far, libc::POLLIN);
        let mut buffer = [0; 10];
        far.read_exact(&mut buffer).expect("bytes");
        assert_eq!(&buffer, b"still here");
        assert_quiet(&reactor);
    });
}

/// mio#933, seen from the writer: a hang-up that is taken for writability makes a task with a full
/// send buffer try for ever. The peer's half-close is nothing to a writer: it is not woken, and
/// when it is, by room, it has tried twice in all.
#[test]
fn a_half_closed_peer_does_not_spin_a_writer() {
    watched(|| {
        let reactor = by_hand();
        let (near, far) = settled(&reactor);
        let sent = fill(&near, &far);
        let mut calls = 0;
        let waker = CountingWaker::new();
        {
            let mut writing = pin!(near.io(Direction::Write, |mut near| {
                calls += 1;
                near.write(b"x")
            }));
            assert!(waker.poll(writing.as_mut()).is_pending());
            far.shutdown(Shutdown::Write).expect("a half-close");
            wait_for(&near, libc::POLLRDHUP);
            take_events(&reactor, 1);
            assert_quiet(&reactor);
            assert_eq!(waker.wakes(), 0, "the end of reading is not the writer's");
            discard(&far, sent);
            turn_until(&reactor, "room", || waker.wakes() > 0);
            assert!(matches!(waker.poll(writing), Poll::Ready(Ok(1))));
        }
        assert_eq!(calls, 2, "one attempt before it waited, and one for the room");
    });
}

/// tokio#449: readiness of an end that never goes away, and an operation that finds nothing (here
/// because it says so, as one that waits for more than the kernel has would). Forgetting must win
/// over sticking, or the task is in a circle without ever being pending.
#[test]
fn would_block_after_a_hangup_is_pending() {
    watched(|| {
        let reactor = by_hand();
        let (near, far) = settled(&reactor);
        drop(far);
        wait_for(&near, libc::POLLRDHUP);
        take_events(&reactor, 1);
        for direction in Direction::BOTH {
            let mut calls = 0;
            let mut cx = Context::from_waker(Waker::noop());
            let polled = near.poll_io(&mut cx, direction, |_| {
                calls += 1;
                io::Result::<()>::Err(io::ErrorKind::WouldBlock.into())
            });
            assert!(polled.is_pending());
            assert_eq!(calls, 1);
        }
        assert_quiet(&reactor);
    });
}

/// mio#933 in the other direction: a hang-up that says nothing else. The ends of a pipe have no
/// half-close; a reader hears of it by HUP alone, a writer whose pipe is full by ERR alone, and
/// each must be woken by that.
#[test]
fn a_pipe_that_loses_its_other_end() {
    watched(|| {
        let reactor = by_hand();
        let (receiver, sender) = io::pipe().expect("a pipe");
        os::set_nonblocking(&receiver);
        let receiver = Registration::with(&reactor, receiver, Interest::Readable).expect("an end");
        let waker = CountingWaker::new();
        let mut reading = pin!(receiver.io(Direction::Read, |mut pipe| pipe.read(&mut [0])));
        assert!(waker.poll(reading.as_mut()).is_pending());
        drop(sender);
        take_events(&reactor, 1);
        assert_eq!(waker.wakes(), 1);
        assert!(matches!(waker.poll(reading), Poll::Ready(Ok(0))));

        let (receiver, sender) = io::pipe().expect("a pipe");
        os::set_nonblocking(&sender);
        let sender = Registration::with(&reactor, sender, Interest::Writable).expect("an end");
        take_events(&reactor, 1);
        let write = |mut pipe: &PipeWriter| pipe.write(&[0; 4096]);
        while sender.try_io(Direction::Write, write).is_ok() {}
        let mut writing = pin!(sender.io(Direction::Write, write));
        assert!(waker.poll(writing.as_mut()).is_pending());
        drop(receiver);
        take_events(&reactor, 1);
        assert_eq!(waker.wakes(), 2);
        let broken = |error: &io::Error| raw_os_error(error) == Some(libc::EPIPE);
        assert!(failed(&waker.poll(writing), broken));
        assert_quiet(&reactor);
    });
}

/// tokio#4549: a socket that is registered before it is connected reports writability and a hang-up
/// at once. Taken for the truth that makes `connect` succeed on a socket without a peer; kept, it
/// spins. Here it is one event, an operation that finds it wrong waits, and the connection is
/// another event.
#[test]
fn an_unconnected_socket_is_a_false_alarm() {
    watched(|| {
        let reactor = by_hand();
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let stream = TcpStream::from(sys::stream(&address).expect("a socket"));
        let near = Registration::with(&reactor, stream, Interest::Both).expect("a registration");
        take_events(&reactor, 1);
        let readiness = finish(&reactor, near.ready(Direction::Write)).expect("the alarm");
        assert!(readiness.ready().contains(Ready::WRITE_HANGUP));
        let connected = |near: &TcpStream| match near.peer_addr() {
            Err(error) if error.kind() == io::ErrorKind::NotConnected => {
                Err(io::ErrorKind::WouldBlock.into())
            }
            found => found,
        };
        assert!(would_block(&near.try_io(Direction::Write, connected)));
        assert!(would_block(&near.try_ready(Direction::Write)), "the alarm is over");
        assert_quiet(&reactor);

        let _ = sys::connect(near.as_fd(), &address);
        let peer = finish(&reactor, near.io(Direction::Write, connected)).expect("a peer");
        assert_eq!(peer, address);
        // The operation was attempted before the event of the connection was taken.
        reactor.turn(LOOK).expect("a turn");
        assert_quiet(&reactor);
    });
}
