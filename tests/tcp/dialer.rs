//! The dialer: the race between several addresses, its errors, and the options of a connection.

use std::error::Error;
use std::io::{self, ErrorKind};
use std::net::{self, SocketAddr};
use std::pin::pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use netpoll::Reactor;
use netpoll_futures::{
    DialError, Dialer, KeepAlive, TcpListener, is_deadline_exceeded, raw_os_error,
};
use netpoll_tests::fixtures::tcp::refusing;
use netpoll_tests::fixtures::{LOOPBACK, assert_kind, assert_timed_out, poll_once, run};
use socket2::SockRef;

use crate::busy::Busy;

const DELAY: Duration = Duration::from_millis(50);

fn dial_error(error: &io::Error) -> &DialError {
    let payload = error.get_ref().and_then(|payload| payload.downcast_ref());
    payload.expect("an error that lists addresses")
}

/// Each error below `error`, as code that does not know the types of this crate finds them.
fn chain(error: &io::Error) -> impl Iterator<Item = &(dyn Error + 'static)> {
    std::iter::successors(Some(error as &(dyn Error + 'static)), |error| (**error).source())
}

/// The loser is closed, and the winner is not early.
#[test]
fn h9_an_address_that_does_not_answer_has_a_head_start_and_is_dropped() {
    run(|| async {
        let busy = Busy::at(LOOPBACK).await?;
        let listener = TcpListener::bind(LOOPBACK).await?;
        let answering = listener.local_addr()?;
        let began = Instant::now();
        let dialer = Dialer::new().attempt_delay(DELAY);
        let stream = dialer.connect([busy.address(), answering]).await?;
        assert!(began.elapsed() >= DELAY, "{:?}", began.elapsed());
        assert_eq!(stream.peer_addr()?, answering);
        assert_eq!(busy.callers(), 0);
        Ok(())
    });
}

/// The same on a clock that the test moves: 250 ms are the default, and a timer may be a tick of the wheel late.
#[test]
fn h9_the_next_attempt_begins_after_250_ms_of_the_reactors_clock() {
    run(|| async {
        let busy = Busy::at(LOOPBACK).await?;
        let reactor = Reactor::builder().embedded().manual_clock().build()?;
        let dialer = Dialer::new().deadline(Duration::from_secs(10));
        let mut dial = pin!(dialer.connect_on(&reactor, [busy.address(); 3]));
        let mut pass = |ms| -> io::Result<_> {
            reactor.advance(Duration::from_millis(ms));
            reactor.turn(Some(Duration::ZERO))?;
            Ok(poll_once(dial.as_mut()))
        };
        for (ms, callers) in [(0, 1), (249, 1), (2, 2), (248, 2), (4, 3), (9490, 3)] {
            assert!(pass(ms)?.is_pending());
            assert_eq!(busy.callers(), callers);
        }
        let Poll::Ready(late) = pass(10)? else { panic!("ten seconds are over") };
        assert_timed_out(late);
        assert_eq!(busy.callers(), 0);
        Ok(())
    });
}

#[test]
fn of_64_addresses_the_one_that_answers_is_found() {
    run(|| async {
        let busy = Busy::at(LOOPBACK).await?;
        let listener = TcpListener::bind(LOOPBACK).await?;
        let answering = listener.local_addr()?;
        let dialer = Dialer::new().attempt_delay(Duration::from_millis(2));
        for other in [busy.address(), refusing(6)?] {
            let mut addresses = [other; 64];
            addresses[63] = answering;
            let stream = dialer.connect(addresses).await?;
            assert_eq!(stream.peer_addr()?, answering);
            assert_eq!(busy.callers(), 0);
        }
        Ok(())
    });
}

#[test]
fn without_an_end_of_the_delay_addresses_are_tried_one_after_the_other() {
    run(|| async {
        let busy = Busy::at(LOOPBACK).await?;
        let listener = net::TcpListener::bind(LOOPBACK)?;
        listener.set_nonblocking(true)?;
        let dialer = Dialer::new().attempt_delay(Duration::MAX);
        let late = dialer.clone().deadline(DELAY);
        assert_timed_out(late.connect([busy.address(), listener.local_addr()?]).await);
        assert_kind(listener.accept(), ErrorKind::WouldBlock);
        let stream = dialer.connect([refusing(7)?, listener.local_addr()?]).await?;
        assert_eq!(stream.peer_addr()?, listener.local_addr()?);
        Ok(())
    });
}

#[test]
fn a_dropped_dial_leaves_no_socket() {
    run(|| async {
        let busy = Busy::at(LOOPBACK).await?;
        let dialer = Dialer::new().attempt_delay(Duration::ZERO);
        {
            let mut dial = pin!(dialer.connect([busy.address(); 3]));
            while busy.callers() < 3 {
                assert!(poll_once(dial.as_mut()).is_pending());
            }
        }
        assert_eq!(busy.callers(), 0);
        Ok(())
    });
}

/// The deadline ended the dial, though another address has failed before.
#[test]
fn a_dial_that_comes_late_lists_each_address() {
    run(|| async {
        let busy = Busy::at(LOOPBACK).await?;
        let (refused, busy_address) = (refusing(8)?, busy.address());
        let addresses = [refused, busy_address, busy_address];
        let dialer = Dialer::new().deadline(DELAY).attempt_delay(Duration::MAX);
        let began = Instant::now();
        let error = dialer.connect(addresses).await.expect_err("no address answers");
        assert!(began.elapsed() >= DELAY);
        assert_eq!(busy.callers(), 0);

        assert!(is_deadline_exceeded(&error), "{error}");
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        let is_late =
            |error: &(dyn Error + 'static)| error.downcast_ref().is_some_and(is_deadline_exceeded);
        assert!(chain(&error).skip(1).any(is_late), "{error:?}");
        assert!(netpoll::deadline_in(&error), "{error:?}");
        let refusal = io::Error::from_raw_os_error(libc::ECONNREFUSED);
        let late = format!("{busy_address}: deadline exceeded");
        assert_eq!(error.to_string(), format!("connect {refused}: {refusal}; {late}; {late}"));
        let failed: Vec<_> =
            dial_error(&error).failed().map(|(address, error)| (address, error.kind())).collect();
        let kinds = [ErrorKind::ConnectionRefused, ErrorKind::TimedOut, ErrorKind::TimedOut];
        assert_eq!(failed, addresses.into_iter().zip(kinds).collect::<Vec<_>>());
        Ok(())
    });
}

/// The errors are in the order of the addresses, also where the second fails first. Neither is late: the errno is
/// that of the first.
#[test]
fn a_dial_that_fails_has_the_error_of_the_first_address() {
    run(|| async {
        let broadcast: SocketAddr = "255.255.255.255:1".parse().expect("an address");
        let addresses = [broadcast, refusing(9)?];
        let error = Dialer::new().connect(addresses).await.expect_err("no address answers");
        assert_eq!(
            raw_os_error(&error),
            dial_error(&error).failed().next().and_then(|(_, error)| error.raw_os_error())
        );
        assert_ne!(raw_os_error(&error), Some(libc::ECONNREFUSED));
        assert!(!is_deadline_exceeded(&error));
        assert!(dial_error(&error).failed().map(|(address, _)| address).eq(addresses));
        Ok(())
    });
}

async fn dial(dialer: &Dialer) -> io::Result<(netpoll_futures::TcpStream, SocketAddr)> {
    let listener = TcpListener::bind(LOOPBACK).await?;
    let stream = dialer.connect(listener.local_addr()?).await?;
    let (_, peer) = listener.accept().await?;
    Ok((stream, peer))
}

#[test]
fn options_are_those_of_the_dialer() {
    run(|| async {
        let probes =
            KeepAlive { idle: Some(Duration::from_secs(7)), interval: None, count: Some(3) };
        let dialer = Dialer::new()
            .local_addr("127.0.0.9:0".parse().expect("an address"))
            .keepalive(probes)
            .user_timeout(Duration::from_micros(1_234_500))
            .device("lo");
        let (stream, peer) = dial(&dialer).await?;
        assert_eq!(peer.ip().to_string(), "127.0.0.9");
        assert_eq!(stream.keepalive()?.and_then(|probes| probes.count), Some(3));
        let socket = SockRef::from(&stream);
        assert_eq!(socket.tcp_user_timeout()?, Some(Duration::from_millis(1235)));
        assert_eq!(socket.device()?.as_deref(), Some(&b"lo"[..]));
        assert!(stream.nodelay()?);

        let (stream, _) = dial(&Dialer::new().keepalive(None)).await?;
        assert_eq!(stream.keepalive()?, None);
        assert_eq!(SockRef::from(&stream).tcp_user_timeout()?, None);
        Ok(())
    });
}

#[test]
fn a_mark_is_set_or_refused_by_name() {
    run(|| async {
        match dial(&Dialer::new().mark(0xffff_0001)).await {
            Ok((stream, _)) => assert_eq!(SockRef::from(&stream).mark()?, 0xffff_0001),
            Err(error) => {
                assert_eq!(raw_os_error(&error), Some(libc::EPERM));
                assert!(error.to_string().contains(": set SO_MARK: "), "{error}");
            }
        }
        Ok(())
    });
}

#[test]
fn an_option_that_cannot_be_set_is_named() {
    run(|| async {
        let address = refusing(10)?;
        let no_device = Dialer::new().device("no-such-device");
        let error = no_device.connect(address).await.expect_err("no such device");
        assert_eq!(raw_os_error(&error), Some(libc::ENODEV));
        let named = format!("connect {address}: set SO_BINDTODEVICE: ");
        assert!(error.to_string().starts_with(&named), "{error}");

        for (local, kind) in
            [("192.0.2.1:0", ErrorKind::AddrNotAvailable), ("[::1]:0", ErrorKind::InvalidInput)]
        {
            let dialer = Dialer::new().local_addr(local.parse().expect("an address"));
            let error = dialer.connect(address).await.expect_err("no such local address");
            assert_eq!(error.kind(), kind);
            let named = format!("connect {address}: bind {local}: ");
            assert!(error.to_string().starts_with(&named), "{error}");
        }
        Ok(())
    });
}

/// The port is taken by the first connection: the second is not tried from another one.
#[test]
fn a_local_port_is_not_exchanged_for_another() {
    run(|| async {
        let listener = TcpListener::bind(LOOPBACK).await?;
        let address = listener.local_addr()?;
        let first = Dialer::new().connect(address).await?;
        let dialer = Dialer::new().local_addr(first.local_addr()?);
        assert_kind(dialer.connect(address).await, ErrorKind::AddrInUse);
        Ok(())
    });
}
