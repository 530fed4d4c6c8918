//! The end of a reactor for which ten thousand wait.

use std::error::Error;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use netpoll::{Checked, Direction, Interest, Reactor, ReactorGone, Registration, Timer};
use netpoll_tests::CountingWaker;
use netpoll_tests::alone::alone;
use netpoll_tests::fixtures::os::raise_descriptor_limit;

/// Each with five waiters: one has the seat, three are in line, and there is a timer.
const DESCRIPTORS: usize = 2_000;

type Waiter = (Pin<Box<dyn Future<Output = io::Result<()>> + Send>>, Arc<CountingWaker>);

fn is_gone(error: &io::Error) -> bool {
    error.get_ref().is_some_and(<dyn Error + Send + Sync>::is::<ReactorGone>)
}

fn never() -> io::Result<()> {
    Err(io::ErrorKind::WouldBlock.into())
}

fn wait(future: impl Future<Output = io::Result<()>> + Send + 'static) -> Waiter {
    (Box::pin(future), CountingWaker::new())
}

/// Tasks that wait for a descriptor, each in a way of its own, and for a timer that never fires.
fn waiters(reactor: &Reactor) -> io::Result<Vec<Waiter>> {
    let socket = std::os::unix::net::UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    let registration = Arc::new(Registration::with(reactor, socket, Interest::Readable)?);
    let [one, two, three, four] = [(); 4].map(|()| registration.clone());
    let timer = Timer::never(reactor)?;
    Ok(vec![
        wait(async move { one.ready(Direction::Read).await.map(drop) }),
        wait(async move { two.io(Direction::Read, |_| never()).await }),
        wait(async move { three.ready(Checked(Direction::Read)).await.map(drop) }),
        wait(poll_fn(move |cx| four.poll_ready(cx, Direction::Read).map_ok(drop))),
        wait(timer),
    ])
}

#[test]
fn ten_thousand_waiters_are_told() {
    alone("shutdown::ten_thousand_waiters_are_told", || {
        let descriptors = DESCRIPTORS.min(raise_descriptor_limit() as usize - 100);
        for builder in [Reactor::builder(), Reactor::builder().embedded()] {
            let reactor = builder.build().expect("a reactor");
            let mut all = Vec::new();
            for _ in 0..descriptors {
                all.extend(waiters(&reactor).expect("a socket"));
            }
            for (future, waker) in &mut all {
                assert!(waker.poll(future.as_mut()).is_pending());
            }
            let before: Vec<_> = all.iter().map(|(_, waker)| waker.wakes()).collect();

            reactor.shutdown();

            for ((future, waker), before) in all.iter_mut().zip(before) {
                assert!(waker.wakes() > before, "it is woken");
                match waker.poll(future.as_mut()) {
                    Poll::Ready(Err(error)) => assert!(is_gone(&error), "{error:?}"),
                    other => panic!("not an error: {other:?}"),
                }
            }
            println!("shown: {} waiters told. ", all.len());
            drop(all);
            assert_eq!(reactor.metrics().registrations, 0);
        }
    });
}
