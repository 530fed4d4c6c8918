//! A process that ends with work pending: it ends with its exit code, and with its output.

use std::io::Write;
use std::process::Output;
use std::thread;
use std::time::Duration;

use futures::executor::{ThreadPool, block_on};
use futures::task::SpawnExt;
use netpoll_futures::{TcpListener, TcpStream, Timer};
use netpoll_tests::CountingWaker;
use netpoll_tests::alone::in_a_process;
use netpoll_tests::fixtures::tcp::pair;
use netpoll_tests::fixtures::{LOOPBACK, on_wake, os};

/// Threads in `block_on`, one that turns the reactor and others that sleep, tasks on a pool, and timers.
fn begin_work() {
    let pool = ThreadPool::builder().pool_size(2).create().expect("threads");
    for _ in 0..100 {
        let wait = async {
            let (near, _far) = pair().await.expect("a connection");
            near.set_read_deadline(Some(std::time::Instant::now() + Duration::from_secs(3600)))?;
            near.read(&mut [0]).await
        };
        pool.spawn(async { drop(wait.await) }).expect("it runs");
        let timer = Timer::after(Duration::from_secs(3600));
        pool.spawn(async {
            timer.await;
        })
        .expect("it runs");
    }
    for _ in 0..3 {
        thread::spawn(|| {
            netpoll::block_on(async {
                let listener = TcpListener::bind(LOOPBACK).await.expect("a port");
                listener.accept().await.expect("no client connects");
            });
        });
    }
}

/// An exchange that needs the reactor: it runs by then.
fn exchange() -> (TcpStream, TcpStream) {
    block_on(async {
        let (near, far) = pair().await.expect("a connection");
        far.write_all(b"x").await.expect("room");
        assert_eq!(near.read(&mut [0]).await.expect("a byte"), 1);
        (near, far)
    })
}

fn ends_with(code: i32) -> impl FnOnce(&Output) {
    move |run| {
        let complained = String::from_utf8_lossy(&run.stderr);
        assert_eq!(run.status.code(), Some(code), "{}\n{complained}", run.status);
    }
}

#[test]
fn by_the_standard_library() {
    in_a_process(
        "exit::by_the_standard_library",
        || {
            begin_work();
            drop(exchange());
            std::process::exit(42);
        },
        ends_with(42),
    );
}

#[test]
fn by_c_with_handlers() {
    in_a_process(
        "exit::by_c_with_handlers",
        || {
            begin_work();
            drop(exchange());
            os::exit(43);
        },
        ends_with(43),
    );
}

/// On the reactor's own thread, in the middle of a turn.
#[test]
fn by_a_waker() {
    in_a_process(
        "exit::by_a_waker",
        || {
            let (near, far) = exchange();
            let waker = on_wake(|| std::process::exit(44));
            let read = near.poll_read(&mut std::task::Context::from_waker(&waker), &mut [0]);
            assert!(read.is_pending());
            block_on(far.write_all(b"x")).expect("room");
            loop {
                thread::park();
            }
        },
        ends_with(44),
    );
}

/// By a task, on a thread that has just turned the reactor.
#[test]
fn by_a_task_of_a_thread_that_turns() {
    in_a_process(
        "exit::by_a_task_of_a_thread_that_turns",
        || {
            begin_work();
            netpoll::block_on(async {
                Timer::after(Duration::from_millis(20)).await;
                std::process::exit(45);
            });
        },
        ends_with(45),
    );
}

thread_local! {
    static KEPT: std::cell::RefCell<Vec<(TcpStream, TcpStream)>> = const { std::cell::RefCell::new(Vec::new()) };
}

/// The test ends, and with it the process, with work pending and sockets in a thread's own storage.
#[test]
fn by_the_end_of_main() {
    in_a_process(
        "exit::by_the_end_of_main",
        || {
            begin_work();
            let (near, far) = exchange();
            let mut read = Box::pin({
                let near = near.clone();
                async move { near.read(&mut [0]).await }
            });
            assert!(CountingWaker::new().poll(read.as_mut()).is_pending());
            std::mem::forget(read);
            KEPT.with_borrow_mut(|kept| kept.push((near, far)));
            std::io::stdout().flush().expect("it is piped");
        },
        ends_with(0),
    );
}
