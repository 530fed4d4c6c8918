//! Objects with a buffer of their own: a read succeeds although the descriptor is drained and no event will come. async-io
//! makes an attempt at each poll, and code that was written for it relies on that. A reactor that waits for readiness first
//! would leave the bytes in the buffer for ever.

use std::cell::Cell;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::fd::{AsFd, BorrowedFd};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use netpoll::{
    Checked, Contiguous, Direction, Eager, Interest, Registration, Transfer, is_closed,
    is_deadline_exceeded,
};
use netpoll_tests::alone::alone;
use netpoll_tests::fixtures::os::in_a_child;
use netpoll_tests::fixtures::{budget, would_block};
use netpoll_tests::{CountingWaker, watched};

use crate::fixtures::{
    by_hand, by_hand_with_clock, connection, discard, failed, fill, finish, is_reactor_gone, send,
    settled, take_events, turn_until,
};

const READ: Eager<Checked> = Eager(Checked(Direction::Read));

/// A buffer for one byte, and the number of attempts.
#[derive(Default)]
struct Buffered {
    byte: Cell<Option<u8>>,
    attempts: Cell<u32>,
}

impl Buffered {
    /// Takes the byte of the buffer, or else reads one from the socket.
    fn read(&self, socket: &TcpStream) -> io::Result<u8> {
        self.attempts.set(self.attempts.get() + 1);
        if let Some(byte) = self.byte.take() {
            return Ok(byte);
        }
        read_byte(socket)
    }
}

fn read_byte(mut socket: &TcpStream) -> io::Result<u8> {
    let mut byte = [0];
    socket.read_exact(&mut byte)?;
    Ok(byte[0])
}

#[test]
fn each_poll_of_an_eager_operation_makes_an_attempt() {
    watched(|| {
        let reactor = by_hand();
        let (mut near, far) = settled(&reactor);
        let (buffered, waker) = (Buffered::default(), CountingWaker::new());
        {
            let mut read = pin!(near.io(READ, |io| buffered.read(io)));
            assert!(waker.poll(read.as_mut()).is_pending());
            assert!(waker.poll(read.as_mut()).is_pending());
            assert_eq!(buffered.attempts.get(), 2, "a poll without an event is an attempt too");
            buffered.byte.set(Some(b'a'));
            assert!(matches!(waker.poll(read), Poll::Ready(Ok(b'a'))));
        }
        let task = Waker::from(waker.clone());
        let cx = &mut Context::from_waker(&task);
        assert!(near.poll_io(cx, READ, |io| buffered.read(io)).is_pending());
        buffered.byte.set(Some(b'b'));
        let polled = near.poll_io(cx, READ, |io| buffered.read(io));
        assert!(matches!(polled, Poll::Ready(Ok(b'b'))), "{polled:?}");
        buffered.byte.set(Some(b'c'));
        let polled = near.poll_io_mut(cx, READ, |io| buffered.read(io));
        assert!(matches!(polled, Poll::Ready(Ok(b'c'))), "{polled:?}");
        buffered.byte.set(Some(b'd'));
        assert_eq!(near.try_io(READ, |io| buffered.read(io)).expect("the buffered byte"), b'd');
        assert!(would_block(&near.try_io(READ, |io| buffered.read(io))));

        assert_eq!(waker.wakes(), 0, "no event has come");
        send(&reactor, &far, b"e");
        assert!(waker.wakes() > 0, "the event wakes the task");
        assert_eq!(finish(&reactor, near.io(READ, |io| buffered.read(io))).expect("a byte"), b'e');
    });
}

#[test]
fn no_budget_puts_an_eager_operation_off() {
    watched(|| {
        let reactor = by_hand();
        let (near, far) = settled(&reactor);
        send(&reactor, &far, b"ab");
        let waker = CountingWaker::new();
        let buffered = Buffered::default();
        budget::spend_all();
        let put_off = pin!(near.io(Checked(Direction::Read), |io| buffered.read(io)));
        assert!(waker.poll(put_off).is_pending());
        assert_eq!(buffered.attempts.get(), 0, "the budget puts other operations off");
        let read = pin!(near.io(READ, |io| buffered.read(io)));
        assert!(matches!(waker.poll(read), Poll::Ready(Ok(b'a'))));
        budget::fill();
    });
}

#[test]
fn closed_and_the_deadline_come_before_an_eager_attempt() {
    watched(|| {
        let reactor = by_hand_with_clock();
        let (near, _far) = settled(&reactor);
        let buffered = Buffered { byte: Cell::new(Some(b'a')), ..Buffered::default() };
        let cx = &mut Context::from_waker(Waker::noop());
        near.set_read_deadline(reactor.now()).expect("it is open");
        let late = near.poll_io(cx, READ, |io| buffered.read(io));
        assert!(failed(&late, is_deadline_exceeded), "{late:?}");
        near.set_read_deadline(None).expect("it is open");
        finish(&reactor, near.close()).expect("the first close");
        assert!(failed(&near.poll_io(cx, READ, |io| buffered.read(io)), is_closed));
        assert_eq!(buffered.attempts.get(), 0);
    });
}

#[test]
fn an_eager_attempt_is_made_in_a_direction_that_is_not_registered() {
    watched(|| {
        let reactor = by_hand();
        let (reader, _writer) = io::pipe().expect("a pipe");
        let reader = Registration::with(&reactor, reader, Interest::Readable).expect("registered");
        let write = Eager(Direction::Write);
        let error = finish(&reactor, reader.io(write, |_| Err::<(), _>(io::Error::other("mine"))));
        assert_eq!(error.expect_err("of the attempt").to_string(), "mine");
        let full =
            finish(&reactor, reader.io(write, |_| Err::<(), _>(io::ErrorKind::WouldBlock.into())));
        let never = full.expect_err("a wait that would never end");
        assert_eq!(never.kind(), io::ErrorKind::InvalidInput);
    });
}

#[test]
fn an_eager_rule_is_the_rule_in_it_otherwise() {
    watched(|| {
        let reactor = by_hand();
        let (near, far) = settled(&reactor);
        send(&reactor, &far, b"a");
        let mut buffer = [0; 8];
        let read = Eager(Transfer(Direction::Read, buffer.len()));
        let count = near.try_io(read, |mut io| io.read(&mut buffer)).expect("a byte");
        assert_eq!(count, 1);
        let drained = near.try_ready(Direction::Read);
        assert!(would_block(&drained), "a short read has drained the socket: {drained:?}");

        let sent = fill(&near, &far);
        let mut waits = pin!(near.io(Contiguous(1), |mut io| io.write(b"x")));
        assert!(CountingWaker::new().poll(waits.as_mut()).is_pending());
        let locked = near.try_io(Eager(Contiguous(1)), |_| Ok(1));
        assert!(would_block(&locked), "another write has the lock: {locked:?}");
        discard(&far, sent);
        finish(&reactor, waits).expect("room");
        assert_eq!(near.try_io(Eager(Contiguous(1)), |_| Ok(1)).expect("it is unlocked"), 1);
    });
}

/// A socket that counts how often the reactor asks for its descriptor, as it does for each `poll(2)`.
struct Counted {
    socket: TcpStream,
    asked: Cell<u32>,
}

impl AsFd for Counted {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.asked.set(self.asked.get() + 1);
        self.socket.as_fd()
    }
}

/// A task that polls again and again, in a select for instance, costs one system call a poll.
#[test]
fn the_kernel_is_asked_once_after_each_event() {
    watched(|| {
        let reactor = by_hand();
        let (near, far) = connection();
        let near = Counted { socket: near, asked: Cell::new(0) };
        let near = Registration::with(&reactor, near, Interest::Both).expect("a registration");
        take_events(&reactor, 1);
        let cx = &mut Context::from_waker(Waker::noop());
        for _ in 0..2 {
            send(&reactor, &far, b"a");
            let before = near.get_ref().asked.get();
            let mut read = || near.poll_io(cx, READ, |io| read_byte(&io.socket));
            assert!(matches!(read(), Poll::Ready(Ok(b'a'))));
            assert_eq!(near.get_ref().asked.get(), before, "a read that succeeds needs no answer");
            for _ in 0..3 {
                assert!(read().is_pending());
                assert_eq!(near.get_ref().asked.get(), before + 1);
            }
        }
    });
}

/// Without the check, a rule believes the `WouldBlock` of the descriptor itself.
#[test]
fn an_eager_write_waits_for_room() {
    watched(|| {
        let reactor = by_hand();
        let (near, far) = settled(&reactor);
        let sent = fill(&near, &far);
        let waker = CountingWaker::new();
        let attempts = Cell::new(0);
        let mut write = pin!(near.io(Eager(Direction::Write), |mut io| {
            attempts.set(attempts.get() + 1);
            io.write(b"x")
        }));
        assert!(waker.poll(write.as_mut()).is_pending());
        assert_eq!((attempts.get(), waker.wakes()), (1, 0));
        discard(&far, sent);
        turn_until(&reactor, "an event of room", || waker.wakes() > 0);
        assert!(matches!(waker.poll(write), Poll::Ready(Ok(1))));
    });
}

/// In a forked child no event comes: an attempt that succeeds needs none, and a wait fails at once.
#[test]
fn an_eager_operation_of_a_forked_child_is_done_or_fails() {
    alone("eager::an_eager_operation_of_a_forked_child_is_done_or_fails", || {
        let reactor = by_hand();
        let (near, far) = settled(&reactor);
        let buffered = Buffered::default();
        send(&reactor, &far, b"a");
        let code = in_a_child(|| {
            let cx = &mut Context::from_waker(Waker::noop());
            let done = near.poll_io(cx, READ, |io| buffered.read(io));
            let waits = near.poll_io(cx, READ, |io| buffered.read(io));
            let is_done = matches!(done, Poll::Ready(Ok(b'a')));
            u8::from(is_done) | u8::from(failed(&waits, is_reactor_gone)) << 1
        });
        assert_eq!(code, 0b11, "one bit each: done, fails");
        let waker = CountingWaker::new();
        let mut read = pin!(near.io(READ, |io| buffered.read(io)));
        assert!(waker.poll(read.as_mut()).is_pending());
        send(&reactor, &far, b"b");
        assert_eq!(waker.wakes(), 1, "the child has changed nothing of the parent's epoll");
        assert!(matches!(waker.poll(read), Poll::Ready(Ok(b'b'))));
    });
}
