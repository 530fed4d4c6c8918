//! A task that never has to wait, whose socket is ready all the time: the others of its thread run all
//! the same, under executors that would not see to it themselves.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::io::{self, Read, Write};
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::thread;
use std::time::Instant;

use async_executor::LocalExecutor;
use futures::executor::{LocalPool, block_on};
use futures::future::select;
use futures::task::LocalSpawnExt;
use futures::{AsyncRead, AsyncReadExt, AsyncWriteExt, StreamExt};
use netpoll::{Direction, Interest, Reactor, Registration};
use netpoll_futures::{Async, TcpListener, TcpStream, UdpSocket};
use netpoll_tests::fixtures::budget;
use netpoll_tests::fixtures::tcp::pair;
use netpoll_tests::fixtures::{LOOPBACK, run, yield_now};
use netpoll_tests::{CountingWaker, watched};

/// How many operations succeed one after the other.
const OPERATIONS: usize = 1000;

/// How often others run meanwhile, at least.
const TURNS: usize = OPERATIONS / 128;

/// How often another task of this thread runs while one is busy that never has to wait.
async fn turns_of_others(
    executor: Rc<LocalExecutor<'_>>,
    busy: impl Future<Output = io::Result<()>>,
) -> io::Result<usize> {
    let turns = Rc::new(Cell::new(0));
    let counted = turns.clone();
    let _other = executor.spawn(async move {
        loop {
            counted.set(counted.get() + 1);
            yield_now().await;
        }
    });
    yield_now().await;
    budget::fill();
    let before = turns.get();
    busy.await?;
    Ok(turns.get() - before)
}

/// Sees that others run while the future of `prepare` is busy. Nothing in that may have to wait.
fn lets_others_run<P, F>(prepare: impl FnOnce() -> P + Send + 'static)
where
    P: Future<Output = io::Result<F>>,
    F: Future<Output = io::Result<()>> + 'static,
{
    run(|| async {
        let busy = prepare().await?;
        let executor = Rc::new(LocalExecutor::new());
        let both = executor.spawn(turns_of_others(executor.clone(), busy));
        let turns = executor.run(both).await?;
        assert!(turns >= TURNS, "{turns} turns of others");
        Ok(())
    });
}

/// A stream with something to read for every operation there will be, which it knows.
pub(crate) async fn full() -> io::Result<(TcpStream, TcpStream)> {
    let (near, far) = pair().await?;
    far.write_all(&[b'x'; 2 * OPERATIONS]).await?;
    near.io(Direction::Read, |socket| {
        let there = socket.peek(&mut [0; 2 * OPERATIONS])?;
        if there == 2 * OPERATIONS { Ok(()) } else { Err(io::ErrorKind::WouldBlock.into()) }
    })
    .await?;
    near.readable().await?;
    Ok((near, far))
}

#[test]
fn reads() {
    lets_others_run(|| async {
        let (near, far) = full().await?;
        Ok(async move {
            for _ in 0..OPERATIONS {
                assert_eq!(near.read(&mut [0]).await?, 1);
            }
            far.close().await
        })
    });
}

#[test]
fn reads_by_the_trait() {
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
fn waits_and_tries() {
    lets_others_run(|| async {
        let (near, far) = full().await?;
        Ok(async move {
            for index in 0..OPERATIONS {
                match index % 2 {
                    0 => near.readable().await?,
                    _ => poll_fn(|cx| near.poll_read_ready(cx)).await?,
                }
                assert_eq!(near.try_read(&mut [0])?, 1);
            }
            far.close().await
        })
    });
}

#[test]
fn writes() {
    lets_others_run(|| async {
        let (mut near, far) = pair().await?;
        near.writable().await?;
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
fn accepts() {
    lets_others_run(|| async {
        let listener = TcpListener::bind(LOOPBACK).await?;
        let mut clients = Vec::new();
        for _ in 0..OPERATIONS {
            clients.push(TcpStream::connect(listener.local_addr()?).await?);
        }
        listener.registration().ready(Direction::Read).await?;
        Ok(async move {
            for index in 0..clients.len() {
                match index % 2 {
                    0 => drop(listener.accept().await?),
                    _ => drop(listener.incoming().next().await.expect("it has no end")?),
                }
            }
            Ok(())
        })
    });
}

#[test]
fn receives_and_sends() {
    lets_others_run(|| async {
        let near = UdpSocket::bind(LOOPBACK).await?;
        near.connect(near.local_addr()?).await?;
        near.send(b"x").await?;
        Ok(async move {
            for _ in 0..OPERATIONS / 2 {
                near.send(b"x").await?;
                assert_eq!(near.recv(&mut [0; 2]).await?, 1);
            }
            Ok(())
        })
    });
}

#[test]
fn operations_of_its_own() {
    lets_others_run(|| async {
        let (near, mut far) = io::pipe()?;
        far.write_all(&[b'x'; OPERATIONS])?;
        let near = Async::new(near)?;
        near.readable().await?;
        Ok(async move {
            for _ in 0..OPERATIONS {
                assert_eq!(near.read_with(|mut pipe| pipe.read(&mut [0])).await?, 1);
            }
            drop(far);
            Ok(())
        })
    });
}

/// `select` with a future that waits is as good as waiting, to an executor that goes by the result of a
/// poll. The count does not begin anew for it.
#[test]
fn waits_for_something_else_as_well() {
    lets_others_run(|| async {
        let (near, far) = full().await?;
        Ok(async move {
            for _ in 0..OPERATIONS {
                let mut silence = [0];
                let mut bytes = [0];
                let waits = pin!(far.read(&mut silence));
                let reads = pin!(near.read(&mut bytes));
                drop(select(waits, reads).await);
            }
            far.close().await
        })
    });
}

/// A flood from elsewhere, for as long as it takes: it ends when another task of the thread has had its
/// turns, and that one needs the reactor for each. Without a budget, this is a hang.
fn outlives_a_flood(run: impl FnOnce(&LocalExecutor<'_>, TcpStream) -> io::Result<usize>) {
    let listener = std::net::TcpListener::bind(LOOPBACK).expect("a port");
    let address = listener.local_addr().expect("bound");
    let flood = thread::spawn(move || {
        let (mut far, _) = listener.accept().expect("a connection");
        while far.write_all(&[0x5a; 1 << 16]).is_ok() {}
    });
    let near = block_on(TcpStream::connect(address)).expect("a connection");
    let began = Instant::now();
    let read = run(&LocalExecutor::new(), near).expect("echoes");
    println!("{EXCHANGES} exchanges took {:?}, and {read} bytes were read", began.elapsed());
    flood.join().expect("no panic");
}

const EXCHANGES: usize = 20;

/// Reads all there is in small sips, while another task exchanges bytes with itself.
async fn flooded(executor: &LocalExecutor<'_>, near: TcpStream) -> io::Result<usize> {
    let read = Rc::new(Cell::new(0));
    let (counted, under_way) = (read.clone(), read.clone());
    let _busy = executor.spawn(async move {
        let mut buffer = [0; 64];
        while let Ok(count @ 1..) = near.read(&mut buffer).await {
            counted.set(counted.get() + count);
        }
    });
    // A task like the other: an executor looks less often at the future that `run` was given.
    let exchanges = executor.spawn(async move {
        while under_way.get() == 0 {
            yield_now().await;
        }
        let (one, other) = pair().await?;
        for _ in 0..EXCHANGES {
            one.write_all(b"x").await?;
            assert_eq!(other.read(&mut [0]).await?, 1);
        }
        io::Result::Ok(())
    });
    exchanges.await?;
    Ok(read.get())
}

#[test]
fn a_flood_on_a_thread_that_drives_the_reactor() {
    watched(|| {
        outlives_a_flood(|executor, near| netpoll::block_on(executor.run(flooded(executor, near))));
    });
}

#[test]
fn a_flood_on_a_thread_of_smols() {
    watched(|| {
        outlives_a_flood(|executor, near| smol::block_on(executor.run(flooded(executor, near))));
    });
}

/// The pool of futures, which knows no fairness among its tasks either.
#[test]
fn reads_in_a_local_pool() {
    watched(|| {
        let mut pool = LocalPool::new();
        let (near, _far) = pool.run_until(full()).expect("a connection");
        let ended = Rc::new(Cell::new(false));
        let seen = ended.clone();
        let busy = async move {
            for _ in 0..OPERATIONS {
                assert_eq!(near.read(&mut [0]).await.expect("a byte"), 1);
            }
            seen.set(true);
        };
        pool.spawner().spawn_local(busy).expect("the pool is there");
        let turns = pool.run_until(async {
            let mut turns = 0;
            while !ended.get() {
                turns += 1;
                yield_now().await;
            }
            turns
        });
        assert!(turns >= TURNS, "{turns} turns");
    });
}

/// A try, which succeeds now or not at all, is never put off.
#[test]
fn a_try_takes_nothing_from_the_budget() {
    run(|| async {
        let (near, _far) = full().await?;
        budget::fill();
        for _ in 0..OPERATIONS {
            assert_eq!(near.try_read(&mut [0])?, 1);
        }
        assert!(!budget::is_spent());
        budget::spend_all();
        assert_eq!(near.try_read(&mut [0])?, 1);
        Ok(())
    });
}

/// A thread that waits as a driver has run every task.
#[test]
fn a_driver_that_waits_has_a_full_budget() {
    watched(|| {
        let reactor = Reactor::builder().embedded().build().expect("a reactor");
        let mut driver = reactor.driver();
        budget::spend_all();
        driver.waker().wake();
        driver.park();
        assert!(!budget::is_spent());
    });
}

/// The registration itself, of which the sockets are made.
#[test]
fn a_registration_of_ones_own() {
    watched(|| {
        let (near, mut far) = io::pipe().expect("a pipe");
        far.write_all(&[b'x'; OPERATIONS]).expect("room");
        let near = Async::new(near).expect("a registration").into_inner().expect("open");
        let reactor = Reactor::global().expect("a reactor");
        let near = Registration::with(reactor, near, Interest::Readable).expect("a registration");
        block_on(near.ready(Direction::Read)).expect("there is something");
        budget::fill();
        let mut yields = 0;
        for _ in 0..OPERATIONS {
            let waker = CountingWaker::new();
            let mut read = pin!(near.io(Direction::Read, |mut pipe| pipe.read(&mut [0])));
            if waker.poll(read.as_mut()).is_pending() {
                yields += waker.wakes();
                assert!(waker.poll(read.as_mut()).is_ready(), "once is enough");
            }
        }
        assert_eq!(yields, TURNS);
    });
}

/// A task that selects over many sockets, all of which are always ready, within one poll.
#[test]
fn a_select_over_many_ready_sockets() {
    const SOCKETS: usize = 40;
    lets_others_run(|| async {
        let mut sockets = Vec::new();
        for _ in 0..SOCKETS {
            sockets.push(full().await?);
        }
        Ok(async move {
            let mut read = 0;
            poll_fn(|cx| {
                loop {
                    let before = read;
                    for (near, _far) in &mut sockets {
                        let polled = std::pin::Pin::new(near).poll_read(cx, &mut [0]);
                        read += usize::from(polled.is_ready());
                    }
                    if read >= SOCKETS * OPERATIONS / 2 {
                        return Poll::Ready(Ok(()));
                    }
                    if read == before {
                        return Poll::Pending;
                    }
                }
            })
            .await
        })
    });
}
