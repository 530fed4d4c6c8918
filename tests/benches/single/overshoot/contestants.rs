//! The ways to wait for a time, each on an executor that is usual for it.

use std::future::poll_fn;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::time::Instant;

use futures::executor::LocalPool;
use netpoll::{Reactor, Timer};
use netpoll_futures::is_deadline_exceeded;

use super::Round;

/// Plays a round, and returns how late each firing was, in microseconds.
type Contestant = fn(&Round) -> Vec<f64>;

pub(super) const CONTESTANTS: [(&str, Contestant); 5] = [
    ("netpoll deadline, LocalPool", netpoll_deadline),
    ("netpoll Timer, LocalPool", netpoll_timer),
    ("tokio sleep, current_thread", tokio_sleep),
    ("async-io Timer, LocalPool", async_io_timer),
    ("async-io Timer, its block_on", async_io_alone),
];

/// Reads that end by their deadlines, on connections on which nothing comes.
fn netpoll_deadline(round: &Round) -> Vec<f64> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    LocalPool::new().run_until(round.play(|| silent_read(&listener)))
}

fn silent_read(listener: &TcpListener) -> impl AsyncFnMut(Instant) + use<> {
    let address = listener.local_addr().expect("it is bound");
    let silent = TcpStream::connect(address).expect("a connection");
    let (stream, _) = listener.accept().expect("its other end");
    let stream = netpoll_futures::TcpStream::try_from(stream).expect("a reactor");
    async move |at| {
        stream.set_read_deadline(Some(at)).expect("it is open");
        let error = stream.read(&mut [0; 64]).await.expect_err("nothing comes");
        assert!(is_deadline_exceeded(&error), "{error} from {silent:?}");
    }
}

fn netpoll_timer(round: &Round) -> Vec<f64> {
    let reactor = Reactor::global().expect("a reactor");
    LocalPool::new().run_until(round.play(|| {
        let timer = Timer::never(reactor).expect("it lives");
        async move |at| {
            timer.set(Some(at));
            poll_fn(|cx| timer.poll_fired(cx)).await.expect("it lives");
        }
    }))
}

fn tokio_sleep(round: &Round) -> Vec<f64> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let runtime = runtime.expect("a runtime");
    runtime.block_on(round.play(|| async |at: Instant| tokio::time::sleep_until(at.into()).await))
}

fn async_io_timer(round: &Round) -> Vec<f64> {
    LocalPool::new().run_until(round.play(async_io_waiter))
}

/// With its reactor on the thread that waits, and not on another.
fn async_io_alone(round: &Round) -> Vec<f64> {
    async_io::block_on(round.play(async_io_waiter))
}

fn async_io_waiter() -> impl AsyncFnMut(Instant) {
    async |at| {
        async_io::Timer::at(at).await;
    }
}
