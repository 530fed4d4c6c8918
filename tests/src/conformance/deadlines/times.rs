//! The times that a deadline may have, and the cost of setting one.

use std::io;
use std::pin::pin;
use std::time::{Duration, Instant};

use futures::{FutureExt, poll};

use crate::conformance::peers::{read_exactly, write_to_the_deadline};
use crate::conformance::{Behaviour, Stage, Stream, Transport, behaviours};
use crate::fixtures::{assert_closed, assert_timed_out, in_an_hour, in_ms, past};

pub(super) fn all<T: Transport>() -> Vec<Behaviour> {
    behaviours![
        T:
        d1_now_has_passed,
        d1_the_whole_past_has_passed,
        d1_none_is_no_deadline,
        d3_setting_it_on_a_closed_stream_is_closed,
        d4_no_time_is_too_far_away,
        d4_the_last_time_of_all_can_be_moved_like_any_other,
        d5_a_setter_that_has_returned_has_taken_effect,
        d8_the_same_time_set_again_is_that_time,
    ]
}

/// A deadline of this very moment is not taken for none.
async fn d1_now_has_passed<T: Transport>(stage: Stage) -> io::Result<()> {
    let (near, _far) = stage.pair::<T>().await?;
    near.set_deadline(Some(Instant::now()))?;
    assert_timed_out(near.read(&mut [0; 16]).await);
    assert_timed_out(near.write(b"late").await);
    near.set_deadline(None)?;
    near.set_read_deadline(Some(Instant::now()))?;
    assert_timed_out(near.read(&mut [0; 16]).await);
    near.set_write_deadline(Some(Instant::now()))?;
    assert_timed_out(near.write(b"late").await);
    Ok(())
}

/// Also an instant before the reactor's clock began, and the first instant of all.
async fn d1_the_whole_past_has_passed<T: Transport>(stage: Stage) -> io::Result<()> {
    let (near, far) = stage.pair::<T>().await?;
    let now = Instant::now();
    let before = [Duration::from_secs(1), Duration::from_secs(3600), Duration::from_secs(1 << 40)];
    let earlier = before.into_iter().filter_map(|time| now.checked_sub(time));
    for deadline in earlier.chain([as_far_as_it_goes(now, Instant::checked_sub)]) {
        near.set_deadline(Some(deadline))?;
        assert_timed_out(near.read(&mut [0; 16]).await);
        assert_timed_out(near.write(b"late").await);
        near.set_deadline(None)?;
        far.write_all(b"again").await?;
        assert_eq!(read_exactly(&*near, 5).await?, b"again");
    }
    Ok(())
}

/// None takes a deadline away, whether it is to come or has passed.
async fn d1_none_is_no_deadline<T: Transport>(stage: Stage) -> io::Result<()> {
    let (near, far) = stage.pair::<T>().await?;
    for before in [None, in_ms(2), in_an_hour(), past()] {
        let mut buffer = [0; 16];
        let mut read = pin!(near.read(&mut buffer));
        near.set_read_deadline(before)?;
        near.set_read_deadline(None)?;
        assert!(poll!(read.as_mut()).is_pending());
        stage.sleep(Duration::from_millis(4)).await?;
        assert!(poll!(read.as_mut()).is_pending());
        far.write_all(b"hello").await?;
        assert_eq!(read.await?, 5);
    }
    Ok(())
}

/// None of the three can be set on a stream that is closed, to whatever.
async fn d3_setting_it_on_a_closed_stream_is_closed<T: Transport>(stage: Stage) -> io::Result<()> {
    let (near, _far) = stage.pair::<T>().await?;
    near.set_deadline(in_an_hour())?;
    near.close().await?;
    for deadline in [None, past(), Some(Instant::now()), in_an_hour(), Some(last())] {
        assert_closed(near.set_deadline(deadline));
        assert_closed(near.set_read_deadline(deadline));
        assert_closed(near.set_write_deadline(deadline));
    }
    assert_closed(near.read(&mut [0; 16]).await);
    Ok(())
}

/// From the last time that can be told down to a quarter of an hour: none has come, and none wraps
/// into the past. From the far end, so that each is earlier than the one before and has to be asked
/// for anew.
async fn d4_no_time_is_too_far_away<T: Transport>(stage: Stage) -> io::Result<()> {
    let (near, far) = stage.pair::<T>().await?;
    let now = Instant::now();
    let powers = (40..64).rev().flat_map(|bit| [(1 << bit) + 1, 1 << bit, (1 << bit) - 1]);
    let nanoseconds = [u64::MAX, u64::MAX - 1].into_iter().chain(powers);
    let times = nanoseconds.filter_map(|count| now.checked_add(Duration::from_nanos(count)));
    let mut buffer = [0; 16];
    let mut read = pin!(near.read(&mut buffer));
    let mut write = pin!(write_to_the_deadline(&*near, 0));
    for deadline in [last(), last() - Duration::from_nanos(1)].into_iter().chain(times) {
        near.set_deadline(Some(deadline))?;
        assert!(poll!(read.as_mut()).is_pending(), "until {deadline:?}");
        assert!(poll!(write.as_mut()).is_pending(), "until {deadline:?}");
        stage.sleep(Duration::from_micros(100)).await?;
        assert!(poll!(read.as_mut()).is_pending(), "until {deadline:?}, a little later");
    }
    far.write_all(b"hello").await?;
    assert_eq!(read.await?, 5);
    Ok(())
}

/// It revives a stream that had timed out, does not fire, and gives way to every other.
async fn d4_the_last_time_of_all_can_be_moved_like_any_other<T: Transport>(
    stage: Stage,
) -> io::Result<()> {
    let (near, far) = stage.pair::<T>().await?;
    for after_it in [past(), Some(Instant::now()), in_ms(2)] {
        near.set_read_deadline(Some(last()))?;
        far.write_all(b"hello").await?;
        assert_eq!(read_exactly(&*near, 5).await?, b"hello");
        let mut buffer = [0; 16];
        let mut read = pin!(near.read(&mut buffer));
        assert!(poll!(read.as_mut()).is_pending());
        stage.sleep(Duration::from_millis(2)).await?;
        assert!(poll!(read.as_mut()).is_pending());
        near.set_read_deadline(after_it)?;
        assert_timed_out(read.await);
    }
    Ok(())
}

/// The very next operation knows of it, without anything in between.
async fn d5_a_setter_that_has_returned_has_taken_effect<T: Transport>(
    stage: Stage,
) -> io::Result<()> {
    let (near, far) = stage.pair::<T>().await?;
    far.write_all(&[0; 400]).await?;
    read_exactly(&*near, 1).await?;
    for _ in 0..100 {
        near.set_deadline(past())?;
        assert_timed_out(near.read(&mut [0; 1]).now_or_never().expect("at once"));
        assert_timed_out(near.write(b"late").now_or_never().expect("at once"));
        near.set_deadline(in_an_hour())?;
        assert_eq!(near.read(&mut [0; 1]).now_or_never().expect("at once")?, 1);
        assert_eq!(near.write(b"a").now_or_never().expect("at once")?, 1);
        near.set_deadline(None)?;
        assert_eq!(near.read(&mut [0; 1]).now_or_never().expect("at once")?, 1);
        // Some executors hold a task to a budget, and so do we: it has a new one after this.
        smol::future::yield_now().await;
        crate::fixtures::budget::fill();
    }
    Ok(())
}

/// It neither fires twice early, nor is it lost, nor does it bring back an operation that it had ended.
async fn d8_the_same_time_set_again_is_that_time<T: Transport>(stage: Stage) -> io::Result<()> {
    let (near, _far) = stage.pair::<T>().await?;
    let mut buffer = [0; 16];
    let deadline = in_ms(5);
    for setter in [T::Stream::set_read_deadline, T::Stream::set_deadline] {
        for _ in 0..10 {
            setter(&near, deadline)?;
        }
        assert_timed_out(near.read(&mut buffer).await);
        assert!(Some(Instant::now()) >= deadline);
    }
    assert_timed_out(near.write(b"late").await);
    Ok(())
}

/// The last time that can be told.
fn last() -> Instant {
    as_far_as_it_goes(Instant::now(), Instant::checked_add)
}

/// From `now` on in ever smaller steps, until not even the smallest can be taken.
fn as_far_as_it_goes(now: Instant, go: fn(&Instant, Duration) -> Option<Instant>) -> Instant {
    let (mut reached, mut step) = (now, Duration::MAX);
    while !step.is_zero() {
        match go(&reached, step) {
            Some(further) => reached = further,
            None => step /= 2,
        }
    }
    reached
}
