//! Futures that are polled by one task after another, dropped half-way, or leaked, and wakers that panic
//! when they are dropped, call back, or block.

use std::io;
use std::mem::forget;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use futures::executor::block_on;
use netpoll::{Direction, Interest, Reactor, Registration};
use netpoll_futures::{
    Async, Backoff, Limit, TcpListener, TimeoutStream, Timeouts, Timer, UdpSocket, UnixDatagram,
    UnixStream, is_closed,
};
use netpoll_tests::CountingWaker;
use netpoll_tests::fixtures::tcp::pair;
use netpoll_tests::fixtures::{LOOPBACK, on_wake, run, yield_now};

/// A future has one waker, that of its last poll, however many tasks have polled it.
#[test]
fn a_future_of_another_task_each_time() {
    run(|| async {
        let (near, far) = pair().await?;
        let mut byte = [0];
        let mut read = Box::pin(near.read(&mut byte));
        let wakers: Vec<_> = (0..1000).map(|_| CountingWaker::new()).collect();
        for waker in &wakers {
            assert!(waker.poll(read.as_mut()).is_pending());
            assert_eq!(Arc::strong_count(waker), 2, "kept");
        }
        assert!(wakers[..999].iter().all(|waker| Arc::strong_count(waker) == 1), "and let go");
        far.write_all(b"x").await?;
        while wakers[999].wakes() == 0 {
            std::thread::yield_now();
        }
        assert!(wakers[..999].iter().all(|waker| waker.wakes() == 0));
        assert_eq!(read.await?, 1);
        Ok(())
    });
}

/// Some are dropped while they wait, and some when they were just woken: the one that stays is served.
#[test]
fn futures_that_are_dropped_half_way() {
    run(|| async {
        let (near, far) = pair().await?;
        for _ in 0..100 {
            let mut bytes = [[0]; 5];
            let mut reads: Vec<_> = bytes
                .iter_mut()
                .map(|byte| (Box::pin(near.read(byte)), CountingWaker::new()))
                .collect();
            for (read, waker) in &mut reads {
                assert!(waker.poll(read.as_mut()).is_pending());
            }
            drop(reads.remove(1));
            far.write_all(b"x").await?;
            while reads[0].1.wakes() == 0 {
                std::thread::yield_now();
            }
            drop(reads.remove(0));
            drop(reads.remove(1));
            assert_eq!(reads.remove(0).0.await?, 1, "the byte that the others left");
        }
        Ok(())
    });
}

/// A leaked read keeps nothing from other reads, from the other direction or from closing.
#[test]
fn a_read_that_is_leaked() {
    run(|| async {
        let (near, far) = pair().await?;
        let mut read = Box::pin({
            let near = near.clone();
            async move { near.read(&mut [0]).await }
        });
        assert!(CountingWaker::new().poll(read.as_mut()).is_pending());
        forget(read);
        far.write_all(b"xy").await?;
        assert_eq!(near.read(&mut [0]).await?, 1);
        assert_eq!(near.read(&mut [0]).await?, 1);
        let (waker, mut byte) = (CountingWaker::new(), [0]);
        let mut next = pin!(near.read(&mut byte));
        assert!(waker.poll(next.as_mut()).is_pending(), "nothing more has come");
        near.write_all(b"z").await?;
        assert_eq!(far.read(&mut [0]).await?, 1);
        near.close().await?;
        assert!(is_closed(&next.await.expect_err("it is closed")));
        Ok(())
    });
}

/// Each leaked object goes on as it was: a descriptor that is open, a slot that is taken, a waiter. Those that
/// are not leaked are served.
#[test]
fn everything_is_leaked() {
    run(|| async {
        let reactor = Reactor::builder().build()?;
        let (near, far) = pair().await?;
        let listener = TcpListener::bind(LOOPBACK).await?;
        let (waker, cx) = (CountingWaker::new(), &mut Context::from_waker(Waker::noop()));
        let mut timer = Timer::after(Duration::from_millis(1));
        assert!(waker.poll(pin!(&mut timer)).is_pending());
        assert!(near.poll_read(cx, &mut [0]).is_pending());
        let mut accept = Box::pin(async { listener.accept().await.map(drop) });
        assert!(waker.poll(accept.as_mut()).is_pending());
        let (pipe, _writer) = std::io::pipe()?;
        let other = Registration::with(&reactor, std::io::pipe()?.0, Interest::Readable)?;
        let closing = pair().await?.0;
        let unfinished = closing.registration().begin_close()?;
        let mut driver = reactor.driver();
        driver.waker().wake();
        driver.park();
        forget((accept, timer, Async::new(pipe)?, UdpSocket::bind(LOOPBACK).await?, driver));
        forget((other, unfinished, reactor.clone(), near, reactor));
        forget((pair().await?, UnixStream::pair()?, UnixDatagram::pair()?));
        forget((
            TimeoutStream::new(pair().await?.0, Timeouts::default()),
            Backoff::new(),
            Limit::new(1),
        ));
        let (waited, tells) = pair().await?;
        let mut waiting = waited.registration().readiness_wait(Direction::Read);
        assert!(
            waiting.poll_io(cx, Direction::Read, |_| io::Result::Ok(())).is_pending(),
            "nothing has come"
        );
        forget(waiting);

        tells.write_all(b"x").await?;
        assert_eq!(waited.read(&mut [0]).await?, 1);
        let (near, _far) = pair().await?;
        far.write_all(b"x").await?;
        _far.write_all(b"x").await?;
        assert_eq!(near.read(&mut [0]).await?, 1);
        Timer::after(Duration::from_millis(1)).await;
        drop(closing);
        Ok(())
    });
}

/// A waker that panics when its last copy is dropped.
struct PanicsWhenDropped(Arc<AtomicBool>);

impl Wake for PanicsWhenDropped {
    fn wake(self: Arc<Self>) {}
}

impl Drop for PanicsWhenDropped {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
        panic!("a waker that panics when it is dropped, as its test wants it");
    }
}

/// The reactor has the last copy, and drops it when it has woken it: the others of the event are woken all
/// the same, and those of later ones.
#[test]
fn a_waker_that_panics_when_it_is_dropped() {
    run(|| async {
        let (near, far) = pair().await?;
        let dropped = Arc::new(AtomicBool::new(false));
        let waker = Waker::from(Arc::new(PanicsWhenDropped(dropped.clone())));
        assert!(near.poll_read_ready(&mut Context::from_waker(&waker)).is_pending());
        drop(waker);
        let last = CountingWaker::new();
        let mut ready = pin!(near.readable());
        assert!(last.poll(ready.as_mut()).is_pending());
        far.write_all(b"x").await?;
        ready.await?;
        // The future may see the event before the turn that delivers it wakes, and drops, the other waker.
        while !dropped.load(Ordering::SeqCst) {
            yield_now().await;
        }
        let (one, other) = pair().await?;
        other.write_all(b"x").await?;
        assert_eq!(one.read(&mut [0]).await?, 1);
        Ok(())
    });
}

/// The waker sets deadlines, asks again, registers, and closes, on the reactor's thread.
#[test]
fn a_waker_that_does_everything() {
    run(|| async {
        let (near, far) = pair().await?;
        let (tell, told) = std::sync::mpsc::channel();
        let inside = near.clone();
        let waker = on_wake(move || {
            let cx = &mut Context::from_waker(Waker::noop());
            inside.set_deadline(Some(std::time::Instant::now())).expect("open");
            inside.set_deadline(None).expect("open");
            let again = inside.poll_read(cx, &mut [0; 8]);
            let made = block_on(UdpSocket::bind(LOOPBACK)).is_ok();
            let closed = block_on(inside.close()).is_ok();
            tell.send(matches!(again, Poll::Ready(Ok(1))) && made && closed).expect("it listens");
        });
        assert!(near.poll_read(&mut Context::from_waker(&waker), &mut [0]).is_pending());
        far.write_all(b"x").await?;
        assert!(told.recv().expect("it comes to its end"));
        assert!(is_closed(&near.try_io(Direction::Read, |_| Ok(())).expect_err("it is closed")));
        Ok(())
    });
}

/// A waker that blocks has the thread that turns: others wait until it goes on, and nothing is lost.
#[test]
fn a_waker_that_blocks() {
    run(|| async {
        let (near, far) = pair().await?;
        let (one, other) = pair().await?;
        let (tell, told) = std::sync::mpsc::channel();
        let (go, gone) = std::sync::mpsc::channel::<()>();
        let gone = std::sync::Mutex::new(gone);
        let waker = on_wake(move || {
            tell.send(()).expect("it listens");
            gone.lock().expect("no panic").recv().expect("it is told to go on");
        });
        assert!(near.poll_read(&mut Context::from_waker(&waker), &mut [0]).is_pending());
        far.write_all(b"x").await?;
        told.recv().expect("it blocks");
        let (woken, mut byte) = (CountingWaker::new(), [0]);
        let mut read = pin!(one.read(&mut byte));
        assert!(woken.poll(read.as_mut()).is_pending());
        other.write_all(b"x").await?;
        go.send(()).expect("it waits for it");
        assert_eq!(read.await?, 1);
        Ok(())
    });
}
