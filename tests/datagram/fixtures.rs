//! Sockets of either family, and the executors they are used under.

use std::fmt::Debug;
use std::io::{self, ErrorKind};
use std::net;
use std::os::unix::net as unix;

use futures::future::BoxFuture;
use netpoll::{Interest, Reactor, Registration};
use netpoll_futures::{Datagram, DatagramSocket};
use netpoll_tests::conformance::{Behaviour, EXECUTORS, Stage, show};
use netpoll_tests::fixtures::LOOPBACK;

/// Executors that differ in the thread that runs tasks and in the thread that turns the reactor.
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
                crate::fixtures::everywhere(concat!(stringify!($name), " over UDP"), show);
            }

            #[test]
            fn unix() {
                use std::os::unix::net::UnixDatagram;
                let show = |stage| futures::FutureExt::boxed(super::$name::<UnixDatagram>(stage));
                crate::fixtures::everywhere(concat!(stringify!($name), " over Unix sockets"), show);
            }
        })+
    };
}
pub(crate) use for_both_families;

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

/// Receives the datagrams that are there, of which none is still on its way.
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

/// An error of the system with the operation and its address.
#[track_caller]
pub(crate) fn assert_says<T: Debug>(result: io::Result<T>, code: i32, operation: &str, on: &str) {
    let error = result.expect_err("it fails");
    assert_eq!(netpoll_futures::raw_os_error(&error), Some(code), "{error:?}");
    assert!(error.to_string().starts_with(&format!("{operation} {on}: ")), "{error}");
}
