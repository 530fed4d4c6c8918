//! An operation that the budget of its thread puts off has tried nothing, and loses nothing.

use std::io::{self, Write};
use std::pin::pin;
use std::time::{Duration, Instant};

use netpoll::{is_closed, is_deadline_exceeded};
use netpoll_futures::{Async, TcpStream};
use netpoll_tests::CountingWaker;
use netpoll_tests::fixtures::budget::spend_all;
use netpoll_tests::fixtures::run;
use netpoll_tests::fixtures::tcp::pair;

use crate::starving::full;

/// A read that is put off has tried nothing, and its task is woken.
#[test]
fn a_read_that_is_put_off_loses_nothing() {
    run(|| async {
        let (near, far) = pair().await?;
        far.write_all(b"ab").await?;
        near.readable().await?;
        let (waker, mut first, mut second) = (CountingWaker::new(), [0], [0]);
        spend_all();
        let mut read = Box::pin(near.read(&mut first));
        assert!(waker.poll(read.as_mut()).is_pending());
        assert_eq!(waker.wakes(), 1);
        assert_eq!(read.await?, 1);
        assert_eq!(near.read(&mut second).await?, 1);
        assert_eq!([first, second].as_flattened(), b"ab");
        Ok(())
    });
}

/// Where a task has used the budget up, and was put off, the next one is not: else the task after a
/// busy task would be put off each time.
#[test]
fn the_task_after_a_busy_one_is_not_put_off() {
    run(|| async {
        let ((one, _far), (another, _other_far)) = (full().await?, full().await?);
        let (busy, next) = (CountingWaker::new(), CountingWaker::new());
        for _ in 0..10 {
            spend_all();
            assert!(busy.poll(pin!(one.read(&mut [0]))).is_pending());
            assert!(next.poll(pin!(another.read(&mut [0]))).is_ready());
        }
        Ok(())
    });
}

/// The result of waiting where there is something to read, if it is put off, and the deadline is one that
/// has passed, or all is closed, by the time that it is polled again.
async fn looks_again<R>(
    near: TcpStream,
    wait: impl AsyncFn(&TcpStream) -> io::Result<R>,
) -> io::Result<()> {
    let waker = CountingWaker::new();
    let put_off = || {
        spend_all();
        let mut waiting = Box::pin(wait(&near));
        assert!(waker.poll(waiting.as_mut()).is_pending(), "put off");
        waiting
    };
    let late = put_off();
    near.set_read_deadline(Some(Instant::now() - Duration::from_secs(1)))?;
    assert!(late.await.is_err_and(|error| is_deadline_exceeded(&error)));
    near.set_read_deadline(None)?;
    let closed = put_off();
    near.close().await?;
    assert!(closed.await.is_err_and(|error| is_closed(&error)));
    Ok(())
}

#[test]
fn a_wait_for_readiness_that_is_put_off_looks_again() {
    run(|| async {
        let (near, _far) = full().await?;
        looks_again(near, TcpStream::readable).await
    });
}

/// A descriptor of any kind, whose readiness the kernel is asked for.
#[test]
fn a_wait_for_any_descriptor_that_is_put_off_looks_again() {
    run(|| async {
        let (near, mut far) = io::pipe()?;
        far.write_all(b"x")?;
        let near = Async::new(near)?;
        near.readable().await?;
        spend_all();
        let mut waiting = Box::pin(near.readable());
        assert!(CountingWaker::new().poll(waiting.as_mut()).is_pending(), "put off");
        near.close().await?;
        assert!(waiting.await.is_err_and(|error| is_closed(&error)));
        Ok(())
    });
}
