//! Readiness and its order with waiters and deadlines.

use std::io;
use std::net::Shutdown;
use std::pin::pin;
use std::time::Duration;

use futures::future::join;
use futures::{join, poll};

use super::peers::{is_pattern, pattern, read_exactly, read_to_end, woken, write_to_the_deadline};
use super::{Behaviour, Stage, Stream, Transport, behaviours};
use crate::CountingWaker;
use crate::fixtures::{assert_timed_out, in_an_hour, in_ms, past};

pub(super) fn all<T: Transport>() -> Vec<Behaviour> {
    behaviours![
        T:
        b7_a_deadline_that_came_after_the_data_wins,
        b7_a_deadline_that_came_before_the_data_wins,
        b8_readiness_that_found_no_waiter_is_kept,
        b9_expiry_makes_nothing_ready,
        b9_expiry_takes_no_readiness_away,
        b12_an_expiry_moved_away_before_the_reader_runs_is_none,
        b12_an_expiry_moved_away_before_the_writer_runs_is_none,
        b12_a_past_time_moved_away_before_a_task_runs_is_none,
        c2_an_operation_asks_for_its_deadline_before_it_tries,
        c2_a_task_woken_for_nothing_still_has_a_deadline,
        c2_a_time_that_passes_as_a_wait_begins_ends_it,
        c4_an_operation_done_in_time_stands,
    ]
}

/// Here Go would try once more. We tell a reader that its time is over, though it was woken for
/// data; and the data waits.
async fn b7_a_deadline_that_came_after_the_data_wins<T: Transport>(stage: Stage) -> io::Result<()> {
    let (near, far) = stage.pair::<T>().await?;
    for _ in 0..3 {
        let waker = CountingWaker::new();
        let mut buffer = [0; 16];
        let mut read = pin!(near.read(&mut buffer));
        assert!(waker.poll(read.as_mut()).is_pending());
        far.write_all(b"hello").await?;
        woken(&stage, &waker).await?;
        near.set_read_deadline(past())?;
        assert_timed_out(read.await);
        near.set_read_deadline(None)?;
        assert_eq!(read_exactly(&*near, 5).await?, b"hello");
    }
    Ok(())
}

/// The same where it was the deadline that woke it.
async fn b7_a_deadline_that_came_before_the_data_wins<T: Transport>(
    stage: Stage,
) -> io::Result<()> {
    let (near, far) = stage.pair::<T>().await?;
    for _ in 0..3 {
        let waker = CountingWaker::new();
        let mut buffer = [0; 16];
        let mut read = pin!(near.read(&mut buffer));
        assert!(waker.poll(read.as_mut()).is_pending());
        near.set_read_deadline(in_ms(1))?;
        woken(&stage, &waker).await?;
        far.write_all(b"hello").await?;
        stage.sleep(Duration::from_millis(1)).await?;
        assert_timed_out(read.await);
        near.set_read_deadline(None)?;
        assert_eq!(read_exactly(&*near, 5).await?, b"hello");
    }
    Ok(())
}

/// The next reader finds it: after a wait that was given up, and after several events.
async fn b8_readiness_that_found_no_waiter_is_kept<T: Transport>(stage: Stage) -> io::Result<()> {
    let (near, far) = stage.pair::<T>().await?;
    for _ in 0..5 {
        {
            let mut buffer = [0; 16];
            let mut given_up = pin!(near.read(&mut buffer));
            assert!(poll!(given_up.as_mut()).is_pending());
        }
        for piece in [b"one ", b"two ", b"end."] {
            far.write_all(piece).await?;
            stage.sleep(Duration::from_micros(200)).await?;
        }
        assert_eq!(read_exactly(&*near, 12).await?, b"one two end.");
    }
    Ok(())
}

/// After an expiry there is as little to read, and as little room to write, as before.
async fn b9_expiry_makes_nothing_ready<T: Transport>(stage: Stage) -> io::Result<()> {
    let (near, far) = stage.pair::<T>().await?;
    let mut written = 0;
    for deadline in [past(), in_ms(10)] {
        near.set_deadline(deadline)?;
        let mut buffer = [0; 16];
        let (read, wrote) = join!(near.read(&mut buffer), write_to_the_deadline(&*near, written));
        assert_timed_out(read);
        near.set_deadline(None)?;
        let mut read = pin!(near.read(&mut buffer));
        let mut write = pin!(write_to_the_deadline(&*near, wrote?));
        assert!(poll!(read.as_mut()).is_pending(), "something to read");
        assert!(poll!(write.as_mut()).is_pending());
        near.set_deadline(past())?;
        assert_timed_out(read.await);
        written = write.await?;
    }
    near.shutdown(Shutdown::Write)?;
    let received = read_to_end(&*far).await?;
    assert_eq!(received.len(), written);
    assert!(is_pattern(&received), "other bytes, or in another order");
    Ok(())
}

/// Bytes that arrive while it is too late to read, and nothing after them, are found when there is time.
async fn b9_expiry_takes_no_readiness_away<T: Transport>(stage: Stage) -> io::Result<()> {
    let (near, far) = stage.pair::<T>().await?;
    for later in [None, in_an_hour()] {
        let mut buffer = [0; 16];
        let mut read = pin!(near.read(&mut buffer));
        assert!(poll!(read.as_mut()).is_pending());
        near.set_read_deadline(past())?;
        assert_timed_out(read.await);
        far.write_all(b"hello").await?;
        stage.sleep(Duration::from_millis(1)).await?;
        near.set_read_deadline(past())?;
        assert_timed_out(near.read(&mut [0; 16]).await);
        near.set_read_deadline(later)?;
        assert_eq!(read_exactly(&*near, 5).await?, b"hello");
    }
    Ok(())
}

/// The deadline has fired and woken the reader, which has not run yet. Moved away now, it is as if
/// it had never been.
async fn b12_an_expiry_moved_away_before_the_reader_runs_is_none<T: Transport>(
    stage: Stage,
) -> io::Result<()> {
    let (near, far) = stage.pair::<T>().await?;
    for moved_to in [None, in_an_hour()] {
        let waker = CountingWaker::new();
        let mut buffer = [0; 16];
        let mut read = pin!(near.read(&mut buffer));
        assert!(waker.poll(read.as_mut()).is_pending());
        near.set_read_deadline(in_ms(1))?;
        woken(&stage, &waker).await?;
        near.set_read_deadline(moved_to)?;
        assert!(poll!(read.as_mut()).is_pending());
        far.write_all(b"hello").await?;
        assert_eq!(read.await?, 5);
    }
    Ok(())
}

/// The same for a writer.
async fn b12_an_expiry_moved_away_before_the_writer_runs_is_none<T: Transport>(
    stage: Stage,
) -> io::Result<()> {
    let (near, far) = stage.pair::<T>().await?;
    let mut write = pin!(write_to_the_deadline(&*near, 0));
    for moved_to in [None, in_an_hour()] {
        let waker = CountingWaker::new();
        assert!(waker.poll(write.as_mut()).is_pending());
        near.set_write_deadline(in_ms(1))?;
        woken(&stage, &waker).await?;
        near.set_write_deadline(moved_to)?;
        assert!(poll!(write.as_mut()).is_pending());
    }
    near.set_write_deadline(past())?;
    let written = write.await?;
    near.close().await?;
    let received = read_to_end(&*far).await?;
    assert_eq!(received.len(), written);
    assert!(is_pattern(&received), "other bytes, or in another order");
    Ok(())
}

/// The same where it was the setter that had it expire.
async fn b12_a_past_time_moved_away_before_a_task_runs_is_none<T: Transport>(
    stage: Stage,
) -> io::Result<()> {
    let (near, far) = stage.pair::<T>().await?;
    for moved_to in [None, in_an_hour()] {
        let mut buffer = [0; 16];
        let mut read = pin!(near.read(&mut buffer));
        let mut write = pin!(write_to_the_deadline(&*near, 0));
        assert!(poll!(read.as_mut()).is_pending());
        assert!(poll!(write.as_mut()).is_pending());
        near.set_deadline(past())?;
        near.set_deadline(moved_to)?;
        assert!(poll!(read.as_mut()).is_pending());
        assert!(poll!(write.as_mut()).is_pending());
        far.write_all(b"hello").await?;
        assert_eq!(read.await?, 5);
    }
    Ok(())
}

/// Too late, it does not even try: no byte is taken, and no byte is sent.
async fn c2_an_operation_asks_for_its_deadline_before_it_tries<T: Transport>(
    stage: Stage,
) -> io::Result<()> {
    let (near, far) = stage.pair::<T>().await?;
    for round in 0..20 {
        far.write_all(&[round, round]).await?;
        assert_eq!(read_exactly(&*near, 1).await?, [round]);
        near.set_deadline(past())?;
        let mut buffer = [0xff; 16];
        assert_timed_out(near.read(&mut buffer).await);
        assert_eq!(buffer, [0xff; 16]);
        assert_timed_out(near.write(&[round; 3]).await);
        near.set_deadline(None)?;
        assert_eq!(read_exactly(&*near, 1).await?, [round], "of its own round");
    }
    near.close().await?;
    assert_eq!(read_to_end(&*far).await?, [], "nothing was sent");
    Ok(())
}

/// One byte for two readers: the one that goes away empty waits again, and to its deadline.
async fn c2_a_task_woken_for_nothing_still_has_a_deadline<T: Transport>(
    stage: Stage,
) -> io::Result<()> {
    let (near, far) = stage.pair::<T>().await?;
    for deadline in [past(), in_ms(2)] {
        let (mut one, mut other) = ([0; 16], [0; 16]);
        let mut first = pin!(near.read(&mut one));
        let mut second = pin!(near.read(&mut other));
        assert!(poll!(first.as_mut()).is_pending());
        assert!(poll!(second.as_mut()).is_pending());
        far.write_all(b"a").await?;
        assert_eq!(first.await?, 1);
        assert!(poll!(second.as_mut()).is_pending(), "there was one byte");
        near.set_read_deadline(deadline)?;
        assert_timed_out(second.await);
        near.set_read_deadline(None)?;
    }
    Ok(())
}

/// Between the look at the deadline and the wait there is no gap for a setter to fall into: reads
/// that begin while another task sets it do not wait for ever.
async fn c2_a_time_that_passes_as_a_wait_begins_ends_it<T: Transport>(
    stage: Stage,
) -> io::Result<()> {
    let (near, _far) = stage.pair::<T>().await?;
    for _ in 0..100 {
        let set = {
            let near = near.clone();
            stage.spawn(async move { near.set_read_deadline(past()) })
        };
        let read = {
            let near = near.clone();
            stage.spawn(async move { near.read(&mut [0; 16]).await })
        };
        let (set, read) = join(set, read).await;
        set?;
        assert_timed_out(read);
        near.set_read_deadline(None)?;
    }
    Ok(())
}

/// A deadline that passes afterwards takes nothing back: neither bytes that were read nor bytes that were written.
async fn c4_an_operation_done_in_time_stands<T: Transport>(stage: Stage) -> io::Result<()> {
    let (near, far) = stage.pair::<T>().await?;
    near.set_deadline(in_an_hour())?;
    far.write_all(b"hello, world").await?;
    let sent = pattern(10_000);
    near.write_all(&sent).await?;
    assert_eq!(read_exactly(&*near, 7).await?, b"hello, ");
    near.set_deadline(past())?;
    assert_timed_out(near.read(&mut [0; 16]).await);
    assert_timed_out(near.write(b"late").await);
    assert!(read_exactly(&*far, sent.len()).await? == sent, "other bytes than were sent");
    near.set_deadline(None)?;
    assert_eq!(read_exactly(&*near, 5).await?, b"world");
    Ok(())
}
