//! Slots and descriptors that have had another user: nothing of the old stream reaches the new one.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::future::{join, join_all, try_join_all};
use futures::poll;

use crate::CountingWaker;
use crate::conformance::peers::{pending_read, read_exactly};
use crate::conformance::{Behaviour, Stage, Stream, Transport, behaviours};
use crate::fixtures::{assert_closed, in_ms, past};

pub(super) fn all<T: Transport>() -> Vec<Behaviour> {
    behaviours![
        T: a8_a_storm_of_closing_and_opening_wakes_no_new_stream,
        a8_a_deadline_of_the_old_does_not_fire_on_the_new,
        a8_an_event_of_the_old_does_not_end_the_new,
        a8_a_handle_of_the_old_does_nothing_to_the_new,
    ]
}

/// A word each way, and nothing else.
async fn exchange<S: Stream>(near: &S, far: &S) -> io::Result<()> {
    for (from, to) in [(near, far), (far, near)] {
        from.write_all(b"word").await?;
        assert_eq!(read_exactly(to, 4).await?, b"word");
    }
    Ok(())
}

/// Every kind of late event at once: data, the end, deadlines, and a reader that has gone away.
async fn end_in_disorder<S: Stream>(near: Arc<S>, far: Arc<S>) -> io::Result<()> {
    let mut buffer = [0; 16];
    let _ = poll!(pin!(near.read(&mut buffer)));
    near.set_deadline(in_ms(1))?;
    far.set_deadline(in_ms(1))?;
    // It may be late itself, and fail.
    let _ = join(far.write_all(b"late"), near.write_all(b"late")).await;
    let (far, near) = join(far.close(), near.close()).await;
    far.and(near)
}

/// Four tasks, each with a stream after the other. A read of the new stream is not even woken before
/// its own data comes.
async fn a8_a_storm_of_closing_and_opening_wakes_no_new_stream<T: Transport>(
    stage: Stage,
) -> io::Result<()> {
    async fn storm<T: Transport>(stage: Stage) -> io::Result<()> {
        for _ in 0..12 {
            let (near, far) = stage.pair::<T>().await?;
            let waker = CountingWaker::new();
            {
                let mut buffer = [0; 16];
                let mut read = pin!(near.read(&mut buffer));
                assert!(waker.poll(read.as_mut()).is_pending());
                stage.sleep(Duration::from_millis(2)).await?;
                assert_eq!(waker.wakes(), 0);
                far.write_all(b"hello").await?;
                assert_eq!(read.await?, 5);
            }
            exchange(&*near, &*far).await?;
            end_in_disorder(near, far).await?;
        }
        Ok(())
    }
    let storms = (0..4).map(|_| stage.spawn(storm::<T>(stage.clone())));
    try_join_all(storms).await.map(drop)
}

/// Of half of the old ones the close is called, the others are dropped.
async fn a8_a_deadline_of_the_old_does_not_fire_on_the_new<T: Transport>(
    stage: Stage,
) -> io::Result<()> {
    for index in 0..16 {
        let (near, far) = stage.pair::<T>().await?;
        near.set_deadline(in_ms(20))?;
        far.set_deadline(in_ms(20))?;
        if index % 2 == 0 {
            near.close().await?;
            far.close().await?;
        }
    }
    let pairs = try_join_all((0..16).map(|_| stage.pair::<T>())).await?;
    let reads = join_all(pairs.iter().map(|(near, _)| pending_read(&stage, near))).await;
    stage.sleep(Duration::from_millis(30)).await?;
    for ((near, far), read) in pairs.iter().zip(reads) {
        far.write_all(b"hello").await?;
        assert_eq!(read.await?, 5);
        exchange(&**near, &**far).await?;
    }
    Ok(())
}

/// The peers of the old ones live on, and send data, their end, and resets when the new ones are
/// there.
async fn a8_an_event_of_the_old_does_not_end_the_new<T: Transport>(stage: Stage) -> io::Result<()> {
    let old = try_join_all((0..16).map(|_| stage.pair::<T>())).await?;
    let mut peers = Vec::new();
    for (near, far) in old {
        near.close().await?;
        peers.push(far);
    }
    let pairs = try_join_all((0..16).map(|_| stage.pair::<T>())).await?;
    let reads = join_all(pairs.iter().map(|(near, _)| pending_read(&stage, near))).await;
    for far in peers {
        // The first packet to a peer that is gone is answered by a reset.
        let _ = far.write_all(b"late").await;
        far.close().await?;
    }
    for ((near, far), read) in pairs.iter().zip(reads) {
        far.write_all(b"hello").await?;
        assert_eq!(read.await?, 5);
        exchange(&**near, &**far).await?;
    }
    Ok(())
}

/// Nor does a pending read of the old stream, whichever stream has its place by the time it ends.
async fn a8_a_handle_of_the_old_does_nothing_to_the_new<T: Transport>(
    stage: Stage,
) -> io::Result<()> {
    let (old, old_far) = stage.pair::<T>().await?;
    let old_read = pending_read(&stage, &old).await;
    old.close().await?;
    old_far.close().await?;
    let pairs = try_join_all((0..8).map(|_| stage.pair::<T>())).await?;
    let reads = join_all(pairs.iter().map(|(near, _)| pending_read(&stage, near))).await;
    assert_closed(old_read.await);
    assert_closed(old.set_deadline(past()));
    assert_closed(old.shutdown(std::net::Shutdown::Both));
    assert_closed(old.write_all(b"stray").await);
    assert_closed(old.read(&mut [0; 16]).await);
    assert_closed(old.close().await);
    drop((old, old_far));
    for ((near, far), read) in pairs.iter().zip(reads) {
        far.write_all(b"hello").await?;
        assert_eq!(read.await?, 5);
        exchange(&**near, &**far).await?;
    }
    Ok(())
}
