//! golang/go#17249: sending is no event, unless somebody waits for room.

use std::io;
use std::net::UdpSocket;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use futures::FutureExt;
use netpoll::{Interest, Reactor, Registration};
use netpoll_futures::Datagram;
use netpoll_tests::{CountingWaker, watched};

use crate::support::*;

const DATAGRAMS: usize = 1000;

/// A turn that only looks.
const LOOK: Option<Duration> = Some(Duration::ZERO);

/// A sender in the care of a reactor that the test turns, and its peer, which is in another's, so
/// that only the sender's events count.
fn sender<S: Family>() -> io::Result<(Reactor, Datagram<S>, Datagram<S>)> {
    let [reactor, other] =
        [(); 2].map(|()| Reactor::builder().thread(false).build().expect("a reactor"));
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
        let (reactor, near, far) = sender::<UdpSocket>().expect("sockets");
        assert_eq!(events_of_sending(&reactor, &near, &far).expect("no error"), 0);
        assert_eq!(reactor.metrics().registrations, 1, "of which it would have heard");
    });
}

#[test]
fn sending_a_thousand_over_a_unix_socket_is_no_event() {
    watched(|| {
        let (reactor, near, far) = sender::<UnixDatagram>().expect("sockets");
        assert_eq!(events_of_sending(&reactor, &near, &far).expect("no error"), 0);
    });
}

/// Who waits for room is told of it; after that, sending is no event again.
#[test]
fn only_a_send_that_waits_is_told() {
    watched(|| {
        let show = || -> io::Result<()> {
            let (reactor, near, far) = sender::<UnixDatagram>()?;
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

/// What comes is an event, or the others would show nothing.
#[test]
fn what_is_received_is_an_event() {
    watched(|| {
        let show = || -> io::Result<()> {
            let (reactor, near, far) = sender::<UdpSocket>()?;
            assert_eq!(events(&reactor)?, 0);
            far.try_send(b"datagram")?;
            assert_eq!(events(&reactor)?, 1);
            assert_eq!(near.try_recv(&mut [0; 16])?, 8);
            Ok(())
        };
        show().expect("no error");
    });
}
