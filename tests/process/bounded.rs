//! The crates' work on other threads takes a bounded number of them, and goes on where the system has no
//! thread to give.

use std::collections::HashMap;
use std::io::{self, ErrorKind, Read};
use std::net;
use std::os::fd::AsFd;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use futures::executor::block_on;
use futures::future::{join_all, try_join_all};
use netpoll::{Interest, Reactor, Registration};
use netpoll_futures::sys;
use netpoll_futures::{Backoff, Limit, TcpListener, TcpStream, Timer, resolve};
use netpoll_tests::alone::alone;
use netpoll_tests::fixtures::{LOOPBACK, os};

/// More than the crates may take, and far fewer than there are tasks. On a busy machine the system still lists threads that
/// have left the pool.
const FEW_THREADS: usize = 200;

fn threads() -> usize {
    os::threads().len()
}

fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// Waits until the threads that were begun meanwhile have ended.
fn until_threads_are(at_most: usize) {
    while threads() > at_most {
        thread::yield_now();
    }
}

#[test]
fn lookups_share_a_few_threads_which_end() {
    alone("bounded::lookups_share_a_few_threads_which_end", || {
        let before = threads();
        let mut lookups: Vec<_> = (0..2000).map(|_| Box::pin(resolve("localhost:1"))).collect();
        let mut most = 0;
        for lookup in &mut lookups {
            // Those that are done already are asked no more.
            assert!(!matches!(poll(lookup.as_mut()), Poll::Ready(Err(_))));
            most = most.max(threads());
        }
        assert!(most - before <= FEW_THREADS, "{most} threads");
        drop(lookups);
        let found = block_on(try_join_all((0..2000).map(|_| resolve("localhost:1"))));
        assert!(found.expect("addresses").iter().all(|addresses| !addresses.is_empty()));
        until_threads_are(before);
    });
}

/// The process reaches its limit of threads: the resolver makes every lookup on the threads that it has.
#[test]
fn lookups_go_on_with_the_threads_there_are() {
    alone("bounded::lookups_go_on_with_the_threads_there_are", || {
        if !os::limit_threads(threads() + 10) {
            return println!("shown: not run, as it takes root to become another user");
        }
        let found = block_on(join_all((0..400).map(|_| resolve("localhost:1"))));
        let failed: Vec<_> = found.into_iter().filter_map(Result::err).collect();
        assert!(failed.is_empty(), "{} fail, the first with {:?}", failed.len(), failed[0]);
    });
}

/// And as one that may have none, none is made. Their error is not taken for "not ready".
#[test]
fn without_a_thread_a_lookup_fails_and_is_not_taken_for_not_ready() {
    alone("bounded::without_a_thread_a_lookup_fails_and_is_not_taken_for_not_ready", || {
        if !os::limit_threads(0) {
            return println!("shown: not run, as it takes root to become another user");
        }
        let transient = [ErrorKind::WouldBlock, ErrorKind::Interrupted, ErrorKind::TimedOut];
        let lookup = block_on(resolve("localhost:1")).expect_err("no thread");
        assert!(lookup.to_string().starts_with("resolve localhost:1: "), "{lookup}");
        let reactor = Reactor::global().expect_err("no thread");
        for error in [lookup, reactor] {
            assert!(!transient.contains(&error.kind()), "{error:?}");
            assert_eq!(error.raw_os_error(), None, "{error:?}");
        }
    });
}

/// A reactor that was shut down.
fn gone() -> Reactor {
    let gone = Reactor::builder().build().expect("a reactor");
    gone.shutdown();
    gone
}

fn timers(reactor: &Reactor, count: usize, at: Instant) -> Vec<Pin<Box<Timer>>> {
    let timer = |_| {
        let mut timer = Box::pin(Timer::with(reactor));
        timer.set_at(at);
        timer
    };
    (0..count).map(timer).collect()
}

#[test]
fn timers_without_a_reactor_share_one_thread_which_ends() {
    alone("bounded::timers_without_a_reactor_share_one_thread_which_ends", || {
        let (gone, before) = (gone(), threads());
        let far = Instant::now() + Duration::from_secs(3600);
        let mut waiting = timers(&gone, 2000, far);
        for timer in &mut waiting {
            assert!(poll(timer.as_mut()).is_pending());
        }
        assert!(threads() <= before + 1, "{} threads", threads());
        let soon = Instant::now() + Duration::from_millis(20);
        let fired = block_on(join_all(timers(&gone, 100, soon)));
        assert!(fired.into_iter().all(|at| at == soon) && Instant::now() >= soon);
        waiting[0].set_at(soon);
        assert_eq!(block_on(waiting[0].as_mut()), soon);
        drop(waiting);
        until_threads_are(before);
        let later = Instant::now() + Duration::from_millis(1);
        assert_eq!(block_on(timers(&gone, 1, later).remove(0)), later);
    });
}

/// A thread of the parent has the lock of those timers most of the time.
#[test]
fn a_forked_child_has_timers_while_its_parent_makes_some() {
    alone("bounded::a_forked_child_has_timers_while_its_parent_makes_some", || {
        let gone = gone();
        let far = Instant::now() + Duration::from_secs(3600);
        let mut inherited = timers(&gone, 1, far).remove(0);
        assert!(poll(inherited.as_mut()).is_pending());
        let ends = std::sync::atomic::AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                while !ends.load(std::sync::atomic::Ordering::Relaxed) {
                    for timer in &mut timers(&gone, 8, far) {
                        assert!(poll(timer.as_mut()).is_pending());
                    }
                }
            });
            for _ in 0..200 {
                let code = os::in_a_child(|| {
                    let soon = Instant::now() + Duration::from_millis(1);
                    inherited.set_at(soon);
                    let fired = block_on(inherited.as_mut()) == soon;
                    u8::from(fired && block_on(timers(&gone, 1, soon).remove(0)) == soon)
                });
                assert_eq!(code, 1);
            }
            ends.store(true, std::sync::atomic::Ordering::Relaxed);
        });
    });
}

/// A stream that lingers for longer than the test, with more to send than its peer has room for.
fn lingering(listener: &net::TcpListener, reactor: &Reactor) -> (TcpStream, net::TcpStream) {
    sys::set_recv_buffer_size(listener.as_fd(), 16 * 1024).expect("an option");
    let near = net::TcpStream::connect(listener.local_addr().expect("bound")).expect("connected");
    sys::set_send_buffer_size(near.as_fd(), 16 * 1024).expect("an option");
    let (far, _) = listener.accept().expect("a connection");
    near.set_nonblocking(true).expect("an option");
    let near = Registration::with(reactor, near, Interest::Both).expect("a registration");
    let near = TcpStream::from(near);
    near.set_linger(Some(Duration::from_secs(300))).expect("an option");
    while near.try_write(&[7; 65_536]).is_ok() {}
    (near, far)
}

#[test]
fn lingering_closes_take_no_thread() {
    alone("bounded::lingering_closes_take_no_thread", || {
        let reactor = Reactor::builder().build().expect("a reactor");
        let listener = net::TcpListener::bind(LOOPBACK).expect("a port");
        let pairs: Vec<_> = (0..100).map(|_| lingering(&listener, &reactor)).collect();
        let before = threads();
        let mut closes: Vec<_> = pairs.iter().map(|(near, _)| Box::pin(near.close())).collect();
        for close in &mut closes {
            assert!(poll(close.as_mut()).is_pending(), "nothing was read yet");
        }
        assert!(threads() <= before, "{} threads", threads());
        for (_, far) in &pairs {
            let mut far = far;
            far.read_to_end(&mut Vec::new()).expect("all, and the end");
        }
        for closed in block_on(join_all(closes)) {
            closed.expect("it is closed");
        }
    });
}

/// The process has reached its limit of threads: the lingering close needs no other thread.
#[test]
fn without_a_thread_a_lingering_close_closes() {
    alone("bounded::without_a_thread_a_lingering_close_closes", || {
        let (limit, reactor) = (Limit::new(1), Reactor::builder().build().expect("a reactor"));
        let listener = net::TcpListener::bind(LOOPBACK).expect("a port");
        let mut far = net::TcpStream::connect(listener.local_addr().expect("bound")).expect("one");
        listener.set_nonblocking(true).expect("an option");
        let listener = Registration::with(&reactor, listener, Interest::Readable).expect("one");
        let listener = TcpListener::from(listener);
        listener.set_limit(Some(&limit)).expect("open");
        let (near, _) = block_on(listener.accept()).expect("a connection");
        near.set_linger(Some(Duration::from_secs(300))).expect("an option");
        if !os::limit_threads(0) {
            return println!("shown: not run, as it takes root to become another user");
        }
        block_on(near.write_all(b"the last words")).expect("room");
        block_on(near.close()).expect("it is closed");
        assert_eq!(limit.in_use(), 0);
        let mut all = Vec::new();
        far.read_to_end(&mut all).expect("all, and the end");
        assert_eq!(all, b"the last words");
    });
}

/// Without a reactor that could watch it, closing does not linger: written bytes go on all the same.
#[test]
fn without_a_reactor_a_lingering_close_closes_at_once() {
    alone("bounded::without_a_reactor_a_lingering_close_closes_at_once", || {
        let reactor = Reactor::builder().build().expect("a reactor");
        let listener = net::TcpListener::bind(LOOPBACK).expect("a port");
        let (near, mut far) = lingering(&listener, &reactor);
        reactor.shutdown();
        block_on(near.close()).expect("it is closed");
        far.read_to_end(&mut Vec::new()).expect("all, and the end");
    });
}

fn kinds_of_descriptors() -> HashMap<String, usize> {
    let mut kinds = HashMap::new();
    for entry in std::fs::read_dir("/proc/self/fd").expect("procfs") {
        let Ok(target) = std::fs::read_link(entry.expect("one").path()) else { continue };
        *kinds.entry(target.to_string_lossy().into_owned()).or_default() += 1;
    }
    kinds
}

/// No descriptor is left: the error for which there is a back-off at all.
#[test]
fn a_back_off_needs_no_descriptor() {
    alone("bounded::a_back_off_needs_no_descriptor", || {
        let reactor = Reactor::builder().build().expect("a reactor");
        let taken = os::take_all_descriptors();
        let exhausted = || io::Error::from_raw_os_error(libc::EMFILE);
        Reactor::global().expect_err("no descriptors");
        for mut backoff in [Backoff::with(&reactor), Backoff::new()] {
            let began = Instant::now();
            block_on(backoff.pause(exhausted())).expect("a pause");
            assert!(began.elapsed() >= Duration::from_millis(5));
        }
        drop(taken);
    });
}

/// And one of a listener's own reactor does not make the global one.
#[test]
fn a_back_off_by_a_reactor_makes_no_other() {
    alone("bounded::a_back_off_by_a_reactor_makes_no_other", || {
        let reactor = Reactor::builder().build().expect("a reactor");
        let before = kinds_of_descriptors();
        let mut backoff = Backoff::with(&reactor);
        for _ in 0..3 {
            let exhausted = io::Error::from_raw_os_error(libc::ENFILE);
            block_on(backoff.pause(exhausted)).expect("a pause");
        }
        assert_eq!(kinds_of_descriptors(), before);
    });
}
