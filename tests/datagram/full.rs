//! Sends that have to wait: those of Unix sockets. (UDP drops datagrams that its peer has no room for, and over
//! loopback it never waits.)

use std::io::{self, ErrorKind};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram as StdUnixDatagram};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use futures::FutureExt;
use futures::future::{BoxFuture, try_join_all};
use netpoll::{Interest, Reactor, Registration};
use netpoll_futures::{Datagram, UnixDatagram};
use netpoll_tests::CountingWaker;
use netpoll_tests::conformance::Stage;
use netpoll_tests::fixtures::{
    TIMES, assert_closed, assert_kind, assert_pending, assert_timed_out, in_an_hour, past,
};

use crate::fixtures::{drain, pair, take};

/// A way to send, and the socket that does not receive it.
struct Full {
    near: UnixDatagram,
    far: UnixDatagram,
    /// `None` to send to the connected peer.
    to: Option<SocketAddr>,
}

impl Full {
    fn send(&self) -> BoxFuture<'_, io::Result<usize>> {
        match &self.to {
            None => self.near.send(b"one more").boxed(),
            Some(to) => self.near.send_to_addr(b"one more", to).boxed(),
        }
    }

    fn try_send(&self) -> io::Result<usize> {
        match &self.to {
            None => self.near.try_send(b"one of many"),
            Some(to) => self.near.try_send_to_addr(b"one of many", to),
        }
    }

    fn fill(&self) {
        let blocked = loop {
            if let Err(blocked) = self.try_send() {
                break Err::<(), _>(blocked);
            }
        };
        assert_kind(blocked, ErrorKind::WouldBlock);
    }
}

fn in_care(stage: &Stage, socket: StdUnixDatagram) -> io::Result<UnixDatagram> {
    socket.set_nonblocking(true)?;
    let own = stage.own_reactor().cloned();
    let reactor = own.map_or_else(|| Reactor::global().cloned(), Ok)?;
    Registration::with(&reactor, socket, Interest::WriteOnDemand).map(Datagram::from)
}

/// Every way in which a send can find no room: of its own, of the peer it is connected to, and of the receiver
/// it sends to.
fn ways(stage: &Stage) -> io::Result<[Full; 3]> {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let name = || {
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("netpoll-full-{}-{number}", std::process::id());
        SocketAddr::from_abstract_name(name)
    };
    let (near, far) = pair(stage)?;
    let paired = Full { near, far, to: None };
    let (at, near) = (name()?, StdUnixDatagram::unbound()?);
    let far = in_care(stage, StdUnixDatagram::bind_addr(&at)?)?;
    near.connect_addr(&at)?;
    let connected = Full { near: in_care(stage, near)?, far, to: None };
    let at = name()?;
    let far = in_care(stage, StdUnixDatagram::bind_addr(&at)?)?;
    let near = in_care(stage, StdUnixDatagram::unbound()?)?;
    let addressed = Full { near, far, to: Some(at) };
    for way in [&paired, &connected, &addressed] {
        way.fill();
    }
    Ok([paired, connected, addressed])
}

/// By the setter itself or by closing, unless the reactor was about to: a send to an address hears of
/// room that there is not.
fn wait_for_a_wake(waker: &CountingWaker) {
    while waker.wakes() == 0 {
        std::thread::yield_now();
    }
}

macro_rules! everywhere {
    ($($name:ident),+ $(,)?) => {
        $(mod $name {
            #[test]
            fn unix() {
                let show = |stage| futures::FutureExt::boxed(super::$name(stage));
                crate::fixtures::everywhere(stringify!($name), show);
            }
        })+
    };
}

everywhere!(
    a_send_waits_for_room,
    a_late_send_is_never_early_and_has_sent_nothing,
    a_past_deadline_fails_a_pending_send_at_once,
    many_sends_wait_and_each_is_sent_once,
    closing_ends_sends_that_wait_for_room,
    it_ends_with_the_receiver_it_waits_for,
    a_dropped_send_has_sent_nothing,
);

async fn a_send_waits_for_room(stage: Stage) -> io::Result<()> {
    for way in ways(&stage)? {
        for _ in 0..3 {
            let mut send = way.send();
            assert_pending(&mut send, &CountingWaker::new());
            assert!(drain(&way.far)? > 1);
            assert_eq!(send.await?, 8);
            assert_eq!(take(&way.far).await?, b"one more");
            way.fill();
        }
    }
    Ok(())
}

async fn a_late_send_is_never_early_and_has_sent_nothing(stage: Stage) -> io::Result<()> {
    let mut rows = Vec::new();
    for time in TIMES {
        for way in ways(&stage)? {
            rows.push(stage.spawn(async move {
                let deadline = Some(Instant::now() + time);
                way.near.set_write_deadline(deadline)?;
                assert_timed_out(way.send().await);
                assert!(Some(Instant::now()) >= deadline, "{time:?}");
                drain(&way.far)?;
                assert_timed_out(way.send().await);
                way.near.set_write_deadline(None)?;
                assert_eq!(way.send().await?, 8);
                assert_eq!(take(&way.far).await?, b"one more", "and it was the only one");
                assert_eq!(drain(&way.far)?, 0);
                io::Result::Ok(())
            }));
        }
    }
    try_join_all(rows).await.map(drop)
}

async fn a_past_deadline_fails_a_pending_send_at_once(stage: Stage) -> io::Result<()> {
    for way in ways(&stage)? {
        for before in [None, in_an_hour()] {
            way.near.set_write_deadline(before)?;
            let waker = CountingWaker::new();
            let mut send = way.send();
            assert_pending(&mut send, &waker);
            way.near.set_write_deadline(past())?;
            wait_for_a_wake(&waker);
            assert_timed_out(send.now_or_never().expect("at once"));
            way.near.set_write_deadline(None)?;
            assert_kind(way.try_send(), ErrorKind::WouldBlock);
        }
    }
    Ok(())
}

async fn many_sends_wait_and_each_is_sent_once(stage: Stage) -> io::Result<()> {
    const TASKS: u8 = 20;
    for way in ways(&stage)? {
        let send = |number: u8| {
            let (near, to) = (way.near.clone(), way.to.clone());
            stage.spawn(async move {
                match &to {
                    None => near.send(&[number]).await,
                    Some(to) => near.send_to_addr(&[number], to).await,
                }
            })
        };
        let tasks: Vec<_> = (0..TASKS).map(send).collect();
        let mut numbers = Vec::new();
        while numbers.len() < usize::from(TASKS) {
            match &take(&way.far).await?[..] {
                [number] => numbers.push(*number),
                other => assert_eq!(other, b"one of many"),
            }
        }
        numbers.sort_unstable();
        assert_eq!(numbers, (0..TASKS).collect::<Vec<_>>());
        assert_eq!(try_join_all(tasks).await?, [1; TASKS as usize]);
    }
    Ok(())
}

async fn closing_ends_sends_that_wait_for_room(stage: Stage) -> io::Result<()> {
    for way in ways(&stage)? {
        let waker = CountingWaker::new();
        let clone = Full { near: way.near.clone(), far: way.far.clone(), to: way.to.clone() };
        let (mut first, mut second) = (way.send(), clone.send());
        assert_pending(&mut first, &waker);
        assert_pending(&mut second, &waker);
        way.near.close().await?;
        wait_for_a_wake(&waker);
        assert_closed(first.await);
        assert_closed(second.await);
        assert_closed(way.try_send());
    }
    Ok(())
}

/// The one that does not receive is closed, and the send says so.
async fn it_ends_with_the_receiver_it_waits_for(stage: Stage) -> io::Result<()> {
    for way in ways(&stage)? {
        let mut send = way.send();
        assert_pending(&mut send, &CountingWaker::new());
        way.far.close().await?;
        let error = send.await.expect_err("the receiver is gone");
        let kinds = [ErrorKind::ConnectionRefused, ErrorKind::ConnectionReset];
        assert!(kinds.contains(&error.kind()), "{error:?}");
        assert!(error.to_string().starts_with("send "), "{error}");
    }
    Ok(())
}

async fn a_dropped_send_has_sent_nothing(stage: Stage) -> io::Result<()> {
    for way in ways(&stage)? {
        let mut send = way.send();
        assert_pending(&mut send, &CountingWaker::new());
        drop(send);
        drain(&way.far)?;
        // The other senders are woken for the room that there is now.
        way.near.writable().await?;
        assert_eq!(drain(&way.far)?, 0);
        assert_eq!(way.send().await?, 8);
        assert_eq!(take(&way.far).await?, b"one more");
    }
    Ok(())
}
