//! Objects that say now one descriptor and now another, or panic when they are asked. `AsFd` is a safe
//! trait: whatever an implementation does, nobody else may come to harm by it.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::task::{Context, Waker};
use std::thread;

use netpoll::{Direction, Interest, Registration, is_closed};
use netpoll_tests::{CountingWaker, watched};

use crate::os;
use crate::stage::*;

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

/// That it is what it was: it passes a byte on.
#[track_caller]
fn assert_open(mut near: &UnixStream, mut far: &UnixStream) {
    near.write_all(b"x").expect("it is open");
    far.read_exact(&mut [0]).expect("a byte");
}

#[test]
fn a_stranger_is_not_closed() {
    watched(|| {
        let reactor = by_hand();
        let ((near, _far), (stranger, peer)) = (pair(), pair());
        let liar = Liar::new(&[own(&near), own(&stranger)]);
        let registered = Registration::with(&reactor, liar, Interest::Both).expect("registered");
        let error = finish(&reactor, registered.close()).expect_err("it has changed");
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{error}");
        assert_open(&stranger, &peer);
        assert!(is_closed(&registered.try_io(Direction::Read, |_| Ok(())).unwrap_err()));
        drop(registered);
        assert_open(&stranger, &peer);
    });
}

/// Another registration of the same reactor keeps its place in epoll, and what it asks for.
#[test]
fn a_stranger_keeps_his_registration() {
    let ends: [fn(Registration<Liar<'_>>); 3] =
        [|liar| drop(liar), |liar| drop(liar.into_inner()), |liar| drop(liar.begin_close())];
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
fn what_is_no_descriptor_for_epoll_is_refused() {
    watched(|| {
        let reactor = by_hand();
        let (near, _far) = pair();
        let file = File::open("/proc/self/exe").expect("a file");
        let liar = Liar::new(&[Some(file.as_fd()), own(&near)]);
        let refused = Registration::with(&reactor, liar, Interest::Both);
        let error = refused.err().expect("a file is always ready");
        assert_eq!(netpoll::raw_os_error(&error), Some(os::EPERM));
        assert_eq!(reactor.metrics().registrations, 0);
    });
}

/// One that panics when it is registered leaves nothing; later, it harms whoever asks, and nobody else.
#[test]
fn one_that_panics_harms_nobody_else() {
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

/// It is closed while an operation is inside, which is the last one out and panics then.
#[test]
fn one_that_panics_at_the_end_does_not_keep_the_closer() {
    watched(|| {
        let reactor = by_hand();
        let (near, _far) = pair();
        // Registered, taken out of epoll, ended.
        let liar = Liar::new(&[own(&near), own(&near), None]);
        let registered = Registration::with(&reactor, liar, Interest::Both).expect("registered");
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
            assert!(operation.join().is_err(), "it panics");
        });
        assert_eq!(waker.wakes(), 1);
        assert!(waker.poll(closing).is_ready());
    });
}
