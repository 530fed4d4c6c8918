//! What the server waits for in each state, by a clock that is moved by hand.

use std::io;
use std::os::unix::net::UnixStream;
use std::task::{Context, Waker};
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

/// A watched connection, its peer, and the reactor with its clock.
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
    /// Reads the socket past its deadline, as hyper does, and returns what the watch decides then. Fails if the
    /// deadline is not due: without one the read would wait for ever.
    #[track_caller]
    fn verdict(&self) -> Verdict {
        let (until, _) = self.state().read_until.expect("a deadline is set");
        assert!(until <= self.reactor.now(), "the deadline has not come");
        let error = block_on(self.stream.read(&mut [0])).expect_err("nothing comes");
        assert!(is_deadline_exceeded(&error), "{error}");
        assert_eq!(self.watch.read_expired(), Expiry::Passed);
        assert!(self.poll_read_is_pending(), "the deadline is cleared for the last look");
        self.watch.judge()
    }

    /// Lets time pass: nothing happens until just before its end, and the verdict is the one at the end.
    #[track_caller]
    fn verdict_after(&self, time: Duration) -> Verdict {
        self.reactor.advance(time - SECOND);
        assert!(self.poll_read_is_pending());
        self.reactor.advance(SECOND + TICK);
        self.verdict()
    }

    fn poll_read_is_pending(&self) -> bool {
        self.stream.poll_read(&mut Context::from_waker(Waker::noop()), &mut [0]).is_pending()
    }

    /// Finds no room at the deadline of a blocked write, and returns whether the peer has stalled.
    #[track_caller]
    fn has_stalled(&self) -> bool {
        assert_eq!(self.watch.write_expired(), Expiry::Passed, "the deadline has come");
        !self.watch.has_taken()
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
        self.state().read_until.and_then(|(_, deadline)| deadline)
    }
}

#[test]
fn a_head_has_its_time_however_many_bytes_come() -> io::Result<()> {
    let scene = scene()?;
    scene.reactor.advance(5 * SECOND);
    scene.watch.has_read(b"GET");
    assert_eq!(scene.verdict_after(5 * SECOND), Verdict::End);
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
    scene.watch.has_read(b"body");
    scene.watch.has_written();
    assert_eq!(scene.awaited(), None, "bodies may take their time");
    drop(second);
    assert_eq!(scene.awaited(), Some(Deadline::Idle));
    assert_eq!(scene.verdict_after(100 * SECOND), Verdict::End);
    assert_eq!(scene.watch.end(), Some(Deadline::Idle));
    Ok(())
}

#[test]
fn a_piece_keeps_its_request_in_flight() -> io::Result<()> {
    let scene = scene()?;
    let request = scene.watch.request();
    let piece = request.clone();
    drop(request);
    assert_eq!(scene.awaited(), None);
    drop(piece);
    assert_eq!(scene.awaited(), Some(Deadline::Idle));
    Ok(())
}

#[cfg(feature = "http1")]
#[test]
fn the_next_head_begins_with_a_byte_that_ends_no_line() -> io::Result<()> {
    let scene = scene()?;
    drop(scene.watch.request());
    scene.watch.awaits_head();
    scene.reactor.advance(50 * SECOND);
    scene.watch.has_read(b"\r\n");
    assert_eq!(scene.awaited(), Some(Deadline::Idle));
    scene.reactor.advance(49 * SECOND);
    scene.watch.has_read(b"\nG");
    assert_eq!(scene.awaited(), Some(Deadline::Header));
    scene.watch.awaits_head();
    scene.reactor.advance(5 * SECOND);
    scene.watch.has_read(b"ET");
    assert_eq!(scene.verdict_after(5 * SECOND), Verdict::End);
    assert_eq!(scene.watch.end(), Some(Deadline::Header));
    Ok(())
}

#[test]
fn a_body_after_the_answer_renews_the_idle_limit() -> io::Result<()> {
    let scene = scene()?;
    drop(scene.watch.request());
    for _ in 0..3 {
        scene.reactor.advance(99 * SECOND);
        scene.watch.has_read(b"body");
        assert_eq!(scene.awaited(), Some(Deadline::Idle));
    }
    assert_eq!(scene.verdict_after(100 * SECOND), Verdict::End);
    assert_eq!(scene.watch.end(), Some(Deadline::Idle));
    Ok(())
}

#[test]
fn a_blocked_peer_is_not_idle() -> io::Result<()> {
    let scene = scene()?;
    drop(scene.watch.request());
    scene.reactor.advance(99 * SECOND);
    scene.block();
    assert_eq!(scene.awaited(), None);
    scene.reactor.advance(99 * SECOND);
    scene.watch.has_written();
    assert_eq!(scene.verdict_after(100 * SECOND), Verdict::End, "it counts from the last byte");
    Ok(())
}

#[test]
fn a_peer_that_takes_nothing_has_stalled() -> io::Result<()> {
    let scene = scene()?;
    drop(scene.watch.request());
    scene.block();
    assert_eq!(scene.awaited(), None, "it is not idle");
    scene.reactor.advance(999 * SECOND);
    let mut context = Context::from_waker(Waker::noop());
    assert!(scene.stream.poll_write(&mut context, &[0]).is_pending());
    scene.watch.is_blocked();
    scene.reactor.advance(SECOND + TICK);
    assert!(scene.has_stalled(), "asking again gave it no more time");
    assert_eq!(scene.watch.end(), Some(Deadline::WriteStall));
    Ok(())
}

#[test]
fn a_peer_that_takes_a_little_has_not_stalled_though_there_is_no_room() -> io::Result<()> {
    let mut scene = scene()?;
    let _in_flight = scene.watch.request();
    scene.block();
    for _ in 0..3 {
        io::Read::read_exact(&mut scene.peer, &mut [0; 4096])?;
        scene.reactor.advance(1000 * SECOND + TICK);
        assert!(!scene.has_stalled());
    }
    scene.reactor.advance(1000 * SECOND + TICK);
    assert!(scene.has_stalled());
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
fn an_expiry_that_was_overtaken_is_none() -> io::Result<()> {
    let scene = scene()?;
    scene.reactor.advance(10 * SECOND + TICK);
    assert_eq!(scene.awaited(), Some(Deadline::Header));
    let error = block_on(scene.stream.read(&mut [0])).expect_err("nothing comes");
    assert!(is_deadline_exceeded(&error));
    let _in_flight = scene.watch.request();
    assert_eq!(scene.watch.read_expired(), Expiry::Moved);
    assert!(scene.poll_read_is_pending());
    assert_eq!(scene.watch.judge(), Verdict::Wait);
    assert_eq!(scene.watch.end(), None);
    Ok(())
}

/// Between the expiry and the verdict, hyper reads and uses what has come.
#[test]
fn progress_after_an_expiry_annuls_it() -> io::Result<()> {
    let scene = scene()?;
    scene.reactor.advance(10 * SECOND + TICK);
    let error = block_on(scene.stream.read(&mut [0])).expect_err("nothing comes");
    assert!(is_deadline_exceeded(&error));
    assert_eq!(scene.watch.read_expired(), Expiry::Passed);
    let in_flight = scene.watch.request();
    assert_eq!(scene.watch.judge(), Verdict::Wait);
    drop(in_flight);
    assert_eq!(scene.verdict_after(100 * SECOND), Verdict::End);
    Ok(())
}

#[test]
fn a_watch_that_has_ended_sets_no_deadline() -> io::Result<()> {
    let scene = scene()?;
    let in_flight = scene.watch.request();
    in_flight.is_upgrade();
    drop(in_flight);
    scene.watch.has_read(b"anything");
    scene.watch.has_written();
    scene.watch.is_blocked();
    scene.reactor.advance(10_000 * SECOND);
    assert!(scene.poll_read_is_pending());
    assert_eq!(scene.watch.read_expired(), Expiry::Foreign);
    assert_eq!(scene.watch.write_expired(), Expiry::Foreign);
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

#[cfg(feature = "http1")]
#[test]
fn without_a_request_there_is_nothing_to_finish() -> io::Result<()> {
    let scene = scene()?;
    scene.watch.leave();
    assert_eq!(scene.watch.judge(), Verdict::End);
    assert_eq!(scene.watch.end(), None, "it missed nothing");
    Ok(())
}

#[cfg(feature = "http1")]
#[test]
fn a_body_after_the_answer_is_given_grace() -> io::Result<()> {
    let scene = scene()?;
    let in_flight = scene.watch.request();
    scene.watch.leave();
    assert_eq!(scene.watch.judge(), Verdict::Wait);
    scene.reactor.advance(1000 * SECOND);
    drop(in_flight);
    for _ in 0..3 {
        assert_eq!(scene.watch.judge(), Verdict::Wait);
        scene.reactor.advance(GRACE - TICK);
        scene.watch.has_read(b"body");
    }
    scene.reactor.advance(GRACE + TICK);
    assert_eq!(scene.verdict(), Verdict::End);
    assert_eq!(scene.watch.end(), None, "it missed nothing");
    Ok(())
}

#[cfg(feature = "http2")]
mod http2 {
    use super::*;

    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    const PING: &[u8] = b"\x00\x00\x08\x06\x00\x00\x00\x00\x0012345678";
    const DATA: &[u8] = b"\x00\x00\x01\x00\x00\x00\x00\x00\x01x";

    fn scene() -> io::Result<Scene> {
        let scene = super::scene()?;
        scene.watch.has_frames();
        scene.watch.has_read(PREFACE);
        Ok(scene)
    }

    #[test]
    fn a_frame_begins_no_head_and_a_ping_renews_nothing() -> io::Result<()> {
        let scene = scene()?;
        assert_eq!(scene.awaited(), Some(Deadline::Header), "but for the first");
        drop(scene.watch.request());
        scene.reactor.advance(99 * SECOND);
        scene.watch.has_read(PING);
        scene.watch.has_written();
        assert_eq!(scene.awaited(), Some(Deadline::Idle));
        assert_eq!(scene.verdict_after(SECOND), Verdict::Leave);
        Ok(())
    }

    #[test]
    fn a_body_after_the_answer_renews_the_idle_limit() -> io::Result<()> {
        let scene = scene()?;
        drop(scene.watch.request());
        scene.reactor.advance(99 * SECOND);
        scene.watch.has_read(DATA);
        assert_eq!(scene.verdict_after(100 * SECOND), Verdict::Leave);
        Ok(())
    }

    #[test]
    fn a_goaway_gives_grace_and_a_request_that_crosses_it_its_time() -> io::Result<()> {
        let scene = scene()?;
        drop(scene.watch.request());
        assert_eq!(scene.verdict_after(100 * SECOND), Verdict::Leave);
        let crossed = scene.watch.request();
        assert_eq!(scene.state().read_until, None);
        scene.reactor.advance(1000 * SECOND);
        drop(crossed);
        scene.reactor.advance(GRACE + TICK);
        assert_eq!(scene.verdict(), Verdict::End);
        assert_eq!(scene.watch.end(), Some(Deadline::Idle));
        Ok(())
    }

    #[test]
    fn an_answer_without_a_window_stalls_at_the_second_expiry() -> io::Result<()> {
        let scene = scene()?;
        let answers = [scene.watch.request(), scene.watch.request()];
        answers[0].is_held();
        scene.reactor.advance(999 * SECOND);
        answers[0].gets_on();
        scene.reactor.advance(999 * SECOND);
        assert!(scene.poll_read_is_pending(), "something was written");
        answers[0].is_let_go();
        assert_eq!(scene.awaited(), None, "the service has nothing to send yet");
        answers[1].is_held();
        for expected in [Verdict::Wait, Verdict::Leave] {
            scene.watch.has_read(PING);
            assert_eq!(scene.verdict_after(1000 * SECOND), expected);
        }
        scene.reactor.advance(GRACE + TICK);
        assert_eq!(scene.verdict(), Verdict::End);
        assert_eq!(scene.watch.end(), Some(Deadline::WriteStall));
        Ok(())
    }

    /// The peer opens its window just before the deadline, and the tasks that use it run after it.
    #[test]
    fn progress_between_two_expiries_is_no_stall() -> io::Result<()> {
        let scene = scene()?;
        let answer = scene.watch.request();
        answer.is_held();
        for _ in 0..3 {
            assert_eq!(scene.verdict_after(1000 * SECOND), Verdict::Wait);
            answer.gets_on();
        }
        Ok(())
    }

    #[test]
    fn an_answer_that_is_dropped_is_not_being_sent() -> io::Result<()> {
        let scene = scene()?;
        let answer = scene.watch.request();
        let _other = scene.watch.request();
        answer.is_held();
        assert_eq!(scene.awaited(), Some(Deadline::WriteStall));
        answer.is_let_go();
        drop(answer);
        assert_eq!(scene.awaited(), None);
        Ok(())
    }

    #[test]
    fn without_a_preface_there_is_nothing_to_finish() -> io::Result<()> {
        let scene = super::scene()?;
        scene.watch.has_frames();
        scene.watch.has_read(&PREFACE[..23]);
        scene.watch.leave();
        assert_eq!(scene.watch.judge(), Verdict::End);
        Ok(())
    }
}
