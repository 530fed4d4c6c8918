//! Tries, which succeed at once or not at all, and the readiness that tells when to try.

use std::future::poll_fn;
use std::io::{ErrorKind, IoSlice, IoSliceMut};
use std::os::fd::AsFd;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::{BufMut, BytesMut};
use netpoll_futures::sys;
use netpoll_tests::CountingWaker;
use netpoll_tests::fixtures::{KIB, assert_kind, pattern, poll_once};
use netpoll_tokio::io::{Interest, Ready};
use netpoll_tokio::net::{UnixStream, lookup_host};
use tokio::io::AsyncWriteExt;

use crate::fixtures::{MUCH, TOO_MUCH, everywhere, pair};

const BOTH: Interest = Interest::READABLE.add(Interest::WRITABLE);

#[test]
fn a_loop_of_tries_takes_everything() {
    everywhere(|| async {
        let (client, server) = pair().await?;
        let sent = pattern(MUCH);
        let write = async {
            let mut written = 0;
            while written < sent.len() {
                client.writable().await?;
                match client.try_write(&sent[written..]) {
                    Ok(count) => written += count,
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                    Err(error) => return Err(error),
                }
            }
            Ok(())
        };
        let read = async {
            let mut received = Vec::new();
            let mut buffer = vec![0; 64 * KIB];
            while received.len() < sent.len() {
                server.readable().await?;
                match server.try_read(&mut buffer) {
                    Ok(count) => received.extend_from_slice(&buffer[..count]),
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                    Err(error) => return Err(error),
                }
            }
            Ok(received)
        };
        let ((), received) = futures::future::try_join(write, read).await?;
        assert!(received == sent);
        Ok(())
    });
}

#[test]
fn nothing_to_read_would_block() {
    everywhere(|| async {
        let (_client, server) = pair().await?;
        let mut buffer = [0; 8];
        assert_kind(server.try_read(&mut buffer), ErrorKind::WouldBlock);
        assert_kind(server.try_read_buf(&mut Vec::with_capacity(8)), ErrorKind::WouldBlock);
        let mut slices = [IoSliceMut::new(&mut buffer)];
        assert_kind(server.try_read_vectored(&mut slices), ErrorKind::WouldBlock);
        Ok(())
    });
}

#[test]
fn tried_bytes_land_where_they_belong() {
    everywhere(|| async {
        let (client, server) = pair().await?;
        assert_eq!(client.try_write_vectored(&[IoSlice::new(b"one "), IoSlice::new(b"two")])?, 7);
        let (mut one, mut two) = ([0; 2], [0; 2]);
        server.readable().await?;
        let mut slices = [IoSliceMut::new(&mut one), IoSliceMut::new(&mut two)];
        assert_eq!(server.try_read_vectored(&mut slices)?, 4);
        assert_eq!((&one, &two), (b"on", b"e "));
        let mut bytes = BytesMut::new();
        bytes.reserve(2);
        bytes.put_slice(b"<");
        assert_eq!(server.try_read_buf(&mut bytes)?, 3);
        assert_eq!(&bytes[..], b"<two");
        Ok(())
    });
}

/// A write that found room for a part leaves the stream writable, as tokio's does: the next one tells.
#[test]
fn a_part_is_no_proof_that_there_is_no_room() {
    everywhere(|| async {
        let block = vec![0; TOO_MUCH];
        for is_vectored in [false, true] {
            let (client, _server) = pair().await?;
            let attempt = || match is_vectored {
                false => client.try_write(&block),
                true => client.try_write_vectored(&[IoSlice::new(b"x"), IoSlice::new(&block)]),
            };
            // The peer's side may still take bytes of this side's buffer.
            while let Ok(count) = attempt() {
                assert!(count < TOO_MUCH);
                assert!(poll_once(pin!(client.writable())).is_ready());
            }
        }
        Ok(())
    });
}

/// A buffer without room reads nothing, and leaves the bytes.
#[test]
fn no_room_takes_nothing() {
    everywhere(|| async {
        let (client, server) = pair().await?;
        client.get_ref().write_all(b"x").await?;
        server.readable().await?;
        let mut nowhere: &mut [u8] = &mut [];
        assert_eq!(server.try_read_buf(&mut nowhere)?, 0);
        assert_eq!(server.try_read(&mut [])?, 0);
        assert_eq!(server.try_read(&mut [0])?, 1);
        Ok(())
    });
}

#[test]
fn readiness_has_the_right_flags() {
    everywhere(|| async {
        let (mut client, server) = pair().await?;
        assert_eq!(client.ready(Interest::WRITABLE).await?, Ready::WRITABLE);
        assert_eq!(client.ready(BOTH).await?, Ready::WRITABLE, "nothing came yet");
        server.get_ref().write_all(b"x").await?;
        assert_eq!(client.ready(Interest::READABLE).await?, Ready::READABLE);
        assert_eq!(client.ready(BOTH).await?, Ready::READABLE | Ready::WRITABLE);
        client.shutdown().await?;
        drop(server);
        let mut ready = client.ready(Interest::READABLE).await?;
        while !ready.is_read_closed() {
            assert!(ready.is_readable());
            drop(client.try_read(&mut [0; 8]));
            ready = client.ready(Interest::READABLE).await?;
        }
        Ok(())
    });
}

#[test]
fn a_poll_for_readiness_is_woken_by_it() {
    everywhere(|| async {
        let (client, server) = pair().await?;
        let (first, second) = (CountingWaker::new(), CountingWaker::new());
        for waker in [&first, &second] {
            let mut wait = pin!(poll_fn(|cx| client.poll_read_ready(cx)));
            assert!(waker.poll(wait.as_mut()).is_pending());
        }
        server.get_ref().write_all(b"x").await?;
        client.readable().await?;
        while first.wakes() == 0 || second.wakes() == 0 {
            std::thread::yield_now();
        }
        poll_fn(|cx| client.poll_read_ready(cx)).await?;
        assert_eq!(client.try_read(&mut [0])?, 1);
        Ok(())
    });
}

/// Any operation, in one direction or in the one of two that is ready.
#[test]
fn operations_of_ones_own() {
    everywhere(|| async {
        let (near, far) = UnixStream::pair()?;
        let receive = |interest| {
            let near = &near;
            near.try_io(interest, || sys::recv(near.as_fd(), &mut [0; 8]))
        };
        assert_kind(receive(Interest::READABLE), ErrorKind::WouldBlock);
        far.get_ref().write_all(b"hello").await?;
        near.readable().await?;
        assert_eq!(receive(BOTH)?, 5);
        let send = || sys::send(near.as_fd(), b"back");
        assert_eq!(near.try_io(Interest::WRITABLE, send)?, 4);
        let mut buffer = [0; 8];
        let peek = || sys::peek(far.as_fd(), &mut buffer);
        assert_eq!(far.async_io(Interest::READABLE, peek).await?, 4);
        assert_eq!(far.get_ref().read(&mut buffer).await?, 4);
        Ok(())
    });
}

/// An operation in either direction that would block is not made over and over: it waits.
#[test]
fn an_operation_that_would_block_in_both_directions_waits() {
    everywhere(|| async {
        let (client, server) = pair().await?;
        let attempts = AtomicUsize::new(0);
        let receive = || {
            attempts.fetch_add(1, Ordering::Relaxed);
            sys::recv(client.as_fd(), &mut [0; 8])
        };
        let waker = CountingWaker::new();
        {
            let mut io = pin!(client.async_io(BOTH, receive));
            assert!(waker.poll(io.as_mut()).is_pending());
            let attempts = attempts.load(Ordering::Relaxed);
            assert!(attempts <= 4, "{attempts} attempts");
        }
        server.get_ref().write_all(b"x").await?;
        let received = pin!(client.async_io(BOTH, receive));
        assert_eq!(received.await?, 1);
        Ok(())
    });
}

#[test]
fn hosts_are_looked_up() {
    everywhere(|| async {
        let found: Vec<_> = lookup_host("127.0.0.1:80").await?.collect();
        assert_eq!(found, ["127.0.0.1:80".parse().unwrap()]);
        let mut found = lookup_host(("localhost", 7)).await?;
        assert!(found.all(|address| address.ip().is_loopback() && address.port() == 7));
        assert_kind(lookup_host("no port").await.map(drop), ErrorKind::InvalidInput);
        Ok(())
    });
}
