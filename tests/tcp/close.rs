//! Closing, and dropping.

use std::io::Read;
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::pin::pin;
use std::thread;
use std::time::{Duration, Instant};

use futures::executor::{LocalPool, block_on};
use futures::future::{Either, join, select};
use futures::task::LocalSpawnExt;
use netpoll_futures::TcpStream;
use netpoll_futures::sys;
use netpoll_tests::fixtures::tcp::{
    TOO_MUCH, fill, pair, pair_with_std, read_exactly, read_to_end, tight_pair,
};
use netpoll_tests::fixtures::{
    assert_closed, assert_kind, pattern, poll_once, reactor_reaches, run,
};
use netpoll_tests::{CountingWaker, watched};

/// Longer than the watchdog waits: a close that lingers on the wrong thread fails its test.
const VERY_LONG: Option<Duration> = Some(Duration::from_secs(300));

#[test]
fn closing_ends_pending_operations_of_clones() {
    run(|| async {
        let (client, _server) = tight_pair().await?;
        let (reader, writer) = (client.clone(), client.clone());
        let (read_waker, write_waker) = (CountingWaker::new(), CountingWaker::new());
        let (mut buffer, block) = ([0; 16], pattern(TOO_MUCH));
        let mut read = pin!(reader.read(&mut buffer));
        let mut write = pin!(writer.write_all(&block));
        let mut next_in_line = pin!(writer.write_all(b"more"));
        assert!(read_waker.poll(read.as_mut()).is_pending());
        assert!(write_waker.poll(write.as_mut()).is_pending());
        assert!(poll_once(next_in_line.as_mut()).is_pending());
        client.close().await?;
        assert!(read_waker.wakes() > 0 && write_waker.wakes() > 0, "by closing itself");
        assert_closed(read.await);
        assert_closed(write.await);
        assert_closed(next_in_line.await);
        Ok(())
    });
}

#[test]
fn everything_fails_on_a_closed_stream() {
    run(|| async {
        let (client, _server) = pair().await?;
        let clone = client.clone();
        client.close().await?;
        let mut buffer = [0; 16];
        for stream in [&client, &clone] {
            assert_closed(stream.close().await);
            assert_closed(stream.read(&mut buffer).await);
            assert_closed(stream.peek(&mut buffer).await);
            assert_closed(stream.write(b"more").await);
            assert_closed(stream.write(b"").await);
            assert_closed(stream.try_read(&mut buffer));
            assert_closed(stream.try_write(b"more"));
            assert_closed(stream.readable().await);
            assert_closed(stream.writable().await);
            assert_closed(stream.shutdown(Shutdown::Both));
            assert_closed(stream.write_all(b"more").await);
        }
        Ok(())
    });
}

/// There is nothing to write, and nothing to write it to.
#[test]
fn writing_nothing_fails_on_a_closed_stream() {
    run(|| async {
        let (client, _server) = pair().await?;
        client.close().await?;
        assert_closed(client.write(b"").await);
        assert_closed(client.write_vectored(&[]).await);
        assert_closed(client.write_all(b"").await);
        Ok(())
    });
}

#[test]
fn the_peer_of_a_closed_stream_finds_the_end() {
    run(|| async {
        let (client, server) = pair().await?;
        let clone = client.clone();
        client.write_all(b"last words").await?;
        client.close().await?;
        assert_eq!(read_to_end(&server).await?, b"last words", "though there is a clone");
        drop(clone);
        Ok(())
    });
}

#[test]
fn the_peer_of_a_dropped_stream_finds_the_end() {
    run(|| async {
        let (client, server) = pair().await?;
        let clone = client.clone();
        let mut buffer = [0; 16];
        let mut read = pin!(server.read(&mut buffer));
        drop(client);
        assert!(poll_once(read.as_mut()).is_pending(), "a clone is left");
        clone.write_all(b"hello").await?;
        assert_eq!(read.as_mut().await?, 5);
        drop(clone);
        assert_eq!(server.read(&mut [0; 16]).await?, 0);
        Ok(())
    });
}

/// Of many closes at once one succeeds, and none returns before it is done.
#[test]
fn one_of_many_closes() {
    watched(|| {
        for _ in 0..100 {
            let (client, mut server) = block_on(pair_with_std()).unwrap();
            let closed: usize = thread::scope(|scope| {
                let close = || usize::from(block_on(client.close()).is_ok());
                let threads = [(); 4].map(|()| scope.spawn(close));
                threads.map(|thread| thread.join().unwrap()).iter().sum()
            });
            assert_eq!(closed, 1);
            assert_eq!(server.read(&mut [0; 16]).unwrap(), 0);
        }
    });
}

/// While other threads are inside system calls.
#[test]
fn closing_waits_for_those_inside() {
    fn read_until_closed(stream: &TcpStream) {
        block_on(async {
            while stream.peek(&mut [0; 64]).await.is_ok() {}
            assert_closed(stream.peek(&mut [0; 64]).await);
        });
    }
    watched(|| {
        for _ in 0..100 {
            let (client, server) = block_on(pair()).unwrap();
            block_on(server.write_all(b"to be peeked at over and over")).unwrap();
            block_on(client.readable()).unwrap();
            thread::scope(|scope| {
                let threads = [(); 3].map(|()| scope.spawn(|| read_until_closed(&client)));
                block_on(client.close()).unwrap();
                let ended = sys::recv(client.as_fd(), &mut [0; 16]).unwrap_err();
                assert_eq!(
                    ended.raw_os_error(),
                    Some(libc::ENOTSOCK),
                    "when it resolves, it is done"
                );
                threads.into_iter().for_each(|thread| thread.join().unwrap());
            });
        }
    });
}

/// A stream that is to linger for longer than the test, with a block that its peer has not read.
async fn lingering() -> std::io::Result<(TcpStream, TcpStream, usize)> {
    let (client, server) = tight_pair().await?;
    client.set_linger(VERY_LONG)?;
    let written = fill(&client)?;
    Ok((client, server, written))
}

#[test]
fn lingering_blocks_no_task_and_ends_when_all_is_sent() {
    watched(|| {
        let mut pool = LocalPool::new();
        let (client, server, written) = pool.run_until(lingering()).unwrap();
        let close = async move { client.close().await };
        // It runs first, and lingers until the other has read.
        let close = pool.spawner().spawn_local_with_handle(close).unwrap();
        let (closed, received) = pool.run_until(join(close, read_to_end(&server)));
        closed.unwrap();
        assert_eq!(received.unwrap().len(), written);
    });
}

#[test]
fn lingering_lasts_until_all_is_sent() {
    run(|| async {
        let (client, server, written) = lingering().await?;
        let close = Box::pin(client.close());
        let Either::Right((timer, close)) =
            select(close, Box::pin(reactor_reaches(Duration::from_millis(30)))).await
        else {
            panic!("closed, and nothing of it was read");
        };
        timer?;
        assert_closed(client.write(b"more").await);
        let (closed, received) = join(close, read_to_end(&server)).await;
        assert_eq!(received?.len(), written);
        closed
    });
}

#[test]
fn lingering_ends_pending_operations() {
    run(|| async {
        let (client, server, _) = lingering().await?;
        let clone = client.clone();
        let mut buffer = [0; 16];
        let mut read = pin!(clone.read(&mut buffer));
        assert!(poll_once(read.as_mut()).is_pending());
        let mut close = pin!(client.close());
        assert!(poll_once(close.as_mut()).is_pending());
        assert_closed(read.await);
        let (closed, _) = join(close, read_to_end(&server)).await;
        closed
    });
}

/// Lingering is for bytes that were sent. It does not keep the stream open.
#[test]
fn a_stream_that_lingers_is_closed_at_once() {
    run(|| async {
        for _ in 0..50 {
            let (client, server, _) = lingering().await?;
            let mut close = pin!(client.close());
            assert!(poll_once(close.as_mut()).is_pending());
            assert_closed(client.try_read(&mut [0; 16]));
            assert_closed(client.set_deadline(None));
            assert_closed(client.close().await);
            join(close, read_to_end(&server)).await.0?;
        }
        Ok(())
    });
}

/// Its time is over before the peer has read anything.
#[test]
fn lingering_lasts_no_longer_than_it_may() {
    run(|| async {
        let (client, server, written) = lingering().await?;
        client.set_linger(Some(Duration::from_secs(1)))?;
        let began = Instant::now();
        client.close().await?;
        assert!(began.elapsed() >= Duration::from_secs(1), "{:?}", began.elapsed());
        assert_eq!(read_to_end(&server).await?.len(), written);
        Ok(())
    });
}

#[test]
fn a_dropped_close_closes_all_the_same() {
    run(|| async {
        let (client, mut server) = pair_with_std().await?;
        let _ = poll_once(pin!(client.close()));
        assert_eq!(server.read(&mut [0; 16])?, 0, "though it has not been dropped");
        assert_closed(client.read(&mut [0; 16]).await);
        Ok(())
    });
}

/// It does not linger then, but written bytes still go to the peer.
#[test]
fn a_dropped_close_that_lingers_closes_all_the_same() {
    run(|| async {
        let (client, server, written) = lingering().await?;
        assert!(poll_once(pin!(client.close())).is_pending());
        client.registration().get_ref().peer_addr().expect_err("the descriptor is no socket");
        assert_eq!(read_to_end(&server).await?.len(), written);
        assert_closed(client.read(&mut [0; 16]).await);
        Ok(())
    });
}

#[test]
fn a_close_that_was_never_polled_closes_nothing() {
    run(|| async {
        let (client, server) = pair().await?;
        drop(client.close());
        client.write_all(b"hello").await?;
        assert_eq!(read_exactly(&server, 5).await?, b"hello");
        Ok(())
    });
}

#[test]
fn a_linger_of_zero_resets() {
    run(|| async {
        let (client, server) = pair().await?;
        client.set_linger(Some(Duration::ZERO))?;
        client.write_all(b"never to be read").await?;
        client.close().await?;
        assert_kind(
            server.read(&mut [0; 16]).await.and(server.read(&mut [0; 16]).await),
            std::io::ErrorKind::ConnectionReset,
        );
        Ok(())
    });
}
