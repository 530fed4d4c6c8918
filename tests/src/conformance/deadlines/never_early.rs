//! That no deadline is early.

use std::io;
use std::time::{Duration, Instant};

use futures::FutureExt;
use futures::future::{BoxFuture, join_all};

use crate::conformance::peers::{fill, write_to_the_deadline};
use crate::conformance::{Behaviour, Stage, Stream, Transport, behaviours};
use crate::fixtures::{TIMES, after, assert_timed_out, in_an_hour, in_ms};

pub(super) fn all<T: Transport>() -> Vec<Behaviour> {
    behaviours![
        T: d14_from_a_nanosecond_to_a_second_it_is_never_early,
        d14_twenty_times_a_millisecond_none_is_early,
        d14_of_many_times_the_last_one_set_counts,
    ]
}

/// Reads and writes of all these at once, each with a pair of its own. How late they are is not asked.
async fn d14_from_a_nanosecond_to_a_second_it_is_never_early<T: Transport>(
    stage: Stage,
) -> io::Result<()> {
    let rows = TIMES.into_iter().flat_map(|time| -> [BoxFuture<'static, _>; 2] {
        [
            read_until::<T>(stage.clone(), time).boxed(),
            write_until::<T>(stage.clone(), time).boxed(),
        ]
    });
    let rows: Vec<_> = rows.map(|row| stage.spawn(row)).collect();
    join_all(rows).await.into_iter().collect()
}

async fn read_until<T: Transport>(stage: Stage, time: Duration) -> io::Result<()> {
    let (near, _far) = stage.pair::<T>().await?;
    let deadline = after(time);
    near.set_read_deadline(deadline)?;
    assert_timed_out(near.read(&mut [0; 16]).await);
    assert!(Some(Instant::now()) >= deadline, "{time:?} for a read");
    Ok(())
}

async fn write_until<T: Transport>(stage: Stage, time: Duration) -> io::Result<()> {
    let (near, _far) = stage.pair::<T>().await?;
    fill(&*near).await?;
    let deadline = after(time);
    near.set_write_deadline(deadline)?;
    write_to_the_deadline(&*near, 0).await?;
    assert!(Some(Instant::now()) >= deadline, "{time:?} for a write");
    Ok(())
}

/// One after the other, with nothing else to do: so that being late for other reasons hides nothing.
async fn d14_twenty_times_a_millisecond_none_is_early<T: Transport>(
    stage: Stage,
) -> io::Result<()> {
    let (near, _far) = stage.pair::<T>().await?;
    for round in 0..20 {
        let deadline = in_ms(1);
        near.set_read_deadline(deadline)?;
        assert_timed_out(near.read(&mut [0; 16]).await);
        assert!(Some(Instant::now()) >= deadline, "round {round}");
    }
    Ok(())
}

/// Whatever was set before it, earlier or later, none of that fires.
async fn d14_of_many_times_the_last_one_set_counts<T: Transport>(stage: Stage) -> io::Result<()> {
    let (near, _far) = stage.pair::<T>().await?;
    for round in 1..=4 {
        near.set_deadline(in_ms(round))?;
        near.set_deadline(in_an_hour())?;
        near.set_deadline(in_ms(9 - 2 * round))?;
        near.set_deadline(None)?;
        near.set_deadline(in_ms(1))?;
        let deadline = in_ms(2 * round);
        near.set_deadline(deadline)?;
        assert_timed_out(near.read(&mut [0; 16]).await);
        assert!(Some(Instant::now()) >= deadline, "round {round}");
    }
    Ok(())
}
