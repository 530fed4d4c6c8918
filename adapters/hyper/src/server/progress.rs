//! Which limit a connection has at each moment: the [`Rules`] of HTTP for a [`PeerTracker`], which sets each limit as a
//! deadline of the socket.
//!
//! 1. An event changes the state: bytes were read, a request began, data of a body moved, a write found no room.
//! 2. A read whose deadline has passed does not fail. hyper reads and uses all bytes that the peer has sent, and
//!    only then [`decide`](ProgressTracker::decide) ends the connection.
//! 3. Only progress renews a limit: a request that begins, a response that ends, bytes of a body in
//!    either direction. A ping, a window update, a settings frame and an empty line are not progress.
//!    HTTP/1 has no such frames, so there every byte counts, except empty lines.
//!    A response that waits has made progress when the peer has taken the bytes of a whole period at the least rate.
//! 4. A response that waits for the peer's HTTP/2 windows has its limit twice. When it passes for the first
//!    time, the peer may have opened the window just before, and the tasks that use the window may not have run
//!    yet. Without progress in the second period, the peer has stalled.

use std::sync::Arc;
use std::time::Duration;

use netpoll_futures::peer::{Peer, PeerTracker, Rules};
use netpoll_futures::{Stream, StreamSocket};

use super::deadlines::{Deadline, Deadlines};
#[cfg(feature = "http2")]
use super::frames::Frames;
use super::io::Inspect;

/// The limit for progress of a connection that shuts down and has no request in flight: after an HTTP/2 GOAWAY
/// for the peer's reply, and for each byte of a body that the peer still sends. Go gives a client as long after
/// a GOAWAY.
pub(super) const GRACE: Duration = Duration::from_secs(1);

/// Follows the progress of one connection.
#[derive(Debug)]
pub(super) struct ProgressTracker<S: StreamSocket> {
    pub(super) peer: PeerTracker<S, State>,
}

#[derive(Debug)]
pub(super) struct State {
    limits: Deadlines,
    reading: Reading,
    /// `None` for HTTP/1.
    #[cfg(feature = "http2")]
    frames: Option<Frames>,
    /// Requests whose responses the kernel does not have completely, and hyper has not dropped.
    in_flight: usize,
    /// HTTP/2: data of responses that hyper holds because the peer's windows or the socket have no room, and bodies
    /// whose next data hyper has not polled for.
    queued: usize,
    /// HTTP/2: the bytes of responses that hyper has written since the limit of the queued data began.
    written: u64,
    /// Responses have waited for one whole period without progress (rule 4).
    has_waited: bool,
    /// The connection ends when no request is in flight.
    shutting_down: bool,
    /// The limit that the peer exceeded.
    missed: Option<Deadline>,
    is_upgraded: bool,
}

/// The part of a message that hyper reads, or reads next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reading {
    /// The handshake of TLS.
    Handshake,
    /// The first head, or a head of which a byte was read.
    Head,
    /// The next head, of which no byte was read.
    #[cfg_attr(not(feature = "http1"), expect(dead_code, reason = "a state of HTTP/1"))]
    NextHead,
    /// The body of a request, or HTTP/2 frames of any kind after the first head.
    Body,
}

/// The next step of the connection's task.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// Wait.
    Wait,
    /// Tell hyper to finish the requests in flight and to close, with a GOAWAY in HTTP/2.
    ShutDown,
    /// Drop the connection.
    End,
}

impl<S: StreamSocket> ProgressTracker<S> {
    /// Follows a new connection. The limit of its first head begins now.
    pub(super) fn new(stream: Stream<S>, limits: Deadlines) -> Arc<Self> {
        let state = State {
            limits,
            reading: Reading::Head,
            #[cfg(feature = "http2")]
            frames: None,
            in_flight: 0,
            queued: 0,
            written: 0,
            has_waited: false,
            shutting_down: false,
            missed: None,
            is_upgraded: false,
        };
        Arc::new(Self { peer: PeerTracker::new(stream, state) })
    }

    /// Records that a handshake begins, or that it is complete and the limit of the first head begins.
    pub(super) fn handshake(&self, is_complete: bool) {
        self.peer.update(|peer| {
            peer.rules.reading = if is_complete { Reading::Head } else { Reading::Handshake };
            progress(peer);
        });
    }

    /// Whether a handshake has begun and is not complete.
    pub(super) fn is_in_handshake(&self) -> bool {
        self.peer.update(|peer| peer.rules.reading == Reading::Handshake) == Some(true)
    }

    /// Records that the connection speaks HTTP/2.
    #[cfg(feature = "http2")]
    pub(super) fn speaks_http2(&self) {
        self.peer.update(|peer| peer.rules.frames = Some(Frames::new()));
    }

    /// Whether the connection, or with HTTP/2 a stream of it, carries another protocol.
    pub(super) fn is_upgraded(&self) -> bool {
        self.peer.update(|peer| peer.rules.is_upgraded).unwrap_or(false)
    }

    /// Records that hyper has read a message completely, and waits for the head of the next HTTP/1 request.
    #[cfg(feature = "http1")]
    pub(super) fn awaits_head(&self) {
        self.peer.update(|peer| {
            if peer.rules.reading == Reading::Body {
                peer.rules.reading = Reading::NextHead;
            }
        });
    }

    /// Records that hyper has read a head, and calls the service.
    pub(super) fn request_began(self: &Arc<Self>) -> Arc<InFlight<S>> {
        let began = self.peer.update(|peer| {
            peer.rules.reading = Reading::Body;
            peer.rules.in_flight += 1;
            if peer.rules.in_flight == 1 {
                progress(peer);
            }
            (peer.rules.is_http2(), peer.rules.shutting_down)
        });
        let (is_http2, is_last) = began.unwrap_or_default();
        Arc::new(InFlight { tracker: self.clone(), is_http2, is_last })
    }

    /// Records that the server shuts down gracefully.
    pub(super) fn shut_down(&self) {
        self.peer.update(shut_down);
    }

    /// Decides the next step, after hyper has read and written all that it can.
    pub(super) fn decide(&self) -> Decision {
        self.peer.update(decide).unwrap_or(Decision::End)
    }

    /// Clears the deadlines and releases the stream. From now on no event sets a deadline. Returns the limit
    /// that the peer exceeded, if any.
    pub(super) fn stop(&self) -> Option<Deadline> {
        let missed = self.peer.update(|peer| peer.rules.missed).flatten();
        if missed == Some(Deadline::WriteStall) {
            self.peer.reset_on_close();
        }
        self.peer.stop();
        missed
    }
}

impl<S: StreamSocket> Inspect for ProgressTracker<S> {
    fn bytes_read(&self, bytes: &[u8]) {
        self.peer.update(|peer| {
            if peer.rules.bytes_read(bytes) {
                progress(peer);
            }
        });
    }
}

/// Begins the current limit anew.
fn progress<S: StreamSocket>(peer: &mut Peer<S, State>) {
    peer.rules.has_waited = false;
    peer.rules.written = 0;
    peer.progress();
}

fn shut_down<S: StreamSocket>(peer: &mut Peer<S, State>) {
    peer.rules.shutting_down = true;
    peer.progress();
}

fn decide<S: StreamSocket>(peer: &mut Peer<S, State>) -> Decision {
    let is_blocked = peer.is_blocked();
    if peer.rules.shutting_down && peer.rules.is_done(is_blocked) {
        return Decision::End;
    }
    if !peer.take_passed_read() {
        return Decision::Wait;
    }
    let limit = peer.rules.limit(is_blocked).and_then(|(_, limit)| limit);
    if limit == Some(Deadline::WriteStall) && !std::mem::replace(&mut peer.rules.has_waited, true) {
        peer.progress();
        peer.rules.written = 0;
        return Decision::Wait;
    }
    peer.rules.missed = peer.rules.missed.or(limit);
    if peer.rules.shutting_down || !peer.rules.can_send_goaway() {
        return Decision::End;
    }
    shut_down(peer);
    Decision::ShutDown
}

impl Rules for State {
    fn read_limit(&self, is_blocked: bool) -> Option<Duration> {
        self.limit(is_blocked).map(|(limit, _)| limit)
    }

    fn write_stall(&self) -> Option<Duration> {
        self.limits.write_stall
    }

    fn least_taken(&self) -> u64 {
        self.limits.least_taken()
    }

    fn written(&mut self, was_blocked: bool) -> bool {
        // Bytes of HTTP/2 may be replies to pings. `InFlight` records those of bodies.
        was_blocked && !self.is_http2() && self.reading != Reading::Handshake
    }

    fn stalled(&mut self) {
        self.missed.get_or_insert(Deadline::WriteStall);
    }
}

impl State {
    /// The limit for the next progress of the peer, and its name: none for [`GRACE`].
    fn limit(&self, is_blocked: bool) -> Option<(Duration, Option<Deadline>)> {
        let grace = Some((GRACE, None));
        let limit = |limit: Option<Duration>, deadline| Some((limit?, Some(deadline)));
        if self.reading == Reading::Handshake {
            limit(self.limits.handshake, Deadline::Handshake)
        } else if self.reading == Reading::Head && !self.shutting_down {
            limit(self.limits.header, Deadline::Header)
        } else if is_blocked || self.in_flight == 0 && self.is_upgraded {
            None // The write has its own limit, and a tunnel has none.
        } else if self.in_flight == 0 {
            if self.shutting_down { grace } else { limit(self.limits.idle, Deadline::Idle) }
        } else if self.queued > 0 {
            let has_stalled = self.missed == Some(Deadline::WriteStall);
            if has_stalled { grace } else { limit(self.limits.write_stall, Deadline::WriteStall) }
        } else {
            None // The service is at work.
        }
    }

    /// Returns whether the bytes are progress.
    fn bytes_read(&mut self, bytes: &[u8]) -> bool {
        #[cfg(feature = "http2")]
        if let Some(frames) = &mut self.frames {
            return frames.read(bytes) && self.in_flight == 0;
        }
        match self.reading {
            Reading::NextHead if bytes.iter().any(|byte| !matches!(byte, b'\r' | b'\n')) => {
                self.reading = Reading::Head;
                true
            }
            Reading::Body => self.in_flight == 0 && !bytes.is_empty(),
            _ => false,
        }
    }

    /// Whether a connection that shuts down has no request and no write to finish, and no GOAWAY to send.
    fn is_done(&self, is_blocked: bool) -> bool {
        let is_reading_body = self.reading == Reading::Body;
        self.reading == Reading::Handshake
            || self.in_flight == 0
                && !is_blocked
                && !self.can_send_goaway()
                && (!is_reading_body || self.is_http2())
    }

    #[cfg(feature = "http2")]
    fn is_http2(&self) -> bool {
        self.frames.is_some()
    }

    #[cfg(not(feature = "http2"))]
    fn is_http2(&self) -> bool {
        false
    }

    /// Whether the peer gets a GOAWAY before the connection ends: it has sent the preface of HTTP/2.
    #[cfg(feature = "http2")]
    fn can_send_goaway(&self) -> bool {
        self.frames.as_ref().is_some_and(Frames::have_begun)
    }

    #[cfg(not(feature = "http2"))]
    fn can_send_goaway(&self) -> bool {
        false
    }
}

/// A request whose response is not complete. It ends when its last owner drops it: the service's future, the
/// body of the response, and each piece of data of that body.
#[derive(Debug)]
pub(super) struct InFlight<S: StreamSocket> {
    tracker: Arc<ProgressTracker<S>>,
    is_http2: bool,
    /// The server was shutting down when the request began, so hyper may not know yet that it is the last.
    is_last: bool,
}

/// The methods about data concern HTTP/2 only. In HTTP/1, data that hyper cannot write waits for room in the socket, which
/// the [`PeerTracker`] records.
impl<S: StreamSocket> InFlight<S> {
    /// Records that hyper has received data of the response, or must poll for the next data.
    pub(super) fn data_queued(&self) {
        self.update_http2(|peer| {
            peer.rules.queued += 1;
            if peer.rules.queued == 1 {
                progress(peer);
            }
        });
    }

    /// Records that hyper has written `count` bytes of the data.
    pub(super) fn data_advanced(&self, count: usize) {
        self.update_http2(|peer| {
            peer.rules.written = peer.rules.written.saturating_add(count as u64);
            if peer.rules.written >= peer.rules.limits.least_taken() {
                progress(peer);
            }
        });
    }

    /// Records that hyper has written or dropped the data, or has polled for the next data and the service has
    /// none yet.
    pub(super) fn data_released(&self) {
        self.update_http2(|peer| {
            peer.rules.queued -= 1;
            if peer.rules.queued == 0 {
                progress(peer);
            }
        });
    }

    /// Records that the request exceeded its limit. Returns whether its connection ends for that reason, as with HTTP/1.
    pub(super) fn timed_out(&self) -> bool {
        if !self.is_http2 {
            let late = Deadline::Request;
            self.tracker.peer.update(|peer| *peer.rules.missed.get_or_insert(late));
        }
        !self.is_http2
    }

    /// Whether the connection closes after the response, and the response must say so.
    pub(super) fn closes(&self) -> bool {
        self.is_last && !self.is_http2
    }

    /// Records that the connection, or with HTTP/2 the stream, carries another protocol from now on.
    pub(super) fn upgraded(&self) {
        self.tracker.peer.update(|peer| peer.rules.is_upgraded = true);
        if !self.is_http2 {
            self.tracker.stop();
        }
    }

    fn update_http2(&self, change: impl FnOnce(&mut Peer<S, State>)) {
        if self.is_http2 {
            self.tracker.peer.update(change);
        }
    }
}

impl<S: StreamSocket> Drop for InFlight<S> {
    fn drop(&mut self) {
        self.tracker.peer.update(|peer| {
            peer.rules.in_flight -= 1;
            if peer.rules.in_flight == 0 {
                progress(peer);
            }
        });
    }
}

#[cfg(test)]
#[path = "progress_tests.rs"]
mod tests;
