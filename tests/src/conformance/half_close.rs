//! Ending one half, or both, of a stream that stays open.

use std::io::{self, ErrorKind};
use std::net::Shutdown;
use std::time::Instant;

use futures::future::{join, join_all};
use netpoll::is_closed;

use super::peers::{fill_up, pattern, pending_read, pending_write, read_exactly, read_to_end};
use super::{Behaviour, Stage, Stream, Transport, behaviours};
use crate::fixtures::{assert_timed_out, in_ms, past};

pub(super) fn all<T: Transport>() -> Vec<Behaviour> {
    behaviours![
        T: j1_data_comes_before_the_end_of_writing, j1_either_side_ends_its_half_first,
        j1_ending_reading_ends_pending_reads, j1_ending_reading_leaves_writing,
        j1_writing_after_its_end_breaks_the_pipe, j1_ending_writing_breaks_pending_writes,
        j1_ending_both_ends_pending_operations, j1_a_pending_read_finds_the_end_of_the_peers_half,
        j1_a_deadline_comes_before_the_end, j1_a_half_that_is_left_has_its_deadline,
        j1_ending_a_half_that_races_closing_is_done_or_closed,
        j2_ending_a_half_again_is_no_surprise,
    ]
}

/// That it failed for being at its end, and for nothing of ours.
#[track_caller]
fn assert_broken<T: std::fmt::Debug>(result: io::Result<T>) {
    let error = result.expect_err("writing has ended");
    assert_eq!(error.kind(), ErrorKind::BrokenPipe, "{error:?}");
}

async fn j1_data_comes_before_the_end_of_writing<T: Transport>(stage: Stage) -> io::Result<()> {
    let (near, far) = stage.pair::<T>().await?;
    let sent = pattern(251 * 1024);
    let send = async {
        near.write_all(&sent).await?;
        near.shutdown(Shutdown::Write)
    };
    let (sending, received) = join(send, read_to_end(&*far)).await;
    sending?;
    assert!(received? == sent, "other bytes than were sent");
    Ok(())
}

/// Each answers the bytes that it has read to the end, and then ends its own.
async fn j1_either_side_ends_its_half_first<T: Transport>(stage: Stage) -> io::Result<()> {
    let (near, far) = stage.pair::<T>().await?;
    let (other_far, other_near) = stage.pair::<T>().await?;
    for (first, second) in [(near, far), (other_near, other_far)] {
        first.write_all(b"question").await?;
        first.shutdown(Shutdown::Write)?;
        assert_eq!(read_to_end(&*second).await?, b"question");
        second.write_all(b"answer").await?;
        second.shutdown(Shutdown::Write)?;
        assert_eq!(read_to_end(&*first).await?, b"answer");
        first.close().await?;
        second.close().await?;
    }
    Ok(())
}

/// In whatever order they came: each finds the end.
async fn j1_ending_reading_ends_pending_reads<T: Transport>(stage: Stage) -> io::Result<()> {
    let (near, _far) = stage.pair::<T>().await?;
    let reads = join_all((0..3).map(|_| pending_read(&stage, &near))).await;
    near.shutdown(Shutdown::Read)?;
    for read in reads {
        assert_eq!(read.await?, 0);
    }
    assert_eq!(near.read(&mut [0; 16]).await?, 0);
    Ok(())
}

async fn j1_ending_reading_leaves_writing<T: Transport>(stage: Stage) -> io::Result<()> {
    let (near, far) = stage.pair::<T>().await?;
    near.shutdown(Shutdown::Read)?;
    near.write_all(b"hello").await?;
    assert_eq!(read_exactly(&*far, 5).await?, b"hello");
    assert_eq!(near.read(&mut [0; 16]).await?, 0);
    near.write_all(b"again").await?;
    near.shutdown(Shutdown::Write)?;
    assert_eq!(read_to_end(&*far).await?, b"again");
    Ok(())
}

async fn j1_writing_after_its_end_breaks_the_pipe<T: Transport>(stage: Stage) -> io::Result<()> {
    let (near, far) = stage.pair::<T>().await?;
    near.write_all(b"hello").await?;
    near.shutdown(Shutdown::Write)?;
    for _ in 0..2 {
        assert_broken(near.write(b"more").await);
        assert_broken(near.write_all(b"more").await);
    }
    assert_eq!(read_to_end(&*far).await?, b"hello");
    Ok(())
}

/// Also those that wait for their turn. Bytes that they had written arrive before the end.
async fn j1_ending_writing_breaks_pending_writes<T: Transport>(stage: Stage) -> io::Result<()> {
    let (near, far) = stage.pair::<T>().await?;
    let filled = fill_up(&*near).await?;
    let writes = join_all((0..3).map(|_| pending_write(&stage, &near))).await;
    near.shutdown(Shutdown::Write)?;
    join_all(writes).await.into_iter().for_each(assert_broken);
    assert!(read_to_end(&*far).await?.len() >= filled);
    far.write_all(b"hello").await?;
    assert_eq!(read_exactly(&*near, 5).await?, b"hello");
    Ok(())
}

async fn j1_ending_both_ends_pending_operations<T: Transport>(stage: Stage) -> io::Result<()> {
    let (near, far) = stage.pair::<T>().await?;
    let filled = fill_up(&*near).await?;
    let read = pending_read(&stage, &near).await;
    let write = pending_write(&stage, &near).await;
    near.shutdown(Shutdown::Both)?;
    assert_eq!(read.await?, 0);
    assert_broken(write.await);
    assert!(read_to_end(&*far).await?.len() >= filled);
    near.close().await
}

/// Two that wait find it both, and later ones too.
async fn j1_a_pending_read_finds_the_end_of_the_peers_half<T: Transport>(
    stage: Stage,
) -> io::Result<()> {
    let (near, far) = stage.pair::<T>().await?;
    let first = pending_read(&stage, &near).await;
    let second = pending_read(&stage, &near).await;
    far.shutdown(Shutdown::Write)?;
    assert_eq!(first.await?, 0);
    assert_eq!(second.await?, 0);
    assert_eq!(near.read(&mut [0; 16]).await?, 0);
    near.write_all(b"hello").await?;
    assert_eq!(read_exactly(&*far, 5).await?, b"hello");
    Ok(())
}

/// Ending a half is no business of the deadlines: those fail first, and without them the end is
/// still there.
async fn j1_a_deadline_comes_before_the_end<T: Transport>(stage: Stage) -> io::Result<()> {
    let (near, _far) = stage.pair::<T>().await?;
    near.shutdown(Shutdown::Both)?;
    near.set_deadline(past())?;
    assert_timed_out(near.read(&mut [0; 16]).await);
    assert_timed_out(near.write(b"more").await);
    near.set_deadline(None)?;
    assert_eq!(near.read(&mut [0; 16]).await?, 0);
    assert_broken(near.write(b"more").await);
    Ok(())
}

/// Not the end of the other half ends its wait, nor does its own deadline harm it.
async fn j1_a_half_that_is_left_has_its_deadline<T: Transport>(stage: Stage) -> io::Result<()> {
    let (near, far) = stage.pair::<T>().await?;
    near.shutdown(Shutdown::Write)?;
    let deadline = in_ms(10);
    near.set_read_deadline(deadline)?;
    assert_timed_out(near.read(&mut [0; 16]).await);
    assert!(Some(Instant::now()) >= deadline);
    near.set_read_deadline(None)?;
    far.write_all(b"hello").await?;
    assert_eq!(read_exactly(&*near, 5).await?, b"hello");
    Ok(())
}

/// It succeeds, or returns the error of the system, at any stage of the other half.
async fn j2_ending_a_half_again_is_no_surprise<T: Transport>(stage: Stage) -> io::Result<()> {
    fn again(stream: &impl Stream, how: Shutdown) {
        if let Err(error) = stream.shutdown(how) {
            assert!(!is_closed(&error) && error.kind() == ErrorKind::NotConnected, "{error:?}");
        }
    }
    let (near, far) = stage.pair::<T>().await?;
    near.shutdown(Shutdown::Write)?;
    again(&*near, Shutdown::Write);
    assert_eq!(read_to_end(&*far).await?, b"");
    again(&*near, Shutdown::Write);
    far.write_all(b"hello").await?;
    assert_eq!(read_exactly(&*near, 5).await?, b"hello");
    far.shutdown(Shutdown::Write)?;
    assert_eq!(read_to_end(&*near).await?, b"");
    for how in [Shutdown::Read, Shutdown::Write, Shutdown::Both, Shutdown::Both] {
        again(&*near, how);
        again(&*far, how);
    }
    near.close().await?;
    far.close().await
}

/// It reaches the stream or finds it closed, and nothing that has taken the descriptor's place.
async fn j1_ending_a_half_that_races_closing_is_done_or_closed<T: Transport>(
    stage: Stage,
) -> io::Result<()> {
    for _ in 0..30 {
        let (near, _far) = stage.pair::<T>().await?;
        let shutdown = {
            let near = near.clone();
            stage.spawn(async move {
                loop {
                    match near.shutdown(Shutdown::Write) {
                        Ok(()) => smol::future::yield_now().await,
                        Err(error) => break error,
                    }
                }
            })
        };
        smol::future::yield_now().await;
        near.close().await?;
        let error = shutdown.await;
        assert!(is_closed(&error), "{error:?}");
    }
    Ok(())
}
