//! The limit that holds in each state, on a clock that the test moves.

use std::io;
use std::os::unix::net::UnixStream;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use futures::executor::block_on;
use netpoll::{Direction, Interest, Reactor, Registration, is_deadline_exceeded};
use netpoll_futures::Stream;
use netpoll_futures::peer::Expiry;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// More than a tick of the reactor's wheel: a deadline fires with the tick after its time.
const TICK: Duration = Duration::from_millis(1);

fn limits() -> Deadlines {
    Deadlines {
        header: Some(10 * SECOND),
        idle: Some(100 * SECOND),
        write_stall: Some(1000 * SECOND),
        ..Deadlines::none()
    }
}

/// A tracked connection, its peer, and the reactor with its clock.
struct Scene {
    stream: Stream<UnixStream>,
    tracker: Arc<ProgressTracker<UnixStream>>,
    peer: UnixStream,
    reactor: Reactor,
}

fn scene() -> io::Result<Scene> {
    let reactor = Reactor::builder().manual_clock().build()?;
    let (near, peer) = UnixStream::pair()?;
    near.set_nonblocking(true)?;
    peer.set_nonblocking(true)?;
    let stream: Stream<_> = Registration::with(&reactor, near, Interest::WriteOnDemand)?.into();
    let tracker = ProgressTracker::new(stream.clone(), limits());
    Ok(Scene { stream, tracker, peer, reactor })
}

impl Scene {
    /// Reads the socket past its deadline, as hyper does, and returns the decision that follows. Fails if the
    /// deadline is not due: without one the read would never end.
    #[track_caller]
    fn decision_at_deadline(&self) -> Decision {
        let until = self.read_deadline().expect("a deadline is set");
        assert!(until <= self.reactor.now(), "the deadline has not come");
        let error = block_on(self.stream.read(&mut [0])).expect_err("nothing comes");
        assert!(is_deadline_exceeded(&error), "{error}");
        assert_eq!(self.tracker.peer.expired(Direction::Read), Expiry::Passed);
        assert!(self.poll_read_is_pending(), "the deadline is cleared for the last read");
        self.tracker.decide()
    }

    /// Lets time pass. Nothing happens until just before its end. Returns the decision at its end.
    #[track_caller]
    fn decision_after(&self, time: Duration) -> Decision {
        self.reactor.advance(time - SECOND);
        assert!(self.poll_read_is_pending());
        self.reactor.advance(SECOND + TICK);
        self.decision_at_deadline()
    }

    fn poll_read_is_pending(&self) -> bool {
        self.stream.poll_read(&mut Context::from_waker(Waker::noop()), &mut [0]).is_pending()
    }

    /// Finds no room at the deadline of a blocked write. Returns whether the peer has stalled.
    fn has_stalled(&self) -> bool {
        let mut context = Context::from_waker(Waker::noop());
        while !matches!(self.stream.poll_write_ready(&mut context), Poll::Ready(Err(_))) {
            std::thread::yield_now();
        }
        let mut attempts = 0;
        let written = self.tracker.peer.poll_write(|| {
            attempts += 1;
            match self.stream.poll_write_ready(&mut context) {
                Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
                _ => Poll::Pending,
            }
        });
        assert_eq!(attempts, 2, "the write is repeated");
        matches!(written, Poll::Ready(Err(error)) if is_deadline_exceeded(&error))
    }

    fn poll_write(&self) -> Poll<io::Result<usize>> {
        let mut context = Context::from_waker(Waker::noop());
        self.tracker.peer.poll_write(|| self.stream.poll_write(&mut context, &[0; 4096]))
    }

    /// Writes until there is no room, as hyper would.
    fn block(&self) {
        while self.poll_write().is_ready() {}
    }

    fn read_deadline(&self) -> Option<Instant> {
        self.with_peer(|peer| peer.deadline(Direction::Read))
    }

    fn awaited(&self) -> Option<Deadline> {
        self.with_peer(|peer| peer.rules.limit(peer.is_blocked()))
            .and_then(|(_, deadline)| deadline)
    }

    fn with_peer<T>(&self, ask: impl FnOnce(&Peer<UnixStream, State>) -> T) -> T {
        self.tracker.peer.update(|peer| ask(peer)).expect("no fork")
    }
}

#[test]
fn no_byte_renews_the_limit_of_a_head() -> io::Result<()> {
    let scene = scene()?;
    scene.reactor.advance(5 * SECOND);
    scene.tracker.bytes_read(b"GET");
    assert_eq!(scene.decision_after(5 * SECOND), Decision::End);
    assert_eq!(scene.tracker.stop(), Some(Deadline::Header));
    Ok(())
}

#[test]
fn no_limit_holds_while_a_request_is_in_flight() -> io::Result<()> {
    let scene = scene()?;
    let first = scene.tracker.request_began();
    assert_eq!(scene.awaited(), None);
    let second = scene.tracker.request_began();
    drop(first);
    assert_eq!(scene.awaited(), None, "there is another");
    scene.tracker.bytes_read(b"body");
    scene.tracker.peer.bytes_written(4096);
    assert_eq!(scene.awaited(), None, "bodies of requests have no limit");
    drop(second);
    assert_eq!(scene.awaited(), Some(Deadline::Idle));
    assert_eq!(scene.decision_after(100 * SECOND), Decision::End);
    assert_eq!(scene.tracker.stop(), Some(Deadline::Idle));
    Ok(())
}

#[test]
fn data_keeps_its_request_in_flight() -> io::Result<()> {
    let scene = scene()?;
    let request = scene.tracker.request_began();
    let data = request.clone();
    drop(request);
    assert_eq!(scene.awaited(), None);
    drop(data);
    assert_eq!(scene.awaited(), Some(Deadline::Idle));
    Ok(())
}

#[cfg(feature = "http1")]
#[test]
fn the_next_head_begins_with_a_byte_that_ends_no_line() -> io::Result<()> {
    let scene = scene()?;
    drop(scene.tracker.request_began());
    scene.tracker.awaits_head();
    scene.reactor.advance(50 * SECOND);
    scene.tracker.bytes_read(b"\r\n");
    assert_eq!(scene.awaited(), Some(Deadline::Idle));
    scene.reactor.advance(49 * SECOND);
    scene.tracker.bytes_read(b"\nG");
    assert_eq!(scene.awaited(), Some(Deadline::Header));
    scene.tracker.awaits_head();
    scene.reactor.advance(5 * SECOND);
    scene.tracker.bytes_read(b"ET");
    assert_eq!(scene.decision_after(5 * SECOND), Decision::End);
    assert_eq!(scene.tracker.stop(), Some(Deadline::Header));
    Ok(())
}

#[test]
fn a_body_after_the_response_renews_the_idle_limit() -> io::Result<()> {
    let scene = scene()?;
    drop(scene.tracker.request_began());
    for _ in 0..3 {
        scene.reactor.advance(99 * SECOND);
        scene.tracker.bytes_read(b"body");
        assert_eq!(scene.awaited(), Some(Deadline::Idle));
    }
    assert_eq!(scene.decision_after(100 * SECOND), Decision::End);
    assert_eq!(scene.tracker.stop(), Some(Deadline::Idle));
    Ok(())
}

#[test]
fn a_blocked_peer_is_not_idle() -> io::Result<()> {
    let scene = scene()?;
    drop(scene.tracker.request_began());
    scene.reactor.advance(99 * SECOND);
    scene.block();
    assert_eq!(scene.awaited(), None);
    scene.reactor.advance(99 * SECOND);
    scene.tracker.peer.bytes_written(4096);
    assert_eq!(scene.decision_after(100 * SECOND), Decision::End, "it counts from the last byte");
    Ok(())
}

#[test]
fn a_peer_that_acknowledges_nothing_has_stalled() -> io::Result<()> {
    let scene = scene()?;
    drop(scene.tracker.request_began());
    scene.block();
    assert_eq!(scene.awaited(), None, "it is not idle");
    scene.reactor.advance(999 * SECOND);
    assert!(scene.poll_write().is_pending());
    scene.reactor.advance(SECOND + TICK);
    assert!(scene.has_stalled(), "another attempt renews no limit");
    assert_eq!(scene.tracker.stop(), Some(Deadline::WriteStall));
    Ok(())
}

#[test]
fn a_peer_that_acknowledges_a_little_has_not_stalled_even_without_room() -> io::Result<()> {
    let mut scene = scene()?;
    let _in_flight = scene.tracker.request_began();
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

/// The rate counts the time for which writes wait, over any number of waits.
#[test]
fn a_peer_that_acknowledges_less_than_the_rate_has_stalled() -> io::Result<()> {
    let mut scene = scene()?;
    let rated = Deadlines::none().write_stall(10 * SECOND).write_rate(1000);
    scene.tracker = ProgressTracker::new(scene.stream.clone(), rated);
    let _in_flight = scene.tracker.request_began();
    for taken in [4096; 2] {
        scene.block();
        scene.reactor.advance(4 * SECOND);
        scene.tracker.peer.bytes_written(taken);
        scene.reactor.advance(100 * SECOND);
    }
    scene.block();
    scene.reactor.advance(SECOND);
    assert!(scene.poll_write().is_pending());
    // 4096 bytes more are enough for this period, and too few for the next.
    io::Read::read_exact(&mut scene.peer, &mut [0; 4096])?;
    scene.reactor.advance(SECOND + TICK);
    assert!(!scene.has_stalled());
    io::Read::read_exact(&mut scene.peer, &mut [0; 4096])?;
    scene.reactor.advance(10 * SECOND + TICK);
    assert!(scene.has_stalled());
    assert_eq!(scene.tracker.stop(), Some(Deadline::WriteStall));
    Ok(())
}

#[test]
fn a_write_with_progress_is_no_longer_blocked() -> io::Result<()> {
    let scene = scene()?;
    let in_flight = scene.tracker.request_began();
    scene.block();
    assert!(scene.with_peer(|peer| peer.deadline(Direction::Write)).is_some());
    scene.tracker.peer.bytes_written(4096);
    assert_eq!(scene.with_peer(|peer| peer.deadline(Direction::Write)), None);
    scene.block();
    drop(in_flight);
    assert_eq!(scene.awaited(), None);
    scene.tracker.peer.bytes_written(4096);
    assert_eq!(scene.awaited(), Some(Deadline::Idle));
    Ok(())
}

#[test]
fn a_deadline_that_was_moved_has_not_passed() -> io::Result<()> {
    let scene = scene()?;
    scene.reactor.advance(10 * SECOND + TICK);
    assert_eq!(scene.awaited(), Some(Deadline::Header));
    let error = block_on(scene.stream.read(&mut [0])).expect_err("nothing comes");
    assert!(is_deadline_exceeded(&error));
    let _in_flight = scene.tracker.request_began();
    assert_eq!(scene.tracker.peer.expired(Direction::Read), Expiry::Moved);
    assert!(scene.poll_read_is_pending());
    assert_eq!(scene.tracker.decide(), Decision::Wait);
    assert_eq!(scene.tracker.stop(), None);
    Ok(())
}

/// Between the expiry and the decision, hyper reads and uses the bytes that have arrived.
#[test]
fn progress_after_an_expiry_cancels_it() -> io::Result<()> {
    let scene = scene()?;
    scene.reactor.advance(10 * SECOND + TICK);
    let error = block_on(scene.stream.read(&mut [0])).expect_err("nothing comes");
    assert!(is_deadline_exceeded(&error));
    assert_eq!(scene.tracker.peer.expired(Direction::Read), Expiry::Passed);
    let in_flight = scene.tracker.request_began();
    assert_eq!(scene.tracker.decide(), Decision::Wait);
    drop(in_flight);
    assert_eq!(scene.decision_after(100 * SECOND), Decision::End);
    Ok(())
}

#[test]
fn a_tracker_that_was_stopped_sets_no_deadline() -> io::Result<()> {
    let scene = scene()?;
    let in_flight = scene.tracker.request_began();
    in_flight.upgraded();
    drop(in_flight);
    scene.tracker.bytes_read(b"anything");
    scene.tracker.peer.bytes_written(4096);
    scene.block();
    scene.reactor.advance(10_000 * SECOND);
    assert!(scene.poll_read_is_pending());
    assert_eq!(scene.tracker.peer.expired(Direction::Read), Expiry::Foreign);
    assert_eq!(scene.tracker.peer.expired(Direction::Write), Expiry::Foreign);
    Ok(())
}

#[test]
fn without_limits_there_are_no_deadlines() -> io::Result<()> {
    let mut scene = scene()?;
    scene.tracker = ProgressTracker::new(scene.stream.clone(), Deadlines::none());
    let deadlines =
        |scene: &Scene| Direction::BOTH.map(|one| scene.with_peer(|peer| peer.deadline(one)));
    assert_eq!(deadlines(&scene), [None, None]);
    drop(scene.tracker.request_began());
    assert_eq!(deadlines(&scene), [None, None]);
    scene.block();
    assert_eq!(deadlines(&scene), [None, None]);
    let ever = Deadlines::none().header(Duration::MAX);
    scene.tracker = ProgressTracker::new(scene.stream.clone(), ever);
    assert_eq!(deadlines(&scene), [None, None], "`Instant` cannot represent it");
    Ok(())
}

#[cfg(feature = "http1")]
#[test]
fn a_connection_without_a_request_ends_at_once() -> io::Result<()> {
    let scene = scene()?;
    scene.tracker.shut_down();
    assert_eq!(scene.tracker.decide(), Decision::End);
    assert_eq!(scene.tracker.stop(), None, "it exceeded no limit");
    Ok(())
}

#[cfg(feature = "http1")]
#[test]
fn a_body_after_the_response_has_the_grace_period() -> io::Result<()> {
    let scene = scene()?;
    let in_flight = scene.tracker.request_began();
    scene.tracker.shut_down();
    assert_eq!(scene.tracker.decide(), Decision::Wait);
    scene.reactor.advance(1000 * SECOND);
    drop(in_flight);
    for _ in 0..3 {
        assert_eq!(scene.tracker.decide(), Decision::Wait);
        scene.reactor.advance(GRACE - TICK);
        scene.tracker.bytes_read(b"body");
    }
    scene.reactor.advance(GRACE + TICK);
    assert_eq!(scene.decision_at_deadline(), Decision::End);
    assert_eq!(scene.tracker.stop(), None, "it exceeded no limit");
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
        scene.tracker.speaks_http2();
        scene.tracker.bytes_read(PREFACE);
        Ok(scene)
    }

    #[test]
    fn a_frame_begins_no_head_and_a_ping_renews_nothing() -> io::Result<()> {
        let scene = scene()?;
        assert_eq!(scene.awaited(), Some(Deadline::Header), "the limit of the first head");
        drop(scene.tracker.request_began());
        scene.reactor.advance(99 * SECOND);
        scene.tracker.bytes_read(PING);
        scene.tracker.peer.bytes_written(4096);
        assert_eq!(scene.awaited(), Some(Deadline::Idle));
        assert_eq!(scene.decision_after(SECOND), Decision::ShutDown);
        Ok(())
    }

    #[test]
    fn a_body_after_the_response_renews_the_idle_limit() -> io::Result<()> {
        let scene = scene()?;
        drop(scene.tracker.request_began());
        scene.reactor.advance(99 * SECOND);
        scene.tracker.bytes_read(DATA);
        assert_eq!(scene.decision_after(100 * SECOND), Decision::ShutDown);
        Ok(())
    }

    #[test]
    fn after_a_goaway_a_request_that_crosses_it_is_served_and_then_the_grace_period_begins()
    -> io::Result<()> {
        let scene = scene()?;
        drop(scene.tracker.request_began());
        assert_eq!(scene.decision_after(100 * SECOND), Decision::ShutDown);
        let crossed = scene.tracker.request_began();
        assert_eq!(scene.read_deadline(), None);
        scene.reactor.advance(1000 * SECOND);
        drop(crossed);
        scene.reactor.advance(GRACE + TICK);
        assert_eq!(scene.decision_at_deadline(), Decision::End);
        assert_eq!(scene.tracker.stop(), Some(Deadline::Idle));
        Ok(())
    }

    #[test]
    fn a_response_without_a_window_stalls_at_the_second_expiry() -> io::Result<()> {
        let scene = scene()?;
        let responses = [scene.tracker.request_began(), scene.tracker.request_began()];
        responses[0].data_queued();
        scene.reactor.advance(999 * SECOND);
        responses[0].data_advanced(1);
        scene.reactor.advance(999 * SECOND);
        assert!(scene.poll_read_is_pending(), "hyper has written data");
        responses[0].data_released();
        assert_eq!(scene.awaited(), None, "the service has no data yet");
        responses[1].data_queued();
        for expected in [Decision::Wait, Decision::ShutDown] {
            scene.tracker.bytes_read(PING);
            assert_eq!(scene.decision_after(1000 * SECOND), expected);
        }
        scene.reactor.advance(GRACE + TICK);
        assert_eq!(scene.decision_at_deadline(), Decision::End);
        assert_eq!(scene.tracker.stop(), Some(Deadline::WriteStall));
        Ok(())
    }

    #[test]
    fn a_window_of_a_byte_now_and_then_is_less_than_the_rate() -> io::Result<()> {
        let mut scene = scene()?;
        let rated = Deadlines::none().write_stall(10 * SECOND).write_rate(1000);
        scene.tracker = ProgressTracker::new(scene.stream.clone(), rated);
        scene.tracker.speaks_http2();
        scene.tracker.bytes_read(PREFACE);
        let response = scene.tracker.request_began();
        response.data_queued();
        for expected in [Decision::Wait, Decision::ShutDown] {
            scene.reactor.advance(5 * SECOND);
            response.data_advanced(9999);
            scene.reactor.advance(5 * SECOND + TICK);
            assert_eq!(scene.decision_at_deadline(), expected);
        }
        scene.reactor.advance(GRACE + TICK);
        assert_eq!(scene.decision_at_deadline(), Decision::End);
        assert_eq!(scene.tracker.stop(), Some(Deadline::WriteStall));
        Ok(())
    }

    #[test]
    fn a_tunnel_lifts_the_idle_limit_and_no_other() -> io::Result<()> {
        let scene = scene()?;
        let tunnel = scene.tracker.request_began();
        tunnel.upgraded();
        drop(tunnel);
        assert_eq!(scene.awaited(), None);
        let response = scene.tracker.request_began();
        response.data_queued();
        assert_eq!(scene.awaited(), Some(Deadline::WriteStall));
        Ok(())
    }

    /// The peer opens its window just before the deadline, and the tasks that use the window run after it.
    #[test]
    fn progress_between_two_expiries_is_no_stall() -> io::Result<()> {
        let scene = scene()?;
        let response = scene.tracker.request_began();
        response.data_queued();
        for _ in 0..3 {
            assert_eq!(scene.decision_after(1000 * SECOND), Decision::Wait);
            response.data_advanced(1);
        }
        Ok(())
    }

    #[test]
    fn a_response_that_is_dropped_is_not_queued() -> io::Result<()> {
        let scene = scene()?;
        let response = scene.tracker.request_began();
        let _other = scene.tracker.request_began();
        response.data_queued();
        assert_eq!(scene.awaited(), Some(Deadline::WriteStall));
        response.data_released();
        drop(response);
        assert_eq!(scene.awaited(), None);
        Ok(())
    }

    #[test]
    fn a_connection_without_a_preface_ends_at_once() -> io::Result<()> {
        let scene = super::scene()?;
        scene.tracker.speaks_http2();
        scene.tracker.bytes_read(&PREFACE[..23]);
        scene.tracker.shut_down();
        assert_eq!(scene.tracker.decide(), Decision::End);
        Ok(())
    }
}
