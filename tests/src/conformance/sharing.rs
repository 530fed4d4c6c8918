//! One stream, many tasks: no read waits for another read, a `write_all` is contiguous, and a future that is
//! dropped takes nothing along (go-net.md's F, and the parts of `F` that Go leaves to the scheduler).

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures::channel::mpsc::{UnboundedReceiver, unbounded};
use futures::future::{BoxFuture, join_all};
use futures::{FutureExt, StreamExt, poll};

use super::peers::{fill, read_exactly, read_to_end};
use super::{Behaviour, Stage, Stream, Transport, behaviours};
use crate::CountingWaker;
use crate::fixtures::{assert_timed_out, in_ms, past};

const LINE: u8 = 10;

/// More than a stream takes before it blocks, so that a writer waits midway.
const BLOCK: usize = 6 * 1024 * 1024;

pub(super) fn all<T: Transport>() -> Vec<Behaviour> {
    behaviours![
        T: f4_each_of_several_reads_is_served,
        f4_a_read_kept_aside_keeps_no_data_from_another,
        f4_a_write_all_is_contiguous,
        f4_reading_and_writing_do_not_wait_for_each_other,
        f5_a_read_kept_aside_keeps_no_deadline_from_others,
        f5_a_write_kept_aside_keeps_no_deadline_from_others,
        reads_that_are_dropped_take_nothing_from_others,
        a_read_dropped_when_it_is_woken_takes_nothing,
        a_read_that_is_dropped_wakes_no_task,
        a_write_dropped_midway_frees_the_write_lock,
        reads_that_are_dropped_over_and_over_lose_nothing,
        a_hundred_readers_and_a_hundred_writers,
    ]
}

type Read = BoxFuture<'static, io::Result<Vec<u8>>>;
type Write = BoxFuture<'static, io::Result<()>>;

fn read_one<S: Stream>(stream: &Arc<S>) -> Read {
    let stream = stream.clone();
    async move {
        let mut byte = [0];
        stream.read(&mut byte).await.map(|count| byte[..count].to_vec())
    }
    .boxed()
}

fn write_block<S: Stream>(stream: &Arc<S>, value: u8, len: usize) -> Write {
    let stream = stream.clone();
    async move { stream.write_all(&vec![value; len]).await }.boxed()
}

/// Futures that wait.
async fn waiting<R>(
    futures: impl Iterator<Item = BoxFuture<'static, R>>,
) -> Vec<BoxFuture<'static, R>> {
    let mut waiting = Vec::new();
    for mut future in futures {
        assert!(poll!(future.as_mut()).is_pending(), "it has to wait");
        waiting.push(future);
    }
    waiting
}

/// Has tasks wait for the futures, and returns the result of each, as they end.
fn ends<R: Send + 'static>(
    stage: &Stage,
    waiting: Vec<BoxFuture<'static, R>>,
) -> UnboundedReceiver<(u8, R)> {
    let (send, receive) = unbounded();
    for (index, future) in (0..).zip(waiting) {
        let send = send.clone();
        // The receiver is gone only when the behaviour has failed.
        drop(stage.spawn(async move { drop(send.unbounded_send((index, future.await))) }));
    }
    receive
}

/// Each byte goes to one of the reads that wait.
async fn f4_each_of_several_reads_is_served<T: Transport>(stage: Stage) -> io::Result<()> {
    let (near, far) = stage.pair::<T>().await?;
    let reads = waiting((0..LINE).map(|_| read_one(&near))).await;
    let mut ends = ends(&stage, reads);
    let mut served = Vec::new();
    for value in 0..LINE {
        far.write_all(&[value]).await?;
        let (reader, read) = ends.next().await.expect("a task reads it");
        assert_eq!(read?, [value]);
        served.push(reader);
    }
    served.sort_unstable();
    assert!(served.into_iter().eq(0..LINE));
    Ok(())
}

/// The first was woken for the data, and is not polled: the second takes it.
async fn f4_a_read_kept_aside_keeps_no_data_from_another<T: Transport>(
    stage: Stage,
) -> io::Result<()> {
    let (near, far) = stage.pair::<T>().await?;
    let waker = CountingWaker::new();
    let mut first = read_one(&near);
    assert!(waker.poll(first.as_mut()).is_pending());
    far.write_all(b"1").await?;
    wait_until_woken(&stage, &waker).await?;
    assert_eq!(read_one(&near).await?, b"1");
    assert!(waker.poll(first.as_mut()).is_pending(), "it is gone");
    far.write_all(b"2").await?;
    assert_eq!(first.await?, b"2");
    Ok(())
}

/// Writers that block midway, each with a value of its own: one run of each comes out.
async fn f4_a_write_all_is_contiguous<T: Transport>(stage: Stage) -> io::Result<()> {
    const WRITERS: u8 = 4;
    let (near, far) = stage.pair::<T>().await?;
    let writes = waiting((0..WRITERS).map(|value| write_block(&near, value, BLOCK))).await;
    let writers = stage.spawn(async move {
        let wrote: io::Result<()> = join_all(writes).await.into_iter().collect();
        near.close().await.and(wrote)
    });
    let received = read_to_end(&*far).await?;
    writers.await?;
    let runs = received.chunk_by(|one, next| one == next);
    let mut runs: Vec<_> = runs.map(|run| (run[0], run.len())).collect();
    runs.sort_unstable();
    assert!(runs.into_iter().eq((0..WRITERS).map(|value| (value, BLOCK))));
    Ok(())
}

/// A read that waits holds up no write, and the other way round.
async fn f4_reading_and_writing_do_not_wait_for_each_other<T: Transport>(
    stage: Stage,
) -> io::Result<()> {
    let (near, far) = stage.pair::<T>().await?;
    let mut read = read_one(&near);
    assert!(poll!(read.as_mut()).is_pending());
    near.write_all(b"written").await?;
    assert_eq!(read_exactly(&*far, 7).await?, b"written");
    fill(&*near).await?;
    let mut write = write_block(&near, 1, 1024 * 1024);
    while poll!(write.as_mut()).is_ready() {
        write = write_block(&near, 1, 1024 * 1024);
    }
    far.write_all(b"r").await?;
    assert_eq!(read.await?, b"r");
    Ok(())
}

/// A deadline ends all reads that wait, though one is not polled again.
async fn f5_a_read_kept_aside_keeps_no_deadline_from_others<T: Transport>(
    stage: Stage,
) -> io::Result<()> {
    let (near, _far) = stage.pair::<T>().await?;
    for deadline in [in_ms(5), past()] {
        near.set_read_deadline(None)?;
        let mut reads = waiting((0..LINE).map(|_| read_one(&near))).await;
        near.set_read_deadline(deadline)?;
        let aside = reads.remove(0);
        for read in reads {
            assert_timed_out(read.await);
        }
        assert_timed_out(aside.await);
    }
    Ok(())
}

/// The same for writes, of which the first holds the write lock.
async fn f5_a_write_kept_aside_keeps_no_deadline_from_others<T: Transport>(
    stage: Stage,
) -> io::Result<()> {
    let (near, _far) = stage.pair::<T>().await?;
    let mut writes = waiting((0..LINE).map(|value| write_block(&near, value, BLOCK))).await;
    near.set_write_deadline(in_ms(5))?;
    let aside = writes.remove(0);
    for write in writes {
        assert_timed_out(write.await);
    }
    assert_timed_out(aside.await);
    Ok(())
}

/// The others are served.
async fn reads_that_are_dropped_take_nothing_from_others<T: Transport>(
    stage: Stage,
) -> io::Result<()> {
    let (near, far) = stage.pair::<T>().await?;
    let mut reads = waiting((0..LINE).map(|_| read_one(&near))).await;
    // Every other one goes, the first included.
    let mut index = 0;
    reads.retain(|_| {
        index += 1;
        index % 2 == 0
    });
    let left = u8::try_from(reads.len()).expect("a few");
    let mut ends = ends(&stage, reads);
    for value in 0..left {
        far.write_all(&[value]).await?;
        let (_, read) = ends.next().await.expect("a task reads it");
        assert_eq!(read?, [value]);
    }
    Ok(())
}

/// The data has come, both have been woken for it, and the first goes: the second reads it.
async fn a_read_dropped_when_it_is_woken_takes_nothing<T: Transport>(
    stage: Stage,
) -> io::Result<()> {
    let (near, far) = stage.pair::<T>().await?;
    let (first_waker, second_waker) = (CountingWaker::new(), CountingWaker::new());
    let (mut first, mut second) = (read_one(&near), read_one(&near));
    assert!(first_waker.poll(first.as_mut()).is_pending());
    assert!(second_waker.poll(second.as_mut()).is_pending());
    far.write_all(b"1").await?;
    wait_until_woken(&stage, &first_waker).await?;
    wait_until_woken(&stage, &second_waker).await?;
    drop(first);
    assert_eq!(second.await?, b"1");
    Ok(())
}

async fn a_read_that_is_dropped_wakes_no_task<T: Transport>(stage: Stage) -> io::Result<()> {
    let (near, far) = stage.pair::<T>().await?;
    let reads = waiting((0..2).map(|_| read_one(&near))).await;
    let waker = CountingWaker::new();
    let mut third = read_one(&near);
    assert!(waker.poll(third.as_mut()).is_pending());
    drop(reads);
    assert_eq!(waker.wakes(), 0, "nothing has come");
    far.write_all(b"1").await?;
    assert_eq!(third.await?, b"1");
    Ok(())
}

/// Part of it is sent, and the bytes of the next writer follow.
async fn a_write_dropped_midway_frees_the_write_lock<T: Transport>(stage: Stage) -> io::Result<()> {
    let (near, far) = stage.pair::<T>().await?;
    let writes = [write_block(&near, 1, BLOCK), write_block(&near, 2, 100)];
    let mut writes = waiting(writes.into_iter()).await;
    drop(writes.remove(0));
    let write = stage.spawn(async move {
        let wrote: io::Result<()> = join_all(writes).await.into_iter().collect();
        near.close().await.and(wrote)
    });
    let received = read_to_end(&*far).await?;
    write.await?;
    let (dropped, whole) = received.split_at(received.len() - 100);
    assert!(dropped.iter().all(|byte| *byte == 1) && dropped.len() < BLOCK);
    assert_eq!(whole, [2; 100]);
    Ok(())
}

/// Each read is polled once and dropped, ready or not.
async fn reads_that_are_dropped_over_and_over_lose_nothing<T: Transport>(
    stage: Stage,
) -> io::Result<()> {
    const LEN: usize = 2000;
    let (near, far) = stage.pair::<T>().await?;
    let write = stage.spawn(async move {
        for index in 0..LEN {
            far.write_all(&[(index % 251) as u8]).await?;
        }
        far.close().await
    });
    let mut received = Vec::new();
    loop {
        match poll!(read_one(&near)) {
            std::task::Poll::Ready(read) => match read? {
                end if end.is_empty() => break,
                byte => received.extend(byte),
            },
            std::task::Poll::Pending => stage.sleep(Duration::from_micros(100)).await?,
        }
    }
    assert!(received.iter().copied().eq((0..LEN).map(|index| (index % 251) as u8)));
    write.await
}

/// Everything that a hundred tasks write is read by a hundred others, each byte once; then each of them finds
/// the end.
async fn a_hundred_readers_and_a_hundred_writers<T: Transport>(stage: Stage) -> io::Result<()> {
    const TASKS: u8 = 100;
    const RECORDS: usize = 10;
    const RECORD: usize = 700;
    let (near, far) = stage.pair::<T>().await?;
    let readers = (0..TASKS).map(|_| stage.spawn(count_bytes(far.clone()))).collect::<Vec<_>>();
    let writers = (0..TASKS).map(|value| {
        let near = near.clone();
        stage.spawn(async move {
            for _ in 0..RECORDS {
                near.write_all(&[value; RECORD]).await?;
            }
            Ok(())
        })
    });
    join_all(writers).await.into_iter().collect::<io::Result<()>>()?;
    near.close().await?;
    let mut total = BTreeMap::new();
    for counts in join_all(readers).await {
        for (value, count) in counts? {
            *total.entry(value).or_default() += count;
        }
    }
    assert!(total.into_iter().eq((0..TASKS).map(|value| (value, RECORDS * RECORD))));
    Ok(())
}

/// Reads to the end, and counts how often each value came.
async fn count_bytes(stream: Arc<impl Stream>) -> io::Result<BTreeMap<u8, usize>> {
    let mut counts = BTreeMap::new();
    let mut buffer = [0; 1000];
    loop {
        match stream.read(&mut buffer).await? {
            0 => return Ok(counts),
            count => {
                for value in &buffer[..count] {
                    *counts.entry(*value).or_default() += 1;
                }
            }
        }
    }
}

async fn wait_until_woken(stage: &Stage, waker: &CountingWaker) -> io::Result<()> {
    while waker.wakes() == 0 {
        stage.sleep(Duration::from_micros(100)).await?;
    }
    Ok(())
}
