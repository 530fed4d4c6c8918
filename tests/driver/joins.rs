//! `shutdown` waits for the reactor's thread where that cannot hang, and nothing else does.

use std::cell::RefCell;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::sync::{Arc, Barrier, Mutex};
use std::task::{Context, Wake, Waker};
use std::thread;

use netpoll::{Direction, Interest, Reactor, Registration, Timer};
use netpoll_tests::watched;

use crate::fixtures::with_thread;

fn on_wake(act: impl Fn() + Send + Sync + 'static) -> Waker {
    struct Acting<F>(F);

    impl<F: Fn() + Send + Sync + 'static> Wake for Acting<F> {
        fn wake(self: Arc<Self>) {
            (self.0)();
        }
    }

    Waker::from(Arc::new(Acting(act)))
}

/// Has the reactor's thread run a function, as the waker of an event. The registration is to be kept until
/// then.
fn on_its_thread(
    reactor: &Reactor,
    act: impl Fn() + Send + Sync + 'static,
) -> Registration<UnixStream> {
    let (near, mut far) = UnixStream::pair().expect("a pair");
    near.set_nonblocking(true).expect("non-blocking");
    let near = Registration::with(reactor, near, Interest::Both).expect("a registration");
    let waker = on_wake(act);
    assert!(near.poll_ready(&mut Context::from_waker(&waker), Direction::Read).is_pending());
    far.write_all(b"x").expect("room");
    near
}

thread_local! {
    static UNTIL_IT_ENDS: RefCell<Vec<Sender<()>>> = const { RefCell::new(Vec::new()) };
}

/// A channel whose other end the reactor's thread holds until it ends.
fn lifeline(reactor: &Reactor) -> Receiver<()> {
    let (held, lifeline) = channel();
    let socket = on_its_thread(reactor, move || {
        UNTIL_IT_ENDS.with_borrow_mut(|until_it_ends| until_it_ends.push(held.clone()));
        held.send(()).expect("the test waits for it");
    });
    lifeline.recv().expect("the thread runs");
    drop(socket);
    lifeline
}

/// Two reactors, and a waker on the thread of each that shuts the other down, both at once: each thread
/// waited for the end of the other.
#[test]
fn two_reactors_that_shut_each_other_down_both_end() {
    watched(|| {
        for _ in 0..100 {
            let reactors = [with_thread(), with_thread()];
            let lifelines = [lifeline(&reactors[0]), lifeline(&reactors[1])];
            let both = Arc::new(Barrier::new(2));
            let sockets = [0, 1].map(|own| {
                let (both, other) = (both.clone(), reactors[1 - own].clone());
                on_its_thread(&reactors[own], move || {
                    both.wait();
                    other.shutdown();
                })
            });
            for lifeline in &lifelines {
                lifeline.recv().expect_err("both threads end");
            }
            drop(sockets);
        }
    });
}

/// The same in a circle of eight, with as many other threads that do so at the same time and wait.
#[test]
fn any_number_may_shut_any_number_down() {
    watched(|| {
        const CIRCLE: usize = 8;
        for _ in 0..20 {
            let reactors: Vec<_> = (0..CIRCLE).map(|_| with_thread()).collect();
            let lifelines: Vec<_> = reactors.iter().map(lifeline).collect();
            let all = Arc::new(Barrier::new(2 * CIRCLE));
            let sockets: Vec<_> = (0..CIRCLE)
                .map(|own| {
                    let (all, others) = (all.clone(), reactors.clone());
                    on_its_thread(&reactors[own], move || {
                        all.wait();
                        others
                            .iter()
                            .cycle()
                            .skip(own + 1)
                            .take(CIRCLE)
                            .for_each(Reactor::shutdown);
                    })
                })
                .collect();
            thread::scope(|scope| {
                for own in 0..CIRCLE {
                    let (all, others) = (&all, &reactors);
                    scope.spawn(move || {
                        all.wait();
                        others.iter().cycle().skip(own).take(CIRCLE).for_each(Reactor::shutdown);
                    });
                }
            });
            for lifeline in &lifelines {
                assert_eq!(lifeline.try_recv(), Err(TryRecvError::Disconnected));
            }
            drop(sockets);
        }
    });
}

/// Each call returns after the thread has ended: also one that comes while another waits already, and one
/// that comes after a waker on the thread itself has made the first.
#[test]
fn every_shutdown_from_outside_waits_for_the_thread() {
    watched(|| {
        for by_a_waker_first in [false, true] {
            let reactor = with_thread();
            let lifeline = Mutex::new(lifeline(&reactor));
            let (let_go, held) = channel::<()>();
            let (tell_begun, begun) = channel();
            let (held, ending) = (Mutex::new(held), reactor.clone());
            let _socket = on_its_thread(&reactor, move || {
                if by_a_waker_first {
                    ending.shutdown();
                }
                tell_begun.send(()).expect("the test waits for it");
                let _ = held.lock().expect("no panic").recv();
            });
            begun.recv().expect("the waker runs");
            thread::scope(|scope| {
                let calls: Vec<_> = (0..4)
                    .map(|_| {
                        scope.spawn(|| {
                            reactor.shutdown();
                            lifeline.lock().expect("no panic").try_recv()
                        })
                    })
                    .collect();
                // Time for all of them to come; one that did not wait would be over.
                for _ in 0..100 {
                    thread::yield_now();
                    assert!(!calls.iter().any(thread::ScopedJoinHandle::is_finished));
                }
                let_go.send(()).expect("the waker waits for it");
                for call in calls {
                    assert_eq!(call.join().expect("no panic"), Err(TryRecvError::Disconnected));
                }
            });
        }
    });
}

/// The last handle may be anything: a handle, a socket, a timer. The thread that drops it holds a lock that
/// a waker waits for, on the reactor's thread.
#[test]
fn dropping_the_last_handle_waits_for_no_waker() {
    watched(|| {
        for last in 0..3 {
            let reactor = with_thread();
            let lifeline = lifeline(&reactor);
            let lock = Arc::new(Mutex::new(()));
            let held = lock.lock().expect("no panic");
            let (tell_begun, begun) = channel();
            let wanted = lock.clone();
            let socket = on_its_thread(&reactor, move || {
                tell_begun.send(()).expect("the test waits for it");
                drop(wanted.lock());
            });
            begun.recv().expect("the waker runs");
            let timer = Timer::never(&reactor).expect("a timer");
            match last {
                0 => {
                    drop((socket, timer));
                    drop(reactor);
                }
                1 => {
                    drop((reactor, timer));
                    drop(socket);
                }
                _ => {
                    drop((reactor, socket));
                    drop(timer);
                }
            }
            assert_eq!(lifeline.try_recv(), Err(TryRecvError::Empty), "the waker runs still");
            drop(held);
            lifeline.recv().expect_err("the thread ends by itself");
        }
    });
}
