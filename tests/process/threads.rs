//! Threads that end while they have something to do with the reactor, and a reactor that cannot go on.

use std::cell::RefCell;
use std::error::Error;
use std::fs;
use std::io;
use std::os::fd::RawFd;
use std::thread;

use futures::executor::block_on;
use netpoll::{Direction, Driver, Reactor, ReactorGone};
use netpoll_tests::CountingWaker;
use netpoll_tests::alone::alone;
use netpoll_tests::fixtures::os::replace;
use netpoll_tests::fixtures::tcp::pair;

thread_local! {
    static DRIVER: RefCell<Option<Driver>> = const { RefCell::new(None) };
}

/// Waits with a driver until it is woken, which a thread that has nothing to do does.
fn drive(driver: &mut Driver) {
    driver.waker().wake();
    driver.park();
}

fn exchange() {
    block_on(async {
        let (near, far) = pair().await?;
        far.write_all(b"x").await?;
        assert_eq!(near.read(&mut [0]).await?, 1);
        io::Result::Ok(())
    })
    .expect("the reactor is turned");
}

/// The driver goes with the thread, is forgotten by it, or is dropped by a panic.
#[test]
fn a_thread_that_drives_and_ends() {
    alone("threads::a_thread_that_drives_and_ends", || {
        for _ in 0..10 {
            let reactor = Reactor::global().expect("a reactor");
            let kept = thread::spawn(|| {
                let mut driver = reactor.driver();
                drive(&mut driver);
                DRIVER.set(Some(driver));
            });
            kept.join().expect("no panic");
            exchange();
            let forgotten = thread::spawn(|| {
                let mut driver = reactor.driver();
                drive(&mut driver);
                std::mem::forget(driver);
            });
            forgotten.join().expect("no panic");
            exchange();
            let panicked = thread::spawn(|| {
                let mut driver = reactor.driver();
                drive(&mut driver);
                panic!("as its test wants it");
            });
            panicked.join().expect_err("it panics");
            exchange();
        }
    });
}

/// The numbers of this process's epoll instances.
fn epolls() -> Vec<RawFd> {
    let open = fs::read_dir("/proc/self/fd").expect("procfs").map(|entry| entry.expect("one"));
    let epolls = open.filter(|entry| {
        fs::read_link(entry.path()).is_ok_and(|to| to.to_string_lossy().contains("eventpoll"))
    });
    epolls.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// A careless owner closes a descriptor that is not its own: epoll's. Every waiter gets the error, and standard error
/// gets a line, unless that is a pipe without a reader: to print to it would panic.
#[test]
fn a_reactor_that_cannot_wait_fails_every_waiter() {
    alone("threads::a_reactor_that_cannot_wait_fails_every_waiter", || {
        let reactor = Reactor::builder().build().expect("a reactor");
        let (near, _far) = std::os::unix::net::UnixStream::pair().expect("a pair");
        near.set_nonblocking(true).expect("an option");
        let near = netpoll::Registration::with(&reactor, near, netpoll::Interest::Both);
        let near = near.expect("a registration");
        let mut reads = Box::pin(near.ready(Direction::Read));
        assert!(CountingWaker::new().poll(reads.as_mut()).is_pending());
        let (reader, writer) = io::pipe().expect("a pipe");
        drop(reader);
        replace(2, &writer);
        let nothing = fs::File::open("/dev/null").expect("a file");
        for epoll in epolls() {
            replace(epoll, &nothing);
        }
        reactor.notify();
        let error = block_on(reads).expect_err("no thread turns it any more");
        assert!(error.get_ref().is_some_and(<dyn Error + Send + Sync>::is::<ReactorGone>));
    });
}
