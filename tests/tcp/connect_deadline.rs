//! Deadlines of connects that no listener answers.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::time::{Duration, Instant};

use futures::future::try_join_all;
use netpoll::{Reactor, Timer};
use netpoll_futures::TcpStream;
use netpoll_tests::fixtures::{LOOPBACK, TIMES, assert_timed_out, in_an_hour, poll_once, run};

use crate::busy::Busy;

#[test]
fn d14_connect_never_fails_before_its_deadline() {
    async fn connect_late(address: SocketAddr, time: Duration) -> io::Result<()> {
        let deadline = Instant::now() + time;
        assert_timed_out(TcpStream::connect_deadline(address, deadline).await);
        assert!(Instant::now() >= deadline, "{time:?} are not over");
        Ok(())
    }
    run(|| async {
        let mut rows = Vec::new();
        for time in TIMES {
            let busy = Busy::at(LOOPBACK).await?;
            rows.push(async move {
                connect_late(busy.address(), time).await?;
                assert_eq!(busy.callers(), 0, "the socket is gone");
                Ok::<_, io::Error>(())
            });
        }
        try_join_all(rows).await.map(drop)
    });
}

#[test]
fn d14_connect_takes_no_less_than_its_timeout() {
    async fn connect_late(address: SocketAddr, timeout: Duration) -> io::Result<()> {
        let began = Instant::now();
        assert_timed_out(TcpStream::connect_timeout(address, timeout).await);
        assert!(began.elapsed() >= timeout, "{timeout:?} are not over");
        Ok(())
    }
    run(|| async {
        let busy = Busy::at(LOOPBACK).await?;
        let rows = TIMES.map(|timeout| connect_late(busy.address(), timeout));
        try_join_all(rows).await?;
        assert_eq!(busy.callers(), 0, "the sockets are gone");
        Ok(())
    });
}

#[test]
fn d14_connect_never_fails_before_its_deadline_in_the_newer_family() {
    run(|| async {
        // Not every machine has it.
        let Ok(busy) = Busy::at("[::1]:0").await else { return Ok(()) };
        for time in TIMES.into_iter().take(6) {
            let deadline = Instant::now() + time;
            assert_timed_out(TcpStream::connect_deadline(busy.address(), deadline).await);
            assert!(Instant::now() >= deadline, "{time:?} are not over");
        }
        Ok(())
    });
}

/// Each has a socket of its own, though the address is the same.
#[test]
fn d13_the_deadline_of_one_connect_is_not_that_of_another() {
    run(|| async {
        let busy = Busy::at(LOOPBACK).await?;
        let mut patient =
            pin!(TcpStream::connect_deadline(busy.address(), in_an_hour().expect("a time")));
        let mut tireless = pin!(TcpStream::connect(busy.address()));
        assert!(poll_once(patient.as_mut()).is_pending());
        assert!(poll_once(tireless.as_mut()).is_pending());
        for time in TIMES.into_iter().take(6) {
            assert_timed_out(TcpStream::connect_timeout(busy.address(), time).await);
        }
        assert!(poll_once(patient.as_mut()).is_pending());
        assert!(poll_once(tireless.as_mut()).is_pending());
        assert_eq!(busy.callers(), 2);
        Ok(())
    });
}

/// However far away: it must not come out in the past.
#[test]
fn h7_a_connect_that_may_take_for_ever_waits() {
    run(|| async {
        let busy = Busy::at(LOOPBACK).await?;
        let timeouts = [Duration::from_secs(1 << 34), Duration::from_secs(1 << 62), Duration::MAX];
        for timeout in timeouts {
            let mut connect = pin!(TcpStream::connect_timeout(busy.address(), timeout));
            assert!(poll_once(connect.as_mut()).is_pending());
            Timer::at(Reactor::global()?, Instant::now() + Duration::from_millis(20))?.await?;
            assert!(poll_once(connect.as_mut()).is_pending());
        }
        Ok(())
    });
}

/// The kernel tries again after a second, and then there is room. Meanwhile other deadlines pass,
/// and wake-ups without a cause come.
#[test]
fn h4_a_connect_that_is_answered_in_time_connects() {
    run(|| async {
        let busy = Busy::at(LOOPBACK).await?;
        let deadline = in_an_hour().expect("a time");
        let mut connect = pin!(TcpStream::connect_deadline(busy.address(), deadline));
        for time in TIMES.into_iter().take(6) {
            assert!(poll_once(connect.as_mut()).is_pending());
            assert_timed_out(TcpStream::connect_timeout(busy.address(), time).await);
        }
        busy.make_room()?;
        let stream = connect.await?;
        assert_eq!(stream.peer_addr()?, busy.address());
        stream.write_all(b"hello").await
    });
}
