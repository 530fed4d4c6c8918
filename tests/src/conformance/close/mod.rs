//! Closing: the operations that it ends, the bytes that still arrive, and the end that the peer sees.

mod reuse;

use std::io::{self, ErrorKind};
use std::net::Shutdown;
use std::pin::pin;
use std::time::Duration;

use futures::future::{join_all, try_join_all};
use futures::poll;
use netpoll_futures::{bytes_written, is_closed};

use super::peers::{
    fill_up, more_than_fits, pending_read, pending_write, read_exactly, read_full, read_to_end,
};
use super::{Behaviour, Stage, Stream, Transport, behaviours};
use crate::fixtures::{assert_closed, in_an_hour, in_ms, past};

pub(super) fn all<T: Transport>() -> Vec<Behaviour> {
    let closing = behaviours![
        T: e1_closing_twice_is_closed, e1_of_many_closes_one_succeeds,
        e1_ten_reads_that_queue_end, e1_ten_writes_that_queue_end,
        e1_an_operation_queued_behind_one_that_does_not_run_ends,
        e2_a_pending_read_and_a_pending_write_end, e2_no_deadline_fires_after_closing, e3_the_peer_finds_the_end_though_the_stream_is_held,
        e4_closing_does_not_wait_for_waiting_tasks, e6_bytes_written_before_closing_arrive,
        e7_everything_fails_on_a_closed_stream, e7_a_closed_stream_has_neither_data_nor_an_end,
        e8_a_read_that_races_closing_has_data_or_is_closed,
        e9_dropping_one_handle_changes_nothing, e9_dropping_the_last_handle_closes,
        e9_a_dropped_handle_of_a_closed_stream_is_nothing,
        e10_closing_with_unread_data_resets_the_peer, e10_a_reset_ends_the_peers_pending_operations,
        e10_data_comes_before_the_reset,
    ];
    [closing, reuse::all::<T>()].concat()
}

async fn e1_closing_twice_is_closed<T: Transport>(stage: Stage) -> io::Result<()> {
    let (near, far) = stage.pair::<T>().await?;
    near.close().await?;
    assert_closed(near.close().await);
    assert_closed(near.close().await);
    // Not by its peer: that has closed nothing.
    far.close().await
}

/// Also while operations are pending.
async fn e1_of_many_closes_one_succeeds<T: Transport>(stage: Stage) -> io::Result<()> {
    for _ in 0..10 {
        let (near, far) = stage.pair::<T>().await?;
        let read = pending_read(&stage, &near).await;
        let closes = (0..8).map(|_| {
            let near = near.clone();
            stage.spawn(async move { near.close().await })
        });
        let (done, not): (Vec<_>, Vec<_>) =
            join_all(closes).await.into_iter().partition(Result::is_ok);
        assert_eq!(done.len(), 1, "so many closed it");
        not.into_iter().for_each(assert_closed);
        assert_closed(read.await);
        assert_eq!(far.read(&mut [0; 16]).await?, 0);
    }
    Ok(())
}

async fn e1_ten_reads_that_queue_end<T: Transport>(stage: Stage) -> io::Result<()> {
    let (near, _far) = stage.pair::<T>().await?;
    let reads = join_all((0..10).map(|_| pending_read(&stage, &near))).await;
    near.close().await?;
    join_all(reads).await.into_iter().for_each(assert_closed);
    Ok(())
}

async fn e1_ten_writes_that_queue_end<T: Transport>(stage: Stage) -> io::Result<()> {
    let (near, _far) = stage.pair::<T>().await?;
    fill_up(&*near).await?;
    let writes = join_all((0..10).map(|_| pending_write(&stage, &near))).await;
    near.close().await?;
    join_all(writes).await.into_iter().for_each(assert_closed);
    Ok(())
}

/// Those whose turn it is are polled no more until the others have ended.
async fn e1_an_operation_queued_behind_one_that_does_not_run_ends<T: Transport>(
    stage: Stage,
) -> io::Result<()> {
    let (near, _far) = stage.pair::<T>().await?;
    let (mut buffer, block) = ([0; 16], more_than_fits());
    let mut first_read = pin!(near.read(&mut buffer));
    let mut first_write = pin!(near.write_all(&block));
    assert!(poll!(first_read.as_mut()).is_pending());
    assert!(poll!(first_write.as_mut()).is_pending());
    let read = pending_read(&stage, &near).await;
    let write = pending_write(&stage, &near).await;
    near.close().await?;
    assert_closed(read.await);
    assert_closed(write.await);
    assert_closed(first_read.await);
    assert_closed(first_write.await);
    Ok(())
}

/// In other tasks than the one that closes.
async fn e2_a_pending_read_and_a_pending_write_end<T: Transport>(stage: Stage) -> io::Result<()> {
    let (near, _far) = stage.pair::<T>().await?;
    fill_up(&*near).await?;
    let read = pending_read(&stage, &near).await;
    let write = pending_write(&stage, &near).await;
    near.close().await?;
    assert_closed(read.await);
    assert_closed(write.await);
    Ok(())
}

/// An operation that was pending at the close fails with `Closed`, however late its task runs.
async fn e2_no_deadline_fires_after_closing<T: Transport>(stage: Stage) -> io::Result<()> {
    let (near, _far) = stage.pair::<T>().await?;
    let mut buffer = [0; 16];
    let mut read = pin!(near.read(&mut buffer));
    assert!(poll!(read.as_mut()).is_pending());
    near.set_deadline(in_ms(5))?;
    near.close().await?;
    stage.sleep(Duration::from_millis(10)).await?;
    assert_closed(read.await);
    assert_closed(near.read(&mut [0; 16]).await);
    assert_closed(near.write(b"more").await);
    Ok(())
}

/// It is closed when `close` says so, and not when the last has let go of it.
async fn e3_the_peer_finds_the_end_though_the_stream_is_held<T: Transport>(
    stage: Stage,
) -> io::Result<()> {
    let (near, far) = stage.pair::<T>().await?;
    let held = near.clone();
    let read = pending_read(&stage, &near).await;
    near.write_all(b"last words").await?;
    near.close().await?;
    assert_eq!(read_to_end(&*far).await?, b"last words");
    assert_closed(read.await);
    assert_closed(held.read(&mut [0; 16]).await);
    Ok(())
}

/// A waiting task need not run first: here it cannot.
async fn e4_closing_does_not_wait_for_waiting_tasks<T: Transport>(stage: Stage) -> io::Result<()> {
    let (near, far) = stage.pair::<T>().await?;
    fill_up(&*near).await?;
    let mut buffer = [0; 16];
    let mut read = pin!(near.read(&mut buffer));
    let mut write = pin!(near.write_all(b"more"));
    assert!(poll!(read.as_mut()).is_pending());
    let _ = poll!(write.as_mut());
    near.close().await?;
    read_to_end(&*far).await?;
    assert_closed(read.await);
    Ok(())
}

/// A writer learns how many bytes it had written.
async fn e6_bytes_written_before_closing_arrive<T: Transport>(stage: Stage) -> io::Result<()> {
    let (near, far) = stage.pair::<T>().await?;
    let block = more_than_fits();
    near.write_all(&block[..1]).await?;
    let mut write = pin!(near.write_all(&block[1..]));
    assert!(poll!(write.as_mut()).is_pending());
    near.close().await?;
    let error = write.await.expect_err("it is closed");
    let received = read_to_end(&*far).await?;
    assert_eq!(received.len(), 1 + bytes_written(&error));
    assert!(received.len() > 1 && block.starts_with(&received), "other bytes than were written");
    assert_closed(Err::<(), _>(error));
    Ok(())
}

/// Also operations without bytes.
async fn e7_everything_fails_on_a_closed_stream<T: Transport>(stage: Stage) -> io::Result<()> {
    let (near, _far) = stage.pair::<T>().await?;
    near.close().await?;
    assert_closed(near.read(&mut [0; 16]).await);
    assert_closed(near.read(&mut []).await);
    assert_closed(near.write(b"more").await);
    assert_closed(near.write(b"").await);
    assert_closed(near.write_all(b"more").await);
    assert_closed(near.write_all(b"").await);
    for deadline in [None, past(), in_an_hour()] {
        assert_closed(near.set_deadline(deadline));
        assert_closed(near.set_read_deadline(deadline));
        assert_closed(near.set_write_deadline(deadline));
    }
    for how in [Shutdown::Read, Shutdown::Write, Shutdown::Both] {
        assert_closed(near.shutdown(how));
    }
    Ok(())
}

/// Though both had come.
async fn e7_a_closed_stream_has_neither_data_nor_an_end<T: Transport>(
    stage: Stage,
) -> io::Result<()> {
    let (near, far) = stage.pair::<T>().await?;
    far.write_all(b"hello").await?;
    far.close().await?;
    assert_eq!(read_exactly(&*near, 1).await?, b"h");
    near.close().await?;
    for _ in 0..3 {
        assert_closed(near.read(&mut [0; 16]).await);
    }
    Ok(())
}

/// It never takes its own side's close for the end, and returns the bytes that it has whole.
async fn e8_a_read_that_races_closing_has_data_or_is_closed<T: Transport>(
    stage: Stage,
) -> io::Result<()> {
    for _ in 0..20 {
        let (near, far) = stage.pair::<T>().await?;
        far.write_all(b"hello").await?;
        let read = {
            let near = near.clone();
            stage.spawn(async move {
                let mut word = [0; 5];
                read_full(&*near, &mut word).await.map(|whole| (whole, word))
            })
        };
        near.close().await?;
        match read.await {
            Ok(read) => assert_eq!(read, (true, *b"hello")),
            Err(error) => assert!(is_closed(&error), "{error:?}"),
        }
    }
    Ok(())
}

/// Operations that are pending on the others go on.
async fn e9_dropping_one_handle_changes_nothing<T: Transport>(stage: Stage) -> io::Result<()> {
    let (near, far) = stage.pair::<T>().await?;
    let filled = fill_up(&*near).await?;
    let read = pending_read(&stage, &near).await;
    let write = pending_write(&stage, &near).await;
    let other = near.clone();
    drop(near);
    far.write_all(b"hello").await?;
    assert_eq!(read.await?, 5);
    // More than there was, so the one that waited has written.
    read_exactly(&*far, 2 * filled).await?;
    other.close().await?;
    assert_closed(write.await);
    Ok(())
}

/// And not before.
async fn e9_dropping_the_last_handle_closes<T: Transport>(stage: Stage) -> io::Result<()> {
    let (near, far) = stage.pair::<T>().await?;
    let mut buffer = [0; 16];
    assert!(poll!(pin!(near.read(&mut buffer))).is_pending(), "and is dropped");
    let read = pending_read(&stage, &far).await;
    let last = near.clone();
    drop(near);
    last.write_all(b"hello").await?;
    assert_eq!(read.await?, 5);
    let read = pending_read(&stage, &far).await;
    drop(last);
    assert_eq!(read.await?, 0);
    Ok(())
}

/// A stream that has been opened meanwhile keeps it.
async fn e9_a_dropped_handle_of_a_closed_stream_is_nothing<T: Transport>(
    stage: Stage,
) -> io::Result<()> {
    let (near, far) = stage.pair::<T>().await?;
    near.close().await?;
    far.close().await?;
    let (new_near, new_far) = stage.pair::<T>().await?;
    let read = pending_read(&stage, &new_near).await;
    drop((near, far));
    new_far.write_all(b"hello").await?;
    assert_eq!(read.await?, 5);
    try_join_all([new_near.close(), new_far.close()]).await.map(drop)
}

/// A byte of two that `far` has sent is left unread, and `near` closed.
async fn close_with_unread_data<S: Stream>(near: &S, far: &S) -> io::Result<()> {
    far.write_all(b"ab").await?;
    assert_eq!(read_exactly(near, 1).await?, b"a");
    near.close().await
}

/// Once, and then it is the end.
async fn e10_closing_with_unread_data_resets_the_peer<T: Transport>(
    stage: Stage,
) -> io::Result<()> {
    let (near, far) = stage.pair::<T>().await?;
    close_with_unread_data(&*near, &*far).await?;
    let error = far.read(&mut [0; 16]).await.expect_err("it is reset");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    assert_eq!(far.read(&mut [0; 16]).await?, 0);
    assert_eq!(far.read(&mut [0; 16]).await?, 0);
    far.close().await
}

async fn e10_a_reset_ends_the_peers_pending_operations<T: Transport>(
    stage: Stage,
) -> io::Result<()> {
    let (near, far) = stage.pair::<T>().await?;
    fill_up(&*far).await?;
    let read = pending_read(&stage, &far).await;
    let write = pending_write(&stage, &far).await;
    near.close().await?;
    // Which of the two is told of the reset is the system's choice: the other finds the end.
    let kinds = [ErrorKind::ConnectionReset, ErrorKind::BrokenPipe];
    let write = write.await.expect_err("it is reset");
    assert!(kinds.contains(&write.kind()), "{write:?}");
    match read.await {
        Ok(count) => assert_eq!(count, 0),
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error:?}"),
    }
    Ok(())
}

/// If it comes at all: the reset may overtake it.
async fn e10_data_comes_before_the_reset<T: Transport>(stage: Stage) -> io::Result<()> {
    let (near, far) = stage.pair::<T>().await?;
    near.write_all(b"last words").await?;
    close_with_unread_data(&*near, &*far).await?;
    let mut received = Vec::new();
    let mut buffer = [0; 4];
    let error = loop {
        match far.read(&mut buffer).await {
            Ok(0) => panic!("the end, and no reset"),
            Ok(count) => received.extend_from_slice(&buffer[..count]),
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    assert!(b"last words".starts_with(&received[..]), "{received:?}");
    assert_eq!(far.read(&mut buffer).await?, 0);
    Ok(())
}
