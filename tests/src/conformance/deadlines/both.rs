//! One deadline for both directions: it passes for both at once.

use std::io;
use std::pin::pin;
use std::time::Duration;

use futures::poll;

use crate::conformance::{Behaviour, Stage, Stream, Transport, behaviours};
use crate::fixtures::{assert_timed_out, in_ms, past};

pub(super) fn all<T: Transport>() -> Vec<Behaviour> {
    behaviours![
        T:
        d10_one_deadline_for_both_expires_in_one_step,
        d9_the_past_for_both_expires_both_in_one_step,
    ]
}

/// One deadline for both has passed for both when it has for one of them: a task whose read failed cannot
/// write any more.
async fn d10_one_deadline_for_both_expires_in_one_step<T: Transport>(
    stage: Stage,
) -> io::Result<()> {
    let (near, _far) = stage.pair::<T>().await?;
    for round in 0..20 {
        near.set_deadline(None)?;
        let mut buffer = [0; 16];
        let mut read = pin!(near.read(&mut buffer));
        assert!(poll!(read.as_mut()).is_pending());
        near.set_deadline(in_ms(1))?;
        assert_timed_out(read.await);
        let late = near.write(b"late").await;
        assert!(late.is_err(), "round {round}");
        assert_timed_out(late);
    }
    Ok(())
}

/// The same where the setter itself has it expire.
async fn d9_the_past_for_both_expires_both_in_one_step<T: Transport>(
    stage: Stage,
) -> io::Result<()> {
    let (near, _far) = stage.pair::<T>().await?;
    for round in 0..300 {
        let task = {
            let near = near.clone();
            stage.spawn(async move {
                assert_timed_out(near.read(&mut [0; 16]).await);
                near.write(b"late").await
            })
        };
        if round % 3 == 0 {
            stage.sleep(Duration::from_micros(50)).await?;
        }
        near.set_deadline(past())?;
        let late = task.await;
        assert!(late.is_err(), "round {round}");
        assert_timed_out(late);
        near.set_deadline(None)?;
    }
    Ok(())
}
