//! Peers that mean no good: too slow, too fast, in bits and pieces, gone without a word, or far too many.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{self, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use async_executor::LocalExecutor;
use futures::executor::block_on;
use netpoll::Reactor;
use netpoll_futures::{KeepAlive, TcpListener, TcpStream, is_deadline_exceeded};
use netpoll_tests::fixtures::tcp::pair;
use netpoll_tests::fixtures::{LOOPBACK, in_ms, os, run};
use netpoll_tests::{CountingWaker, watched};

/// A connection whose far end blocks, and belongs to the test alone.
async fn with_std(listener: &TcpListener) -> io::Result<(TcpStream, net::TcpStream)> {
    let far = net::TcpStream::connect(listener.local_addr()?)?;
    Ok((listener.accept().await?.0, far))
}

/// Bytes that trickle in do not move a deadline for the whole of a request: a peer that sends a byte now and then
/// is cut off like a silent one. Meanwhile others are served.
#[test]
fn a_slow_loris() {
    run(|| async {
        let listener = TcpListener::bind(LOOPBACK).await?;
        let (near, mut far) = with_std(&listener).await?;
        let over = Arc::new(AtomicUsize::new(0));
        let told = over.clone();
        let trickle = thread::spawn(move || {
            while told.load(Ordering::SeqCst) == 0 && far.write_all(b"x").is_ok() {
                thread::sleep(Duration::from_millis(1));
            }
        });
        near.set_read_deadline(in_ms(50))?;
        let mut request = 0;
        let late = loop {
            match near.read(&mut [0; 64]).await {
                Ok(count) => request += count,
                Err(error) => break error,
            }
        };
        assert!(is_deadline_exceeded(&late), "{late:?}");
        assert!(request > 0, "it sent something all the while");
        let (one, other) = pair().await?;
        one.write_all(b"x").await?;
        assert_eq!(other.read(&mut [0]).await?, 1);
        over.store(1, Ordering::SeqCst);
        trickle.join().expect("no panic");
        near.close().await
    });
}

/// A peer that never reads ends in the writer's deadline, and holds up no other.
#[test]
fn a_peer_that_never_reads() {
    run(|| async {
        let listener = TcpListener::bind(LOOPBACK).await?;
        let (near, far) = with_std(&listener).await?;
        // Before the deadline is set: it takes long under a sanitizer.
        let bytes = vec![0; 64 << 20];
        near.set_write_deadline(in_ms(50))?;
        let late = near.write_all(&bytes).await.expect_err("the peer does not read");
        assert!(is_deadline_exceeded(&late), "{late:?}");
        let written = netpoll_futures::bytes_written(&late);
        assert!(written > 0 && written < 64 << 20, "{written} bytes");
        near.close().await?;
        drop(far);
        Ok(())
    });
}

/// A hundred thousand packets of one byte each: all are read, in their order.
#[test]
fn a_writer_of_single_bytes() {
    const BYTES: usize = 100_000;
    run(|| async {
        let listener = TcpListener::bind(LOOPBACK).await?;
        let (near, mut far) = with_std(&listener).await?;
        far.set_nodelay(true)?;
        let writer = thread::spawn(move || {
            (0..BYTES).try_for_each(|index| far.write_all(&[(index % 251) as u8]))
        });
        let (mut read, mut buffer) = (0, [0; 4096]);
        loop {
            let count = near.read(&mut buffer).await?;
            if count == 0 {
                break;
            }
            let expected = (read..read + count).map(|index| (index % 251) as u8);
            assert!(buffer[..count].iter().copied().eq(expected));
            read += count;
        }
        assert_eq!(read, BYTES);
        writer.join().expect("no panic")
    });
}

/// Urgent bytes in between are no part of the stream, and neither end it nor wake its reader in circles.
#[test]
fn a_storm_of_urgent_bytes() {
    const ROUNDS: usize = 2_000;
    run(|| async {
        let listener = TcpListener::bind(LOOPBACK).await?;
        let (near, mut far) = with_std(&listener).await?;
        let writer = thread::spawn(move || {
            for _ in 0..ROUNDS {
                far.write_all(b"abc").expect("room");
                os::send_urgent(&far, b'!');
            }
        });
        let (mut read, mut buffer) = (Vec::new(), [0; 64]);
        loop {
            match near.read(&mut buffer).await? {
                0 => break,
                count => read.extend_from_slice(&buffer[..count]),
            }
        }
        writer.join().expect("no panic");
        // An urgent byte that the next one overtakes is an ordinary one.
        read.retain(|byte| *byte != b'!');
        assert_eq!(read.len(), 3 * ROUNDS);
        assert!(read.chunks(3).all(|chunk| chunk == b"abc"));
        Ok(())
    });
}

/// Connections that are reset as soon as they are there, some before they are accepted and some with
/// bytes on their way. The listener goes on, and nothing is left.
#[test]
fn a_storm_of_resets() {
    const CONNECTIONS: usize = 2_000;
    watched(|| {
        let reactor = Reactor::builder().build().expect("a reactor");
        let listener = net::TcpListener::bind(LOOPBACK).expect("a port");
        listener.set_nonblocking(true).expect("an option");
        // A client that overflows the queue tries again only after a second.
        os::listen(&listener, 4096).expect("a longer queue");
        let address = listener.local_addr().expect("bound");
        let interest = netpoll::Interest::Both;
        let listener = netpoll::Registration::with(&reactor, listener, interest).expect("one");
        let listener = TcpListener::from(listener);
        let storm = thread::spawn(move || {
            for index in 0..CONNECTIONS {
                let mut stream = net::TcpStream::connect(address).expect("it listens");
                if index % 2 == 0 {
                    stream.write_all(b"x").expect("room");
                }
                os::reset_on_close(&stream);
            }
        });
        let mut ends = [0; 3];
        block_on(async {
            for _ in 0..CONNECTIONS {
                let (stream, _) = listener.accept().await?;
                match stream.read(&mut [0; 8]).await {
                    Ok(0) => ends[0] += 1,
                    Ok(_) => ends[1] += 1,
                    Err(error) if error.kind() == ErrorKind::ConnectionReset => ends[2] += 1,
                    Err(error) => return Err(error),
                }
            }
            io::Result::Ok(())
        })
        .expect("connections and resets, and nothing else");
        storm.join().expect("no panic");
        println!("ended {}, read {}, reset {}", ends[0], ends[1], ends[2]);
        assert_eq!(ends[0], 0, "a reset is no end");
        assert_eq!(reactor.metrics().registrations, 1, "the listener's");
    });
}

/// More connections than the queue of the listener holds, and no accept. A client that does not get in is
/// late, by its deadline; one that is in is served once a task accepts, and so is a later one.
#[test]
fn a_flood_of_connections_that_are_not_accepted() {
    const QUEUE: i32 = 8;
    const CONNECTIONS: usize = 64;
    run(|| async {
        let listener = TcpListener::bind(LOOPBACK).await?;
        os::listen(&listener, QUEUE).expect("a longer queue");
        let address = listener.local_addr()?;
        let connect = |_| TcpStream::connect_timeout(address, Duration::from_millis(200));
        let all = futures::future::join_all((0..CONNECTIONS).map(connect)).await;
        let (got_in, late): (Vec<_>, Vec<_>) = all.into_iter().partition(Result::is_ok);
        assert!(got_in.len() > QUEUE as usize && !late.is_empty(), "{} got in", got_in.len());
        for error in late.into_iter().filter_map(Result::err) {
            assert!(is_deadline_exceeded(&error), "{error:?}");
        }
        let first = got_in.into_iter().next().expect("one of them")?;
        first.write_all(b"x").await?;
        let (accepted, peer) = listener.accept().await?;
        assert_eq!(peer, first.local_addr()?);
        assert_eq!(accepted.read(&mut [0; 8]).await?, 1);
        listener.set_deadline(in_ms(50))?;
        while listener.accept().await.is_ok() {}
        listener.set_deadline(None)?;
        let (connected, accepted) = futures::join!(TcpStream::connect(address), listener.accept());
        connected.and(accepted).map(drop)
    });
}

/// A peer that is gone without a word: its machine was unplugged, as far as this side can tell. Reading
/// is late; a write finds out, and so does the probe that keeps a connection alive.
#[test]
fn a_half_open_connection() {
    run(|| async {
        let listener = TcpListener::bind(LOOPBACK).await?;
        for probe in [false, true] {
            let (near, far) = with_std(&listener).await?;
            if !os::vanish(far) {
                println!("not shown: this process may not make a peer vanish");
                return Ok(());
            }
            near.set_read_deadline(in_ms(20))?;
            let late = near.read(&mut [0]).await.expect_err("the peer is gone");
            assert!(is_deadline_exceeded(&late), "{late:?}");
            near.set_read_deadline(None)?;
            if probe {
                let second = Some(Duration::from_secs(1));
                near.set_keepalive(Some(KeepAlive {
                    idle: second,
                    interval: second,
                    count: Some(1),
                }))?;
            } else {
                near.write_all(b"are you there?").await?;
            }
            let gone = near.read(&mut [0]).await.expect_err("the peer is gone");
            assert_eq!(gone.kind(), ErrorKind::ConnectionReset, "{gone:?}");
        }
        Ok(())
    });
}

/// Bytes that come faster than they are read, on one connection, do not keep another waiting in the
/// same thread; `starving.rs` has the rule for that. Here the others are many.
#[test]
fn a_flood_beside_many_others() {
    watched(|| {
        let executor = LocalExecutor::new();
        let all = executor.run(async {
            let listener = TcpListener::bind(LOOPBACK).await?;
            let (near, mut far) = with_std(&listener).await?;
            let flood = thread::spawn(move || while far.write_all(&[0; 1 << 16]).is_ok() {});
            let reads = near.clone();
            let reader = executor.spawn(async move {
                let mut buffer = [0; 64];
                while let Ok(1..) = reads.read(&mut buffer).await {}
            });
            let mut others = Vec::new();
            for _ in 0..50 {
                others.push(executor.spawn(exchange(listener.local_addr()?)));
            }
            let mut echoes = Vec::new();
            for _ in 0..others.len() {
                echoes.push(executor.spawn(echo(listener.accept().await?.0)));
            }
            for other in others {
                other.await?;
            }
            near.close().await?;
            reader.await;
            flood.join().expect("no panic");
            io::Result::Ok(())
        });
        netpoll::block_on(all).expect("echoes");
    });
}

async fn echo(stream: TcpStream) -> io::Result<()> {
    let mut buffer = [0; 64];
    loop {
        match stream.read(&mut buffer).await? {
            0 => return Ok(()),
            count => stream.write_all(&buffer[..count]).await?,
        }
    }
}

async fn exchange(address: SocketAddr) -> io::Result<()> {
    let stream = TcpStream::connect(address).await?;
    for _ in 0..20 {
        stream.write_all(b"hello").await?;
        assert_eq!(stream.read(&mut [0; 64]).await?, 5);
    }
    Ok(())
}

/// One that connects and says nothing is one that waits, and costs a turn of nothing.
#[test]
fn a_silent_peer_wakes_no_task() {
    run(|| async {
        let listener = TcpListener::bind(LOOPBACK).await?;
        let (near, mut far) = with_std(&listener).await?;
        let (waker, mut byte) = (CountingWaker::new(), [0]);
        let mut read = pin!(near.read(&mut byte));
        assert!(waker.poll(read.as_mut()).is_pending());
        far.set_read_timeout(Some(Duration::from_millis(20)))?;
        assert!(far.read(&mut [0]).is_err(), "the other side is silent");
        assert_eq!(waker.wakes(), 0);
        far.write_all(b"x")?;
        assert_eq!(read.await?, 1);
        Ok(())
    });
}
