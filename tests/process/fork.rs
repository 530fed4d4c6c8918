//! A forked child may drop everything that it has inherited, and the parent notices nothing. (The effects of
//! each kind of drop are in `tests/regressions/fork.rs`.)

use std::pin::pin;
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use futures::FutureExt;
use futures::executor::block_on;
use futures::future::BoxFuture;
use netpoll::{Driver, Reactor, ReactorGone};
use netpoll_futures::{TcpListener, TcpStream, Timer, UdpSocket};
use netpoll_tests::CountingWaker;
use netpoll_tests::alone::alone;
use netpoll_tests::fixtures::LOOPBACK;
use netpoll_tests::fixtures::os::in_a_child;
use netpoll_tests::fixtures::tcp::pair;

/// The work of a server under way: each part of it waits.
struct UnderWay {
    driver: Driver,
    reactor: Reactor,
    futures: Vec<BoxFuture<'static, ()>>,
    streams: Vec<(TcpStream, TcpStream)>,
    listener: TcpListener,
    timers: Vec<Timer>,
}

impl UnderWay {
    async fn new() -> std::io::Result<Self> {
        let reactor = Reactor::global()?.clone();
        let listener = TcpListener::bind(LOOPBACK).await?;
        let udp = UdpSocket::bind(LOOPBACK).await?;
        let mut streams = Vec::new();
        let mut futures = Vec::new();
        for _ in 0..10 {
            let (near, far) = pair().await?;
            near.set_deadline(Some(Instant::now() + Duration::from_secs(3600)))?;
            for reader in [near.clone(), near.clone()] {
                futures.push(async move { drop(reader.read(&mut [0]).await) }.boxed());
            }
            streams.push((near, far));
        }
        let accepting = listener.clone();
        futures.push(async move { drop(accepting.accept().await) }.boxed());
        futures.push(async move { drop(udp.recv(&mut [0]).await) }.boxed());
        let timers = (0..10).map(|_| Timer::after(Duration::from_secs(3600))).collect();
        Ok(Self { driver: reactor.driver(), reactor, futures, streams, listener, timers })
    }

    fn poll(&mut self, waker: &Waker) {
        let mut cx = Context::from_waker(waker);
        for future in &mut self.futures {
            assert!(future.as_mut().poll(&mut cx).is_pending());
        }
        for timer in &mut self.timers {
            assert!(timer.poll_unpin(&mut cx).is_pending());
        }
    }
}

#[test]
fn a_child_that_drops_everything() {
    alone("fork::a_child_that_drops_everything", || {
        let waker = CountingWaker::new();
        let mut all = block_on(UnderWay::new()).expect("sockets");
        all.poll(&Waker::from(waker.clone()));
        let before = all.reactor.metrics();
        let mut under_way = Some(all);

        for _ in 0..3 {
            let code = in_a_child(|| {
                let all = under_way.take().expect("the parent has it");
                let UnderWay { driver, reactor, futures, streams, listener, timers } = all;
                drop(futures);
                let listed = reactor.snapshot();
                assert!(listed.is_err_and(|error| error.downcast::<ReactorGone>().is_ok()));
                let closed = streams.iter().all(|(near, _)| block_on(near.close()).is_ok());
                reactor.shutdown();
                drop((listener, driver, streams, timers, reactor));
                u8::from(closed)
            });
            assert_eq!(code, 1);
        }

        let all = under_way.expect("the parent has it still");
        assert_eq!(waker.wakes(), 0);
        assert_eq!(all.reactor.metrics().registrations, before.registrations);
        drop(all.futures);
        for (near, far) in &all.streams {
            block_on(async {
                far.write_all(b"x").await?;
                let mut byte = [0];
                let read = pin!(near.read(&mut byte));
                assert_eq!(read.await?, 1);
                std::io::Result::Ok(())
            })
            .expect("the parent's connections");
        }
        let client = TcpStream::connect(all.listener.local_addr().expect("bound"));
        let (client, accepted) = block_on(async { futures::join!(client, all.listener.accept()) });
        assert!(client.is_ok() && accepted.is_ok());
        println!("shown: 3 children dropped {} registrations", before.registrations);
    });
}
