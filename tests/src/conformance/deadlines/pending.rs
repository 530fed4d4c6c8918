//! How setting a deadline affects operations that are pending.

use std::io;
use std::pin::pin;
use std::time::{Duration, Instant};

use futures::future::{join, join_all};
use futures::poll;

use crate::conformance::peers::{is_pattern, pattern, read_to_end, write_to_the_deadline};
use crate::conformance::{Behaviour, Stage, Stream, Transport, behaviours};
use crate::fixtures::{after, assert_timed_out, in_an_hour, in_ms, past};

pub(super) fn all<T: Transport>() -> Vec<Behaviour> {
    behaviours![
        T:
        d6_a_deadline_of_both_can_be_parted,
        d9_setting_it_into_the_past_fails_all_that_is_pending,
        d10_an_expiry_under_way_does_not_hit_the_deadline_after_it,
        d12_an_earlier_deadline_fails_pending_operations_earlier,
        d12_a_later_deadline_lets_pending_operations_wait_longer,
        d12_without_it_pending_operations_wait_on,
        d12_set_and_cleared_and_set_again,
        d12_it_reaches_a_task_that_waits_behind_another,
        d12_moved_away_it_reaches_no_task_that_waits_behind_another,
        d17_a_read_is_cancelled_and_resumed,
        d17_a_write_is_cancelled_and_resumed,
    ]
}

/// One time set for both is a time for each: moving one of them away leaves the other.
async fn d6_a_deadline_of_both_can_be_parted<T: Transport>(stage: Stage) -> io::Result<()> {
    let (near, _far) = stage.pair::<T>().await?;
    let mut buffer = [0; 16];
    for moved_to in [None, in_an_hour()] {
        let mut read = pin!(near.read(&mut buffer));
        let mut write = pin!(write_to_the_deadline(&*near, 0));
        assert!(poll!(read.as_mut()).is_pending());
        assert!(poll!(write.as_mut()).is_pending());

        near.set_deadline(in_ms(3))?;
        near.set_read_deadline(moved_to)?;
        write.await?;
        assert!(poll!(read.as_mut()).is_pending());

        near.set_write_deadline(None)?;
        let mut write = pin!(write_to_the_deadline(&*near, 0));
        assert!(poll!(write.as_mut()).is_pending());
        near.set_deadline(in_ms(3))?;
        near.set_write_deadline(moved_to)?;
        assert_timed_out(read.await);
        assert!(poll!(write.as_mut()).is_pending());
        near.set_read_deadline(None)?;
    }
    Ok(())
}

/// Every waiting task, reading or writing, is woken and fails.
async fn d9_setting_it_into_the_past_fails_all_that_is_pending<T: Transport>(
    stage: Stage,
) -> io::Result<()> {
    let (near, _far) = stage.pair::<T>().await?;
    for before in [None, in_an_hour()] {
        near.set_deadline(before)?;
        let reads = (0..8).map(|_| async { near.read(&mut [0; 16]).await });
        let writes = (0..4).map(|_| write_to_the_deadline(&*near, 0));
        let mut reads = pin!(join_all(reads));
        let mut writes = pin!(join_all(writes));
        assert!(poll!(reads.as_mut()).is_pending());
        assert!(poll!(writes.as_mut()).is_pending());
        near.set_deadline(past())?;
        reads.await.into_iter().for_each(assert_timed_out);
        writes.await.into_iter().collect::<io::Result<Vec<_>>>()?;
    }
    Ok(())
}

/// Set aside as it fires, now a little before and now a little after, a deadline fails no operation that
/// begins afterwards, neither at once nor belatedly.
async fn d10_an_expiry_under_way_does_not_hit_the_deadline_after_it<T: Transport>(
    stage: Stage,
) -> io::Result<()> {
    let (near, far) = stage.pair::<T>().await?;
    let mut buffer = [0; 16];
    let mut read = pin!(near.read(&mut buffer));
    for round in 0..32 {
        assert!(poll!(read.as_mut()).is_pending());
        near.set_read_deadline(after(Duration::from_micros(150)))?;
        stage.sleep(Duration::from_micros(round % 16 * 20)).await?;
        near.set_read_deadline(if round % 2 == 0 { None } else { in_an_hour() })?;
        assert!(poll!(read.as_mut()).is_pending(), "round {round}");
        stage.sleep(Duration::from_micros(200)).await?;
        assert!(poll!(read.as_mut()).is_pending(), "round {round}, later");
    }
    far.write_all(b"hello").await?;
    assert_eq!(read.await?, 5);
    Ok(())
}

/// Moved closer, it fires then.
async fn d12_an_earlier_deadline_fails_pending_operations_earlier<T: Transport>(
    stage: Stage,
) -> io::Result<()> {
    let (near, _far) = stage.pair::<T>().await?;
    let mut buffer = [0; 16];
    near.set_deadline(in_an_hour())?;
    let mut read = pin!(near.read(&mut buffer));
    let mut write = pin!(write_to_the_deadline(&*near, 0));
    assert!(poll!(read.as_mut()).is_pending());
    assert!(poll!(write.as_mut()).is_pending());
    let deadline = in_ms(5);
    near.set_deadline(deadline)?;
    let (read, written) = join(read, write).await;
    assert!(Some(Instant::now()) >= deadline);
    assert_timed_out(read);
    written.map(drop)
}

/// Moved away, it fires then and not before, however often it was moved.
async fn d12_a_later_deadline_lets_pending_operations_wait_longer<T: Transport>(
    stage: Stage,
) -> io::Result<()> {
    let (near, _far) = stage.pair::<T>().await?;
    let mut buffer = [0; 16];
    let mut read = pin!(near.read(&mut buffer));
    let mut write = pin!(write_to_the_deadline(&*near, 0));
    assert!(poll!(read.as_mut()).is_pending());
    assert!(poll!(write.as_mut()).is_pending());
    near.set_deadline(in_ms(2))?;
    near.set_deadline(in_ms(15))?;
    near.set_deadline(in_ms(5))?;
    let deadline = in_ms(25);
    near.set_deadline(deadline)?;
    assert_timed_out(read.await);
    assert!(Some(Instant::now()) >= deadline);
    write.await?;
    assert!(Some(Instant::now()) >= deadline);
    Ok(())
}

/// Taken away, it does not fire.
async fn d12_without_it_pending_operations_wait_on<T: Transport>(stage: Stage) -> io::Result<()> {
    let (near, far) = stage.pair::<T>().await?;
    let mut buffer = [0; 16];
    let mut read = pin!(near.read(&mut buffer));
    let mut write = pin!(write_to_the_deadline(&*near, 0));
    assert!(poll!(read.as_mut()).is_pending());
    assert!(poll!(write.as_mut()).is_pending());
    near.set_deadline(in_ms(5))?;
    near.set_deadline(None)?;
    stage.sleep(Duration::from_millis(15)).await?;
    assert!(poll!(read.as_mut()).is_pending());
    assert!(poll!(write.as_mut()).is_pending());
    far.write_all(b"hello").await?;
    assert_eq!(read.await?, 5);
    Ok(())
}

/// Ten seconds from now, then none, then the past: a pending operation fails for the last of them, at
/// once and not in ten seconds. And so again.
async fn d12_set_and_cleared_and_set_again<T: Transport>(stage: Stage) -> io::Result<()> {
    let (near, _far) = stage.pair::<T>().await?;
    let mut buffer = [0; 16];
    for _ in 0..3 {
        near.set_deadline(None)?;
        let mut read = pin!(near.read(&mut buffer));
        let mut write = pin!(write_to_the_deadline(&*near, 0));
        for deadline in [in_ms(10_000), None, in_ms(10_000), None] {
            near.set_deadline(deadline)?;
            assert!(poll!(read.as_mut()).is_pending());
            assert!(poll!(write.as_mut()).is_pending());
        }
        near.set_deadline(past())?;
        assert_timed_out(read.await);
        write.await?;
    }
    Ok(())
}

/// Set while some wait for the socket and others behind them, it is for all of these.
async fn d12_it_reaches_a_task_that_waits_behind_another<T: Transport>(
    stage: Stage,
) -> io::Result<()> {
    let (near, far) = stage.pair::<T>().await?;
    for deadline in [in_ms(3), Some(Instant::now()), past()] {
        let (mut one, mut other) = ([0; 1], [0; 1]);
        let mut first = pin!(near.read(&mut one));
        let mut second = pin!(near.read(&mut other));
        assert!(poll!(first.as_mut()).is_pending());
        assert!(poll!(second.as_mut()).is_pending());
        near.set_read_deadline(deadline)?;
        let (first, second) = join(first, second).await;
        assert!(Some(Instant::now()) >= deadline);
        assert_timed_out(first);
        assert_timed_out(second);
        near.set_read_deadline(None)?;
    }
    far.write_all(b"a").await?;
    assert_eq!(near.read(&mut [0; 1]).await?, 1);
    Ok(())
}

/// Set and moved away while they wait, it is for none of these.
async fn d12_moved_away_it_reaches_no_task_that_waits_behind_another<T: Transport>(
    stage: Stage,
) -> io::Result<()> {
    let (near, far) = stage.pair::<T>().await?;
    for moved_to in [None, in_an_hour()] {
        let (mut one, mut other) = ([0; 1], [0; 1]);
        let mut first = pin!(near.read(&mut one));
        let mut second = pin!(near.read(&mut other));
        assert!(poll!(first.as_mut()).is_pending());
        assert!(poll!(second.as_mut()).is_pending());
        near.set_read_deadline(in_ms(2))?;
        stage.sleep(Duration::from_millis(1)).await?;
        near.set_read_deadline(moved_to)?;
        stage.sleep(Duration::from_millis(5)).await?;
        assert!(poll!(first.as_mut()).is_pending());
        assert!(poll!(second.as_mut()).is_pending());
        far.write_all(b"ab").await?;
        let (first, second) = join(first, second).await;
        assert_eq!((first?, second?), (1, 1));
    }
    Ok(())
}

/// A deadline in the past ends a read that another task makes, as often as one likes, and taken
/// away again it leaves a stream from which nothing is missing.
async fn d17_a_read_is_cancelled_and_resumed<T: Transport>(stage: Stage) -> io::Result<()> {
    let (near, far) = stage.pair::<T>().await?;
    let sent = pattern(5000);
    let mut received = Vec::new();
    for chunk in sent.chunks(250) {
        let read = {
            let near = near.clone();
            stage.spawn(async move { read_to_the_deadline(&*near).await })
        };
        far.write_all(chunk).await?;
        near.set_read_deadline(past())?;
        received.extend(read.await?);
        near.set_read_deadline(None)?;
    }
    far.close().await?;
    received.extend(read_to_end(&*near).await?);
    assert!(received == sent, "{} bytes, and not those", received.len());
    Ok(())
}

/// The same for a write, of which the peer gets as much as it says.
async fn d17_a_write_is_cancelled_and_resumed<T: Transport>(stage: Stage) -> io::Result<()> {
    let (near, far) = stage.pair::<T>().await?;
    let mut written = 0;
    for _ in 0..20 {
        let write = {
            let near = near.clone();
            stage.spawn(async move { write_to_the_deadline(&*near, written).await })
        };
        near.set_write_deadline(past())?;
        written = write.await?;
        near.set_write_deadline(None)?;
    }
    let (closed, received) = join(near.close(), read_to_end(&*far)).await;
    closed?;
    let received = received?;
    assert_eq!(received.len(), written);
    assert!(is_pattern(&received), "other bytes, or in another order");
    Ok(())
}

/// Reads until the deadline passes, and returns the bytes that it read before.
async fn read_to_the_deadline(stream: &impl Stream) -> io::Result<Vec<u8>> {
    let mut all = Vec::new();
    let mut buffer = [0; 100];
    loop {
        match stream.read(&mut buffer).await {
            Ok(count) => all.extend_from_slice(&buffer[..count]),
            Err(error) if netpoll::is_deadline_exceeded(&error) => return Ok(all),
            Err(error) => return Err(error),
        }
    }
}
