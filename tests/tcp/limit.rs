//! How many connections there may be at once.

use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use futures::executor::{ThreadPool, block_on};
use futures::future::join_all;
use futures::task::SpawnExt;
use netpoll::Direction;
use netpoll_futures::{Limit, TcpListener, TcpStream};
use netpoll_tests::fixtures::{
    LOOPBACK, assert_closed, assert_kind, assert_timed_out, in_ms, past, poll_once, run,
};
use netpoll_tests::{CountingWaker, watched};

async fn limited(limit: &Limit) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(LOOPBACK).await?;
    listener.set_limit(Some(limit))?;
    Ok(listener)
}

/// Connections that wait to be accepted.
async fn connect(listener: &TcpListener, count: usize) -> io::Result<Vec<TcpStream>> {
    let address = listener.local_addr()?;
    join_all((0..count).map(|_| TcpStream::connect(address))).await.into_iter().collect()
}

async fn accept(listener: &TcpListener) -> io::Result<TcpStream> {
    listener.accept().await.map(|(stream, _)| stream)
}

#[test]
fn a_place_is_kept_until_the_stream_is_dropped_or_closed() {
    run(|| async {
        let limit = Limit::new(2);
        let listener = limited(&limit).await?;
        let _peers = connect(&listener, 4).await?;
        let (first, second) = (accept(&listener).await?, accept(&listener).await?);
        assert_eq!((limit.in_use(), limit.max()), (2, 2));
        let wakes = CountingWaker::new();
        let mut third = Box::pin(accept(&listener));
        assert!(wakes.poll(third.as_mut()).is_pending(), "though there is a connection");
        assert_kind(listener.try_accept(), io::ErrorKind::WouldBlock);

        let clone = first.clone();
        drop(first);
        assert!(wakes.poll(third.as_mut()).is_pending(), "it has a clone");
        assert_eq!(wakes.wakes(), 0);
        drop(clone);
        assert_eq!(wakes.wakes(), 1);
        let third = third.await?;
        assert_eq!(limit.in_use(), 2);

        second.close().await?;
        assert_eq!(limit.in_use(), 1, "closed, though it is not dropped");
        let fourth = accept(&listener).await?;
        drop(second);
        assert_eq!(limit.in_use(), 2, "it has given it back before");
        drop((third, fourth));
        assert_eq!(limit.in_use(), 0);
        Ok(())
    });
}

/// Accepts the only connection that a limit allows. Its peer looks for the end with patience.
async fn only(limit: &Limit) -> io::Result<(TcpStream, TcpStream)> {
    let listener = limited(limit).await?;
    let peer = connect(&listener, 1).await?.pop().expect("one");
    peer.set_read_deadline(in_ms(20_000))?;
    let stream = accept(&listener).await?;
    assert_eq!(limit.in_use(), 1);
    Ok((stream, peer))
}

/// The descriptor of a registration is closed, with a clone of the stream alive: the place is free when that
/// resolves, and is given back once.
#[test]
fn a_place_is_given_back_by_every_kind_of_close() {
    run(|| async {
        let limit = Limit::new(1);
        let (stream, peer) = only(&limit).await?;
        let clone = stream.clone();
        stream.registration().close().await?;
        assert_eq!(limit.in_use(), 0, "closed by its registration");
        assert_eq!(peer.read(&mut [0]).await?, 0);
        let (other, _peer) = only(&limit).await?;
        assert_closed(stream.close().await);
        drop((stream, clone));
        assert_eq!(limit.in_use(), 1, "the other's");

        drop(other.registration().begin_close()?);
        assert_eq!(limit.in_use(), 0, "begun, and dropped");
        let (third, _peer) = only(&limit).await?;
        drop(other);
        let std = std::net::TcpStream::try_from(third)?;
        assert_eq!(limit.in_use(), 0, "it is another type of socket");
        drop(std);
        Ok(())
    });
}

/// The future of `close` is dropped while an operation is inside the descriptor: the place is free as soon as
/// the operation has let the peer see the end, with a clone of the stream alive.
#[test]
fn a_place_is_given_back_by_a_close_that_is_dropped_halfway() {
    run(|| async {
        let limit = Limit::new(1);
        let (stream, peer) = only(&limit).await?;
        let clone = stream.clone();
        let inside = stream.try_io(Direction::Write, |_| {
            assert!(poll_once(pin!(stream.close())).is_pending(), "an operation is inside");
            Ok(limit.in_use())
        });
        assert_eq!(inside?, 1, "the connection is still open");
        assert_eq!(limit.in_use(), 0);
        assert_eq!(peer.read(&mut [0]).await?, 0);
        drop((stream, clone));
        assert_eq!(limit.in_use(), 0, "once");
        Ok(())
    });
}

/// The place of an accept that finds no client, fails, or is dropped.
#[test]
fn an_accept_without_a_connection_keeps_no_place() {
    run(|| async {
        let limit = Limit::new(1);
        let listener = limited(&limit).await?;
        assert_kind(listener.try_accept(), io::ErrorKind::WouldBlock);
        assert!(poll_once(pin!(listener.accept())).is_pending());
        assert_eq!(limit.in_use(), 0);
        let _peer = connect(&listener, 1).await?;
        assert!(accept(&listener).await.is_ok());
        Ok(())
    });
}

#[test]
fn deadlines_and_close_end_the_wait_for_a_place() {
    run(|| async {
        let limit = Limit::new(1);
        let listener = limited(&limit).await?;
        let _peers = connect(&listener, 2).await?;
        let _first = accept(&listener).await?;
        let wakes = CountingWaker::new();
        let mut second = Box::pin(listener.accept());
        assert!(wakes.poll(second.as_mut()).is_pending());
        listener.set_deadline(past())?;
        assert_eq!(wakes.wakes(), 1);
        assert_timed_out(second.await.map(drop));

        listener.set_deadline(in_ms(20))?;
        assert_timed_out(listener.accept().await.map(drop));

        listener.set_deadline(None)?;
        let mut third = Box::pin(listener.accept());
        assert!(wakes.poll(third.as_mut()).is_pending());
        listener.close().await?;
        assert_closed(third.await.map(drop));
        assert_closed(listener.set_limit(None));
        Ok(())
    });
}

#[test]
fn a_limit_is_shared_by_listeners() {
    run(|| async {
        let limit = Limit::new(1);
        let listeners = [limited(&limit).await?, limited(&limit).await?];
        let _peers = [connect(&listeners[0], 2).await?, connect(&listeners[1], 1).await?];
        let here = accept(&listeners[0]).await?;
        let mut there = Box::pin(accept(&listeners[1]));
        assert!(poll_once(there.as_mut()).is_pending());
        drop(here);
        let there = there.await?;
        let mut here = Box::pin(accept(&listeners[0]));
        assert!(poll_once(here.as_mut()).is_pending());
        drop(there);
        here.await.map(drop)
    });
}

/// One listener waits for a place, and no task accepts there any more; the other is served.
#[test]
fn a_place_does_not_go_to_a_waiter_that_has_left() {
    run(|| async {
        let limit = Limit::new(1);
        let (gone, idle) = (limited(&limit).await?, limited(&limit).await?);
        let listener = limited(&limit).await?;
        let _peers =
            [connect(&gone, 1).await?, connect(&idle, 1).await?, connect(&listener, 2).await?];
        let first = accept(&listener).await?;
        for listener in [&gone, &idle] {
            assert!(poll_once(pin!(listener.accept())).is_pending());
        }
        let wakes = CountingWaker::new();
        let mut second = Box::pin(accept(&listener));
        assert!(wakes.poll(second.as_mut()).is_pending());
        drop(gone);
        drop(first);
        assert_eq!(wakes.wakes(), 1);
        second.await.map(drop)
    });
}

/// Set while an accept waits, it holds for that accept; taken away, no accept waits for it any more.
#[test]
fn a_limit_may_be_changed_at_any_time() {
    run(|| async {
        let (one, two) = (Limit::new(1), Limit::new(1));
        let listener = limited(&one).await?;
        let _peers = connect(&listener, 4).await?;
        let _first = accept(&listener).await?;
        let wakes = CountingWaker::new();
        let mut second = Box::pin(accept(&listener));
        assert!(wakes.poll(second.as_mut()).is_pending());
        listener.set_limit(Some(&two))?;
        assert_eq!(wakes.wakes(), 1);
        let _second = second.await?;
        assert_eq!((one.in_use(), two.in_use()), (1, 1));
        let mut third = Box::pin(accept(&listener));
        assert!(wakes.poll(third.as_mut()).is_pending());
        listener.set_limit(None)?;
        let _third = third.await?;
        assert_eq!((one.in_use(), two.in_use()), (1, 1));
        Ok(())
    });
}

#[test]
fn other_sockets_have_no_place() {
    run(|| async {
        let limit = Limit::new(1);
        let listener = limited(&limit).await?;
        let _peer = connect(&listener, 1).await?;
        let stream = accept(&listener).await?;
        let socket = std::net::TcpStream::try_from(stream).map_err(io::Error::other)?;
        assert_eq!(limit.in_use(), 0);
        drop(TcpStream::try_from(socket)?);
        assert_eq!(limit.in_use(), 0);
        Ok(())
    });
}

#[test]
#[should_panic(expected = "a limit of no connections admits none")]
fn a_limit_of_none_is_refused() {
    let _ = Limit::new(0);
}

/// Never more than the limit, and none forgotten: two listeners, two tasks that accept on each, and
/// connections that end as soon as they have been counted.
#[test]
fn no_connection_is_forgotten_and_none_is_too_many() {
    const EACH: usize = 500;
    watched(|| {
        let pool = ThreadPool::builder().pool_size(3).create().expect("threads");
        let (limit, served) = (Limit::new(3), Arc::new(AtomicUsize::new(0)));
        let mut clients = Vec::new();
        for _ in 0..2 {
            let listener = block_on(limited(&limit)).expect("it listens");
            let address = listener.local_addr().expect("an address");
            for _ in 0..2 {
                let (listener, limit, served) = (listener.clone(), limit.clone(), served.clone());
                let accepting = async move {
                    while let Ok(stream) = accept(&listener).await {
                        assert!(limit.in_use() <= 3);
                        // Before the write: after it, the client may have ended the test.
                        served.fetch_add(1, Ordering::Relaxed);
                        stream.write_all(b"x").await.expect("the peer is there");
                    }
                };
                pool.spawn(accepting).expect("a task");
            }
            let client = async move {
                for _ in 0..EACH {
                    let stream = TcpStream::connect(address).await.expect("it listens");
                    assert_eq!(stream.read(&mut [0; 2]).await.expect("a byte"), 1);
                }
                listener.close().await.expect("it was open");
            };
            clients.push(pool.spawn_with_handle(client).expect("a task"));
        }
        block_on(join_all(clients));
        assert_eq!(served.load(Ordering::Relaxed), 2 * EACH);
    });
}

/// Words that are left each time it is refused are one word: asked again, it is woken once.
#[test]
fn a_waiter_refused_again_and_again_is_woken_once() {
    run(|| async {
        let limit = Limit::new(1);
        let listener = limited(&limit).await?;
        let _peers = connect(&listener, 2).await?;
        let first = accept(&listener).await?;
        for _ in 0..1000 {
            assert_kind(listener.try_accept(), io::ErrorKind::WouldBlock);
            listener.registration().assume_ready(netpoll::Direction::Read);
        }
        let mut cx = Context::from_waker(Waker::noop());
        assert!(listener.poll_accept(&mut cx).is_pending());
        let wakes = CountingWaker::new();
        let mut second: Pin<Box<_>> = Box::pin(listener.accept());
        assert!(wakes.poll(second.as_mut()).is_pending());
        drop(first);
        assert_eq!(wakes.wakes(), 1);
        assert!(matches!(wakes.poll(second.as_mut()), Poll::Ready(Ok(_))));
        Ok(())
    });
}
