//! Reading and writing, the end of a stream and how it breaks.

use std::io::{self, ErrorKind};
use std::net::Shutdown;
use std::pin::pin;
use std::time::Duration;

use futures::executor::{LocalPool, ThreadPool, block_on};
use futures::task::{LocalSpawnExt, SpawnExt};
use futures::{join, try_join};
use netpoll_futures::TcpStream;
use netpoll_tests::fixtures::tcp::{TOO_MUCH, fill, pair, read_exactly, read_to_end, tight_pair};
use netpoll_tests::fixtures::{KIB, assert_closed, assert_kind, os, pattern, poll_once, run};
use netpoll_tests::{CountingWaker, watched};

const MEBIBYTE: usize = 1024 * KIB;

/// Sends each byte back, through the generic copy of futures.
async fn echo_by_copy(stream: TcpStream) -> io::Result<()> {
    futures::io::copy(&stream, &mut &stream).await?;
    stream.shutdown(Shutdown::Write)
}

/// The same by hand.
async fn echo(stream: TcpStream) -> io::Result<()> {
    let mut buffer = vec![0; 10_000];
    loop {
        match stream.read(&mut buffer).await? {
            0 => return stream.shutdown(Shutdown::Write),
            count => stream.write_all(&buffer[..count]).await?,
        }
    }
}

/// Sends a mebibyte to an echo, and has it back.
async fn round_trip(stream: &TcpStream) -> io::Result<()> {
    let sent = pattern(MEBIBYTE);
    let send = async {
        stream.write_all(&sent).await?;
        stream.shutdown(Shutdown::Write)
    };
    let ((), received) = try_join!(send, read_to_end(stream))?;
    assert!(received == sent, "{} bytes came back, and not those", received.len());
    Ok(())
}

#[test]
fn a_mebibyte_comes_back_through_copy() {
    run(|| async {
        let (client, server) = pair().await?;
        try_join!(echo_by_copy(server), round_trip(&client)).map(drop)
    });
}

#[test]
fn a_mebibyte_comes_back_through_read_and_write_all() {
    run(|| async {
        let (client, server) = pair().await?;
        try_join!(echo(server), round_trip(&client)).map(drop)
    });
}

#[test]
fn a_mebibyte_comes_back_from_another_task_of_one_thread() {
    watched(|| {
        let mut pool = LocalPool::new();
        let (client, server) = pool.run_until(pair()).unwrap();
        let echo = pool.spawner().spawn_local_with_handle(echo(server)).unwrap();
        let (echoed, came_back) = pool.run_until(async { join!(echo, round_trip(&client)) });
        echoed.and(came_back).unwrap();
    });
}

#[test]
fn ten_mebibytes_come_back_from_the_threads_of_a_pool() {
    watched(|| {
        let pool = ThreadPool::builder().pool_size(4).create().unwrap();
        let both = |_| {
            let (client, server) = block_on(pair()).unwrap();
            let echo = pool.spawn_with_handle(echo(server)).unwrap();
            let trip = pool.spawn_with_handle(async move { round_trip(&client).await }).unwrap();
            [echo, trip]
        };
        let tasks: Vec<_> = (0..10).flat_map(both).collect();
        tasks.into_iter().for_each(|task| block_on(task).unwrap());
    });
}

#[test]
fn an_empty_buffer_reads_nothing() {
    run(|| async {
        let (client, server) = pair().await?;
        assert_eq!(server.read(&mut []).await?, 0, "nothing is there, and nothing is waited for");
        assert_eq!(server.peek(&mut []).await?, 0);
        client.write_all(b"hello").await?;
        server.readable().await?;
        assert_eq!(server.read(&mut []).await?, 0);
        assert_eq!(server.peek(&mut []).await?, 0);
        assert_eq!(read_exactly(&server, 5).await?, b"hello", "it took nothing");
        server.close().await?;
        assert_closed(server.read(&mut []).await);
        Ok(())
    });
}

/// All ways to read are the same in this.
#[test]
fn an_empty_buffer_tries_to_read_nothing() {
    run(|| async {
        let (_client, server) = pair().await?;
        assert_eq!(server.try_read(&mut [])?, 0);
        assert_eq!(server.try_read_vectored(&mut [])?, 0);
        assert_eq!(server.try_peek(&mut [])?, 0);
        Ok(())
    });
}

#[test]
fn peek_leaves_the_bytes_that_it_reads() {
    run(|| async {
        let (client, server) = pair().await?;
        client.write_all(b"hello").await?;
        let mut buffer = [0; 16];
        for _ in 0..3 {
            assert_eq!(server.peek(&mut buffer).await?, 5);
            assert_eq!(server.try_peek(&mut buffer[..2])?, 2);
            assert_eq!(&buffer[..5], b"hello");
        }
        assert_eq!(server.read(&mut buffer[..3]).await?, 3);
        assert_eq!(server.peek(&mut buffer).await?, 2);
        assert_eq!(&buffer[..2], b"lo");
        assert_eq!(read_exactly(&server, 2).await?, b"lo");
        client.shutdown(Shutdown::Write)?;
        assert_eq!(server.peek(&mut buffer).await?, 0, "the end may be peeked at too");
        assert_eq!(server.read(&mut buffer).await?, 0);
        Ok(())
    });
}

#[test]
fn try_read_blocks_until_there_is_something() {
    run(|| async {
        let (client, server) = pair().await?;
        let mut buffer = [0; 16];
        for stream in [&client, &server] {
            assert_kind(stream.try_read(&mut buffer), ErrorKind::WouldBlock);
            assert_kind(stream.try_peek(&mut buffer), ErrorKind::WouldBlock);
        }
        for round in 0..100 {
            client.write_all(&[round]).await?;
            server.readable().await?;
            assert_eq!(server.try_read(&mut buffer)?, 1);
            assert_eq!(buffer[0], round);
            assert_kind(server.try_read(&mut buffer), ErrorKind::WouldBlock);
        }
        drop(client);
        server.readable().await?;
        assert_eq!(server.try_read(&mut buffer)?, 0);
        Ok(())
    });
}

#[test]
fn try_write_blocks_until_there_is_room() {
    run(|| async {
        let (client, server) = tight_pair().await?;
        let write = async {
            let mut rounds = Vec::new();
            while rounds.len() < 10 {
                client.writable().await?;
                // Nothing may fit after all: readiness is a hint.
                rounds.extend(Some(fill(&client)?).filter(|written| *written > 0));
            }
            client.shutdown(Shutdown::Write)?;
            Ok(rounds.into_iter().sum::<usize>())
        };
        let (written, received) = try_join!(write, read_to_end(&server))?;
        assert_eq!(written, received.len());
        Ok(())
    });
}

#[test]
fn a_read_waits_for_bytes() {
    run(|| async {
        let (client, server) = pair().await?;
        let mut buffer = [0; 16];
        let mut read = pin!(server.read(&mut buffer));
        assert!(poll_once(read.as_mut()).is_pending());
        client.write_all(b"now").await?;
        assert_eq!(read.await?, 3);
        Ok(())
    });
}

/// A socket keeps the bytes that came before the end, and then returns zero to every read.
#[test]
fn the_end_comes_after_the_data() {
    run(|| async {
        let (client, server) = pair().await?;
        let sent = pattern(60 * KIB);
        client.write_all(&sent).await?;
        drop(client);
        assert!(read_to_end(&server).await? == sent);
        for _ in 0..3 {
            assert_eq!(server.read(&mut [0; 16]).await?, 0);
        }
        Ok(())
    });
}

#[test]
fn a_pending_read_finds_the_end() {
    run(|| async {
        let (client, server) = pair().await?;
        let mut buffer = [0; 16];
        let mut read = pin!(server.read(&mut buffer));
        assert!(poll_once(read.as_mut()).is_pending());
        client.shutdown(Shutdown::Write)?;
        assert_eq!(read.await?, 0);
        Ok(())
    });
}

#[test]
fn either_side_may_end_its_half_first() {
    run(|| async {
        let (client, server) = pair().await?;
        for (first, second) in [(&client, &server), (&server, &client)] {
            first.write_all(b"last words").await?;
            second.write_all(b"an answer").await?;
            assert_eq!(read_exactly(second, 10).await?, b"last words");
            assert_eq!(read_exactly(first, 9).await?, b"an answer");
        }
        client.shutdown(Shutdown::Write)?;
        assert_eq!(server.read(&mut [0; 16]).await?, 0);
        assert_kind(client.write(b"more").await, ErrorKind::BrokenPipe);
        server.write_all(b"still here").await?;
        server.shutdown(Shutdown::Write)?;
        assert_eq!(read_to_end(&client).await?, b"still here");
        assert_kind(server.write_all(b"more").await, ErrorKind::BrokenPipe);
        Ok(())
    });
}

#[test]
fn ending_reading_ends_a_pending_read() {
    run(|| async {
        let (client, server) = pair().await?;
        let waker = CountingWaker::new();
        let mut buffer = [0; 16];
        let mut read = pin!(server.read(&mut buffer));
        assert!(waker.poll(read.as_mut()).is_pending());
        server.shutdown(Shutdown::Read)?;
        assert_eq!(read.await?, 0);
        server.write_all(b"writing goes on").await?;
        assert_eq!(read_exactly(&client, 15).await?, b"writing goes on");
        Ok(())
    });
}

#[test]
fn a_reset_is_an_error() {
    run(|| async {
        let (client, server) = pair().await?;
        let mut buffer = [0; 16];
        let mut read = pin!(server.read(&mut buffer));
        assert!(poll_once(read.as_mut()).is_pending());
        client.set_linger(Some(Duration::ZERO))?;
        drop(client);
        assert_kind(read.await, ErrorKind::ConnectionReset);
        assert_kind(server.write_all(b"more").await, ErrorKind::BrokenPipe);
        Ok(())
    });
}

#[test]
fn a_reset_ends_a_pending_write() {
    run(|| async {
        let (client, server) = tight_pair().await?;
        let block = pattern(TOO_MUCH);
        let mut write = pin!(client.write_all(&block));
        assert!(poll_once(write.as_mut()).is_pending());
        server.set_linger(Some(Duration::ZERO))?;
        drop(server);
        assert_kind(write.await, ErrorKind::ConnectionReset);
        Ok(())
    });
}

#[test]
fn a_peer_that_is_gone_breaks_the_pipe_without_a_signal() {
    run(|| async {
        os::block(libc::SIGPIPE);
        let (client, server) = pair().await?;
        drop(server);
        let broken = loop {
            // Some may be sent before the peer says that it is gone.
            if let Err(error) = client.write(b"are you there?").await {
                break error;
            }
        };
        assert_eq!(broken.kind(), ErrorKind::BrokenPipe);
        assert!(!os::take_signal(libc::SIGPIPE));
        Ok(())
    });
}

#[test]
fn no_way_of_writing_raises_a_signal() {
    run(|| async {
        os::block(libc::SIGPIPE);
        let (client, _server) = pair().await?;
        client.shutdown(Shutdown::Write)?;
        let pieces = [io::IoSlice::new(b"a"), io::IoSlice::new(b"b")];
        assert_kind(client.write(b"a").await, ErrorKind::BrokenPipe);
        assert_kind(client.write_all(b"a").await, ErrorKind::BrokenPipe);
        assert_kind(client.write_vectored(&pieces).await, ErrorKind::BrokenPipe);
        assert_kind(client.try_write(b"a"), ErrorKind::BrokenPipe);
        assert_kind(client.try_write_vectored(&pieces), ErrorKind::BrokenPipe);
        assert!(!os::take_signal(libc::SIGPIPE));
        assert_kind(os::send_with_sigpipe(&client), ErrorKind::BrokenPipe);
        assert!(os::take_signal(libc::SIGPIPE), "the test would have seen it");
        Ok(())
    });
}
