//! One stream, many tasks: reads are served in order, a `write_all` is contiguous, and who leaves the
//! queue takes nothing along (go-net.md's F, and what `F` leaves to the scheduler in Go).

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures::channel::mpsc::{UnboundedReceiver, unbounded};
use futures::future::{BoxFuture, join_all};
use futures::{FutureExt, StreamExt, poll};

use super::expect::{assert_timeout, in_milliseconds, long_ago};
use super::peers::{fill, read_exactly, read_to_end};
use super::{Behaviour, Stage, Stream, Transport, behaviours};
use crate::CountingWaker;

const LINE: u8 = 10;

/// More than a stream takes before it blocks, so that a writer waits midway.
const BLOCK: usize = 6 * 1024 * 1024;

pub(super) fn all<T: Transport>() -> Vec<Behaviour> {
    behaviours![
        T: f4_reads_are_served_in_order,
        f4_reads_that_come_later_queue_behind,
        f4_a_write_all_is_contiguous_and_in_order,
        f4_reading_and_writing_do_not_wait_for_each_other,
        f5_who_queues_to_read_is_late_when_its_turn_comes,
        f5_who_queues_to_write_is_late_when_its_turn_comes,
        a_read_dropped_in_line_gives_up_its_place,
        a_read_dropped_when_it_is_woken_passes_that_on,
        a_read_dropped_when_its_turn_has_come_passes_it_on,
        a_write_dropped_midway_passes_the_turn_on,
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

/// Futures that wait, each having come before the next.
async fn in_line<R>(
    futures: impl Iterator<Item = BoxFuture<'static, R>>,
) -> Vec<BoxFuture<'static, R>> {
    let mut line = Vec::new();
    for mut future in futures {
        assert!(poll!(future.as_mut()).is_pending(), "it has to wait");
        line.push(future);
    }
    line
}

/// Has tasks wait for the futures, and tells which ended with what, as they end.
fn ends<R: Send + 'static>(
    stage: &Stage,
    line: Vec<BoxFuture<'static, R>>,
) -> UnboundedReceiver<(u8, R)> {
    let (send, receive) = unbounded();
    for (index, future) in (0..).zip(line) {
        let send = send.clone();
        // The receiver is gone only when the behaviour has failed.
        drop(stage.spawn(async move { drop(send.unbounded_send((index, future.await))) }));
    }
    receive
}

/// Data goes to who has waited longest.
async fn f4_reads_are_served_in_order<T: Transport>(stage: Stage) -> io::Result<()> {
    let (near, far) = stage.pair::<T>().await?;
    let line = in_line((0..LINE).map(|_| read_one(&near))).await;
    let mut ends = ends(&stage, line);
    for value in 0..LINE {
        far.write_all(&[value]).await?;
        let (reader, read) = ends.next().await.expect("somebody reads it");
        assert_eq!((reader, read?), (value, vec![value]));
    }
    Ok(())
}

/// Also where the data is there when they come: it is for who waits.
async fn f4_reads_that_come_later_queue_behind<T: Transport>(stage: Stage) -> io::Result<()> {
    let (near, far) = stage.pair::<T>().await?;
    let waker = CountingWaker::new();
    let mut first = read_one(&near);
    assert!(waker.poll(first.as_mut()).is_pending());
    far.write_all(b"12").await?;
    wait_until_woken(&stage, &waker).await?;
    let mut second = read_one(&near);
    assert!(poll!(second.as_mut()).is_pending(), "the first has not read yet");
    assert_eq!(first.await?, b"1");
    assert_eq!(second.await?, b"2");
    Ok(())
}

/// Writers that block midway, each with a value of its own: one run of each comes out, in order.
async fn f4_a_write_all_is_contiguous_and_in_order<T: Transport>(stage: Stage) -> io::Result<()> {
    const WRITERS: u8 = 4;
    let (near, far) = stage.pair::<T>().await?;
    let line = in_line((0..WRITERS).map(|value| write_block(&near, value, BLOCK))).await;
    let writers = stage.spawn(async move {
        let wrote: io::Result<()> = join_all(line.into_iter().rev()).await.into_iter().collect();
        near.close().await.and(wrote)
    });
    let received = read_to_end(&*far).await?;
    writers.await?;
    let mut runs = received.chunk_by(|one, next| one == next);
    for value in 0..WRITERS {
        let run = runs.next().expect("a block of each");
        assert_eq!((run[0], run.len()), (value, BLOCK));
    }
    assert!(runs.next().is_none());
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

/// A deadline ends one that waits, and then, one by one, those who queue behind it.
async fn f5_who_queues_to_read_is_late_when_its_turn_comes<T: Transport>(
    stage: Stage,
) -> io::Result<()> {
    let (near, _far) = stage.pair::<T>().await?;
    for deadline in [in_milliseconds(5), long_ago()] {
        near.set_read_deadline(None)?;
        let line = in_line((0..LINE).map(|_| read_one(&near))).await;
        near.set_read_deadline(deadline)?;
        let mut ends = ends(&stage, line);
        for _ in 0..LINE {
            assert_timeout(ends.next().await.expect("all are late").1);
        }
    }
    Ok(())
}

/// The same for writers.
async fn f5_who_queues_to_write_is_late_when_its_turn_comes<T: Transport>(
    stage: Stage,
) -> io::Result<()> {
    let (near, _far) = stage.pair::<T>().await?;
    let line = in_line((0..LINE).map(|value| write_block(&near, value, BLOCK))).await;
    near.set_write_deadline(in_milliseconds(5))?;
    let mut ends = ends(&stage, line);
    for _ in 0..LINE {
        assert_timeout(ends.next().await.expect("all are late").1);
    }
    Ok(())
}

/// The others keep theirs.
async fn a_read_dropped_in_line_gives_up_its_place<T: Transport>(stage: Stage) -> io::Result<()> {
    let (near, far) = stage.pair::<T>().await?;
    let mut line = in_line((0..LINE).map(|_| read_one(&near))).await;
    // Every other one goes, the first included.
    let mut index = 0;
    line.retain(|_| {
        index += 1;
        index % 2 == 0
    });
    let left = u8::try_from(line.len()).expect("a few");
    let mut ends = ends(&stage, line);
    for value in 0..left {
        far.write_all(&[value]).await?;
        let (reader, read) = ends.next().await.expect("somebody reads it");
        assert_eq!((reader, read?), (value, vec![value]));
    }
    Ok(())
}

/// The data has come, the first has been woken for it, and goes: the next is woken for it instead.
async fn a_read_dropped_when_it_is_woken_passes_that_on<T: Transport>(
    stage: Stage,
) -> io::Result<()> {
    let (near, far) = stage.pair::<T>().await?;
    let (first_waker, second_waker) = (CountingWaker::new(), CountingWaker::new());
    let (mut first, mut second) = (read_one(&near), read_one(&near));
    assert!(first_waker.poll(first.as_mut()).is_pending());
    assert!(second_waker.poll(second.as_mut()).is_pending());
    far.write_all(b"1").await?;
    wait_until_woken(&stage, &first_waker).await?;
    assert_eq!(second_waker.wakes(), 0, "it is not its turn");
    drop(first);
    assert!(second_waker.wakes() > 0, "by the drop itself");
    assert_eq!(second.await?, b"1");
    Ok(())
}

/// The first ends, the second has been told that it is next, and goes: the third is next.
async fn a_read_dropped_when_its_turn_has_come_passes_it_on<T: Transport>(
    stage: Stage,
) -> io::Result<()> {
    let (near, far) = stage.pair::<T>().await?;
    let mut line = in_line((0..2).map(|_| read_one(&near))).await;
    let waker = CountingWaker::new();
    let mut third = read_one(&near);
    assert!(waker.poll(third.as_mut()).is_pending());
    drop(line.remove(0));
    assert_eq!(waker.wakes(), 0, "it is not its turn");
    drop(line.remove(0));
    assert!(waker.wakes() > 0, "by the drop itself");
    far.write_all(b"1").await?;
    assert_eq!(third.await?, b"1");
    Ok(())
}

/// Part of it is sent, and what the next one writes follows.
async fn a_write_dropped_midway_passes_the_turn_on<T: Transport>(stage: Stage) -> io::Result<()> {
    let (near, far) = stage.pair::<T>().await?;
    let writes = [write_block(&near, 1, BLOCK), write_block(&near, 2, 100)];
    let mut line = in_line(writes.into_iter()).await;
    drop(line.remove(0));
    let write = stage.spawn(async move {
        let wrote: io::Result<()> = join_all(line).await.into_iter().collect();
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

/// Everything that a hundred tasks write is read by a hundred others, each byte once; then the end is
/// everybody's.
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
