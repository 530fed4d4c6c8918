//! Connections, peers and patterns that the tests share.

use std::future::Future;
use std::io::{self, ErrorKind};
use std::net::{self, SocketAddr};
use std::pin::Pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use futures::executor::block_on;
use netpoll::{Reactor, Timer};
use netpoll_futures::{TcpListener, TcpStream, is_closed, is_deadline_exceeded};
use netpoll_tests::{CountingWaker, watched};

use crate::os;

pub(crate) const KIB: usize = 1024;

/// Some port of the loopback interface.
pub(crate) const LOOPBACK: &str = "127.0.0.1:0";

/// Runs a test under the watchdog. What it fails with, it did not expect.
pub(crate) fn run<F>(test: impl FnOnce() -> F + Send + 'static)
where
    F: Future<Output = io::Result<()>>,
{
    watched(|| block_on(test()).expect("no error but those that the test expects"));
}

/// A connection: who connected, and who accepted.
pub(crate) async fn pair() -> io::Result<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind(LOOPBACK).await?;
    join(&listener).await
}

/// A connection that takes little before it blocks: far less than [`TOO_MUCH`].
pub(crate) async fn tight_pair() -> io::Result<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind(LOOPBACK).await?;
    os::shrink_buffers(&listener)?;
    let (client, server) = join(&listener).await?;
    os::shrink_buffers(&client)?;
    Ok((client, server))
}

/// More than the buffers of a [`tight_pair`] hold together.
pub(crate) const TOO_MUCH: usize = 512 * KIB;

async fn join(listener: &TcpListener) -> io::Result<(TcpStream, TcpStream)> {
    let client = TcpStream::connect(listener.local_addr()?).await?;
    let (server, _) = listener.accept().await?;
    Ok((client, server))
}

/// A connection to a peer that blocks.
pub(crate) async fn pair_with_std() -> io::Result<(TcpStream, net::TcpStream)> {
    let listener = net::TcpListener::bind(LOOPBACK)?;
    let client = TcpStream::connect(listener.local_addr()?).await?;
    Ok((client, listener.accept()?.0))
}

/// An address that refuses. Nobody comes to listen there, as each caller has a host of its own.
pub(crate) fn refusing(host: u8) -> io::Result<SocketAddr> {
    net::TcpListener::bind((net::Ipv4Addr::new(127, 66, 0, host), 0))?.local_addr()
}

/// Bytes among which none is like its neighbours.
pub(crate) fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|index| (index % 251) as u8).collect()
}

/// Reads to the end.
pub(crate) async fn read_to_end(stream: &TcpStream) -> io::Result<Vec<u8>> {
    let mut all = Vec::new();
    let mut buffer = vec![0; 16 * KIB];
    loop {
        match stream.read(&mut buffer).await? {
            0 => return Ok(all),
            count => all.extend_from_slice(&buffer[..count]),
        }
    }
}

/// Reads so many bytes and no more.
pub(crate) async fn read_exactly(stream: &TcpStream, len: usize) -> io::Result<Vec<u8>> {
    let mut all = vec![0; len];
    let mut filled = 0;
    while filled < len {
        match stream.read(&mut all[filled..]).await? {
            0 => return Err(ErrorKind::UnexpectedEof.into()),
            count => filled += count,
        }
    }
    Ok(all)
}

/// Writes until that blocks, and returns how much it wrote.
pub(crate) fn fill(stream: &TcpStream) -> io::Result<usize> {
    let mut written = 0;
    loop {
        match stream.try_write(&[0x5a; 4 * KIB]) {
            Ok(count) => written += count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(written),
            Err(error) => return Err(error),
        }
    }
}

/// Polls once, for nobody in particular.
pub(crate) fn poll_once<F: Future + ?Sized>(future: Pin<&mut F>) -> Poll<F::Output> {
    CountingWaker::new().poll(future)
}

/// Waits until the reactor has come round to waking so often. It is to do so exactly so often.
#[track_caller]
pub(crate) fn wait_for_wakes(waker: &CountingWaker, wakes: usize) {
    while waker.wakes() < wakes {
        std::thread::yield_now();
    }
    assert_eq!(waker.wakes(), wakes);
}

/// Lets the other tasks of the executor run.
pub(crate) async fn yield_now() {
    let mut yielded = false;
    std::future::poll_fn(|cx| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Resolves when the reactor has come to a time so far from now, and so to every earlier deadline.
pub(crate) async fn reactor_reaches(from_now: Duration) -> io::Result<()> {
    Timer::at(Reactor::global()?, Instant::now() + from_now)?.await
}

/// A deadline that has passed.
pub(crate) fn past() -> Option<Instant> {
    let now = Instant::now();
    Some(now.checked_sub(Duration::from_secs(1)).unwrap_or(now))
}

/// A deadline that no test comes to.
pub(crate) fn far() -> Option<Instant> {
    soon(3_600_000)
}

/// A deadline so many milliseconds from now.
pub(crate) fn soon(milliseconds: u64) -> Option<Instant> {
    Some(Instant::now() + Duration::from_millis(milliseconds))
}

#[track_caller]
pub(crate) fn assert_late<T: std::fmt::Debug>(result: io::Result<T>) {
    let error = result.expect_err("it is too late for that");
    assert!(is_deadline_exceeded(&error), "not a deadline: {error:?}");
    assert_eq!(error.kind(), ErrorKind::TimedOut);
}

#[track_caller]
pub(crate) fn assert_closed<T: std::fmt::Debug>(result: io::Result<T>) {
    let error = result.expect_err("the socket is closed");
    assert!(is_closed(&error), "not for being closed: {error:?}");
}

#[track_caller]
pub(crate) fn assert_kind<T: std::fmt::Debug>(result: io::Result<T>, kind: ErrorKind) {
    let error = result.expect_err("it fails");
    assert_eq!(error.kind(), kind, "{error:?}");
}
