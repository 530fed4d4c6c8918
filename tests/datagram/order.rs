//! Many tasks on one datagram socket.

use std::future::Future;
use std::io;
use std::pin::Pin;

use futures::FutureExt;
use futures::future::try_join_all;
use netpoll_futures::Datagram;
use netpoll_tests::CountingWaker;
use netpoll_tests::conformance::Stage;
use netpoll_tests::fixtures::assert_pending;

use crate::fixtures::{Family, for_both_families, pair, take};

for_both_families!(
    datagrams_come_as_they_were_sent,
    each_of_several_receives_is_served,
    fifty_tasks_receive_each_datagram_once,
    a_dropped_receive_loses_nothing,
    receives_that_are_dropped_leave_the_datagram_to_the_one_that_stays,
    sends_at_once_do_not_mix,
);

type Taking = Pin<Box<dyn Future<Output = io::Result<Vec<u8>>> + Send>>;

fn begin<S: Family>(socket: &Datagram<S>) -> Taking {
    let socket = socket.clone();
    async move { take(&socket).await }.boxed()
}

async fn datagrams_come_as_they_were_sent<S: Family>(stage: Stage) -> io::Result<()> {
    let (near, far) = pair::<S>(&stage)?;
    for _ in 0..20 {
        for number in 0..50 {
            assert_eq!(far.send(&[number]).await?, 1);
        }
        for number in 0..50 {
            assert_eq!(take(&near).await?, [number]);
        }
    }
    Ok(())
}

/// They wait before anything comes, and the last is polled first: none waits for another.
async fn each_of_several_receives_is_served<S: Family>(stage: Stage) -> io::Result<()> {
    let (near, far) = pair::<S>(&stage)?;
    let mut waiting: Vec<Taking> = (0..20).map(|_| begin(&near)).collect();
    for receive in &mut waiting {
        assert_pending(receive, &CountingWaker::new());
    }
    for number in 0..20 {
        far.send(&[number]).await?;
    }
    let mut received = Vec::new();
    for receive in waiting.into_iter().rev() {
        received.extend(receive.await?);
    }
    assert!(received.into_iter().eq(0..20));
    Ok(())
}

/// Each sends its received datagram back, at the same time as the others.
async fn fifty_tasks_receive_each_datagram_once<S: Family>(stage: Stage) -> io::Result<()> {
    const TASKS: u32 = 50;
    const ROUNDS: u32 = 10;
    let (near, far) = pair::<S>(&stage)?;
    let echo = |socket: Datagram<S>| async move {
        let mut count = 0;
        loop {
            match &take(&socket).await?[..] {
                [] => return Ok::<u32, io::Error>(count),
                received => assert_eq!(socket.send(received).await?, 4),
            }
            count += 1;
        }
    };
    let tasks: Vec<_> = (0..TASKS).map(|_| stage.spawn(echo(near.clone()))).collect();
    for round in 0..ROUNDS {
        let sent: Vec<u32> = (round * TASKS..(round + 1) * TASKS).collect();
        for number in &sent {
            far.send(&number.to_ne_bytes()).await?;
        }
        let mut received = Vec::new();
        for _ in &sent {
            let number = take(&far).await?.try_into().expect("four bytes");
            received.push(u32::from_ne_bytes(number));
        }
        received.sort_unstable();
        assert_eq!(received, sent);
    }
    for _ in 0..TASKS {
        far.send(b"").await?;
    }
    let counts = try_join_all(tasks).await?;
    assert_eq!(counts.iter().sum::<u32>(), TASKS * ROUNDS);
    Ok(())
}

/// Dropped before a datagram came, or when it was woken for one.
async fn a_dropped_receive_loses_nothing<S: Family>(stage: Stage) -> io::Result<()> {
    let (near, far) = pair::<S>(&stage)?;
    for number in 0..100 {
        let mut dropped = begin(&near);
        assert_pending(&mut dropped, &CountingWaker::new());
        if number % 2 == 0 {
            far.send(&[number]).await?;
            near.readable().await?;
        }
        drop(dropped);
        if number % 2 == 1 {
            far.send(&[number]).await?;
        }
        assert_eq!(take(&near).await?, [number]);
    }
    Ok(())
}

async fn receives_that_are_dropped_leave_the_datagram_to_the_one_that_stays<S: Family>(
    stage: Stage,
) -> io::Result<()> {
    let (near, far) = pair::<S>(&stage)?;
    for number in 0..50 {
        let [mut first, mut second, mut third] = [(); 3].map(|()| begin(&near));
        for receive in [&mut first, &mut second, &mut third] {
            assert_pending(receive, &CountingWaker::new());
        }
        let third = stage.spawn(third);
        drop(second);
        far.send(&[number]).await?;
        near.readable().await?;
        drop(first);
        assert_eq!(third.await?, [number]);
    }
    Ok(())
}

async fn sends_at_once_do_not_mix<S: Family>(stage: Stage) -> io::Result<()> {
    const TASKS: u8 = 20;
    const EACH: usize = 5;
    let (near, far) = pair::<S>(&stage)?;
    let send = |number: u8, socket: Datagram<S>| async move {
        for _ in 0..EACH {
            let datagram = vec![number; usize::from(number) + 1];
            assert_eq!(socket.send(&datagram).await?, datagram.len());
        }
        io::Result::Ok(())
    };
    let tasks: Vec<_> = (0..TASKS).map(|task| stage.spawn(send(task, far.clone()))).collect();
    let mut counts = [0; TASKS as usize];
    for _ in 0..usize::from(TASKS) * EACH {
        let datagram = take(&near).await?;
        assert_eq!(datagram, vec![datagram[0]; usize::from(datagram[0]) + 1]);
        counts[usize::from(datagram[0])] += 1;
    }
    assert_eq!(counts, [EACH; TASKS as usize]);
    try_join_all(tasks).await.map(drop)
}
