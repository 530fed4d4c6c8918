//! Several tasks on one descriptor.

use std::io;
use std::os::fd::AsFd;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use futures::channel::mpsc::unbounded;
use futures::executor::ThreadPool;
use futures::future::join_all;
use futures::task::SpawnExt;
use futures::{FutureExt, StreamExt};
use netpoll::Direction;
use netpoll_futures::Async;
use netpoll_tests::CountingWaker;
use netpoll_tests::fixtures::any::read_byte;
use netpoll_tests::fixtures::os::{eventfd, read_count, write_count};
use netpoll_tests::fixtures::{os, run, wait_for_wakes, wait_until_woken};

use crate::pipe::pipe;

#[test]
fn each_of_several_reads_is_served() {
    run(|| async {
        let (reader, writer) = pipe()?;
        let wakers: Vec<_> = (0..5).map(|_| CountingWaker::new()).collect();
        let mut reads: Vec<_> = (0..5).map(|_| Box::pin(reader.read_with(read_byte))).collect();
        for (read, waker) in reads.iter_mut().zip(&wakers) {
            assert!(waker.poll(read.as_mut()).is_pending());
        }
        writer.write_with(|io| os::write(io.as_fd(), b"abcde")).await?;
        // The last is polled first: none waits for another.
        for (read, expected) in reads.iter_mut().zip(&wakers).rev().zip(b'a'..=b'e') {
            wait_for_wakes(read.1, 1);
            match read.1.poll(read.0.as_mut()) {
                Poll::Ready(read) => assert_eq!(read?, expected),
                Poll::Pending => panic!("the byte is there"),
            }
        }
        Ok(())
    });
}

#[test]
fn a_read_that_is_dropped_takes_nothing() {
    run(|| async {
        let (reader, writer) = pipe()?;
        let (first, second) = (CountingWaker::new(), CountingWaker::new());
        let mut dropped = Box::pin(reader.read_with(read_byte));
        let mut next = pin!(reader.read_with(read_byte));
        assert!(first.poll(dropped.as_mut()).is_pending());
        assert!(second.poll(next.as_mut()).is_pending());
        writer.write_with(|io| os::write(io.as_fd(), b"x")).await?;
        wait_for_wakes(&first, 1);
        wait_for_wakes(&second, 1);
        drop(dropped);
        assert_eq!(next.await?, b'x');
        Ok(())
    });
}

/// In async-io two tasks that poll wake each other in circles.
#[test]
fn all_tasks_that_poll_are_woken_once() {
    run(|| async {
        let (reader, writer) = pipe()?;
        let wakers: Vec<_> = (0..4).map(|_| CountingWaker::new()).collect();
        let poll = |waker: &Arc<CountingWaker>| {
            waker.poll(pin!(std::future::poll_fn(|cx| reader.poll_readable(cx))))
        };
        for _ in 0..3 {
            assert!(wakers.iter().all(|waker| poll(waker).is_pending()));
        }
        writer.write_with(|io| os::write(io.as_fd(), b"x")).await?;
        for waker in &wakers {
            wait_until_woken(waker);
            assert!(poll(waker).is_ready());
            assert!(waker.wakes() <= 3, "{} wakes for three polls", waker.wakes());
        }
        assert_eq!(read_byte(reader.get_ref())?, b'x');
        assert!(wakers.iter().all(|waker| poll(waker).is_pending()));
        Ok(())
    });
}

/// Every count is taken once.
#[test]
fn a_count_that_many_tasks_take() {
    run(|| async {
        const TASKS: u64 = 8;
        const ROUNDS: u64 = 500;
        let event = Arc::new(Async::new(eventfd()?)?);
        let pool = ThreadPool::builder().pool_size(4).create()?;
        let (send, taken) = unbounded();
        let takers: Vec<_> = (0..TASKS)
            .map(|_| {
                let (event, send) = (event.clone(), send.clone());
                let take = async move {
                    loop {
                        match event.read_with(read_count).await {
                            Ok(count) => send.unbounded_send(count).expect("the receiver lives"),
                            Err(error) => break error,
                        }
                    }
                };
                pool.spawn_with_handle(take).expect("it runs")
            })
            .collect();
        let givers = (0..TASKS).map(|_| {
            let event = event.clone();
            let give = async move {
                for _ in 0..ROUNDS {
                    event.write_with(|io| write_count(io, 1)).await?;
                }
                io::Result::Ok(())
            };
            pool.spawn_with_handle(give).expect("it runs")
        });
        for gave in join_all(givers).await {
            gave?;
        }
        let mut left = TASKS * ROUNDS;
        let mut taken = pin!(taken);
        while left > 0 {
            left -= taken.next().await.expect("a sender is here");
        }
        event.close().await?;
        assert!(join_all(takers).await.iter().all(netpoll::is_closed));
        assert_eq!(taken.next().now_or_never(), None, "nothing twice");
        Ok(())
    });
}

#[test]
fn futures_that_borrow_nothing() {
    run(|| async {
        let (reader, writer) = pipe()?;
        let (reader, writer) = (Arc::new(reader), Arc::new(writer));
        writer.clone().writable_owned().await?;
        let waker = CountingWaker::new();
        let mut readable = Box::pin(reader.clone().readable_owned());
        assert!(waker.poll(readable.as_mut()).is_pending());
        drop(reader);
        writer.write_with(|io| os::write(io.as_fd(), b"x")).await?;
        readable.await
    });
}

/// A task that polls takes the bytes that are there, though another task waits in a future.
#[test]
fn a_task_that_polls_waits_for_no_other() {
    run(|| async {
        let (reader, writer) = pipe()?;
        let (first, poller) = (CountingWaker::new(), CountingWaker::new());
        let mut aside = pin!(reader.read_with(read_byte));
        assert!(first.poll(aside.as_mut()).is_pending());
        let mut polled =
            pin!(std::future::poll_fn(|cx| { reader.poll_io(cx, Direction::Read, read_byte) }));
        assert!(poller.poll(polled.as_mut()).is_pending());
        writer.write_with(|io| os::write(io.as_fd(), b"ab")).await?;
        wait_for_wakes(&poller, 1);
        assert_eq!(polled.await?, b'a');
        assert_eq!(aside.await?, b'b');
        Ok(())
    });
}
