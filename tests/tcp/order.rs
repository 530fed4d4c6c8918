//! Writes do not mix: a writer holds the write lock of its stream from the first byte to the last.

use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::net::Shutdown;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use futures::executor::{LocalPool, ThreadPool, block_on};
use futures::future::{BoxFuture, join_all};
use futures::task::SpawnExt;
use futures::{FutureExt, try_join};
use netpoll_futures::TcpStream;
use netpoll_tests::fixtures::tcp::tight_pair;
use netpoll_tests::fixtures::{
    KIB, assert_kind, assert_timed_out, past, poll_once, run, yield_now,
};
use netpoll_tests::{CountingWaker, watched};

const WRITERS: u8 = 20;
const BLOCK: usize = 256 * KIB;

/// A byte value and how often it came in a row.
type Run = (u8, usize);

/// Reads to the end in small sips, so that the writers block over and over.
async fn sip(stream: &TcpStream) -> io::Result<Vec<Run>> {
    let mut runs = Vec::<Run>::new();
    let mut buffer = [0; 3000];
    loop {
        let count = stream.read(&mut buffer).await?;
        if count == 0 {
            return Ok(runs);
        }
        for byte in &buffer[..count] {
            match runs.last_mut() {
                Some((value, len)) if value == byte => *len += 1,
                _ => runs.push((*byte, 1)),
            }
        }
        yield_now().await;
    }
}

/// Writes a block of one value.
fn write_block(stream: &TcpStream, value: u8) -> BoxFuture<'_, io::Result<()>> {
    async move { stream.write_all(&vec![value; BLOCK]).await }.boxed()
}

/// A writer that is midway: part of its block is sent, and the rest waits for room.
fn begin_block(stream: &TcpStream, value: u8) -> BoxFuture<'_, io::Result<()>> {
    let mut write = write_block(stream, value);
    assert!(poll_once(write.as_mut()).is_pending(), "a block is too much at once");
    write
}

/// Finishes these in any order, then ends the stream. Returns the bytes at the other end.
async fn finish(
    writes: Vec<BoxFuture<'_, io::Result<()>>>,
    client: &TcpStream,
    server: &TcpStream,
) -> io::Result<Vec<Run>> {
    let write = async {
        join_all(writes).await.into_iter().collect::<io::Result<()>>()?;
        client.shutdown(Shutdown::Write)
    };
    try_join!(write, sip(server)).map(|((), runs)| runs)
}

/// The first of `runs` is part of a block.
#[track_caller]
fn assert_cut_short(runs: &[Run], value: u8) {
    assert_eq!(runs[0].0, value);
    assert!(runs[0].1 < BLOCK, "{runs:?}");
}

#[test]
fn blocks_stay_whole_on_one_thread() {
    watched(|| {
        let mut pool = LocalPool::new();
        let (client, server) = pool.run_until(tight_pair()).unwrap();
        let writes = (0..WRITERS).map(|value| write_block(&client, value)).collect();
        let mut runs = pool.run_until(finish(writes, &client, &server)).unwrap();
        runs.sort_unstable();
        let expected: Vec<_> = (0..WRITERS).map(|value| (value, BLOCK)).collect();
        assert_eq!(runs, expected);
    });
}

#[test]
fn blocks_stay_whole_across_threads() {
    watched(|| {
        let pool = ThreadPool::builder().pool_size(4).create().unwrap();
        let (client, server) = block_on(tight_pair()).unwrap();
        let spawn = |value| {
            let client = client.clone();
            let write = async move { write_block(&client, value).await };
            pool.spawn_with_handle(write).unwrap().boxed()
        };
        let writes = (0..WRITERS).map(spawn).collect();
        let mut runs = block_on(finish(writes, &client, &server)).unwrap();
        runs.sort_unstable();
        let expected: Vec<_> = (0..WRITERS).map(|value| (value, BLOCK)).collect();
        assert_eq!(runs, expected);
    });
}

#[test]
fn a_write_dropped_midway_frees_the_write_lock() {
    run(|| async {
        let (client, server) = tight_pair().await?;
        let first = begin_block(&client, 1);
        let waker = CountingWaker::new();
        let mut second = write_block(&client, 2);
        assert!(waker.poll(second.as_mut()).is_pending());
        let third = begin_block(&client, 3);
        assert_eq!(waker.wakes(), 0);
        drop(first);
        assert_eq!(waker.wakes(), 1, "a writer that waits for the lock is woken at once");
        let mut runs = finish(vec![third, second], &client, &server).await?;
        assert_cut_short(&runs, 1);
        runs[1..].sort_unstable();
        assert_eq!(runs[1..], [(2, BLOCK), (3, BLOCK)]);
        Ok(())
    });
}

/// The lock is freed while both others wait; one of them goes before it is polled.
#[test]
fn a_write_dropped_when_it_is_woken_keeps_no_lock() {
    run(|| async {
        let (client, server) = tight_pair().await?;
        let first = begin_block(&client, 1);
        let second = begin_block(&client, 2);
        let third = begin_block(&client, 3);
        drop(first);
        drop(second);
        let runs = finish(vec![third], &client, &server).await?;
        assert_cut_short(&runs, 1);
        assert_eq!(runs[1..], [(3, BLOCK)]);
        Ok(())
    });
}

#[test]
fn a_write_dropped_before_it_has_the_lock_takes_nothing() {
    run(|| async {
        let (client, server) = tight_pair().await?;
        let first = begin_block(&client, 1);
        let second = begin_block(&client, 2);
        let third = begin_block(&client, 3);
        drop(second);
        let runs = finish(vec![first, third], &client, &server).await?;
        assert_eq!(runs, [(1, BLOCK), (3, BLOCK)]);
        Ok(())
    });
}

#[test]
fn all_writes_but_the_last_may_be_dropped() {
    run(|| async {
        let (client, server) = tight_pair().await?;
        let mut writes: Vec<_> = (0..WRITERS).map(|value| begin_block(&client, value)).collect();
        let last = writes.pop().into_iter().collect();
        // The first holds the lock; the others wait for it.
        writes.into_iter().for_each(drop);
        let runs = finish(last, &client, &server).await?;
        assert_cut_short(&runs, 0);
        assert_eq!(runs[1..], [(WRITERS - 1, BLOCK)]);
        Ok(())
    });
}

/// The socket has room and the writer in the middle is not polled: the lock is missing.
#[test]
fn polling_and_trying_wait_while_a_write_is_midway() {
    run(|| async {
        let (client, server) = tight_pair().await?;
        let first = begin_block(&client, 1);
        let waker = CountingWaker::new();
        let mut taken = 0;
        while poll_once(pin!(client.writable())).is_pending() {
            let mut buffer = [0; KIB];
            let mut read = pin!(server.read(&mut buffer));
            if let Poll::Ready(count) = poll_once(read.as_mut()) {
                taken += count?;
            }
        }
        let mut cx = Context::from_waker(Waker::noop());
        assert!(client.poll_write(&mut cx, b"2").is_pending());
        assert_kind(client.try_write(b"2"), ErrorKind::WouldBlock);
        assert_kind(client.try_write_vectored(&[]), ErrorKind::WouldBlock);
        let mut second = poll_fn(|cx| client.poll_write(cx, &[2; 10]));
        assert!(waker.poll(Pin::new(&mut second)).is_pending());
        drop(first);
        assert_eq!(waker.wakes(), 1);
        assert_eq!(second.await?, 10);
        let mut runs = finish(vec![], &client, &server).await?;
        assert_eq!(runs.pop(), Some((2, 10)));
        // All of the first that was sent may have been taken above.
        taken += runs.iter().map(|run| run.1).sum::<usize>();
        assert!(taken < BLOCK && runs.iter().all(|run| run.0 == 1), "{runs:?}");
        Ok(())
    });
}

/// A `poll_write` holds the lock for the call, and is woken when another writer frees it.
#[test]
fn polls_get_through_between_writes() {
    run(|| async {
        let (client, server) = tight_pair().await?;
        let first = begin_block(&client, 1);
        let mut polled = async {
            let mut left = BLOCK;
            while left > 0 {
                left -= poll_fn(|cx| client.poll_write(cx, &vec![2; left])).await?;
            }
            Ok(())
        }
        .boxed();
        assert!(poll_once(polled.as_mut()).is_pending());
        let third = begin_block(&client, 3);
        let mut runs = finish(vec![first, polled, third], &client, &server).await?;
        assert_eq!(runs.remove(0), (1, BLOCK));
        let polled: usize = runs.iter().filter(|run| run.0 == 2).map(|run| run.1).sum();
        assert_eq!(polled, BLOCK);
        assert!(runs.contains(&(3, BLOCK)), "a write_all is whole also among polls: {runs:?}");
        Ok(())
    });
}

#[test]
fn a_failed_write_frees_the_write_lock() {
    run(|| async {
        let (client, server) = tight_pair().await?;
        let first = begin_block(&client, 1);
        let second = begin_block(&client, 2);
        client.set_write_deadline(past())?;
        assert_timed_out(first.await);
        assert_timed_out(second.await);
        client.set_write_deadline(None)?;
        let runs = finish(vec![write_block(&client, 3)], &client, &server).await?;
        assert_cut_short(&runs, 1);
        assert_eq!(runs[1..], [(3, BLOCK)]);
        Ok(())
    });
}
