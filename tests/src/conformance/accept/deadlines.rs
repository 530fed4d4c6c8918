//! The deadline of a listener.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::join_all;
use futures::poll;
use netpoll::is_deadline_exceeded;

use crate::conformance::peers::{call, caller, echo, roundtrip};
use crate::conformance::{Behaviour, Listener, Listening, Stage, Stream, behaviours};
use crate::fixtures::{TIMES, after, assert_timed_out, beyond_all_clocks, in_an_hour, in_ms, past};

/// The times of deadlines that are moved before they fire.
const SOON: Duration = Duration::from_millis(20);

/// Far enough after `SOON` that it would have fired.
const WELL_AFTER: Duration = Duration::from_millis(60);

pub(super) fn all<T: Listening>() -> Vec<Behaviour> {
    behaviours![
        T: d14_accept_never_fails_before_its_deadline,
        c3_a_past_deadline_fails_accept_though_a_connection_waits,
        b7_a_connection_that_comes_with_the_deadline_is_not_lost,
        d11_the_expiry_of_a_listener_is_sticky_until_set_again,
        d12_a_deadline_in_the_past_fails_a_pending_accept,
        d12_a_deadline_that_comes_closer_fails_a_pending_accept_then,
        d12_a_deadline_moved_away_does_not_fail_a_pending_accept,
        d12_a_deadline_cleared_does_not_fail_a_pending_accept,
        d12_a_deadline_fails_every_accept,
        d4_a_deadline_beyond_all_clocks_is_no_limit_to_accept,
        d15_deadlines_that_pass_again_and_again_lose_no_connection,
        d16_an_accepted_stream_does_not_have_the_listeners_deadline,
    ]
}

/// From a nanosecond to a second, and whether the deadline is set before accept or while it waits:
/// it fails, and not before.
async fn d14_accept_never_fails_before_its_deadline<T: Listening>(stage: Stage) -> io::Result<()> {
    let mut rows = Vec::new();
    for time in TIMES {
        for waits in [false, true] {
            let listener = stage.listen::<T>().await?;
            rows.push(stage.spawn(accept_late(listener, time, waits)));
        }
    }
    join_all(rows).await.into_iter().collect()
}

async fn accept_late(listener: Arc<impl Listener>, time: Duration, waits: bool) -> io::Result<()> {
    let mut accept = pin!(listener.accept());
    if waits {
        assert!(poll!(accept.as_mut()).is_pending());
    }
    let deadline = after(time);
    listener.set_deadline(deadline)?;
    assert_timed_out(accept.await.map(drop));
    assert!(Some(Instant::now()) >= deadline, "{time:?} are not over");
    Ok(())
}

/// The deadline is looked at before the first system call, and the connection waits on.
async fn c3_a_past_deadline_fails_accept_though_a_connection_waits<T: Listening>(
    stage: Stage,
) -> io::Result<()> {
    let listener = stage.listen::<T>().await?;
    // Of two connections one has been accepted, and no accept has found the queue empty since.
    let _clients = [call::<T>(&stage, &listener, 1).await?, call::<T>(&stage, &listener, 2).await?];
    assert_eq!(caller(&listener.accept().await?).await?, 1);
    for _ in 0..3 {
        listener.set_deadline(past())?;
        assert_timed_out(listener.accept().await.map(drop));
    }
    listener.set_deadline(None)?;
    assert_eq!(caller(&listener.accept().await?).await?, 2, "it is still there");
    Ok(())
}

/// Whichever of the two the pending accept ends with, the next one goes on from there.
async fn b7_a_connection_that_comes_with_the_deadline_is_not_lost<T: Listening>(
    stage: Stage,
) -> io::Result<()> {
    let listener = stage.listen::<T>().await?;
    for round in 0..10 {
        let mut accept = pin!(listener.accept());
        assert!(poll!(accept.as_mut()).is_pending());
        let _client = call::<T>(&stage, &listener, round).await?;
        listener.set_deadline(past())?;
        let accepted = match accept.await {
            Err(error) if is_deadline_exceeded(&error) => {
                listener.set_deadline(None)?;
                listener.accept().await?
            }
            accepted => accepted?,
        };
        assert_eq!(caller(&accepted).await?, round);
        listener.set_deadline(None)?;
    }
    Ok(())
}

/// Once it has passed, every accept fails, a later one included; any other deadline ends that.
async fn d11_the_expiry_of_a_listener_is_sticky_until_set_again<T: Listening>(
    stage: Stage,
) -> io::Result<()> {
    let listener = stage.listen::<T>().await?;
    for (who, renewed) in [(1, in_an_hour()), (2, None)] {
        listener.set_deadline(in_ms(1))?;
        assert_timed_out(listener.accept().await.map(drop));
        let _client = call::<T>(&stage, &listener, who).await?;
        for _ in 0..3 {
            assert_timed_out(listener.accept().await.map(drop));
            stage.sleep(Duration::from_millis(1)).await?;
        }
        listener.set_deadline(renewed)?;
        assert_eq!(caller(&listener.accept().await?).await?, who);
    }
    Ok(())
}

/// Whatever the deadline was before, none or one to come.
async fn d12_a_deadline_in_the_past_fails_a_pending_accept<T: Listening>(
    stage: Stage,
) -> io::Result<()> {
    let listener = stage.listen::<T>().await?;
    for before in [None, in_an_hour()] {
        listener.set_deadline(before)?;
        let mut accept = pin!(listener.accept());
        assert!(poll!(accept.as_mut()).is_pending());
        listener.set_deadline(past())?;
        assert_timed_out(accept.await.map(drop));
    }
    Ok(())
}

/// An accept that would have waited for an hour waits for milliseconds, and not for less.
async fn d12_a_deadline_that_comes_closer_fails_a_pending_accept_then<T: Listening>(
    stage: Stage,
) -> io::Result<()> {
    let listener = stage.listen::<T>().await?;
    listener.set_deadline(in_an_hour())?;
    let mut accept = pin!(listener.accept());
    assert!(poll!(accept.as_mut()).is_pending());
    let deadline = in_ms(5);
    listener.set_deadline(deadline)?;
    assert_timed_out(accept.await.map(drop));
    assert!(Some(Instant::now()) >= deadline, "it is not that late");
    Ok(())
}

/// The accept waits on, and gets a connection after the time when it would have failed.
async fn d12_a_deadline_moved_away_does_not_fail_a_pending_accept<T: Listening>(
    stage: Stage,
) -> io::Result<()> {
    outlive::<T>(stage, in_an_hour()).await
}

/// The same without any deadline in place of the first.
async fn d12_a_deadline_cleared_does_not_fail_a_pending_accept<T: Listening>(
    stage: Stage,
) -> io::Result<()> {
    outlive::<T>(stage, None).await
}

async fn outlive<T: Listening>(stage: Stage, moved_to: Option<Instant>) -> io::Result<()> {
    let listener = stage.listen::<T>().await?;
    let mut accept = pin!(listener.accept());
    assert!(poll!(accept.as_mut()).is_pending());
    listener.set_deadline(after(SOON))?;
    listener.set_deadline(moved_to)?;
    stage.sleep(WELL_AFTER).await?;
    assert!(poll!(accept.as_mut()).is_pending());
    let _client = call::<T>(&stage, &listener, 1).await?;
    assert_eq!(caller(&accept.await?).await?, 1);
    Ok(())
}

/// Not only the first waiter.
async fn d12_a_deadline_fails_every_accept<T: Listening>(stage: Stage) -> io::Result<()> {
    let listener = stage.listen::<T>().await?;
    for deadline in [|| in_ms(5), past] {
        listener.set_deadline(None)?;
        let mut tasks = Vec::new();
        for _ in 0..10 {
            tasks.push(super::accepting(&stage, &listener).await);
        }
        listener.set_deadline(deadline())?;
        for ended in join_all(tasks).await {
            assert_timed_out(ended.map(drop));
        }
    }
    Ok(())
}

/// So far away that sums with it overflow: it must not come out in the past.
async fn d4_a_deadline_beyond_all_clocks_is_no_limit_to_accept<T: Listening>(
    stage: Stage,
) -> io::Result<()> {
    let listener = stage.listen::<T>().await?;
    for deadline in beyond_all_clocks() {
        let mut accept = pin!(listener.accept());
        listener.set_deadline(Some(deadline))?;
        assert!(poll!(accept.as_mut()).is_pending());
        let _client = call::<T>(&stage, &listener, 1).await?;
        assert_eq!(caller(&accept.await?).await?, 1);
    }
    Ok(())
}

/// A server that looks up between connections, however often, serves each of them.
async fn d15_deadlines_that_pass_again_and_again_lose_no_connection<T: Listening>(
    stage: Stage,
) -> io::Result<()> {
    const CALLS: u8 = 50;
    let listener = stage.listen::<T>().await?;
    let serve = stage.spawn(accept_with_breaks(listener.clone(), CALLS.into()));
    let mut clients = Vec::new();
    for who in 0..CALLS {
        clients.push(call::<T>(&stage, &listener, who).await?);
        if who % 10 == 0 {
            stage.sleep(Duration::from_millis(1)).await?;
        }
    }
    let mut callers = serve.await?;
    callers.sort_unstable();
    assert_eq!(callers, (0..CALLS).collect::<Vec<_>>());
    Ok(())
}

/// On a machine so busy that a break is over before it began, the next is longer.
async fn accept_with_breaks(listener: Arc<impl Listener>, count: usize) -> io::Result<Vec<u8>> {
    let mut callers = Vec::new();
    let mut time = Duration::from_micros(100);
    while callers.len() < count {
        listener.set_deadline(after(time))?;
        match listener.accept().await {
            Err(error) if is_deadline_exceeded(&error) => time += time / 10,
            accepted => callers.push(caller(&accepted?).await?),
        }
    }
    Ok(callers)
}

/// Neither has the other's.
async fn d16_an_accepted_stream_does_not_have_the_listeners_deadline<T: Listening>(
    stage: Stage,
) -> io::Result<()> {
    let listener = stage.listen::<T>().await?;
    listener.set_deadline(in_an_hour())?;
    let client = call::<T>(&stage, &listener, 1).await?;
    let accepted = stage.share(listener.accept().await?);
    assert_eq!(caller(&*accepted).await?, 1);
    listener.set_deadline(past())?;
    drop(stage.spawn(echo(accepted.clone())));
    roundtrip(&*client).await?;
    accepted.set_deadline(past())?;
    client.set_deadline(past())?;
    listener.set_deadline(None)?;
    let _client = call::<T>(&stage, &listener, 2).await?;
    assert_eq!(caller(&listener.accept().await?).await?, 2);
    Ok(())
}
