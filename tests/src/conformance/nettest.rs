//! The eleven subtests of Go's `nettest`, written anew from their description: the behaviour of every full-duplex
//! stream with deadlines.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::future::{BoxFuture, join, join_all};
use futures::join;
use netpoll::is_deadline_exceeded;
use rand::rngs::SmallRng;
use rand::{RngCore, SeedableRng};

use super::peers::{
    discard, echo, read_full, read_to_end, resync, roundtrip, send_random, write_until_it_fails,
};
use super::{Behaviour, Stage, Stream, Transport, behaviours};
use crate::fixtures::{assert_timed_out, in_ms, past};

const MIB: usize = 1024 * 1024;
const CHUNK: usize = 1024;
const A_WHILE: Duration = Duration::from_millis(100);

pub(super) fn all<T: Transport>() -> Vec<Behaviour> {
    behaviours![
        T: basic_io, ping_pong, racy_read, racy_write, read_timeout, write_timeout, past_timeout,
        present_timeout, future_timeout, close_timeout, concurrent_methods,
    ]
}

/// A mebibyte arrives whole and in order, and then the end.
async fn basic_io<T: Transport>(stage: Stage) -> io::Result<()> {
    let (near, far) = stage.pair::<T>().await?;
    let mut sent = vec![0; MIB];
    SmallRng::seed_from_u64(0).fill_bytes(&mut sent);
    let send = {
        let sent = sent.clone();
        stage.spawn(async move {
            for chunk in sent.chunks(CHUNK) {
                near.write_all(chunk).await?;
            }
            near.close().await
        })
    };
    let receive = stage.spawn(async move {
        let received = read_to_end(&*far).await?;
        far.close().await.map(|()| received)
    });
    let (sending, received) = join(send, receive).await;
    sending?;
    assert!(received? == sent, "other bytes than were sent");
    Ok(())
}

/// Two ends count to a thousand together, each waiting for the other.
async fn ping_pong<T: Transport>(stage: Stage) -> io::Result<()> {
    async fn count(stream: Arc<impl Stream>) -> io::Result<()> {
        let mut previous = 0;
        let mut number = [0; 8];
        while read_full(&*stream, &mut number).await? {
            let value = u64::from_le_bytes(number);
            assert!(previous == 0 || value == previous + 2, "{value} after {previous}");
            previous = value;
            if value == 1000 {
                break;
            }
            stream.write_all(&(value + 1).to_le_bytes()).await?;
        }
        stream.close().await
    }
    let (near, far) = stage.pair::<T>().await?;
    let serve = stage.spawn(count(far));
    near.write_all(&[0; 8]).await?;
    let (near, far) = join(stage.spawn(count(near)), serve).await;
    near.and(far)
}

/// Ten tasks read with a deadline that passes again and again. No task writes to a buffer after its
/// read has ended, and no read fails but for its deadline.
async fn racy_read<T: Transport>(stage: Stage) -> io::Result<()> {
    let (near, far) = stage.pair::<T>().await?;
    drop(stage.spawn(send_random(far)));
    near.set_read_deadline(in_ms(1))?;
    let readers = (0..10).map(|_| {
        let near = near.clone();
        stage.spawn(async move {
            let mut buffer = [0; CHUNK];
            for _ in 0..100 {
                if let Err(error) = near.read(&mut buffer).await {
                    assert!(is_deadline_exceeded(&error), "{error:?}");
                    near.set_read_deadline(in_ms(1))?;
                }
                buffer.fill(0x5a);
            }
            Ok(())
        })
    });
    join_all(readers).await.into_iter().collect()
}

/// The same for writing.
async fn racy_write<T: Transport>(stage: Stage) -> io::Result<()> {
    let (near, far) = stage.pair::<T>().await?;
    drop(stage.spawn(discard(far)));
    near.set_write_deadline(in_ms(1))?;
    let writers = (0..10).map(|_| {
        let near = near.clone();
        stage.spawn(async move {
            let mut buffer = [0; CHUNK];
            for _ in 0..100 {
                if let Err(error) = near.write(&buffer).await {
                    assert!(is_deadline_exceeded(&error), "{error:?}");
                    near.set_write_deadline(in_ms(1))?;
                }
                buffer.fill(0x5a);
            }
            Ok(())
        })
    });
    join_all(writers).await.into_iter().collect()
}

/// A past read deadline fails reads, and not writes.
async fn read_timeout<T: Transport>(stage: Stage) -> io::Result<()> {
    let (near, far) = stage.pair::<T>().await?;
    drop(stage.spawn(discard(far)));
    near.set_read_deadline(past())?;
    assert_timed_out(near.read(&mut [0; CHUNK]).await);
    assert!(near.write(&[0; CHUNK]).await? > 0);
    Ok(())
}

/// A past write deadline fails writes, and not reads.
async fn write_timeout<T: Transport>(stage: Stage) -> io::Result<()> {
    let (near, far) = stage.pair::<T>().await?;
    drop(stage.spawn(send_random(far)));
    near.set_write_deadline(past())?;
    assert_timed_out(near.write(&[0; CHUNK]).await);
    assert!(near.read(&mut [0; CHUNK]).await? > 0);
    Ok(())
}

/// A past deadline fails both, and without it the stream is as good as before.
async fn past_timeout<T: Transport>(stage: Stage) -> io::Result<()> {
    let (near, far) = stage.pair::<T>().await?;
    drop(stage.spawn(echo(far)));
    roundtrip(&*near).await?;
    near.set_deadline(past())?;
    assert_timed_out(near.write(&[0; CHUNK]).await);
    assert_timed_out(near.read(&mut [0; CHUNK]).await);
    roundtrip(&*near).await
}

/// A deadline that is set into the past meanwhile fails the pending operations, and not before.
async fn present_timeout<T: Transport>(stage: Stage) -> io::Result<()> {
    let (near, _far) = stage.pair::<T>().await?;
    let set = Arc::new(AtomicBool::new(false));
    let setter = {
        let (stage_of_task, near, set) = (stage.clone(), near.clone(), set.clone());
        stage.spawn(async move {
            stage_of_task.sleep(A_WHILE).await?;
            set.store(true, Ordering::SeqCst);
            near.set_read_deadline(past())?;
            near.set_write_deadline(past())
        })
    };
    let read = {
        let (near, set) = (near.clone(), set.clone());
        stage.spawn(async move {
            assert_timed_out(near.read(&mut [0; CHUNK]).await);
            assert!(set.load(Ordering::SeqCst), "before it was set");
        })
    };
    let write = stage.spawn(async move {
        assert_timed_out(Err::<(), _>(write_until_it_fails(&*near).await.1));
        assert!(set.load(Ordering::SeqCst), "before it was set");
    });
    join!(setter, read, write).0
}

/// A future deadline fails the operations that are pending then, and without it the stream is as good as before.
async fn future_timeout<T: Transport>(stage: Stage) -> io::Result<()> {
    let (near, far) = stage.pair::<T>().await?;
    near.set_deadline(in_ms(100))?;
    let read = {
        let near = near.clone();
        stage.spawn(async move { assert_timed_out(near.read(&mut [0; CHUNK]).await) })
    };
    let write = {
        let near = near.clone();
        stage.spawn(
            async move { assert_timed_out(Err::<(), _>(write_until_it_fails(&*near).await.1)) },
        )
    };
    join(read, write).await;
    drop(stage.spawn(echo(far)));
    resync(&stage, &near).await?;
    roundtrip(&*near).await
}

/// Closing ends the pending operations.
async fn close_timeout<T: Transport>(stage: Stage) -> io::Result<()> {
    let (near, far) = stage.pair::<T>().await?;
    drop(stage.spawn(echo(far)));
    near.set_deadline(None)?;
    let close = {
        let (stage_of_task, near) = (stage.clone(), near.clone());
        stage.spawn(async move {
            stage_of_task.sleep(A_WHILE).await?;
            near.close().await
        })
    };
    let read = {
        let near = near.clone();
        stage.spawn(async move { while near.read(&mut [0; CHUNK]).await.is_ok() {} })
    };
    let write = stage.spawn(async move { drop(write_until_it_fails(&*near).await) });
    join!(close, read, write).0
}

/// Everything at once, a hundred times, and the stream is as good as before.
async fn concurrent_methods<T: Transport>(stage: Stage) -> io::Result<()> {
    let (near, far) = stage.pair::<T>().await?;
    drop(stage.spawn(echo(far)));
    for _ in 0..100 {
        let on =
            |call: fn(Arc<T::Stream>) -> BoxFuture<'static, ()>| stage.spawn(call(near.clone()));
        join_all([
            on(|near| Box::pin(async move { drop(near.read(&mut [0; CHUNK]).await) })),
            on(|near| Box::pin(async move { drop(near.write(&[0; CHUNK]).await) })),
            on(|near| {
                let soon = in_ms(10);
                Box::pin(async move { drop(near.set_deadline(soon)) })
            }),
            on(|near| Box::pin(async move { drop(near.set_read_deadline(past())) })),
            on(|near| Box::pin(async move { drop(near.set_write_deadline(past())) })),
            on(|near| Box::pin(async move { drop(near.local_addr()) })),
            on(|near| Box::pin(async move { drop(near.peer_addr()) })),
        ])
        .await;
    }
    resync(&stage, &near).await?;
    roundtrip(&*near).await
}
