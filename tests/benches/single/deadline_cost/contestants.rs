//! The ways to move a deadline.

use std::future::{Pending, pending};
use std::hint::black_box;
use std::io;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use netpoll::{Reactor, Timer};
use netpoll_futures::{Timeout, deadline};
use tokio::time::{Sleep, sleep_until, timeout_at};

use super::{CLOCK, Contestant, PATIENCE};

const MANY: usize = 1000;

/// Calls in a round, of an operation of some ten nanoseconds.
const CALLS: usize = 5000;
/// The same for an operation of a microsecond or more.
const FEW_CALLS: usize = 1000;

/// All of them; the first is the clock alone. They are made inside of a tokio runtime.
pub(super) fn all() -> io::Result<Vec<Contestant>> {
    let mut all = vec![
        over(CLOCK, CALLS, vec![()], |(), at| {
            black_box(at);
        }),
        over("one compare-exchange", CALLS, vec![AtomicU64::new(0)], compare_exchange),
    ];
    for objects in [1, MANY] {
        let name = "netpoll set_read_deadline";
        all.push(over(name, CALLS, streams(objects)?, |stream, at| {
            stream.0.set_read_deadline(Some(at)).expect("it is open");
        }));
        let name = "netpoll set_deadline, both directions";
        all.push(over(name, CALLS, streams(objects)?, |stream, at| {
            stream.0.set_deadline(Some(at)).expect("it is open");
        }));
        all.push(over("netpoll Timer::set", CALLS, timers(objects)?, |timer, at| {
            timer.set(Some(at));
        }));
        let name = "netpoll Timeout::set_deadline";
        all.push(over(name, CALLS, timeouts(objects), |timeout, at| {
            timeout.as_mut().set_deadline(at);
        }));
        all.push(over("tokio Sleep::reset", CALLS, sleeps(objects), |sleep, at| {
            sleep.as_mut().reset(at.into());
        }));
        let name = "async-io Timer::set_at";
        all.push(over(name, FEW_CALLS, async_timers(objects), async_io::Timer::set_at));
    }
    all.push(over("netpoll deadline, polled once", FEW_CALLS, vec![()], |(), at| {
        let timeout: Poll<_> = poll_once(pin!(deadline(at, never())));
        assert!(timeout.is_pending());
    }));
    all.push(over("tokio timeout_at, polled once", FEW_CALLS, vec![()], |(), at| {
        let timeout: Poll<_> = poll_once(pin!(timeout_at(at.into(), never())));
        assert!(timeout.is_pending());
    }));
    Ok(all)
}

/// A contestant that moves the deadlines of all objects in turn.
fn over<T: 'static>(
    name: &'static str,
    calls: usize,
    mut objects: Vec<T>,
    mut set: impl FnMut(&mut T, Instant) + 'static,
) -> Contestant {
    let count = objects.len();
    let round = move |calls: usize| {
        for _ in 0..calls / count {
            for object in &mut objects {
                set(object, Instant::now() + PATIENCE);
            }
        }
    };
    Contestant { name, objects: count, calls, round: Box::new(round) }
}

/// The least that a deadline costs which any thread may set while another expires it.
fn compare_exchange(word: &mut AtomicU64, at: Instant) {
    black_box(at);
    let word = black_box(&*word);
    let seen = word.load(Ordering::Relaxed);
    let exchanged = word.compare_exchange_weak(seen, seen + 1, Ordering::AcqRel, Ordering::Relaxed);
    assert!(exchanged.is_ok(), "it has no other owner");
}

/// Connections, each with its other end.
fn streams(count: usize) -> io::Result<Vec<(netpoll_futures::TcpStream, TcpStream)>> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let pair = |_| {
        let other = TcpStream::connect(listener.local_addr()?)?;
        let (stream, _) = listener.accept()?;
        Ok((netpoll_futures::TcpStream::try_from(stream)?, other))
    };
    (0..count).map(pair).collect()
}

fn timers(count: usize) -> io::Result<Vec<Timer>> {
    let reactor = Reactor::global()?;
    (0..count).map(|_| Timer::at(reactor, Instant::now() + PATIENCE)).collect()
}

/// Timeouts that are registered with the reactor, as they are from the first poll on.
fn timeouts(count: usize) -> Vec<Pin<Box<Timeout<Pending<()>>>>> {
    let timeout = |_| {
        let mut timeout = Box::pin(deadline(Instant::now() + PATIENCE, never()));
        assert!(poll_once(timeout.as_mut()).is_pending());
        timeout
    };
    (0..count).map(timeout).collect()
}

/// Timers that are registered with the runtime, as they are from the first poll on.
fn sleeps(count: usize) -> Vec<Pin<Box<Sleep>>> {
    let sleep = |_| {
        let mut sleep = Box::pin(sleep_until((Instant::now() + PATIENCE).into()));
        assert!(poll_once(sleep.as_mut()).is_pending());
        sleep
    };
    (0..count).map(sleep).collect()
}

/// The same for async-io.
fn async_timers(count: usize) -> Vec<async_io::Timer> {
    let timer = |_| {
        let mut timer = async_io::Timer::after(PATIENCE);
        assert!(poll_once(Pin::new(&mut timer)).is_pending());
        timer
    };
    (0..count).map(timer).collect()
}

fn never() -> Pending<()> {
    pending()
}

fn poll_once<F: Future + ?Sized>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}
