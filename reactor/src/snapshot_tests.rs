use std::future::Future;
use std::io::{self, PipeReader, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{self as unix, UnixDatagram, UnixListener, UnixStream};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::task::{Context, Waker};
use std::thread;
use std::time::{Duration, Instant};

use crate::{
    Direction, Interest, OwnsFd, Reactor, Registration, Snapshot, SnapshotRow, Timer,
    is_deadline_exceeded,
};

fn reactor() -> Reactor {
    Reactor::builder().embedded().manual_clock().build().unwrap()
}

fn register<T: AsFd + OwnsFd>(reactor: &Reactor, io: T) -> Registration<T> {
    Registration::with(reactor, io, Interest::Both).unwrap()
}

fn row(snapshot: &Snapshot, fd: &impl AsFd) -> SnapshotRow {
    let number = fd.as_fd().as_raw_fd();
    let mut rows = snapshot.into_iter().filter(|row| row.descriptor == number);
    rows.next().unwrap_or_else(|| panic!("no row for {number} in\n{snapshot}")).clone()
}

/// Kind, local and peer address as the table has them.
fn names(snapshot: &Snapshot, fd: &impl AsFd) -> [String; 3] {
    let row = row(snapshot, fd);
    let or_dash = |text: Option<String>| text.unwrap_or("-".into());
    [row.kind.unwrap().to_string(), or_dash(row.local), or_dash(row.peer)]
}

#[test]
fn a_row_has_the_kind_and_the_addresses() -> io::Result<()> {
    let reactor = reactor();
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let at = listener.local_addr()?.to_string();
    let stream = TcpStream::connect(&at)?;
    let from = stream.local_addr()?.to_string();
    let six = UdpSocket::bind("[::1]:0")?;
    let six_at = six.local_addr()?.to_string();
    let (one, _two) = UnixStream::pair()?;
    let name = format!("netpoll {} \u{1b}", std::process::id());
    let named = UnixListener::bind_addr(&unix::SocketAddr::from_abstract_name(&name)?)?;
    let (datagram, _other) = UnixDatagram::pair()?;
    let (reader, _writer) = io::pipe()?;
    let inner = Reactor::builder().embedded().build()?;

    let listener = register(&reactor, listener);
    let stream = register(&reactor, stream);
    let six = register(&reactor, six);
    let one = register(&reactor, one);
    let named = register(&reactor, named);
    let datagram = register(&reactor, datagram);
    let reader = Registration::with(&reactor, reader, Interest::Readable).unwrap();
    let epoll = Registration::with(&reactor, inner.as_fd(), Interest::Readable).unwrap();
    let timer = Timer::never(&reactor)?;

    let snapshot = reactor.snapshot()?;
    assert_eq!(names(&snapshot, &listener), ["tcp listener", &at, "-"]);
    assert_eq!(names(&snapshot, &stream), ["tcp", &from, &at]);
    assert_eq!(names(&snapshot, &six), ["udp", &six_at, "-"]);
    assert_eq!(names(&snapshot, &one), ["unix", "-", "-"]);
    let escaped = format!("@netpoll {} \\u{{1b}}", std::process::id());
    assert_eq!(names(&snapshot, &named), ["unix listener", &escaped, "-"]);
    assert_eq!(names(&snapshot, &datagram), ["unix datagram", "-", "-"]);
    assert_eq!(names(&snapshot, &reader), ["pipe", "-", "-"]);
    assert_eq!(names(&snapshot, &epoll), ["other", "-", "-"]);
    assert_eq!((snapshot.rows().len(), snapshot.timers()), (8, 1));
    drop((timer, epoll));
    let snapshot = reactor.snapshot()?;
    assert_eq!((snapshot.rows().len(), snapshot.timers()), (7, 0));
    Ok(())
}

#[test]
fn a_row_has_the_waiters_by_direction_and_for_how_long() -> io::Result<()> {
    let reactor = reactor();
    let (near, far) = UnixStream::pair()?;
    near.set_nonblocking(true)?;
    while (&near).write(&[0; 4096]).is_ok() {}
    let near = register(&reactor, near);
    let idle = register(&reactor, far);
    near.clear_ready(near.seen(Direction::Read));

    let began = Instant::now();
    let mut cx = Context::from_waker(Waker::noop());
    let mut reads = [pin!(near.ready(Direction::Read)), pin!(near.ready(Direction::Read))];
    for read in &mut reads {
        assert!(read.as_mut().poll(&mut cx).is_pending());
    }
    let mut write = pin!(near.io(Direction::Write, |mut near| near.write(&[0])));
    assert!(write.as_mut().poll(&mut cx).is_pending());

    let snapshot = reactor.snapshot()?;
    let (found, took) = (row(&snapshot, &near), began.elapsed());
    assert_eq!((found.read.waiters, found.write.waiters), (2, 1));
    for direction in [found.read, found.write] {
        let waits = direction.waits_for.unwrap();
        assert!(
            waits < took + Duration::from_millis(1_100),
            "{waits:?}, but it began {took:?} ago"
        );
        assert!(!direction.is_ready);
    }
    assert_eq!(found.longest().unwrap().0, Direction::Write, "of equals");
    assert!(found.unsent.unwrap() > 0);
    assert_eq!(found.unread, Some(0));
    let other = row(&snapshot, &idle);
    assert_eq!((other.read.waiters, other.read.waits_for, other.longest()), (0, None, None));
    assert!(other.unread.unwrap() > 0);

    let (suspect, direction) = snapshot.suspect().unwrap();
    assert_eq!((suspect.descriptor, direction), (found.descriptor, Direction::Write));
    let text = snapshot.to_string();
    let marked: Vec<&str> = text.lines().filter(|line| line.starts_with('>')).collect();
    assert!(marked[0].contains(&format!(" {} ", found.descriptor)) && marked.len() == 2, "{text}");
    assert!(marked[1].contains("to write to"), "{text}");
    assert!(!format!("{snapshot:?}{found:?}").contains('\n'));

    drop(near.begin_close()?);
    assert_eq!(row(&reactor.snapshot()?, &near).longest(), None);
    Ok(())
}

/// A wait of 1.2 seconds lies in two seconds of the clock at least, so it is told from one that begins at its end.
#[test]
fn the_longest_wait_comes_first_and_listeners_last() -> io::Result<()> {
    let reactor = reactor();
    let pair = || {
        let (near, far) = UnixStream::pair()?;
        let near = register(&reactor, near);
        near.clear_ready(near.seen(Direction::Read));
        io::Result::Ok((near, far))
    };
    let listener = register(&reactor, TcpListener::bind("127.0.0.1:0")?);
    listener.clear_ready(listener.seen(Direction::Read));
    let (late, early, idle) = (pair()?, pair()?, pair()?);

    let mut cx = Context::from_waker(Waker::noop());
    let mut accept = pin!(listener.ready(Direction::Read));
    assert!(accept.as_mut().poll(&mut cx).is_pending());
    // A `poll_*` call, which has no place of its own.
    assert!(early.0.poll_ready(&mut cx, Direction::Read).is_pending());
    let began = Instant::now();
    thread::sleep(Duration::from_millis(1200));
    let mut read = pin!(late.0.ready(Direction::Read));
    assert!(read.as_mut().poll(&mut cx).is_pending());
    // The same task polls again: it has waited all the time.
    assert!(early.0.poll_ready(&mut cx, Direction::Read).is_pending());

    let lower = began.elapsed();
    let snapshot = reactor.snapshot()?;
    let numbers: Vec<_> = snapshot.rows().iter().map(|row| row.descriptor).collect();
    let expected = [&early.0, &late.0].map(|it| it.as_fd().as_raw_fd());
    assert_eq!(numbers[..2], expected);
    assert_eq!(numbers[2..], [listener.as_fd().as_raw_fd(), idle.0.as_fd().as_raw_fd()]);
    let waits = row(&snapshot, &early.0).read.waits_for.unwrap();
    assert!(waits >= lower && waits < lower + Duration::from_secs(2), "{waits:?} for {lower:?}");
    assert_eq!(snapshot.suspect().unwrap().0.descriptor, expected[0]);
    Ok(())
}

#[test]
fn a_row_has_the_time_left_of_each_deadline() -> io::Result<()> {
    let reactor = reactor();
    let (near, _far) = UnixStream::pair()?;
    let near = register(&reactor, near);
    near.set_read_deadline(Duration::from_secs(5))?;
    let left = |snapshot: &Snapshot| {
        let found = row(snapshot, &near);
        (found.read.deadline_in, found.write.deadline_in)
    };
    assert_eq!(left(&reactor.snapshot()?), (Some(Duration::from_secs(5)), None));
    reactor.advance(Duration::from_secs(2));
    assert_eq!(left(&reactor.snapshot()?), (Some(Duration::from_secs(3)), None));
    reactor.advance(Duration::from_secs(4));
    reactor.turn(Some(Duration::ZERO))?;
    let snapshot = reactor.snapshot()?;
    assert_eq!(left(&snapshot), (Some(Duration::ZERO), None));
    assert!(snapshot.to_string().contains("read passed"), "{snapshot}");
    let read = near.try_io(Direction::Read, |near| io::Read::read(&mut &*near, &mut [0]));
    assert!(is_deadline_exceeded(&read.unwrap_err()));
    near.set_deadline(None)?;
    assert_eq!(left(&reactor.snapshot()?), (None, None));
    Ok(())
}

#[test]
fn a_closed_descriptor_is_called_closed_until_it_is_dropped() -> io::Result<()> {
    let reactor = reactor();
    let near = register(&reactor, UdpSocket::bind("127.0.0.1:0")?);
    drop(near.begin_close()?);
    let snapshot = reactor.snapshot()?;
    let found = row(&snapshot, &near);
    assert!(found.is_closed && found.kind.is_none() && found.local.is_none());
    assert!(snapshot.to_string().contains("closed"), "{snapshot}");
    drop(near);
    assert!(reactor.snapshot()?.rows().is_empty());

    let near = register(&reactor, UdpSocket::bind("127.0.0.1:0")?);
    let _given_back = near.into_inner()?;
    assert!(reactor.snapshot()?.rows().is_empty());

    reactor.shutdown();
    assert!(reactor.snapshot().unwrap_err().get_ref().unwrap().is::<crate::ReactorGone>());
    Ok(())
}

/// The moment in which the number has another owner, and the slot still its tenant.
#[test]
fn a_number_that_is_free_has_no_row() {
    struct Gives {
        reader: Option<PipeReader>,
        reactor: Reactor,
        took: Sender<bool>,
    }

    impl AsFd for Gives {
        fn as_fd(&self) -> BorrowedFd<'_> {
            self.reader.as_ref().unwrap().as_fd()
        }
    }

    impl Drop for Gives {
        fn drop(&mut self) {
            let number = self.as_fd().as_raw_fd();
            self.reader = None;
            let next = UdpSocket::bind("127.0.0.1:0").unwrap();
            let snapshot = self.reactor.snapshot().unwrap();
            assert!(snapshot.rows().is_empty(), "{snapshot}");
            self.took.send(next.as_raw_fd() == number).unwrap();
        }
    }

    let (reactor, (took, has_taken)) = (reactor(), channel());
    for _ in 0..100 {
        let (reader, _writer) = io::pipe().unwrap();
        let gives = Gives { reader: Some(reader), reactor: reactor.clone(), took: took.clone() };
        drop(Registration::with(&reactor, gives, Interest::Readable).unwrap());
        // Another test may have taken the number.
        if has_taken.recv().unwrap() {
            return;
        }
    }
    panic!("the number was never free for this test");
}

/// One thread registers pipes and drops or closes them, and another takes their numbers for UDP sockets. A snapshot
/// calls no pipe a UDP socket.
#[test]
fn a_number_that_changes_hands_gives_no_row_of_another_descriptor() {
    let (reactor, stop) = (reactor(), AtomicBool::new(false));
    let mut rows = 0;
    thread::scope(|scope| {
        scope.spawn(|| {
            for round in 0.. {
                let (reader, _writer) = io::pipe().unwrap();
                let pipe = Registration::with(&reactor, OwnedFd::from(reader), Interest::Readable)
                    .unwrap();
                if round % 2 == 0 {
                    drop(pipe.begin_close().unwrap());
                }
                if stop.load(Ordering::Relaxed) {
                    return;
                }
            }
        });
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                let _four: [_; 4] =
                    std::array::from_fn(|_| UdpSocket::bind("127.0.0.1:0").unwrap());
            }
        });
        let began = Instant::now();
        while began.elapsed() < Duration::from_millis(300) {
            for row in reactor.snapshot().unwrap() {
                let kind = row.kind.map_or("closed".into(), |kind| kind.to_string());
                if !["pipe", "closed"].contains(&&*kind) {
                    stop.store(true, Ordering::Relaxed);
                    panic!("a pipe is called {kind}: {row:?}");
                }
                rows += 1;
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert!(rows > 0);
}
