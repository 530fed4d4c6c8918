//! Sockets of either family, and the executors they are used under.

use std::fmt::Debug;
use std::future::Future;
use std::io::{self, ErrorKind};
use std::net;
use std::os::unix::net as unix;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use futures::executor::block_on;
use futures::future::BoxFuture;
use netpoll::{Interest, Reactor, Registration};
use netpoll_futures::{Datagram, DatagramSocket, is_closed, is_deadline_exceeded};
use netpoll_tests::conformance::{Behaviour, EXECUTORS, Stage, show};
use netpoll_tests::{CountingWaker, watched};

/// Some port of the loopback interface.
pub(crate) const LOOPBACK: &str = "127.0.0.1:0";

/// Executors that differ in what matters here: on whose thread tasks run, and who turns the reactor.
const CHOSEN: [&str; 5] =
    ["local_pool", "thread_pool", "tokio_current_thread", "tokio_multi_thread", "turned_by_hand"];

/// A family of datagram sockets, by the standard library's type.
pub(crate) trait Family: DatagramSocket {
    /// Two that are connected to each other, non-blocking.
    fn std_pair() -> io::Result<(Self, Self)>;
}

impl Family for net::UdpSocket {
    fn std_pair() -> io::Result<(Self, Self)> {
        let (near, far) = (net::UdpSocket::bind(LOOPBACK)?, net::UdpSocket::bind(LOOPBACK)?);
        near.connect(far.local_addr()?)?;
        far.connect(near.local_addr()?)?;
        near.set_nonblocking(true)?;
        far.set_nonblocking(true)?;
        Ok((near, far))
    }
}

impl Family for unix::UnixDatagram {
    fn std_pair() -> io::Result<(Self, Self)> {
        let (near, far) = unix::UnixDatagram::pair()?;
        near.set_nonblocking(true)?;
        far.set_nonblocking(true)?;
        Ok((near, far))
    }
}

pub(crate) type Pair<S> = (Datagram<S>, Datagram<S>);

/// Two sockets that are connected to each other, in the care of a reactor.
pub(crate) fn pair_of<S: Family>(reactor: &Reactor) -> io::Result<Pair<S>> {
    let (near, far) = S::std_pair()?;
    let care = |socket| Registration::with(reactor, socket, Interest::WriteOnDemand);
    Ok((care(near)?.into(), care(far)?.into()))
}

/// The same, in the care of the stage's reactor.
pub(crate) fn pair<S: Family>(stage: &Stage) -> io::Result<Pair<S>> {
    match stage.own_reactor() {
        Some(own) => pair_of(own),
        None => pair_of(Reactor::global()?),
    }
}

/// Shows a behaviour under each of the chosen executors.
pub(crate) fn everywhere(
    name: &'static str,
    behaviour: fn(Stage) -> BoxFuture<'static, io::Result<()>>,
) {
    let chosen = EXECUTORS.iter().filter(|executor| CHOSEN.contains(&executor.name));
    let mut shown = 0;
    for executor in chosen {
        let name_there = format!("{name} under {}", executor.name);
        show(&name_there, Behaviour { name, show: behaviour }, *executor);
        shown += 1;
    }
    assert_eq!(shown, CHOSEN.len(), "an executor has another name");
}

/// Tests of functions that are generic over the family: each for both, under several executors.
macro_rules! for_both_families {
    ($($name:ident),+ $(,)?) => {
        $(mod $name {
            #[test]
            fn udp() {
                let show = |stage| futures::FutureExt::boxed(super::$name::<std::net::UdpSocket>(stage));
                crate::support::everywhere(concat!(stringify!($name), " over UDP"), show);
            }

            #[test]
            fn unix() {
                use std::os::unix::net::UnixDatagram;
                let show = |stage| futures::FutureExt::boxed(super::$name::<UnixDatagram>(stage));
                crate::support::everywhere(concat!(stringify!($name), " over Unix sockets"), show);
            }
        })+
    };
}
pub(crate) use for_both_families;

/// Runs a test under the watchdog. What it fails with, it did not expect.
pub(crate) fn run<F>(test: impl FnOnce() -> F + Send + 'static)
where
    F: Future<Output = io::Result<()>>,
{
    watched(|| block_on(test()).expect("no error but those that the test expects"));
}

/// Receives a datagram of up to 100 bytes.
pub(crate) async fn take<S: DatagramSocket>(socket: &Datagram<S>) -> io::Result<Vec<u8>> {
    let mut buffer = [0; 100];
    let len = socket.recv(&mut buffer).await?;
    Ok(buffer[..len].to_vec())
}

/// Sends until that blocks, and returns how many datagrams it took.
pub(crate) fn fill<S: DatagramSocket>(socket: &Datagram<S>) -> io::Result<usize> {
    let mut sent = 0;
    loop {
        match socket.try_send(b"one of many") {
            Ok(_) => sent += 1,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(sent),
            Err(error) => return Err(error),
        }
    }
}

/// Receives what there is, of which nothing is still on its way.
pub(crate) fn drain<S: DatagramSocket>(socket: &Datagram<S>) -> io::Result<usize> {
    let mut received = 0;
    loop {
        // Not through the reactor, which may not have heard of it yet.
        match netpoll_futures::sys::recv(std::os::fd::AsFd::as_fd(socket), &mut [0; 100]) {
            Ok(_) => received += 1,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(received),
            Err(error) => return Err(error),
        }
    }
}

/// Polls once, for this waker, and finds that it must wait.
#[track_caller]
pub(crate) fn assert_pending<F: Future + Unpin>(future: &mut F, waker: &Arc<CountingWaker>)
where
    F::Output: Debug,
{
    match waker.poll(pin!(future)) {
        Poll::Pending => {}
        Poll::Ready(output) => panic!("it did not wait: {output:?}"),
    }
}

/// A deadline that has passed.
pub(crate) fn past() -> Option<Instant> {
    let now = Instant::now();
    Some(now.checked_sub(Duration::from_secs(1)).unwrap_or(now))
}

/// A deadline that no test comes to.
pub(crate) fn far_away() -> Option<Instant> {
    Some(Instant::now() + Duration::from_secs(3600))
}

/// A deadline so many milliseconds from now.
pub(crate) fn soon(milliseconds: u64) -> Option<Instant> {
    Some(Instant::now() + Duration::from_millis(milliseconds))
}

#[track_caller]
pub(crate) fn assert_late<T: Debug>(result: io::Result<T>) {
    let error = result.expect_err("it is too late for that");
    assert!(is_deadline_exceeded(&error), "not a deadline: {error:?}");
    assert_eq!(error.kind(), ErrorKind::TimedOut);
}

#[track_caller]
pub(crate) fn assert_closed<T: Debug>(result: io::Result<T>) {
    let error = result.expect_err("the socket is closed");
    assert!(is_closed(&error), "not for being closed: {error:?}");
}

#[track_caller]
pub(crate) fn assert_kind<T: Debug>(result: io::Result<T>, kind: ErrorKind) {
    let error = result.expect_err("it fails");
    assert_eq!(error.kind(), kind, "{error:?}");
}

/// An error of the system with the operation and what it was tried on.
#[track_caller]
pub(crate) fn assert_says<T: Debug>(result: io::Result<T>, code: i32, operation: &str, on: &str) {
    let error = result.expect_err("it fails");
    assert_eq!(netpoll_futures::raw_os_error(&error), Some(code), "{error:?}");
    assert!(error.to_string().starts_with(&format!("{operation} {on}: ")), "{error}");
}
