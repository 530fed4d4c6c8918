//! Objects that say now one descriptor and now another, or panic when they are asked. `AsFd` is a safe
//! trait: whatever an implementation does, no other object may come to harm by it.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, OnceLock, Weak};
use std::task::{Context, Waker};
use std::thread;

use netpoll::{Checked, Direction, Interest, Registration, is_closed};
use netpoll_tests::fixtures::{os, would_block};
use netpoll_tests::{CountingWaker, watched};

use crate::fixtures::{by_hand, failed, finish, turn_until};

/// Gives one answer after the other, and the last for ever; `None` panics.
struct Liar<'a> {
    answers: Vec<Option<BorrowedFd<'a>>>,
    asked: AtomicUsize,
}

impl<'a> Liar<'a> {
    fn new(answers: &[Option<BorrowedFd<'a>>]) -> Self {
        Self { answers: answers.to_vec(), asked: AtomicUsize::new(0) }
    }
}

impl AsFd for Liar<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        let asked = self.asked.fetch_add(1, Ordering::Relaxed);
        self.answers[asked.min(self.answers.len() - 1)].expect("it does not say")
    }
}

fn pair() -> (UnixStream, UnixStream) {
    let (near, far) = UnixStream::pair().expect("a pair");
    near.set_nonblocking(true).expect("non-blocking");
    (near, far)
}

fn own(stream: &UnixStream) -> Option<BorrowedFd<'_>> {
    Some(stream.as_fd())
}

/// It is still the same pair: it passes a byte on.
#[track_caller]
fn assert_open(mut near: &UnixStream, mut far: &UnixStream) {
    near.write_all(b"x").expect("it is open");
    far.read_exact(&mut [0]).expect("a byte");
}

/// The object is exchanged for another: that one is not the registered descriptor, and is not ended.
#[test]
fn a_descriptor_that_was_put_in_its_place_is_not_closed() {
    watched(|| {
        let reactor = by_hand();
        let ((near, far), (other, peer)) = (pair(), pair());
        let mut registered =
            Registration::with(&reactor, near, Interest::Both).expect("registered");
        let near = std::mem::replace(registered.get_mut(), other);
        let error = finish(&reactor, registered.close()).expect_err("it has changed");
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{error}");
        assert_open(registered.get_ref(), &peer);
        assert_open(&near, &far);
        assert!(is_closed(&registered.try_io(Direction::Read, |_| Ok(())).unwrap_err()));
    });
}

/// Another registration of the same reactor keeps its place in epoll, and its events.
#[test]
fn a_stranger_keeps_his_registration() {
    let ends: [fn(Registration<Liar<'_>>); 2] = [|liar| drop(liar), |liar| drop(liar.into_inner())];
    watched(move || {
        let reactor = by_hand();
        let (stranger, mut peer) = pair();
        let victim = Registration::with(&reactor, &stranger, Interest::Both).expect("registered");
        for end in ends {
            let (near, _far) = pair();
            let liar = Liar::new(&[own(&near), own(&stranger)]);
            let interest = Interest::WriteOnDemand;
            let registered = Registration::with(&reactor, liar, interest).expect("registered");
            let write = |_: &Liar<'_>| (&near).write(&[0; 4096]);
            while registered.try_io(Direction::Write, write).is_ok() {}
            let mut context = Context::from_waker(Waker::noop());
            let waited = registered.poll_ready(&mut context, Direction::Write);
            assert!(
                failed(&waited, |error| error.kind() == io::ErrorKind::InvalidInput),
                "{waited:?}"
            );
            end(registered);

            let read = |mut stream: &UnixStream| stream.read(&mut [0; 2]);
            assert!(would_block(&victim.try_io(Direction::Read, |stream| read(stream))));
            peer.write_all(b"x").expect("it is open");
            let told = finish(&reactor, victim.io(Direction::Read, |stream| read(stream)));
            assert_eq!(told.expect("a byte"), 1);
        }
    });
}

#[test]
fn a_descriptor_that_epoll_refuses_is_an_error() {
    watched(|| {
        let reactor = by_hand();
        let (near, _far) = pair();
        let file = File::open("/proc/self/exe").expect("a file");
        let liar = Liar::new(&[Some(file.as_fd()), own(&near)]);
        let refused = Registration::with(&reactor, liar, Interest::Both);
        let error = refused.err().expect("a file is always ready");
        assert_eq!(netpoll::raw_os_error(&error), Some(libc::EPERM));
        assert_eq!(reactor.metrics().registrations, 0);
    });
}

/// One that panics when it is registered leaves nothing; later, it harms its own caller, and no other.
#[test]
fn one_that_panics_harms_no_other() {
    watched(|| {
        let reactor = by_hand();
        let (near, _far) = pair();
        let panics = |body: &mut dyn FnMut()| {
            assert!(catch_unwind(AssertUnwindSafe(body)).is_err(), "it panics");
        };
        panics(&mut || drop(Registration::with(&reactor, Liar::new(&[None]), Interest::Both)));
        assert_eq!(reactor.metrics().registrations, 0);

        let liar = || Liar::new(&[own(&near), None]);
        let register = |liar| Registration::with(&reactor, liar, Interest::Both).expect("new");
        panics(&mut || drop(register(liar()).into_inner()));
        assert_eq!(reactor.metrics().registrations, 0, "it is gone, and has panicked once");
    });
}

/// It is closed while an operation is inside, which is the last one out: the operation ends as if nothing
/// had happened, and the closer learns that there was no descriptor to end.
#[test]
fn one_that_panics_at_the_end_harms_neither_the_closer_nor_the_operation() {
    watched(|| {
        let reactor = by_hand();
        let (near, _far) = pair();
        // Registered, taken out of epoll, ended.
        let panicking = os::PanicsWhenAsked::after(2, near);
        let registered =
            Registration::with(&reactor, panicking, Interest::Both).expect("registered");
        let waker = CountingWaker::new();
        let mut closing = pin!(registered.close());
        thread::scope(|scope| {
            let ((enter, entered), (leave, left)) = (channel(), channel::<()>());
            let registered = &registered;
            let operation = scope.spawn(move || {
                registered.while_open(|_| {
                    enter.send(()).expect("it waits");
                    left.recv().expect("it is told");
                    Ok(())
                })
            });
            entered.recv().expect("it is inside");
            assert!(waker.poll(closing.as_mut()).is_pending());
            leave.send(()).expect("it waits");
            operation.join().expect("no panic").expect("it was inside");
        });
        assert_eq!(waker.wakes(), 1);
        assert!(failed(&waker.poll(closing), |error| error.kind() == io::ErrorKind::InvalidInput));
    });
}

/// It panics when the close takes it out of epoll, and again when it is to be ended.
#[test]
fn one_that_panics_when_it_is_closed_panics_once() {
    watched(|| {
        let reactor = by_hand();
        let (near, _far) = pair();
        let panicking = os::PanicsWhenAsked::after(1, near);
        let registered =
            Registration::with(&reactor, panicking, Interest::Both).expect("registered");
        let closed = catch_unwind(AssertUnwindSafe(|| drop(registered.begin_close())));
        assert!(closed.is_err(), "it panics");
        assert!(registered.is_closed());
        let error = registered.begin_close().expect_err("it was closed");
        assert!(is_closed(&error));
    });
}

/// A descriptor whose `as_fd` uses the registration that it is in, whatever that is about to do.
struct Recursive {
    stream: UnixStream,
    registration: OnceLock<Weak<Registration<Recursive>>>,
    is_asked: AtomicBool,
    calls: AtomicUsize,
}

impl AsFd for Recursive {
    fn as_fd(&self) -> BorrowedFd<'_> {
        let registration = self.registration.get().and_then(Weak::upgrade);
        if let Some(registration) =
            registration.filter(|_| !self.is_asked.swap(true, Ordering::SeqCst))
        {
            let mut context = Context::from_waker(Waker::noop());
            for direction in [Direction::Read, Direction::Write] {
                let _ = registration.poll_ready(&mut context, direction);
                let _ = registration.try_io(direction, |_| Ok(()));
                let _ = registration.poll_ready(&mut context, Checked(direction));
            }
            let _ = registration.set_deadline(None);
            let _ = registration.while_open(|_| Ok(()));
            self.calls.fetch_add(1, Ordering::SeqCst);
            self.is_asked.store(false, Ordering::SeqCst);
        }
        self.stream.as_fd()
    }
}

#[test]
fn one_that_uses_its_own_registration_when_it_is_asked() {
    watched(|| {
        let reactor = by_hand();
        for interest in [Interest::Both, Interest::WriteOnDemand] {
            let (stream, far) = pair();
            far.set_nonblocking(true).expect("non-blocking");
            let recursive = Recursive {
                stream,
                registration: OnceLock::new(),
                is_asked: AtomicBool::new(false),
                calls: AtomicUsize::new(0),
            };
            let registered =
                Arc::new(Registration::with(&reactor, recursive, interest).expect("registered"));
            let set = registered.get_ref().registration.set(Arc::downgrade(&registered));
            set.expect("once");
            let write = |io: &Recursive| (&io.stream).write(&[0; 4096]);
            // Without its registration, which asks it after each write.
            let fill = || {
                registered.assume_ready(Direction::Write);
                while write(registered.get_ref()).is_ok() {}
                assert!(would_block(&registered.try_io(Direction::Write, write)));
            };
            fill();
            let waker = CountingWaker::new();
            let task = Waker::from(waker.clone());
            let mut context = Context::from_waker(&task);
            assert!(registered.poll_ready(&mut context, Direction::Write).is_pending());
            let mut taken = vec![0; 1 << 20];
            while (&far).read(&mut taken).is_ok() {}
            turn_until(&reactor, "room", || waker.wakes() > 0);
            assert!(registered.try_io(Direction::Write, write).is_ok());
            fill();
            let before = registered.get_ref().calls.load(Ordering::SeqCst);
            assert!(before > 0 || interest == Interest::Both, "it was asked");
            registered.set_write_deadline(Some(reactor.now())).expect("open");
            drop(registered);
            assert_eq!(reactor.metrics().registrations, 0);
        }
    });
}
