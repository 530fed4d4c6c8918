//! Deadlines. Sends that have to wait are in `full`.

use std::io;
use std::time::{Duration, Instant};

use futures::FutureExt;
use futures::future::{join_all, try_join_all};
use netpoll_futures::Datagram;
use netpoll_tests::CountingWaker;
use netpoll_tests::conformance::Stage;
use netpoll_tests::fixtures::{TIMES, assert_pending, assert_timed_out, in_an_hour, in_ms, past};

use crate::fixtures::{Family, for_both_families, pair, take};

for_both_families!(
    a_receive_is_never_early,
    of_many_times_the_last_one_counts,
    it_is_for_everything_that_receives,
    it_is_for_everything_that_sends,
    a_past_one_fails_pending_operations_at_once,
    one_that_was_moved_away_does_not_fire,
    it_fails_all_in_line_and_they_can_come_again,
    datagrams_survive_it,
);

/// All at once, each with a socket of its own, and each then as good as before.
async fn a_receive_is_never_early<S: Family>(stage: Stage) -> io::Result<()> {
    let rows = TIMES.map(|time| {
        let sockets = pair::<S>(&stage);
        stage.spawn(async move {
            let (near, far) = sockets?;
            let deadline = Some(Instant::now() + time);
            near.set_read_deadline(deadline)?;
            assert_timed_out(take(&near).await);
            assert!(Some(Instant::now()) >= deadline, "{time:?}");
            near.set_read_deadline(None)?;
            far.send(b"hello").await?;
            assert_eq!(take(&near).await?, b"hello");
            io::Result::Ok(())
        })
    });
    try_join_all(rows).await.map(drop)
}

async fn of_many_times_the_last_one_counts<S: Family>(stage: Stage) -> io::Result<()> {
    let (near, _far) = pair::<S>(&stage)?;
    for last in [Duration::from_micros(100), Duration::from_millis(10)] {
        let mut receive = take(&near).boxed();
        for time in [3600, 1, 60, 7200] {
            near.set_deadline(Some(Instant::now() + Duration::from_secs(time)))?;
            assert_pending(&mut receive, &CountingWaker::new());
        }
        let deadline = Some(Instant::now() + last);
        near.set_deadline(deadline)?;
        assert_timed_out(receive.await);
        assert!(Some(Instant::now()) >= deadline, "{last:?}");
    }
    Ok(())
}

async fn it_is_for_everything_that_receives<S: Family>(stage: Stage) -> io::Result<()> {
    let (near, far) = pair::<S>(&stage)?;
    far.send(b"there is something").await?;
    near.readable().await?;
    near.set_read_deadline(past())?;
    let (mut buffer, mut vec) = ([0; 100], Vec::with_capacity(100));
    assert_timed_out(near.recv(&mut buffer).await);
    assert_timed_out(near.recv_from(&mut buffer).await);
    assert_timed_out(near.recv_msg(&mut buffer).await);
    assert_timed_out(near.recv_buf(&mut vec).await);
    assert_timed_out(near.recv_buf_from(&mut vec).await);
    assert_timed_out(near.peek(&mut buffer).await);
    assert_timed_out(near.peek_from(&mut buffer).await);
    assert_timed_out(near.readable().await);
    assert_timed_out(near.try_recv(&mut buffer));
    assert_timed_out(near.try_recv_from(&mut buffer));
    assert_timed_out(near.try_recv_msg(&mut buffer));
    assert_timed_out(near.try_recv_buf(&mut vec));
    assert_timed_out(near.try_recv_buf_from(&mut vec));
    assert_timed_out(near.try_peek(&mut buffer));
    assert_timed_out(near.try_peek_from(&mut buffer));
    near.send(b"in time").await?;
    near.set_read_deadline(None)?;
    assert_eq!(take(&near).await?, b"there is something");
    assert_eq!(take(&far).await?, b"in time", "sending has a deadline of its own");
    Ok(())
}

async fn it_is_for_everything_that_sends<S: Family>(stage: Stage) -> io::Result<()> {
    let (near, far) = pair::<S>(&stage)?;
    let to = far.local_addr()?;
    near.set_write_deadline(past())?;
    assert_timed_out(near.send(b"late").await);
    assert_timed_out(near.send(b"").await);
    assert_timed_out(near.send_to_addr(b"late", &to).await);
    assert_timed_out(near.writable().await);
    assert_timed_out(near.try_send(b"late"));
    assert_timed_out(near.try_send_to_addr(b"late", &to));
    far.send(b"in time").await?;
    assert_eq!(take(&near).await?, b"in time", "receiving has a deadline of its own");
    near.set_write_deadline(None)?;
    near.send(b"again").await?;
    assert_eq!(take(&far).await?, b"again", "and nothing was sent late");
    Ok(())
}

async fn a_past_one_fails_pending_operations_at_once<S: Family>(stage: Stage) -> io::Result<()> {
    let (near, _far) = pair::<S>(&stage)?;
    for before in [None, in_an_hour()] {
        near.set_deadline(before)?;
        let waker = CountingWaker::new();
        let mut receive = take(&near).boxed();
        assert_pending(&mut receive, &waker);
        near.set_read_deadline(past())?;
        assert_eq!(waker.wakes(), 1, "by the setter itself");
        assert_timed_out(receive.now_or_never().expect("at once"));
    }
    Ok(())
}

async fn one_that_was_moved_away_does_not_fire<S: Family>(stage: Stage) -> io::Result<()> {
    let (near, far) = pair::<S>(&stage)?;
    for moved_to in [in_an_hour(), None] {
        let waker = CountingWaker::new();
        let mut receive = take(&near).boxed();
        let mut time = Duration::from_millis(20);
        loop {
            let deadline = Instant::now() + time;
            near.set_read_deadline(Some(deadline))?;
            assert!(receive.as_mut().now_or_never().is_none_or(|late| late.is_err()));
            near.set_read_deadline(moved_to)?;
            if Instant::now() < deadline {
                break;
            }
            // It was too late for that, as it may be on a busy machine.
            receive = take(&near).boxed();
            time *= 2;
        }
        assert_pending(&mut receive, &waker);
        stage.sleep(time * 3).await?;
        assert_eq!(waker.wakes(), 0);
        assert_pending(&mut receive, &waker);
        far.send(b"hello").await?;
        assert_eq!(receive.await?, b"hello");
    }
    Ok(())
}

async fn it_fails_all_in_line_and_they_can_come_again<S: Family>(stage: Stage) -> io::Result<()> {
    const TASKS: u8 = 50;
    let (near, far) = pair::<S>(&stage)?;
    let begin = |socket: Datagram<S>| stage.spawn(async move { take(&socket).await });
    let deadline = in_ms(20);
    near.set_read_deadline(deadline)?;
    let tasks: Vec<_> = (0..TASKS).map(|_| begin(near.clone())).collect();
    for task in tasks {
        assert_timed_out(task.await);
    }
    assert!(Some(Instant::now()) >= deadline);
    near.set_read_deadline(in_an_hour())?;
    let tasks: Vec<_> = (0..TASKS).map(|_| begin(near.clone())).collect();
    for number in 0..TASKS {
        far.send(&[number]).await?;
    }
    let received = join_all(tasks).await.into_iter().collect::<io::Result<Vec<_>>>()?;
    let mut numbers: Vec<u8> = received.concat();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..TASKS).collect::<Vec<_>>());
    Ok(())
}

/// Ever again a receive is late while datagrams come.
async fn datagrams_survive_it<S: Family>(stage: Stage) -> io::Result<()> {
    let (near, far) = pair::<S>(&stage)?;
    for number in 0..200 {
        near.set_read_deadline(Some(Instant::now() + Duration::from_micros(number % 20 * 10)))?;
        let mut receive = take(&near).boxed();
        let early = receive.as_mut().now_or_never();
        assert!(early.is_none_or(|early| early.is_err()), "of nothing");
        drop(receive);
        far.send(&number.to_ne_bytes()).await?;
        match take(&near).await {
            Ok(received) => assert_eq!(received, number.to_ne_bytes()),
            late => {
                assert_timed_out(late);
                near.set_read_deadline(None)?;
                assert_eq!(take(&near).await?, number.to_ne_bytes());
            }
        }
    }
    Ok(())
}
