//! Wakers that panic, where it is not the reactor that wakes them but another task: one that frees the write
//! lock, closes, or leaves a descriptor that is being closed.

use std::convert::Infallible;
use std::io;
use std::pin::pin;
use std::task::Context;

use hyper::service::service_fn;
use netpoll::Direction;
use netpoll_futures::{TcpListener, TcpStream, is_closed};
use netpoll_hyper::{Executor, Server};
use netpoll_tests::CountingWaker;
use netpoll_tests::fixtures::tcp::pair;
use netpoll_tests::fixtures::{LOOPBACK, panicking_waker, run};

/// Polls to read, as a task whose waker panics.
fn wait_with_a_panicking_waker(stream: &TcpStream) {
    let waker = panicking_waker();
    assert!(stream.poll_read(&mut Context::from_waker(&waker), &mut [0]).is_pending());
}

/// Two tasks wait for the write lock, and the waker of one panics: neither does the writer that frees the lock
/// panic, nor does the other one wait on.
#[test]
fn a_panic_does_not_keep_the_write_lock() {
    run(|| async {
        let (near, _far) = pair().await?;
        let block = vec![0; 16 << 20];
        let (waker, mut holds) = (CountingWaker::new(), Box::pin(near.write_all(&block)));
        assert!(CountingWaker::new().poll(holds.as_mut()).is_pending());
        let panics = panicking_waker();
        assert!(near.poll_write(&mut Context::from_waker(&panics), b"x").is_pending());
        let mut next = pin!(near.write_all(&block));
        assert!(waker.poll(next.as_mut()).is_pending());

        drop(holds);

        assert_eq!(waker.wakes(), 1, "the lock is free");
        Ok(())
    });
}

/// The same where the socket is closed: all tasks that wait are woken.
#[test]
fn a_panic_does_not_keep_the_end_from_others() {
    run(|| async {
        let (near, _far) = pair().await?;
        let (waker, mut first, mut second) = (CountingWaker::new(), [0], [0]);
        let mut reads = pin!(near.read(&mut first));
        assert!(CountingWaker::new().poll(reads.as_mut()).is_pending());
        wait_with_a_panicking_waker(&near);
        let mut next = pin!(near.read(&mut second));
        assert!(waker.poll(next.as_mut()).is_pending());

        near.close().await?;

        assert_eq!(waker.wakes(), 1, "it is told");
        assert!(is_closed(&next.await.expect_err("it is closed")));
        Ok(())
    });
}

/// A close waits for the last operation to leave, which wakes it. The panic of its waker is not
/// the operation's.
#[test]
fn a_panic_of_the_closer_is_not_the_last_operations() {
    run(|| async {
        let (near, _far) = pair().await?;
        let mut closing = pin!(near.close());
        let waker = panicking_waker();
        let done = near.try_io(Direction::Write, |_| {
            let polled = closing.as_mut().poll(&mut Context::from_waker(&waker));
            assert!(polled.is_pending(), "an operation is inside");
            io::Result::Ok(7)
        });
        assert_eq!(done?, 7);
        closing.await
    });
}

/// The end of a server wakes its accept loops, also after the first one's waker panics.
#[test]
fn a_panic_does_not_keep_a_shutdown_from_others() {
    run(|| async {
        let server = Server::new(Executor::new(|_| {}));
        let page = |_: &_| {
            service_fn(|_| async { Ok::<_, Infallible>(hyper::Response::new(String::new())) })
        };
        let listeners = [TcpListener::bind(LOOPBACK).await?, TcpListener::bind(LOOPBACK).await?];
        let (waker, panicking) = (CountingWaker::new(), panicking_waker());
        let mut panics = pin!(server.serve(&listeners[0], page));
        assert!(panics.as_mut().poll(&mut Context::from_waker(&panicking)).is_pending());
        let mut serves = pin!(server.serve(&listeners[1], page));
        assert!(waker.poll(serves.as_mut()).is_pending());

        server.shutdown();

        assert!(waker.wakes() > 0, "it is told");
        serves.await?;
        panics.await
    });
}
