//! A task that always finds something to do yields now and then, so that the other tasks of its thread
//! run: tokio's cooperative budget.

use std::future::{Future, poll_fn};
use std::io::{self, Read, Write};
use std::os::unix::net;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;

use netpoll_tests::fixtures::{LOOPBACK, poll_once};
use netpoll_tokio::io::Interest;
use netpoll_tokio::io::unix::AsyncFd;
use netpoll_tokio::net::{TcpListener, TcpStream, UnixDatagram, UnixStream};
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadBuf};
use tokio::task::{coop::unconstrained, yield_now};

use crate::fixtures::{on_one_thread, pair};

/// How many operations succeed one after the other: more than twice a task's budget.
pub(crate) const OPERATIONS: usize = 300;

/// How often another task of the thread runs while one is busy that never has to wait.
pub(crate) async fn turns_of_others<F>(busy: F) -> io::Result<usize>
where
    F: Future<Output = io::Result<()>> + Send + 'static,
{
    let turns = Arc::new(AtomicUsize::new(0));
    let other = tokio::spawn({
        let turns = turns.clone();
        async move {
            loop {
                turns.fetch_add(1, Ordering::Relaxed);
                yield_now().await;
            }
        }
    });
    let busy = tokio::spawn(async move {
        let before = turns.load(Ordering::Relaxed);
        busy.await.map(|()| turns.load(Ordering::Relaxed) - before)
    });
    let turns = busy.await.expect("it does not panic");
    other.abort();
    turns
}

/// Sees that others run while the future of `prepare` is busy. Nothing in that must have to wait: then
/// others would run anyhow.
fn lets_others_run<P, F>(prepare: impl FnOnce() -> P + Send + 'static)
where
    P: Future<Output = io::Result<F>>,
    F: Future<Output = io::Result<()>> + Send + 'static,
{
    on_one_thread(|| async {
        let turns = turns_of_others(prepare().await?).await?;
        assert!(turns >= OPERATIONS / 128, "others had {turns} turns");
        Ok(())
    });
}

/// A stream with something to read for every operation there will be, which it knows.
async fn full() -> io::Result<(UnixStream, UnixStream)> {
    let (near, far) = UnixStream::pair()?;
    far.get_ref().write_all(&[b'x'; 2 * OPERATIONS]).await?;
    near.readable().await?;
    Ok((near, far))
}

#[test]
fn reads_through_the_trait() {
    lets_others_run(|| async {
        let (mut near, far) = full().await?;
        Ok(async move {
            for _ in 0..OPERATIONS {
                assert_eq!(AsyncReadExt::read(&mut near, &mut [0]).await?, 1);
            }
            far.close().await
        })
    });
}

#[test]
fn reads_with_a_half() {
    lets_others_run(|| async {
        let (near, far) = full().await?;
        let (mut reader, writer) = near.into_split();
        Ok(async move {
            for _ in 0..OPERATIONS {
                assert_eq!(reader.read_u8().await?, b'x');
            }
            drop(writer);
            far.close().await
        })
    });
}

#[test]
fn peeks() {
    lets_others_run(|| async {
        let (near, far) = full().await?;
        Ok(async move {
            for _ in 0..OPERATIONS {
                let mut byte = [0];
                assert_eq!((near.peek(&mut byte).await?, byte), (1, *b"x"));
            }
            far.close().await
        })
    });
}

#[test]
fn polls_to_peek() {
    lets_others_run(|| async {
        let (near, far) = full().await?;
        Ok(async move {
            for _ in 0..OPERATIONS {
                let mut byte = [0];
                let seen = poll_fn(|cx| near.poll_peek(cx, &mut ReadBuf::new(&mut byte))).await?;
                assert_eq!((seen, byte), (1, *b"x"));
            }
            far.close().await
        })
    });
}

#[test]
fn polls_for_readiness_and_tries() {
    lets_others_run(|| async {
        let (near, far) = full().await?;
        Ok(async move {
            for _ in 0..OPERATIONS {
                poll_fn(|cx| near.poll_read_ready(cx)).await?;
                assert_eq!(near.try_read(&mut [0])?, 1);
            }
            far.close().await
        })
    });
}

#[test]
fn operations_of_its_own() {
    lets_others_run(|| async {
        let (near, far) = full().await?;
        Ok(async move {
            for _ in 0..OPERATIONS {
                let read = || near.get_ref().try_read(&mut [0]);
                assert_eq!(near.async_io(Interest::READABLE, read).await?, 1);
            }
            far.close().await
        })
    });
}

#[test]
fn writes() {
    lets_others_run(|| async {
        let (mut near, far) = pair().await?;
        Ok(async move {
            for index in 0..OPERATIONS {
                match index % 3 {
                    0 => near.write_all(b"x").await?,
                    1 => assert_eq!(near.write(b"x").await?, 1),
                    _ => assert_eq!(AsyncWriteExt::write(&mut near, b"x").await?, 1),
                }
            }
            far.close().await
        })
    });
}

#[test]
fn polls_for_room_and_tries() {
    lets_others_run(|| async {
        let (near, far) = pair().await?;
        Ok(async move {
            for _ in 0..OPERATIONS {
                poll_fn(|cx| near.poll_write_ready(cx)).await?;
                assert_eq!(near.try_write(b"x")?, 1);
            }
            far.close().await
        })
    });
}

#[test]
fn accepts() {
    lets_others_run(|| async {
        let listener = TcpListener::bind(LOOPBACK).await?;
        let mut clients = Vec::new();
        for _ in 0..OPERATIONS {
            clients.push(TcpStream::connect(listener.local_addr()?).await?);
        }
        listener.get_ref().registration().ready(netpoll::Direction::Read).await?;
        Ok(async move {
            for index in 0..clients.len() {
                match index % 2 {
                    0 => drop(listener.accept().await?),
                    _ => drop(poll_fn(|cx| listener.poll_accept(cx)).await?),
                }
            }
            Ok(())
        })
    });
}

#[test]
fn polls_for_a_descriptor() {
    lets_others_run(|| async {
        let (near, mut far) = net::UnixStream::pair()?;
        near.set_nonblocking(true)?;
        far.write_all(&[b'x'; OPERATIONS])?;
        let near = AsyncFd::new(near)?;
        near.readable().await?.retain_ready();
        Ok(async move {
            for _ in 0..OPERATIONS {
                let mut guard = poll_fn(|cx| near.poll_read_ready(cx)).await?;
                let read = guard.try_io(|near| near.get_ref().read(&mut [0]));
                assert_eq!(read.expect("there is something")?, 1);
            }
            drop(far);
            Ok(())
        })
    });
}

/// The turns of others above are the budget's doing: without it there are none.
#[test]
fn without_a_budget_no_other_task_runs() {
    on_one_thread(|| async {
        let (mut near, _far) = full().await?;
        let turns = turns_of_others(unconstrained(async move {
            for _ in 0..OPERATIONS {
                assert_eq!(near.read(&mut [0]).await?, 1);
            }
            Ok(())
        }));
        assert_eq!(turns.await?, 0);
        Ok(())
    });
}

/// An operation that has to wait takes nothing from the budget, as tokio's own does not.
#[test]
fn waiting_takes_nothing() {
    on_one_thread(|| async {
        let (mut near, far) = UnixStream::pair()?;
        for _ in 0..OPERATIONS {
            let mut byte = [0];
            let mut read = std::pin::pin!(near.read(&mut byte));
            assert!(poll_once(read.as_mut()).is_pending(), "nothing is there");
        }
        assert!(tokio::task::coop::has_budget_remaining());
        far.get_ref().write_all(b"x").await?;
        assert_eq!(near.read(&mut [0]).await?, 1);
        Ok(())
    });
}

/// How many of the reads yield, of a thread whose own budget is full.
async fn yields_of_reads() -> io::Result<usize> {
    let (mut near, _far) = full().await?;
    netpoll_tests::fixtures::budget::fill();
    let mut yields = 0;
    for _ in 0..OPERATIONS {
        let mut byte = [0];
        let mut read = std::pin::pin!(near.read(&mut byte));
        if poll_once(read.as_mut()).is_pending() {
            yields += 1;
            assert!(poll_once(read.as_mut()).is_ready(), "once is enough");
        }
    }
    Ok(yields)
}

/// Outside of a runtime it is netpoll's own budget that holds.
#[test]
fn without_a_runtime_the_reactors_own_holds() {
    netpoll_tests::watched(|| {
        let yields = futures::executor::block_on(yields_of_reads()).unwrap();
        assert_eq!(yields, (OPERATIONS - 1) / netpoll_tests::fixtures::budget::OPERATIONS);
    });
}

/// Inside of one, that does not come on top of tokio's.
#[test]
fn inside_a_runtime_the_reactors_own_does_not() {
    on_one_thread(|| async {
        assert_eq!(unconstrained(yields_of_reads()).await?, 0);
        Ok(())
    });
}

/// How often, of a thousand times, a ready operation is pending all the same when it is polled once.
macro_rules! pending {
    ($count:ident: $($wait:expr),+) => {{
        $(
            for _ in 0..1000 {
                let wait = std::pin::pin!($wait);
                match poll_once(wait) {
                    Poll::Ready(ready) => drop(ready.expect("no deadline and no close")),
                    Poll::Pending => $count += 1,
                }
            }
        )+
    }};
}

/// As in tokio: to wait for readiness takes nothing from the budget, and a task that has used it up finds readiness
/// all the same. The operation that follows takes its unit.
#[test]
fn waiting_for_readiness_takes_nothing() {
    const BOTH: Interest = Interest::READABLE.add(Interest::WRITABLE);

    on_one_thread(|| async {
        let mut count = 0;
        let (mut near, far) = full().await?;
        pending!(count: near.readable(), near.writable(), near.ready(BOTH));
        {
            let (read, write) = near.split();
            pending!(count: read.readable(), read.ready(Interest::READABLE), write.writable());
        }
        let (read, write) = near.into_split();
        pending!(count: read.readable(), write.writable(), write.ready(Interest::WRITABLE));
        drop(far);
        let (near, far) = UnixDatagram::pair()?;
        far.send(b"x").await?;
        near.readable().await?;
        pending!(count: near.readable(), near.writable(), near.ready(BOTH));
        let (near, mut far) = net::UnixStream::pair()?;
        near.set_nonblocking(true)?;
        far.write_all(b"x")?;
        let mut near = AsyncFd::new(near)?;
        near.readable().await?.retain_ready();
        pending!(count: near.readable(), near.writable(), near.ready(BOTH));
        pending!(count: near.readable_mut(), near.writable_mut(), near.ready_mut(BOTH));
        assert_eq!(count, 0);
        Ok(())
    });
}
