//! Streams of connections that own their listener.

use std::io;
use std::pin::pin;
use std::time::{Duration, Instant};

use futures::StreamExt;
use netpoll_futures::{Limit, TcpListener, TcpStream, UnixListener, UnixStream};
use netpoll_tests::CountingWaker;
use netpoll_tests::alone::alone;
use netpoll_tests::fixtures::tcp::read_exactly;
use netpoll_tests::fixtures::{
    Folder, LOOPBACK, assert_closed, assert_timed_out, in_ms, os, poll_once, run, wait_for_wakes,
};

#[test]
fn it_yields_connections_of_either_family() {
    run(|| async {
        let listener = TcpListener::bind(LOOPBACK).await?;
        let address = listener.local_addr()?;
        let mut incoming = listener.into_incoming();
        assert_eq!(incoming.get_ref().local_addr()?, address);
        for _ in 0..3 {
            let client = TcpStream::connect(address).await?;
            let server = incoming.next().await.expect("a connection")?;
            assert_eq!(server.peer_addr()?, client.local_addr()?);
            server.write_all(b"hello").await?;
            assert_eq!(read_exactly(&client, 5).await?, b"hello");
        }

        let folder = Folder::new()?;
        let path = folder.join("socket");
        let mut incoming = UnixListener::bind(&path)?.into_incoming();
        let _client = UnixStream::connect(&path).await?;
        incoming.next().await.expect("a connection")?;
        drop(incoming);
        assert!(!path.exists(), "the stream has closed the listener");
        Ok(())
    });
}

#[test]
fn it_keeps_to_the_limit() {
    run(|| async {
        let listener = TcpListener::bind(LOOPBACK).await?;
        listener.set_limit(Some(&Limit::new(1)))?;
        let address = listener.local_addr()?;
        let mut incoming = listener.into_incoming();
        let _clients = [TcpStream::connect(address).await?, TcpStream::connect(address).await?];
        let first = incoming.next().await.expect("a connection")?;
        let waker = CountingWaker::new();
        let mut second = pin!(incoming.next());
        assert!(waker.poll(second.as_mut()).is_pending(), "there is a connection, but no place");
        drop(first);
        wait_for_wakes(&waker, 1);
        second.await.expect("a connection")?;
        Ok(())
    });
}

#[test]
fn an_error_ends_it() {
    run(|| async {
        let listener = TcpListener::bind(LOOPBACK).await?;
        let mut incoming = listener.clone().into_incoming();
        {
            let mut next = pin!(incoming.next());
            assert!(poll_once(next.as_mut()).is_pending());
            listener.close().await?;
            assert_closed(next.await.expect("an error"));
        }
        assert!(incoming.next().await.is_none());
        assert!(incoming.next().await.is_none());

        let listener = TcpListener::bind(LOOPBACK).await?;
        let deadlines = listener.deadlines();
        let began = Instant::now();
        deadlines.set_read_deadline(in_ms(20))?;
        let mut incoming = listener.into_incoming();
        assert_timed_out(incoming.next().await.expect("an error"));
        assert!(began.elapsed() >= Duration::from_millis(20), "early");
        deadlines.set_read_deadline(None)?;
        assert!(incoming.next().await.is_none());
        Ok(())
    });
}

/// Without descriptors it yields no error. It pauses, and accepts when there are some.
#[test]
fn it_waits_until_there_are_descriptors() {
    alone("incoming::it_waits_until_there_are_descriptors", || {
        futures::executor::block_on(async {
            let listener = TcpListener::bind(LOOPBACK).await?;
            let address = listener.local_addr()?;
            let mut incoming = listener.into_incoming();
            let client = TcpStream::connect(address).await?;
            let mut taken = os::take_all_descriptors();
            let mut next = pin!(incoming.next());
            let began = Instant::now();
            let waker = CountingWaker::new();
            // Each pause that ends wakes the task, which finds no descriptor and pauses anew: 5, 10 and 20 ms.
            for pauses in 0..3 {
                assert!(waker.poll(next.as_mut()).is_pending());
                wait_for_wakes(&waker, pauses + 1);
            }
            assert!(began.elapsed() >= Duration::from_millis(35), "{:?}", began.elapsed());
            taken.clear();
            let server = next.await.expect("a connection")?;
            assert_eq!(server.peer_addr()?, client.local_addr()?);
            io::Result::Ok(())
        })
        .expect("no error");
    });
}
