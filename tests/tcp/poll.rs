//! The `poll_*` functions: pending with a wake-up, then ready.

use std::future::poll_fn;
use std::io::{self, IoSlice, IoSliceMut};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use netpoll_futures::TcpStream;
use netpoll_tests::CountingWaker;
use netpoll_tests::fixtures::tcp::{fill, pair, read_exactly, tight_pair};
use netpoll_tests::fixtures::{KIB, assert_closed, run, wait_for_wakes};

/// Polls as a task with this waker.
fn with<T>(waker: &Arc<CountingWaker>, poll: impl FnOnce(&mut Context<'_>) -> T) -> T {
    poll(&mut Context::from_waker(&Waker::from(waker.clone())))
}

/// One way to read, by polling: how many bytes of those that were sent it takes.
type Read = fn(&TcpStream, &mut Context<'_>, &mut [u8]) -> Poll<io::Result<usize>>;

fn read_vectored(
    stream: &TcpStream,
    cx: &mut Context<'_>,
    buffer: &mut [u8],
) -> Poll<io::Result<usize>> {
    let (first, second) = buffer.split_at_mut(2.min(buffer.len()));
    stream.poll_read_vectored(cx, &mut [IoSliceMut::new(first), IoSliceMut::new(second)])
}

const READS: [Read; 3] = [TcpStream::poll_read, read_vectored, TcpStream::poll_peek];

#[test]
fn every_way_to_read_is_pending_until_something_comes() {
    run(|| async {
        for read in READS {
            let (client, server) = pair().await?;
            let waker = CountingWaker::new();
            let mut buffer = [0; 16];
            assert!(with(&waker, |cx| read(&server, cx, &mut buffer)).is_pending());
            assert_eq!(waker.wakes(), 0);
            client.write_all(b"hello").await?;
            assert_eq!(poll_fn(|cx| read(&server, cx, &mut buffer)).await?, 5);
            assert_eq!(&buffer[..5], b"hello");
            // The first to poll is woken as well.
            wait_for_wakes(&waker, 1);
        }
        Ok(())
    });
}

#[test]
fn every_way_to_read_takes_an_empty_buffer() {
    run(|| async {
        for (index, read) in READS.into_iter().enumerate() {
            let (_client, server) = pair().await?;
            let waker = CountingWaker::new();
            let polled = with(&waker, |cx| read(&server, cx, &mut []));
            assert!(matches!(polled, Poll::Ready(Ok(0))), "way {index}: {polled:?}");
        }
        Ok(())
    });
}

/// One way to write, by polling.
type Write = fn(&TcpStream, &mut Context<'_>, &[u8]) -> Poll<io::Result<usize>>;

fn write_vectored(
    stream: &TcpStream,
    cx: &mut Context<'_>,
    buffer: &[u8],
) -> Poll<io::Result<usize>> {
    let (first, second) = buffer.split_at(2);
    stream.poll_write_vectored(cx, &[IoSlice::new(first), IoSlice::new(second)])
}

#[test]
fn every_way_to_write_is_pending_until_there_is_room() {
    run(|| async {
        for write in [TcpStream::poll_write as Write, write_vectored] {
            let (client, server) = tight_pair().await?;
            let waker = CountingWaker::new();
            let mut written = 0;
            while let Poll::Ready(count) = with(&waker, |cx| write(&client, cx, &[7; KIB])) {
                written += count?;
            }
            assert!(written > 0);
            let write = poll_fn(|cx| write(&client, cx, &[7; KIB]));
            let (count, received) = futures::join!(write, read_exactly(&server, written));
            assert!(count? > 0);
            assert!(received?.iter().all(|byte| *byte == 7));
            // The first to poll is woken as well.
            wait_for_wakes(&waker, 1);
        }
        Ok(())
    });
}

#[test]
fn readiness_to_read_comes_with_data() {
    run(|| async {
        let (client, server) = pair().await?;
        // A connection that was just accepted counts as readable until it is found not to be.
        assert!(server.try_read(&mut [0; 16]).is_err());
        let waker = CountingWaker::new();
        assert!(with(&waker, |cx| server.poll_read_ready(cx)).is_pending());
        client.write_all(b"hello").await?;
        poll_fn(|cx| server.poll_read_ready(cx)).await?;
        wait_for_wakes(&waker, 1);
        assert!(with(&waker, |cx| server.poll_read_ready(cx)).is_ready(), "until it is read");
        assert_eq!(server.try_read(&mut [0; 16])?, 5);
        // A later event of the same bytes may have come in between: readiness is a hint.
        while with(&waker, |cx| server.poll_read_ready(cx)).is_ready() {
            assert!(server.try_read(&mut [0; 16]).is_err(), "there is no more to read");
        }
        Ok(())
    });
}

#[test]
fn readiness_to_write_comes_with_room() {
    run(|| async {
        let (client, server) = tight_pair().await?;
        let waker = CountingWaker::new();
        assert!(with(&waker, |cx| client.poll_write_ready(cx)).is_ready());
        let mut written = fill(&client)?;
        // The kernels move bytes between them in their own time.
        while with(&waker, |cx| client.poll_write_ready(cx)).is_ready() {
            written += fill(&client)?;
        }
        let ready = poll_fn(|cx| client.poll_write_ready(cx));
        let (ready, received) = futures::join!(ready, read_exactly(&server, written));
        assert!(ready.is_ok() && received.is_ok());
        wait_for_wakes(&waker, 1);
        Ok(())
    });
}

/// Each task that polls is woken, and polling again with the same waker counts once.
#[test]
fn every_task_that_polled_is_woken() {
    run(|| async {
        let (client, server) = pair().await?;
        let wakers: Vec<_> = (0..20).map(|_| CountingWaker::new()).collect();
        for waker in wakers.iter().chain(&wakers) {
            assert!(with(waker, |cx| server.poll_read(cx, &mut [0; 16])).is_pending());
        }
        client.write_all(b"hello").await?;
        wakers.iter().for_each(|waker| wait_for_wakes(waker, 1));
        Ok(())
    });
}

#[test]
fn polling_a_closed_stream_fails() {
    run(|| async {
        let (client, _server) = pair().await?;
        client.close().await?;
        let waker = CountingWaker::new();
        for read in READS {
            let polled = poll_fn(|cx| read(&client, cx, &mut [0; 16])).await;
            assert_closed(polled);
        }
        assert_closed(poll_fn(|cx| client.poll_write(cx, b"more")).await);
        assert_closed(poll_fn(|cx| client.poll_read_ready(cx)).await);
        assert_closed(poll_fn(|cx| client.poll_write_ready(cx)).await);
        assert_eq!(waker.wakes(), 0);
        Ok(())
    });
}
