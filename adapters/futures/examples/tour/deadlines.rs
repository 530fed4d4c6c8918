//! The promises of deadlines and `close`, checked on every connection of the clients.

use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::channel::oneshot;
use futures::future::join;
use netpoll::{Reactor, Timer};
use netpoll_futures::{TcpListener, TcpStream, is_closed, is_deadline_exceeded};

use crate::Result;
use crate::executors::start;
use crate::progress::Progress;
use crate::workload::{Clients, LOOPBACK, expect, message};

/// The first deadline that fires, from when the check begins, and how long until the last.
const FIRST: Duration = Duration::from_millis(100);
const SPREAD: Duration = Duration::from_millis(200);

/// A deadline that is extended half-way.
const EXTENDED: Duration = Duration::from_millis(100);

/// By how much it is extended, and how long after its first time there is something to read.
const EXTENSION: Duration = Duration::from_secs(30);
const AFTER: Duration = Duration::from_millis(20);

/// How often a deadline may have passed before we came to extend it. It is twice as far each time.
const ATTEMPTS: usize = 6;

/// The limit of "at once" on a machine that has other things to do as well.
const AT_ONCE: Duration = Duration::from_secs(1);

/// Deadlines that fired, as they should.
pub(crate) struct Fired {
    pub(crate) count: usize,
    /// The longest time between a deadline and when its task was told.
    pub(crate) slowest: Duration,
}

/// All checks, one after the other. Each leaves the connections as good as it found them.
pub(crate) async fn check(clients: &Clients<'_>) -> Result<Fired> {
    let slowest = fires(clients).await?;
    is_extended(clients).await?;
    fails_at_once(clients).await?;
    close(clients).await?;
    Ok(Fired { count: 2 * clients.streams.len(), slowest })
}

/// A read that has nothing to read fails when its deadline passes, and not before.
async fn fires(clients: &Clients<'_>) -> Result<Duration> {
    let total = clients.streams.len();
    clients.progress.step("read deadlines that fire", total);
    let first = Instant::now() + FIRST;
    let late = clients.each(|number, stream| {
        let share = number as f64 / total as f64;
        fires_on_time(stream, first + SPREAD.mul_f64(share), clients.progress.clone())
    });
    Ok(late.await?.into_iter().max().unwrap_or_default())
}

/// Returns how late it was.
async fn fires_on_time(
    stream: TcpStream,
    deadline: Instant,
    progress: Arc<Progress>,
) -> Result<Duration> {
    stream.set_read_deadline(Some(deadline))?;
    let read = stream.read(&mut [0; 64]).await;
    let now = Instant::now();
    has_timed_out(read)?;
    stream.set_read_deadline(None)?;
    progress.advance();
    let late = now.checked_duration_since(deadline);
    late.ok_or_else(|| format!("it fired {:?} early", deadline - now).into())
}

/// A deadline that is extended in time does not fire when it would have fired first: bytes that arrive
/// after that are read.
async fn is_extended(clients: &Clients<'_>) -> Result<()> {
    clients.progress.step("read deadlines that are extended", clients.streams.len());
    clients.each(|number, stream| extends(stream, number, clients.progress.clone())).await?;
    Ok(())
}

async fn extends(stream: TcpStream, number: usize, progress: Arc<Progress>) -> Result<()> {
    let mut first_in = EXTENDED;
    for attempt in 0..ATTEMPTS {
        if extends_in_time(&stream, first_in, &message(number, attempt)).await? {
            progress.advance();
            return Ok(());
        }
        first_in *= 2;
    }
    let stalled = first_in / 4;
    Err(format!("the machine stood still for {stalled:?}, which was not enough to extend it")
        .into())
}

/// Returns whether the deadline was extended before it had passed. Otherwise it may have fired, and
/// nothing is proved.
async fn extends_in_time(stream: &TcpStream, first_in: Duration, sent: &[u8]) -> Result<bool> {
    let reactor = Reactor::global()?;
    let first = Instant::now() + first_in;
    stream.set_read_deadline(Some(first))?;
    let extend = async {
        Timer::at(reactor, first - first_in / 2)?.await?;
        stream.set_read_deadline(Some(first + EXTENSION))?;
        let in_time = Instant::now() < first;
        Timer::at(reactor, first + AFTER)?.await?;
        stream.write_all(sent).await?;
        Ok::<_, io::Error>(in_time)
    };
    let (read, in_time) = join(expect(stream, sent), extend).await;
    let in_time = in_time?;
    stream.set_read_deadline(None)?;
    match read {
        Err(_) if !in_time => expect(stream, sent).await?,
        read => read?,
    }
    Ok(in_time)
}

/// A deadline in the past fails a read that is pending, at once.
async fn fails_at_once(clients: &Clients<'_>) -> Result<()> {
    clients.progress.step("past deadlines", clients.streams.len());
    let past = Instant::now();
    let readers = clients.streams.iter().map(|stream| {
        let (waits, waiting) = oneshot::channel();
        (stream, start(clients.spawn, announce(read_some(stream.clone()), waits)), waiting)
    });
    for (number, (stream, reader, waiting)) in readers.collect::<Vec<_>>().into_iter().enumerate() {
        // Not told: it has ended instead, and says below how.
        let _ = waiting.await;
        let set = Instant::now();
        stream.set_read_deadline(Some(past))?;
        let (read, ended) = reader.await;
        has_timed_out(read).map_err(|error| format!("connection {number}: {error}"))?;
        let took = ended.saturating_duration_since(set);
        if took > AT_ONCE {
            return Err(format!("connection {number}: the read failed after {took:?}").into());
        }
        stream.set_read_deadline(None)?;
        clients.progress.advance();
    }
    Ok(())
}

/// Reads, and says when that ended.
async fn read_some(stream: TcpStream) -> (io::Result<usize>, Instant) {
    let read = stream.read(&mut [0; 64]).await;
    (read, Instant::now())
}

/// `close` ends a pending accept.
async fn close(clients: &Clients<'_>) -> Result<()> {
    clients.progress.step("close", 1);
    let listener = TcpListener::bind(LOOPBACK).await?;
    let same = listener.clone();
    let (waits, waiting) = oneshot::channel();
    let accept = async move { same.accept().await };
    let accept = start(clients.spawn, announce(accept, waits));
    let _ = waiting.await;
    listener.close().await?;
    match accept.await {
        Err(error) if is_closed(&error) => Ok(()),
        Err(error) => Err(format!("the accept failed with something else: {error}").into()),
        Ok((_, peer)) => Err(format!("the accept returned a connection from {peer}").into()),
    }
}

/// The future, which tells `waits` when it is pending for the first time.
async fn announce<F: Future>(future: F, waits: oneshot::Sender<()>) -> F::Output {
    let (mut future, mut waits) = (pin!(future), Some(waits));
    poll_fn(|cx| {
        let polled = future.as_mut().poll(cx);
        if let Some(waits) = waits.take_if(|_| polled.is_pending()) {
            // The receiver is gone only if another check has failed.
            let _ = waits.send(());
        }
        polled
    })
    .await
}

fn has_timed_out(read: io::Result<usize>) -> Result<()> {
    match read {
        Err(error) if is_deadline_exceeded(&error) => Ok(()),
        Err(error) => Err(format!("the read failed with something else: {error}").into()),
        Ok(len) => Err(format!("the read returned {len} bytes, and none were sent").into()),
    }
}
