//! golang/go#17249: sending is no event, unless a task waits for room.

use std::fs;
use std::io;
use std::net;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net as unix;
use std::time::Duration;

use futures::FutureExt;
use netpoll::{Interest, Reactor, Registration};
use netpoll_futures::{Datagram, UdpSocket, UnixDatagram};
use netpoll_tests::fixtures::{LOOPBACK, assert_pending, run};
use netpoll_tests::{CountingWaker, watched};

use crate::fixtures::{Family, drain, fill};

const DATAGRAMS: usize = 1000;

/// A turn that only looks.
const LOOK: Option<Duration> = Some(Duration::ZERO);

/// A sender in the care of a reactor that the test turns, and its peer, which is in another's, so
/// that only the sender's events count.
fn sender<S: Family>() -> io::Result<(Reactor, Datagram<S>, Datagram<S>)> {
    let [reactor, other] =
        [(); 2].map(|()| Reactor::builder().embedded().build().expect("a reactor"));
    let (near, far) = S::std_pair()?;
    let near = Registration::with(&reactor, near, Interest::WriteOnDemand)?;
    let far = Registration::with(&other, far, Interest::WriteOnDemand)?;
    Ok((reactor, near.into(), far.into()))
}

/// Looks once more, and says how many events there were.
fn events(reactor: &Reactor) -> io::Result<u64> {
    let before = reactor.metrics().events;
    reactor.turn(LOOK)?;
    Ok(reactor.metrics().events - before)
}

/// The events of sending so many datagrams, one after another, and of their being received.
fn events_of_sending<S: Family>(
    reactor: &Reactor,
    near: &Datagram<S>,
    far: &Datagram<S>,
) -> io::Result<u64> {
    let mut seen = events(reactor)?;
    for _ in 0..DATAGRAMS {
        assert_eq!(near.send(b"datagram").now_or_never().expect("there is room")?, 8);
        seen += events(reactor)?;
        assert_eq!(drain(far)?, 1);
        seen += events(reactor)?;
    }
    Ok(seen)
}

#[test]
fn sending_a_thousand_over_udp_is_no_event() {
    watched(|| {
        let (reactor, near, far) = sender::<net::UdpSocket>().expect("sockets");
        assert_eq!(events_of_sending(&reactor, &near, &far).expect("no error"), 0);
        assert_eq!(reactor.metrics().registrations, 1, "of which it would have heard");
    });
}

#[test]
fn sending_a_thousand_over_a_unix_socket_is_no_event() {
    watched(|| {
        let (reactor, near, far) = sender::<unix::UnixDatagram>().expect("sockets");
        assert_eq!(events_of_sending(&reactor, &near, &far).expect("no error"), 0);
    });
}

/// A task that waits for room is woken for it; after that, sending is no event again.
#[test]
fn only_a_send_that_waits_is_told() {
    watched(|| {
        let show = || -> io::Result<()> {
            let (reactor, near, far) = sender::<unix::UnixDatagram>()?;
            for _ in 0..3 {
                fill(&near)?;
                let waker = CountingWaker::new();
                let mut send = near.send(b"datagram").boxed();
                assert_pending(&mut send, &waker);
                assert_eq!(events(&reactor)?, 0, "there is no room yet");
                assert!(drain(&far)? > 1);
                while waker.wakes() == 0 {
                    reactor.turn(None)?;
                }
                assert_eq!(send.now_or_never().expect("there is room")?, 8);
                assert_eq!(drain(&far)?, 1);
                assert_eq!(events_of_sending(&reactor, &near, &far)?, 0);
            }
            Ok(())
        };
        show().expect("no error");
    });
}

/// The same where the task makes its own system call, by `async_io` of netpoll-tokio.
#[test]
fn only_an_operation_of_the_callers_that_waits_is_told() {
    use netpoll_tokio::io::Interest;

    watched(|| {
        let show = || -> io::Result<()> {
            let (reactor, near, far) = sender::<unix::UnixDatagram>()?;
            fill(&near)?;
            let number = near.as_fd().try_clone_to_owned()?;
            let own = unix::UnixDatagram::from(number);
            let near = netpoll_tokio::net::UnixDatagram::from(near);
            let send = || near.async_io(Interest::WRITABLE, || own.send(b"datagram"));
            let waker = CountingWaker::new();
            let mut waits = send().boxed_local();
            assert!(waker.poll(waits.as_mut()).is_pending());
            assert!(drain(&far)? > 1);
            while waker.wakes() == 0 {
                reactor.turn(None)?;
            }
            assert_eq!(waits.now_or_never().expect("there is room")?, 8);
            assert_eq!(drain(&far)?, 1);
            let mut seen = events(&reactor)?;
            for _ in 0..DATAGRAMS {
                assert_eq!(send().now_or_never().expect("there is room")?, 8);
                assert_eq!(drain(&far)?, 1);
                seen += events(&reactor)?;
            }
            assert_eq!(seen, 0);
            Ok(())
        };
        show().expect("no error");
    });
}

/// The events that each epoll of this process watches a descriptor for, by the kernel's account.
fn asked_of(socket: &impl AsRawFd) -> io::Result<Vec<u32>> {
    let number = socket.as_raw_fd().to_string();
    let mut asked = Vec::new();
    for entry in fs::read_dir("/proc/self/fdinfo")? {
        // A descriptor that another test has closed meanwhile has no line.
        let Ok(info) = fs::read_to_string(entry?.path()) else { continue };
        for line in info.lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            if let ["tfd:", target, "events:", events, ..] = words[..]
                && target == number
            {
                asked.push(u32::from_str_radix(events, 16).expect("a set of events"));
            }
        }
    }
    Ok(asked)
}

/// However they were made, the sockets of the global reactor are among these.
#[test]
fn every_socket_is_watched_for_datagrams_and_not_for_room() {
    run(|| async {
        let (near, far) = unix::UnixDatagram::pair()?;
        let udp = UdpSocket::bind(LOOPBACK).await?;
        let adopted = UdpSocket::try_from(net::UdpSocket::bind(LOOPBACK)?)?;
        let unbound = UnixDatagram::unbound()?;
        let adopted_unix = UnixDatagram::try_from(near)?;
        let numbers = [&udp.as_fd(), &adopted.as_fd(), &unbound.as_fd(), &adopted_unix.as_fd()];
        for number in numbers {
            let asked = asked_of(number)?;
            let [events] = asked[..] else { panic!("asked {} times", asked.len()) };
            assert_ne!(events & libc::EPOLLIN as u32, 0, "{events:x}");
            assert_eq!(events & libc::EPOLLOUT as u32, 0, "{events:x}");
        }
        drop(far);
        Ok(())
    });
}

/// A datagram that comes is an event, or the others would show nothing.
#[test]
fn a_received_datagram_is_an_event() {
    watched(|| {
        let show = || -> io::Result<()> {
            let (reactor, near, far) = sender::<net::UdpSocket>()?;
            assert_eq!(events(&reactor)?, 0);
            far.try_send(b"datagram")?;
            assert_eq!(events(&reactor)?, 1);
            assert_eq!(near.try_recv(&mut [0; 16])?, 8);
            Ok(())
        };
        show().expect("no error");
    });
}
