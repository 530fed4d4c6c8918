//! What is waited for at every moment, by a clock that is moved by hand.

use std::io;
use std::os::unix::net::UnixStream;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures::executor::block_on;
use netpoll::{Interest, Reactor, Registration, is_deadline_exceeded};
use netpoll_futures::Stream;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// More than a tick of the reactor's wheel: a deadline fires with the tick after its time.
const TICK: Duration = Duration::from_millis(1);

fn limits() -> Deadlines {
    Deadlines {
        header: Some(10 * SECOND),
        idle: Some(100 * SECOND),
        write_stall: Some(1000 * SECOND),
    }
}

/// A watched connection, its peer, and who has its time.
struct Scene {
    stream: Stream<UnixStream>,
    watch: Arc<Watch<UnixStream>>,
    peer: UnixStream,
    reactor: Reactor,
}

fn scene() -> io::Result<Scene> {
    let reactor = Reactor::builder().manual_clock().build()?;
    let (near, peer) = UnixStream::pair()?;
    near.set_nonblocking(true)?;
    peer.set_nonblocking(true)?;
    let stream: Stream<_> = Registration::with(&reactor, near, Interest::WriteOnDemand)?.into();
    let watch = Watch::new(stream.clone(), limits());
    Ok(Scene { stream, watch, peer, reactor })
}

impl Scene {
    /// Lets time pass up to just before the deadline, where nothing fails, and then up to it.
    fn is_late_after(&self, time: Duration) -> bool {
        self.reactor.advance(time - SECOND);
        let early = self.read();
        self.reactor.advance(SECOND + TICK);
        early.is_pending() && self.wait_for_the_read_deadline()
    }

    fn read(&self) -> Poll<io::Result<usize>> {
        self.stream.poll_read(&mut Context::from_waker(Waker::noop()), &mut [0])
    }

    /// The deadline fires as soon as the reactor comes to it.
    fn wait_for_the_read_deadline(&self) -> bool {
        let until = self.state().read_until.map(|(until, _)| until);
        self.assert_has_come(until);
        let error = block_on(self.stream.read(&mut [0])).expect_err("nothing comes");
        assert!(is_deadline_exceeded(&error), "{error}");
        self.watch.is_late_to_read()
    }

    /// To wait for it else would be to hang.
    #[track_caller]
    fn assert_has_come(&self, until: Option<Instant>) {
        let until = until.expect("a deadline is set");
        assert!(until <= self.reactor.now(), "the deadline has not come");
    }

    fn wait_for_the_write_deadline(&self) -> bool {
        let until = self.state().write_until;
        self.assert_has_come(until);
        let error = block_on(self.stream.writable()).expect_err("there is no room");
        assert!(is_deadline_exceeded(&error), "{error}");
        self.watch.is_late_to_write()
    }

    /// Writes until there is no room, as hyper would.
    fn block(&self) {
        let mut context = Context::from_waker(Waker::noop());
        while self.stream.poll_write(&mut context, &[0; 4096]).is_ready() {}
        self.watch.is_blocked();
    }

    fn state(&self) -> MutexGuard<'_, State<UnixStream>> {
        self.watch.lock()
    }

    fn awaited(&self) -> Option<Deadline> {
        self.state().read_until.map(|(_, deadline)| deadline)
    }
}

#[test]
fn a_head_has_its_time_however_many_bytes_come() -> io::Result<()> {
    let scene = scene()?;
    scene.reactor.advance(5 * SECOND);
    scene.watch.has_read();
    assert!(scene.is_late_after(5 * SECOND));
    assert_eq!(scene.watch.end(), Some(Deadline::Header));
    Ok(())
}

#[test]
fn nothing_is_awaited_while_a_request_is_in_flight() -> io::Result<()> {
    let scene = scene()?;
    let first = scene.watch.request();
    assert_eq!(scene.awaited(), None);
    let second = scene.watch.request();
    drop(first);
    assert_eq!(scene.awaited(), None, "there is another");
    scene.watch.has_read();
    scene.watch.has_written();
    assert_eq!(scene.awaited(), None, "bodies may take their time");
    drop(second);
    assert_eq!(scene.awaited(), Some(Deadline::Idle));
    assert!(scene.is_late_after(100 * SECOND));
    assert_eq!(scene.watch.end(), Some(Deadline::Idle));
    Ok(())
}

#[test]
fn the_next_head_begins_with_a_byte() -> io::Result<()> {
    let scene = scene()?;
    drop(scene.watch.request());
    scene.reactor.advance(99 * SECOND);
    scene.watch.has_read();
    assert_eq!(scene.awaited(), Some(Deadline::Header));
    assert!(scene.is_late_after(10 * SECOND));
    assert_eq!(scene.watch.end(), Some(Deadline::Header));
    Ok(())
}

#[test]
fn a_frame_begins_no_head() -> io::Result<()> {
    let scene = scene()?;
    scene.watch.has_frames();
    assert_eq!(scene.awaited(), Some(Deadline::Header), "but for the first");
    drop(scene.watch.request());
    scene.reactor.advance(99 * SECOND);
    scene.watch.has_read();
    assert_eq!(scene.awaited(), Some(Deadline::Idle));
    assert!(scene.is_late_after(SECOND));
    Ok(())
}

#[test]
fn idle_is_who_has_nothing_to_be_written() -> io::Result<()> {
    let scene = scene()?;
    drop(scene.watch.request());
    scene.reactor.advance(99 * SECOND);
    scene.watch.has_written();
    assert!(scene.is_late_after(100 * SECOND), "it counts from the last byte");
    Ok(())
}

#[test]
fn who_takes_nothing_is_late() -> io::Result<()> {
    let scene = scene()?;
    drop(scene.watch.request());
    scene.block();
    assert_eq!(scene.awaited(), None, "it is not idle");
    scene.reactor.advance(999 * SECOND);
    let mut context = Context::from_waker(Waker::noop());
    assert!(scene.stream.poll_write(&mut context, &[0]).is_pending());
    scene.watch.is_blocked();
    scene.reactor.advance(SECOND + TICK);
    assert!(scene.wait_for_the_write_deadline(), "asking again gave it no more time");
    assert_eq!(scene.watch.end(), Some(Deadline::WriteStall));
    Ok(())
}

#[test]
fn who_takes_a_little_is_not_late_though_there_is_no_room() -> io::Result<()> {
    let mut scene = scene()?;
    let _in_flight = scene.watch.request();
    scene.block();
    for _ in 0..3 {
        io::Read::read_exact(&mut scene.peer, &mut [0; 4096])?;
        scene.reactor.advance(1000 * SECOND + TICK);
        assert!(!scene.wait_for_the_write_deadline());
    }
    scene.reactor.advance(1000 * SECOND + TICK);
    assert!(scene.wait_for_the_write_deadline());
    Ok(())
}

#[test]
fn a_write_that_gets_on_is_not_blocked_any_more() -> io::Result<()> {
    let scene = scene()?;
    let in_flight = scene.watch.request();
    scene.block();
    assert!(scene.state().write_until.is_some());
    scene.watch.has_written();
    assert_eq!(scene.state().write_until, None);
    scene.block();
    drop(in_flight);
    assert_eq!(scene.awaited(), None);
    scene.watch.has_written();
    assert_eq!(scene.awaited(), Some(Deadline::Idle));
    Ok(())
}

#[test]
fn frames_that_the_peer_gives_no_leave_for_are_a_stall() -> io::Result<()> {
    let scene = scene()?;
    scene.watch.has_frames();
    let mut answers = [scene.watch.request(), scene.watch.request()];
    answers[0].is_sending(true);
    scene.reactor.advance(999 * SECOND);
    scene.watch.has_written();
    scene.reactor.advance(999 * SECOND);
    assert!(scene.read().is_pending(), "something was written");
    answers[0].is_sending(false);
    assert_eq!(scene.awaited(), None, "the service has nothing to send yet");
    answers[1].is_sending(true);
    assert!(scene.is_late_after(1000 * SECOND));
    assert_eq!(scene.watch.end(), Some(Deadline::WriteStall));
    Ok(())
}

#[test]
fn an_answer_that_is_dropped_is_not_being_sent() -> io::Result<()> {
    let scene = scene()?;
    scene.watch.has_frames();
    let mut answer = scene.watch.request();
    let _other = scene.watch.request();
    answer.is_sending(true);
    assert_eq!(scene.awaited(), Some(Deadline::WriteStall));
    drop(answer);
    assert_eq!(scene.awaited(), None);
    Ok(())
}

#[test]
fn an_expiry_that_was_overtaken_is_none() -> io::Result<()> {
    let scene = scene()?;
    scene.reactor.advance(10 * SECOND + TICK);
    assert_eq!(scene.awaited(), Some(Deadline::Header));
    let error = block_on(scene.stream.read(&mut [0])).expect_err("nothing comes");
    assert!(is_deadline_exceeded(&error));
    let _in_flight = scene.watch.request();
    assert!(!scene.watch.is_late_to_read());
    assert!(scene.read().is_pending());
    assert_eq!(scene.watch.end(), None);
    Ok(())
}

#[test]
fn what_has_ended_is_watched_no_more() -> io::Result<()> {
    let scene = scene()?;
    let in_flight = scene.watch.request();
    in_flight.is_upgrade();
    drop(in_flight);
    scene.watch.has_read();
    scene.watch.has_written();
    scene.watch.is_blocked();
    scene.reactor.advance(10_000 * SECOND);
    assert!(scene.read().is_pending());
    Ok(())
}

#[test]
fn without_limits_there_is_nothing_to_miss() -> io::Result<()> {
    let Scene { stream, .. } = scene()?;
    let none = Watch::new(stream.clone(), Deadlines::none());
    assert_eq!(none.lock().read_until, None);
    drop(none.request());
    assert_eq!(none.lock().read_until, None);
    none.is_blocked();
    assert_eq!(none.lock().write_until, None);
    let ever = Deadlines { header: Some(Duration::MAX), ..Deadlines::none() };
    assert_eq!(Watch::new(stream, ever).lock().read_until, None, "no clock can tell it");
    Ok(())
}
