//! Connecting, and giving up on it.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::join_all;
use futures::poll;
use netpoll::is_deadline_exceeded;

use super::peers::{accept_from, caller, echo, roundtrip};
use super::{Behaviour, Listener, Listening, Stage, Stream, behaviours};
use crate::fixtures::{TIMES, assert_timed_out, beyond_all_clocks, in_an_hour, past};

pub(super) fn all<T: Listening>() -> Vec<Behaviour> {
    behaviours![
        T: h7_no_time_is_too_little_to_connect,
        h7_a_deadline_beyond_all_clocks_is_no_limit_to_connect,
        h3_a_connect_that_comes_late_leaves_no_socket,
        h3_a_dropped_connect_leaves_no_socket,
        h3_a_stream_outlives_the_deadline_of_its_connect,
        h3_a_connect_that_races_with_its_deadline_is_whole_or_late,
        h4_a_connected_stream_can_be_used_at_once,
        h4_a_burst_of_connects_is_connected_whole,
        h2_connecting_does_not_wait_to_be_accepted,
    ]
}

/// A deadline in the past, or now, is missed, though the peer would answer.
async fn h7_no_time_is_too_little_to_connect<T: Listening>(stage: Stage) -> io::Result<()> {
    let listener = stage.listen::<T>().await?;
    for _ in 0..10 {
        for deadline in [past(), Some(Instant::now())] {
            assert_timed_out(T::connect(&stage, &listener, deadline).await.map(drop));
        }
    }
    Ok(())
}

/// So far away that sums with it overflow: it must not come out in the past.
async fn h7_a_deadline_beyond_all_clocks_is_no_limit_to_connect<T: Listening>(
    stage: Stage,
) -> io::Result<()> {
    let listener = stage.listen::<T>().await?;
    for deadline in beyond_all_clocks() {
        let client = stage.share(T::connect(&stage, &listener, Some(deadline)).await?);
        let _echo = serve(&stage, &*listener).await?;
        roundtrip(&*client).await?;
    }
    Ok(())
}

/// Accepts, and sends each byte back.
async fn serve<L: Listener>(stage: &Stage, listener: &L) -> io::Result<Arc<L::Stream>> {
    let accepted = stage.share(listener.accept().await?);
    drop(stage.spawn(echo(accepted.clone())));
    Ok(accepted)
}

/// If the listener hears of it at all, it also hears that it is over.
async fn h3_a_connect_that_comes_late_leaves_no_socket<T: Listening>(
    stage: Stage,
) -> io::Result<()> {
    let listener = stage.listen::<T>().await?;
    for who in 0..10 {
        assert_timed_out(T::connect(&stage, &listener, past()).await.map(drop));
        let client = T::connect(&stage, &listener, in_an_hour()).await?;
        client.write_all(&[who]).await?;
        accept_from(&*listener, who).await?;
    }
    Ok(())
}

/// The same after the task that connected has given up.
async fn h3_a_dropped_connect_leaves_no_socket<T: Listening>(stage: Stage) -> io::Result<()> {
    let listener = stage.listen::<T>().await?;
    for (who, deadline) in (0..10).flat_map(|who| [(who, None), (who, in_an_hour())]) {
        {
            let mut dropped = pin!(T::connect(&stage, &listener, deadline));
            drop(poll!(dropped.as_mut()));
        }
        let client = T::connect(&stage, &listener, None).await?;
        client.write_all(&[who]).await?;
        accept_from(&*listener, who).await?;
    }
    Ok(())
}

/// The limit was that of connecting: neither operations pending then nor later ones time out.
async fn h3_a_stream_outlives_the_deadline_of_its_connect<T: Listening>(
    stage: Stage,
) -> io::Result<()> {
    const A_WHILE: Duration = Duration::from_millis(20);
    let listener = stage.listen::<T>().await?;
    let (client, deadline) = connect_within::<T>(&stage, &listener, A_WHILE).await?;
    let mut answer = [0];
    let mut read = pin!(client.read(&mut answer));
    assert!(poll!(read.as_mut()).is_pending());
    stage.sleep(deadline.saturating_duration_since(Instant::now()) + A_WHILE).await?;
    client.write_all(&[1]).await?;
    assert!(poll!(read.as_mut()).is_pending());
    let accepted = accept_from(&*listener, 1).await?;
    accepted.write_all(&[2]).await?;
    assert_eq!(read.await?, 1);
    Ok(())
}

/// On a machine so busy that the time is not enough, there is more of it the next time.
async fn connect_within<T: Listening>(
    stage: &Stage,
    listener: &T::Listener,
    mut time: Duration,
) -> io::Result<(Arc<T::Stream>, Instant)> {
    loop {
        let deadline = Instant::now() + time;
        match T::connect(stage, listener, Some(deadline)).await {
            Err(error) if is_deadline_exceeded(&error) => time *= 2,
            connected => return Ok((stage.share(connected?), deadline)),
        }
    }
}

/// It fails after its deadline and not before, or gives a stream that has none.
async fn h3_a_connect_that_races_with_its_deadline_is_whole_or_late<T: Listening>(
    stage: Stage,
) -> io::Result<()> {
    let listener = stage.listen::<T>().await?;
    let mut clients = Vec::new();
    for time in TIMES.into_iter().chain((1..50).map(|n| Duration::from_micros(10 * n))) {
        let deadline = Instant::now() + time;
        match T::connect(&stage, &listener, Some(deadline)).await {
            Err(error) => {
                assert!(is_deadline_exceeded(&error), "{error:?}");
                assert!(Instant::now() >= deadline, "{time:?} are not over");
            }
            Ok(client) => clients.push(client),
        }
    }
    stage.sleep(Duration::from_millis(1)).await?;
    for (who, client) in (0..).zip(clients) {
        client.write_all(&[who]).await?;
        accept_from(&*listener, who).await?.write_all(&[who]).await?;
        assert_eq!(caller(&client).await?, who);
    }
    Ok(())
}

/// Readiness alone is a hint; a connect that succeeds must be connected.
async fn h4_a_connected_stream_can_be_used_at_once<T: Listening>(stage: Stage) -> io::Result<()> {
    let listener = stage.listen::<T>().await?;
    for who in 0..50 {
        let deadline = if who % 2 == 0 { None } else { in_an_hour() };
        let client = T::connect(&stage, &listener, deadline).await?;
        assert_eq!(client.peer_addr()?, listener.local_addr()?);
        assert_eq!(client.write(&[who]).await?, 1);
        assert_eq!(caller(&listener.accept().await?).await?, who);
    }
    Ok(())
}

/// Many tasks connect at once, and each connection has an address and a peer of its own.
async fn h4_a_burst_of_connects_is_connected_whole<T: Listening>(stage: Stage) -> io::Result<()> {
    let listener = stage.listen::<T>().await?;
    let connects = (0..50).map(|who: u8| {
        let (stage_of_task, listener) = (stage.clone(), listener.clone());
        stage.spawn(async move {
            let client = T::connect(&stage_of_task, &listener, in_an_hour()).await?;
            client.write_all(&[who]).await?;
            assert_eq!(caller(&client).await?, who);
            Ok(())
        })
    });
    let connects: Vec<_> = connects.collect();
    for _ in 0..50 {
        serve(&stage, &*listener).await?;
    }
    join_all(connects).await.into_iter().collect()
}

/// The system answers for the listener, and keeps the bytes that are sent until it accepts.
async fn h2_connecting_does_not_wait_to_be_accepted<T: Listening>(stage: Stage) -> io::Result<()> {
    let listener = stage.listen::<T>().await?;
    let mut clients = Vec::new();
    for who in 0..20 {
        let client = T::connect(&stage, &listener, None).await?;
        client.write_all(&[who]).await?;
        clients.push(client);
    }
    for who in 0..20 {
        assert_eq!(caller(&listener.accept().await?).await?, who, "the first first");
    }
    Ok(())
}
