//! Setters at any rate, from many tasks, and whatever is under way.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::future::{join, join_all};
use futures::poll;
use netpoll::is_deadline_exceeded;

use crate::conformance::peers::{
    echo, pattern, read_exactly, resync, roundtrip, write_to_the_deadline,
};
use crate::conformance::{Behaviour, Stage, Stream, Task, Transport, behaviours};
use crate::fixtures::{after, assert_timed_out, in_an_hour, past};

const SETTERS: usize = 8;

pub(super) fn all<T: Transport>() -> Vec<Behaviour> {
    behaviours![
        T:
        d2_the_deadline_of_both_is_that_of_each,
        d2_setters_wait_for_nothing_that_is_pending,
        d15_eight_tasks_set_it_at_once_and_the_last_one_counts,
        d15_eight_tasks_set_it_at_once_and_nothing_is_lost,
        d15_eight_tasks_set_it_at_once_and_expiry_ends_it,
    ]
}

/// One setter for both directions, one for each, and they set the same two things.
async fn d2_the_deadline_of_both_is_that_of_each<T: Transport>(stage: Stage) -> io::Result<()> {
    let (near, far) = stage.pair::<T>().await?;
    drop(stage.spawn(echo(far)));
    near.set_deadline(past())?;
    assert_timed_out(near.read(&mut [0; 16]).await);
    assert_timed_out(near.write(b"late").await);
    near.set_write_deadline(None)?;
    near.write_all(b"hello").await?;
    assert_timed_out(near.read(&mut [0; 16]).await);
    near.set_read_deadline(None)?;
    assert_eq!(read_exactly(&*near, 5).await?, b"hello");
    near.set_read_deadline(past())?;
    near.set_write_deadline(past())?;
    near.set_deadline(in_an_hour())?;
    near.write_all(b"again").await?;
    assert_eq!(read_exactly(&*near, 5).await?, b"again");
    roundtrip(&*near).await
}

/// Some wait for the socket and some for their turn, and it can be set all the same.
async fn d2_setters_wait_for_nothing_that_is_pending<T: Transport>(stage: Stage) -> io::Result<()> {
    let (near, _far) = stage.pair::<T>().await?;
    let (mut one, mut other) = ([0; 16], [0; 16]);
    let mut reads = pin!(join(near.read(&mut one), near.read(&mut other)));
    let block = pattern(1000);
    let mut writes = pin!(join(write_to_the_deadline(&*near, 0), near.write_all(&block)));
    assert!(poll!(reads.as_mut()).is_pending());
    assert!(poll!(writes.as_mut()).is_pending());
    near.set_read_deadline(in_an_hour())?;
    near.set_write_deadline(in_an_hour())?;
    near.set_deadline(None)?;
    assert!(poll!(reads.as_mut()).is_pending());
    near.set_deadline(past())?;
    let (first, second) = reads.await;
    assert_timed_out(first);
    assert_timed_out(second);
    writes.await.0.map(drop)
}

/// Each of eight ends with a time far away. However their times that are about to pass lie between,
/// a read then waits.
async fn d15_eight_tasks_set_it_at_once_and_the_last_one_counts<T: Transport>(
    stage: Stage,
) -> io::Result<()> {
    let (near, far) = stage.pair::<T>().await?;
    for round in 0..5 {
        let mut buffer = [0; 16];
        let mut read = pin!(near.read(&mut buffer));
        assert!(poll!(read.as_mut()).is_pending());
        finish(start_setters(&stage, &near)).await?;
        assert!(poll!(read.as_mut()).is_pending(), "round {round}");
        stage.sleep(Duration::from_millis(1)).await?;
        assert!(poll!(read.as_mut()).is_pending(), "round {round}, later");
        far.write_all(b"hello").await?;
        assert_eq!(read.await?, 5);
    }
    Ok(())
}

/// Data goes both ways meanwhile, and every operation that fails does so for its deadline.
async fn d15_eight_tasks_set_it_at_once_and_nothing_is_lost<T: Transport>(
    stage: Stage,
) -> io::Result<()> {
    const LEN: usize = 100_000;
    let (near, far) = stage.pair::<T>().await?;
    let send = stage.spawn(write_patiently(stage.clone(), near.clone(), pattern(LEN)));
    let receive = stage.spawn(read_patiently(stage.clone(), near.clone()));
    let answer = {
        let far = far.clone();
        stage.spawn(async move {
            far.write_all(&pattern(LEN)).await?;
            let received = read_exactly(&*far, LEN).await?;
            far.close().await.map(|()| received)
        })
    };
    for _ in 0..5 {
        finish(start_setters(&stage, &near)).await?;
    }
    near.set_deadline(None)?;
    send.await?;
    assert!(answer.await? == pattern(LEN), "the peer got other bytes");
    assert!(receive.await? == pattern(LEN), "the peer sent other bytes");
    Ok(())
}

/// A time in the past, after all that, is as final as ever; and none brings back a good stream.
async fn d15_eight_tasks_set_it_at_once_and_expiry_ends_it<T: Transport>(
    stage: Stage,
) -> io::Result<()> {
    let (near, far) = stage.pair::<T>().await?;
    drop(stage.spawn(echo(far)));
    let setters = start_setters(&stage, &near);
    let reads: Vec<_> = (0..4)
        .map(|_| {
            let near = near.clone();
            stage.spawn(async move { near.read(&mut [0; 16]).await })
        })
        .collect();
    finish(setters).await?;
    near.set_deadline(past())?;
    join_all(reads).await.into_iter().for_each(assert_timed_out);
    assert_timed_out(near.write(b"late").await);
    resync(&stage, &near).await?;
    roundtrip(&*near).await
}

/// Eight tasks that set deadlines of all kinds a hundred times each, and one far away in the end.
fn start_setters(stage: &Stage, stream: &Arc<impl Stream>) -> Vec<Task<io::Result<()>>> {
    let start = |first| stage.spawn(set_often(stage.clone(), stream.clone(), first));
    (0..SETTERS).map(start).collect()
}

async fn finish(setters: Vec<Task<io::Result<()>>>) -> io::Result<()> {
    join_all(setters).await.into_iter().collect()
}

async fn set_often(stage: Stage, stream: Arc<impl Stream>, first: usize) -> io::Result<()> {
    for round in first..first + 100 {
        let very_soon = after(Duration::from_micros(2));
        match round % 7 {
            0 => stream.set_deadline(very_soon)?,
            1 => stream.set_read_deadline(very_soon)?,
            2 => stream.set_write_deadline(very_soon)?,
            3 => stream.set_deadline(after(Duration::from_micros(200)))?,
            4 => stream.set_read_deadline(past())?,
            5 => stream.set_write_deadline(None)?,
            _ => stream.set_deadline(in_an_hour())?,
        }
        // Now and then it lets one of them pass.
        if round % 25 == 0 {
            stage.sleep(Duration::from_micros(100)).await?;
        }
    }
    stream.set_deadline(in_an_hour())
}

/// Reads to the end, and goes on a little later whenever it was late.
async fn read_patiently(stage: Stage, stream: Arc<impl Stream>) -> io::Result<Vec<u8>> {
    let mut all = Vec::new();
    let mut buffer = [0; 1000];
    loop {
        match stream.read(&mut buffer).await {
            Ok(0) => return Ok(all),
            Ok(count) => all.extend_from_slice(&buffer[..count]),
            Err(error) => late(&stage, error).await?,
        }
    }
}

/// Writes all of it, and goes on a little later whenever it was late.
async fn write_patiently(stage: Stage, stream: Arc<impl Stream>, bytes: Vec<u8>) -> io::Result<()> {
    let mut written = 0;
    while written < bytes.len() {
        let end = bytes.len().min(written + 1000);
        match stream.write(&bytes[written..end]).await {
            Ok(count) => written += count,
            Err(error) => late(&stage, error).await?,
        }
    }
    Ok(())
}

async fn late(stage: &Stage, error: io::Error) -> io::Result<()> {
    if !is_deadline_exceeded(&error) {
        return Err(error);
    }
    stage.sleep(Duration::from_micros(50)).await
}
