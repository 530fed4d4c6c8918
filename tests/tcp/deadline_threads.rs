//! Deadlines that many threads set at once.

use std::io::{self, ErrorKind};
use std::net::Shutdown;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use futures::executor::block_on;
use netpoll_futures::{TcpStream, is_deadline_exceeded};
use netpoll_tests::fixtures::tcp::{TOO_MUCH, pair, read_exactly, tight_pair};
use netpoll_tests::fixtures::{
    assert_kind, assert_timed_out, in_an_hour, in_ms, past, pattern, poll_once, reactor_reaches,
};
use netpoll_tests::watched;

const THREADS: u64 = 8;
const CHANGES: u64 = 5_000;

/// Sets one deadline after the other, of all kinds and in no order. The same for the same seed.
fn change_deadlines(stream: &TcpStream, seed: u64) {
    let mut state = seed;
    for _ in 0..CHANGES {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let deadline = match (state >> 33) % 5 {
            0 => None,
            1 => past(),
            2 => Some(Instant::now() + Duration::from_micros(20)),
            3 => in_ms(1),
            _ => in_an_hour(),
        };
        let set = match (state >> 40) % 3 {
            0 => TcpStream::set_deadline,
            1 => TcpStream::set_read_deadline,
            _ => TcpStream::set_write_deadline,
        };
        set(stream, deadline).expect("it is open");
    }
}

/// Makes an operation again until it is in time.
async fn insist<T, F: Future<Output = io::Result<T>>>(mut operation: impl FnMut() -> F) -> T {
    loop {
        match operation().await {
            Ok(done) => return done,
            Err(error) => assert!(is_deadline_exceeded(&error), "{error:?}"),
        }
        // On a single processor, the setters have to get on as well.
        thread::yield_now();
    }
}

/// Reads to the end, through all deadlines.
async fn read_through(stream: &TcpStream) -> Vec<u8> {
    let mut received = Vec::new();
    loop {
        let read = || async {
            let mut buffer = [0; 1000];
            stream.read(&mut buffer).await.map(|count| buffer[..count].to_vec())
        };
        match insist(read).await {
            chunk if chunk.is_empty() => return received,
            chunk => received.extend(chunk),
        }
    }
}

async fn write_through(stream: &TcpStream, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        let written = insist(|| stream.write(bytes)).await;
        bytes = &bytes[written..];
    }
}

/// The last setting holds.
async fn settle(stream: &TcpStream, peer: &TcpStream) -> io::Result<()> {
    stream.set_deadline(past())?;
    assert_timed_out(stream.try_read(&mut [0; 16]));
    assert_timed_out(stream.try_write(b"late"));
    stream.set_deadline(in_an_hour())?;
    assert_kind(stream.try_read(&mut [0; 16]), ErrorKind::WouldBlock);
    stream.set_read_deadline(in_ms(5))?;
    assert_timed_out(stream.read(&mut [0; 16]).await);
    stream.set_deadline(None)?;
    let mut buffer = [0; 16];
    let mut read = pin!(stream.read(&mut buffer));
    assert!(poll_once(read.as_mut()).is_pending());
    reactor_reaches(Duration::from_millis(20)).await?;
    assert!(poll_once(read.as_mut()).is_pending(), "nothing of before is left");
    peer.write_all(b"hello").await?;
    assert_eq!(read.await?, 5);
    stream.write_all(b"and back").await?;
    assert_eq!(read_exactly(peer, 8).await?, b"and back");
    Ok(())
}

#[test]
fn the_last_of_many_settings_holds() {
    watched(|| {
        let (client, server) = block_on(pair()).unwrap();
        for round in 0..3 {
            thread::scope(|scope| {
                for seed in 0..THREADS {
                    let server = &server;
                    scope.spawn(move || change_deadlines(server, round * THREADS + seed));
                }
            });
            block_on(settle(&server, &client)).unwrap();
        }
    });
}

#[test]
fn reading_and_writing_survive_settings_from_eight_threads() {
    watched(|| {
        let (client, server) = block_on(tight_pair()).unwrap();
        let sent = pattern(TOO_MUCH);
        thread::scope(|scope| {
            let reader = scope.spawn(|| block_on(read_through(&server)));
            let writer = scope.spawn(|| block_on(write_through(&client, &sent)));
            let setters: Vec<_> = (0..THREADS)
                .map(|seed| {
                    let stream = if seed % 2 == 0 { &client } else { &server };
                    scope.spawn(move || change_deadlines(stream, seed))
                })
                .collect();
            setters.into_iter().for_each(|setter| setter.join().unwrap());
            client.set_deadline(None).unwrap();
            server.set_deadline(None).unwrap();
            writer.join().unwrap();
            client.shutdown(Shutdown::Write).unwrap();
            let received = reader.join().unwrap();
            assert!(received == sent, "{} bytes, and not those", received.len());
        });
    });
}

/// A reader is pending when the last setting comes, and that ends it.
#[test]
fn a_pending_read_is_ended_among_many_settings() {
    watched(|| {
        let (_client, server) = block_on(pair()).unwrap();
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    while !stop.load(Ordering::Relaxed) {
                        server.set_read_deadline(in_an_hour()).unwrap();
                        server.set_write_deadline(past()).unwrap();
                        thread::yield_now();
                    }
                });
            }
            for _ in 0..500 {
                let reader = scope.spawn(|| block_on(server.read(&mut [0; 16])));
                while !reader.is_finished() {
                    server.set_read_deadline(past()).unwrap();
                    thread::yield_now();
                }
                assert_timed_out(reader.join().unwrap());
            }
            stop.store(true, Ordering::Relaxed);
        });
    });
}
