//! Deadlines of streams.

use std::io;
use std::net::Shutdown;
use std::pin::pin;
use std::time::{Duration, Instant};

use futures::future::{Either, select};
use futures::try_join;
use netpoll_futures::{
    DeadlineExceeded, OpError, TcpStream, is_closed, is_deadline_exceeded, raw_os_error,
};
use netpoll_tests::CountingWaker;
use netpoll_tests::fixtures::tcp::{TOO_MUCH, pair, read_exactly, read_to_end, tight_pair};
use netpoll_tests::fixtures::{
    assert_closed, assert_timed_out, in_an_hour, in_ms, past, pattern, poll_once, reactor_reaches,
    run, yield_now,
};

/// Far enough after the 20 ms of a deadline that it would have fired.
const WELL_AFTER: Duration = Duration::from_millis(60);

#[test]
fn a_read_fails_at_its_deadline_and_not_before() {
    run(|| async {
        let (client, server) = pair().await?;
        for milliseconds in [1, 5, 20, 50] {
            let deadline = in_ms(milliseconds);
            server.set_read_deadline(deadline)?;
            assert_timed_out(server.read(&mut [0; 16]).await);
            assert!(Some(Instant::now()) >= deadline);
        }
        server.set_read_deadline(None)?;
        client.write_all(b"hello").await?;
        assert_eq!(read_exactly(&server, 5).await?, b"hello");
        Ok(())
    });
}

#[test]
fn a_deadline_is_for_everything_that_reads() {
    run(|| async {
        let (client, server) = pair().await?;
        client.write_all(b"there is something to read").await?;
        server.readable().await?;
        server.set_read_deadline(past())?;
        let mut buffer = [0; 16];
        assert_timed_out(server.read(&mut buffer).await);
        assert_timed_out(server.peek(&mut buffer).await);
        assert_timed_out(server.try_read(&mut buffer));
        assert_timed_out(server.readable().await);
        let mut room = [io::IoSliceMut::new(&mut buffer)];
        assert_timed_out(server.read_vectored(&mut room).await);
        assert_timed_out(futures::AsyncReadExt::read(&mut &server, &mut [0; 16]).await);
        assert_eq!(server.read(&mut []).await?, 0, "but for reading nothing");
        Ok(())
    });
}

#[test]
fn a_deadline_is_for_everything_that_writes() {
    run(|| async {
        let (client, _server) = pair().await?;
        client.set_write_deadline(past())?;
        let pieces = [io::IoSlice::new(b"a")];
        assert_timed_out(client.write(b"a").await);
        assert_timed_out(client.write_all(b"a").await);
        assert_timed_out(client.write_vectored(&pieces).await);
        assert_timed_out(client.try_write(b"a"));
        assert_timed_out(client.writable().await);
        assert_timed_out(futures::AsyncWriteExt::write(&mut &client, b"a").await);
        client.shutdown(Shutdown::Write)
    });
}

#[test]
fn a_deadline_moved_away_does_not_fire() {
    run(|| async {
        let (client, server) = pair().await?;
        for moved_to in [in_an_hour(), None] {
            let waker = CountingWaker::new();
            let mut buffer = [0; 16];
            server.set_read_deadline(in_ms(20))?;
            let mut read = pin!(server.read(&mut buffer));
            assert!(waker.poll(read.as_mut()).is_pending());
            server.set_read_deadline(moved_to)?;
            reactor_reaches(WELL_AFTER).await?;
            assert_eq!(waker.wakes(), 0);
            assert!(waker.poll(read.as_mut()).is_pending());
            client.write_all(b"hello").await?;
            assert_eq!(read.await?, 5);
        }
        Ok(())
    });
}

/// It is not known whether the task was woken for it by then. It does not fail either way.
#[test]
fn a_deadline_moved_away_after_it_fired_does_not_fail_a_task_that_has_not_run_yet() {
    run(|| async {
        let (client, server) = pair().await?;
        for moved_to in [in_an_hour(), None] {
            let mut buffer = [0; 16];
            let mut read = pin!(server.read(&mut buffer));
            assert!(poll_once(read.as_mut()).is_pending());
            server.set_read_deadline(past())?;
            server.set_read_deadline(moved_to)?;
            assert!(poll_once(read.as_mut()).is_pending());
            client.write_all(b"hello").await?;
            assert_eq!(read.await?, 5);
        }
        Ok(())
    });
}

#[test]
fn a_deadline_moved_closer_fires_then() {
    run(|| async {
        let (_client, server) = pair().await?;
        server.set_read_deadline(in_an_hour())?;
        let mut buffer = [0; 16];
        let mut read = pin!(server.read(&mut buffer));
        assert!(poll_once(read.as_mut()).is_pending());
        server.set_read_deadline(in_ms(20))?;
        assert_timed_out(read.await);
        Ok(())
    });
}

#[test]
fn a_past_deadline_fails_pending_operations_at_once() {
    run(|| async {
        let (client, server) = tight_pair().await?;
        for before in [None, in_an_hour()] {
            server.set_deadline(before)?;
            let (read_waker, write_waker) = (CountingWaker::new(), CountingWaker::new());
            let (mut buffer, block) = ([0; 16], pattern(TOO_MUCH));
            let mut read = pin!(server.read(&mut buffer));
            let mut write = pin!(server.write_all(&block));
            assert!(read_waker.poll(read.as_mut()).is_pending());
            assert!(write_waker.poll(write.as_mut()).is_pending());
            server.set_deadline(past())?;
            assert!(read_waker.wakes() > 0 && write_waker.wakes() > 0, "by the setter itself");
            assert_timed_out(read.await);
            assert_timed_out(write.await);
        }
        drop(client);
        Ok(())
    });
}

#[test]
fn an_expired_deadline_stays_until_it_is_set_anew() {
    run(|| async {
        let (client, server) = pair().await?;
        server.set_read_deadline(in_ms(1))?;
        assert_timed_out(server.read(&mut [0; 16]).await);
        client.write_all(b"hello").await?;
        for _ in 0..3 {
            assert_timed_out(server.read(&mut [0; 16]).await);
        }
        server.set_read_deadline(in_an_hour())?;
        assert_eq!(read_exactly(&server, 5).await?, b"hello", "and nothing was lost");
        Ok(())
    });
}

#[test]
fn the_directions_have_deadlines_of_their_own() {
    run(|| async {
        let (client, server) = pair().await?;
        client.write_all(b"hello").await?;
        server.set_write_deadline(past())?;
        assert_eq!(read_exactly(&server, 5).await?, b"hello");
        assert_timed_out(server.write(b"late").await);
        server.set_write_deadline(None)?;
        server.set_read_deadline(past())?;
        server.write_all(b"in time").await?;
        assert_eq!(read_exactly(&client, 7).await?, b"in time");
        assert_timed_out(server.read(&mut [0; 16]).await);
        client.set_read_deadline(past())?;
        client.write_all(b"and the ends, too").await?;
        server.set_deadline(past())?;
        assert_timed_out(server.read(&mut [0; 16]).await);
        assert_timed_out(server.write(b"late").await);
        server.set_deadline(None)?;
        server.write_all(b"again").await?;
        assert_eq!(read_exactly(&server, 17).await?, b"and the ends, too");
        Ok(())
    });
}

#[test]
fn clones_share_their_deadlines() {
    run(|| async {
        let (_client, server) = pair().await?;
        server.clone().set_deadline(past())?;
        assert_timed_out(server.read(&mut [0; 16]).await);
        Ok(())
    });
}

/// The bytes that were sent in time are the beginning of it, and the rest follows at once.
#[test]
fn a_late_write_all_has_sent_a_prefix() {
    run(|| async {
        let (client, server) = tight_pair().await?;
        let block = pattern(TOO_MUCH);
        let mut write = pin!(client.write_all(&block));
        assert!(poll_once(write.as_mut()).is_pending(), "part of it is sent");
        client.set_write_deadline(in_ms(20))?;
        assert_timed_out(write.await);
        client.set_write_deadline(None)?;
        let write = async {
            client.write_all(&[0xff; 100]).await?;
            client.shutdown(Shutdown::Write)
        };
        let ((), received) = try_join!(write, read_to_end(&server))?;
        let (prefix, rest) = received.split_at(received.len() - 100);
        assert!(!prefix.is_empty() && prefix.len() < block.len());
        assert!(block.starts_with(prefix), "{} bytes, and not the first ones", prefix.len());
        assert_eq!(rest, [0xff; 100]);
        Ok(())
    });
}

/// `write` says how much of it was in time, so that a writer can go on where it was.
#[test]
fn a_writer_goes_on_where_it_was_late() {
    async fn write_late(stream: &TcpStream, sent: &[u8]) -> io::Result<usize> {
        let (mut written, mut late) = (0, 0);
        while written < sent.len() {
            stream.set_write_deadline(in_ms(1))?;
            match stream.write(&sent[written..]).await {
                Ok(count) => written += count,
                Err(error) if is_deadline_exceeded(&error) => late += 1,
                Err(error) => return Err(error),
            }
        }
        stream.shutdown(Shutdown::Write)?;
        Ok(late)
    }
    run(|| async {
        let (client, server) = tight_pair().await?;
        let sent = pattern(TOO_MUCH);
        let read = async {
            // Nothing is read before the writer was late.
            client.set_write_deadline(in_ms(1))?;
            reactor_reaches(WELL_AFTER).await?;
            read_to_end(&server).await
        };
        let (late, received) = try_join!(write_late(&client, &sent), read)?;
        assert!(late > 0);
        assert!(received == sent, "{} bytes, and not those", received.len());
        Ok(())
    });
}

#[test]
fn setting_fails_on_a_closed_stream() {
    run(|| async {
        let (client, _server) = pair().await?;
        client.close().await?;
        for deadline in [None, past(), in_an_hour()] {
            assert_closed(client.set_deadline(deadline));
            assert_closed(client.set_read_deadline(deadline));
            assert_closed(client.set_write_deadline(deadline));
        }
        Ok(())
    });
}

async fn read_some(stream: &TcpStream) -> io::Result<Vec<u8>> {
    let mut buffer = [0; 5];
    stream.read(&mut buffer).await.map(|count| buffer[..count].to_vec())
}

#[test]
fn a_read_that_loses_a_race_loses_no_data() {
    run(|| async {
        let (client, server) = pair().await?;
        let sent = pattern(10_000);
        let write = async {
            for chunk in sent.chunks(7) {
                client.write_all(chunk).await?;
                yield_now().await;
            }
            client.shutdown(Shutdown::Write)
        };
        let read = async {
            let (mut received, mut lost) = (Vec::new(), 0);
            loop {
                let read = pin!(read_some(&server));
                match select(read, pin!(yield_now())).await {
                    Either::Left((chunk, _)) => match chunk? {
                        chunk if chunk.is_empty() => return Ok((received, lost)),
                        chunk => received.extend(chunk),
                    },
                    Either::Right(_) => lost += 1,
                }
            }
        };
        let ((), (received, lost)) = try_join!(write, read)?;
        assert!(received == sent, "after {lost} lost races");
        Ok(())
    });
}

#[test]
fn a_dropped_read_leaves_the_data_to_the_next() {
    run(|| async {
        let (client, server) = pair().await?;
        for _ in 0..100 {
            let mut buffer = [0; 16];
            {
                let mut dropped = pin!(server.read(&mut buffer));
                assert!(poll_once(dropped.as_mut()).is_pending());
                client.write_all(b"hello").await?;
            }
            assert_eq!(server.read(&mut buffer).await?, 5);
        }
        Ok(())
    });
}

/// Both are of the kind `TimedOut`.
#[test]
fn the_kernel_that_gives_up_is_no_deadline() {
    let of_the_kernel = || io::Error::from_raw_os_error(libc::ETIMEDOUT);
    let ours = DeadlineExceeded::error();
    assert_eq!(of_the_kernel().kind(), ours.kind());
    assert!(is_deadline_exceeded(&ours) && !is_deadline_exceeded(&of_the_kernel()));
    let wrapped = OpError::wrap("connect", "a peer", of_the_kernel());
    assert!(!is_deadline_exceeded(&wrapped) && !is_closed(&wrapped));
    assert_eq!(raw_os_error(&wrapped), Some(libc::ETIMEDOUT));
    assert!(is_deadline_exceeded(&OpError::wrap("connect", "a peer", ours)));
}

/// Each adapter gives out the same handle: it ends a read of a stream that another object has, takes a time, a
/// duration or none, and does not keep the stream open.
#[test]
fn a_handle_sets_the_deadlines_of_a_stream_that_another_object_has() {
    run(|| async {
        let (client, server) = pair().await?;
        let smol = netpoll_smol::net::TcpStream::from(client.clone());
        let tokio = netpoll_tokio::net::TcpStream::from(client.clone());
        for handle in [client.deadlines(), smol.deadlines(), tokio.deadlines()] {
            handle.set_read_deadline(Duration::from_millis(5))?;
            assert_timed_out(client.read(&mut [0; 16]).await);
            handle.set_deadline(in_an_hour())?;
            assert!(poll_once(pin!(client.read(&mut [0; 16]))).is_pending());
            handle.set_write_deadline(Instant::now())?;
            assert_timed_out(client.write(b"late").await);
            handle.set_deadline(None)?;
        }
        let handle = client.deadlines();
        drop((client, smol, tokio));
        assert_eq!(server.read(&mut [0]).await?, 0, "a handle keeps nothing open");
        assert_closed(handle.clone().set_deadline(None));
        let closed = server.deadlines();
        server.close().await?;
        assert_closed(closed.set_read_deadline(in_an_hour()));
        Ok(())
    });
}

/// The same for a descriptor of any kind.
#[test]
fn a_handle_sets_the_deadlines_of_any_descriptor() {
    run(|| async {
        let (reader, _writer) = io::pipe()?;
        let reader = std::sync::Arc::new(netpoll_futures::Async::new(reader)?);
        let handle = reader.deadlines();
        handle.set_read_deadline(Duration::from_millis(5))?;
        assert_timed_out(reader.readable().await);
        drop(reader);
        assert_closed(handle.set_read_deadline(None));
        Ok(())
    });
}
