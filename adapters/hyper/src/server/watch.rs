//! What the server waits for on a connection, and until when.
//!
//! # Rules
//!
//! 1. Every deadline is a deadline of the socket. An event sets it: bytes came, a request began, a body
//!    moved, a write found no room. No task polls a timer; when a deadline passes, the socket wakes
//!    hyper's task, whatever that waits for.
//! 2. A deadline judges the peer and not the moment at which the server looks. A deadline of reading that
//!    has passed fails no read: [`read_expired`](Watch::read_expired) notes it and clears it, hyper reads
//!    and uses all that the peer has sent, and only then [`judge`](Watch::judge) decides. A write that has
//!    missed its deadline tries once more, and asks the kernel what the peer has taken.
//! 3. Only progress renews a deadline: a request that begins, an answer that ends, bytes of a body in
//!    either direction. A ping, a window update, a settings frame, an empty line are none.
//!    HTTP/1 has no such frames, so there every byte counts, but for empty lines.
//! 4. An answer that waits for the peer's HTTP/2 windows is judged twice: when its deadline passes for the first
//!    time it gets another period, as the peer may have opened the window just now and the tasks that use
//!    it may not have run. Without progress in that period, the peer has stalled.
//!
//! Setting a deadline wakes tasks only, and never waits, so it is done under the lock: of two events at
//! once, the deadline of the later one stands.

use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use netpoll::{Direction, socket};
use netpoll_futures::{Stream, StreamSocket};

use super::deadlines::{Deadline, Deadlines};
#[cfg(feature = "http2")]
use super::frames::Frames;

/// How long a connection that is to close may stay without progress and without a request in flight:
/// after an HTTP/2 GOAWAY for the peer's answer to it, at a shutdown also for a body that is being sent.
/// As long as Go gives a client after a GOAWAY.
pub(super) const GRACE: Duration = Duration::from_secs(1);

/// A connection under watch.
#[derive(Debug)]
pub(super) struct Watch<S: StreamSocket>(Mutex<State<S>>);

#[derive(Debug)]
struct State<S: StreamSocket> {
    /// `None` if the watch has ended: the connection has, or it no longer carries HTTP.
    stream: Option<Stream<S>>,
    limits: Deadlines,
    reading: Reading,
    /// `None` for HTTP/1.
    #[cfg(feature = "http2")]
    frames: Option<Frames>,
    /// Requests whose answers hyper or the kernel has not taken completely.
    in_flight: usize,
    /// HTTP/2: what hyper holds of answers, for want of the peer's windows or of room: pieces that the
    /// kernel does not have, and bodies whose next piece hyper has not come for.
    held: usize,
    /// If a write waits for room: how much the peer had not taken when it began to wait.
    blocked: Option<usize>,
    /// The last progress.
    since: Instant,
    /// The deadline of reading, and the limit that it stands for: none for the grace of a shutdown.
    read_until: Option<(Instant, Option<Deadline>)>,
    write_until: Option<Instant>,
    /// The deadline of reading has passed, and has not been judged.
    expired: bool,
    /// The answers have waited for a whole period without progress (rule 4).
    stalled: bool,
    /// The connection ends with what is in flight.
    leaving: bool,
    /// The limit that the peer has missed.
    missed: Option<Deadline>,
}

/// What hyper reads, or would read next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reading {
    /// A head: the first one, or one of which a byte has come.
    Head,
    /// The next head, of which no byte has come.
    #[cfg_attr(not(feature = "http1"), expect(dead_code, reason = "a state of HTTP/1"))]
    NextHead,
    /// The body of a request, or HTTP/2 frames of any kind after the first head.
    Body,
}

/// What became of a deadline whose expiry an operation met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expiry {
    /// It was moved in the meantime: the operation is to be tried again.
    Moved,
    /// It has passed, and is cleared: the operation is to be tried once more.
    Passed,
    /// The server did not set it.
    Foreign,
}

/// What the connection's task does next.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It waits.
    Wait,
    /// It has hyper finish what is in flight and close, with a GOAWAY in HTTP/2.
    Leave,
    /// It drops the connection.
    End,
}

impl<S: StreamSocket> Watch<S> {
    /// Watches a new connection, and waits for the head of its first request from now on.
    pub(super) fn new(stream: Stream<S>, limits: Deadlines) -> Arc<Self> {
        let mut state = State {
            since: stream.reactor().now(),
            stream: Some(stream),
            limits,
            reading: Reading::Head,
            #[cfg(feature = "http2")]
            frames: None,
            in_flight: 0,
            held: 0,
            blocked: None,
            read_until: None,
            write_until: None,
            expired: false,
            stalled: false,
            leaving: false,
            missed: None,
        };
        state.arm_read();
        Arc::new(Self(Mutex::new(state)))
    }

    /// Notes that the connection speaks HTTP/2.
    #[cfg(feature = "http2")]
    pub(super) fn has_frames(&self) {
        self.lock().frames = Some(Frames::new());
    }

    /// Notes that hyper waits for the head of an HTTP/1 request: what came before it is complete.
    #[cfg(feature = "http1")]
    pub(super) fn awaits_head(&self) {
        let mut state = self.lock();
        if state.reading == Reading::Body {
            state.reading = Reading::NextHead;
        }
    }

    /// Notes that a head is complete and its service is called.
    pub(super) fn request(self: &Arc<Self>) -> Arc<InFlight<S>> {
        let mut state = self.lock();
        state.reading = Reading::Body;
        state.in_flight += 1;
        if state.in_flight == 1 {
            state.progress();
        }
        Arc::new(InFlight { watch: self.clone(), has_frames: state.has_frames() })
    }

    /// Notes bytes that were read.
    pub(super) fn has_read(&self, bytes: &[u8]) {
        let mut state = self.lock();
        #[cfg(feature = "http2")]
        if let Some(frames) = &mut state.frames {
            if frames.read(bytes) && state.in_flight == 0 {
                state.progress();
            }
            return;
        }
        match state.reading {
            Reading::NextHead if bytes.iter().any(|byte| !matches!(byte, b'\r' | b'\n')) => {
                state.reading = Reading::Head;
                state.progress();
            }
            Reading::Body if state.in_flight == 0 && !bytes.is_empty() => state.progress(),
            _ => {}
        }
    }

    /// Notes that bytes were written.
    pub(super) fn has_written(&self) {
        let mut state = self.lock();
        if state.blocked.take().is_none() {
            return;
        }
        state.set_write(None);
        // Bytes of HTTP/2 may be answers to pings. Those of bodies tell of themselves.
        if state.has_frames() {
            state.arm_read();
        } else {
            state.progress();
        }
    }

    /// Notes that a write waits for room.
    pub(super) fn is_blocked(&self) {
        let mut state = self.lock();
        if state.blocked.is_some() {
            return;
        }
        state.blocked = Some(state.not_taken());
        let until = state.after_now(state.limits.write_stall);
        state.set_write(until);
        state.arm_read();
    }

    /// A read met its deadline (rule 2).
    pub(super) fn read_expired(&self) -> Expiry {
        let mut state = self.lock();
        let Some(stream) = &state.stream else {
            return Expiry::Foreign;
        };
        match state.read_until {
            Some((until, _)) if state.has_come(until) => {
                let _ = stream.set_read_deadline(None);
                // The event of the last bytes may be on its way still.
                stream.registration().assume_ready(Direction::Read);
                state.expired = true;
                Expiry::Passed
            }
            moved => {
                state.set_read(moved);
                Expiry::Moved
            }
        }
    }

    /// A write met its deadline (rule 2).
    pub(super) fn write_expired(&self) -> Expiry {
        let mut state = self.lock();
        let Some(stream) = &state.stream else {
            return Expiry::Foreign;
        };
        match state.write_until {
            Some(until) if state.has_come(until) => {
                let _ = stream.set_write_deadline(None);
                stream.registration().assume_ready(Direction::Write);
                Expiry::Passed
            }
            moved => {
                state.set_write(moved);
                Expiry::Moved
            }
        }
    }

    /// After a write has missed its deadline and has found no room once more: returns whether the peer has
    /// taken something, which the socket does not tell until there is room for much more. If it has, the
    /// write waits for another period.
    pub(super) fn has_taken(&self) -> bool {
        let mut state = self.lock();
        let left = state.not_taken();
        if state.blocked.is_none_or(|before| left >= before) {
            state.missed.get_or_insert(Deadline::WriteStall);
            return false;
        }
        state.blocked = Some(left);
        let until = state.after_now(state.limits.write_stall);
        state.set_write(until);
        true
    }

    /// Has the next read look at the socket, whatever the reactor has told of it.
    pub(super) fn look(&self) {
        if let Some(stream) = &self.lock().stream {
            stream.registration().assume_ready(Direction::Read);
        }
    }

    /// Notes that the server shuts down.
    pub(super) fn leave(&self) {
        let mut state = self.lock();
        state.leaving = true;
        state.since = state.now();
        state.arm_read();
    }

    /// Decides what becomes of the connection when hyper has read and written all that it can.
    pub(super) fn judge(&self) -> Verdict {
        let mut state = self.lock();
        if state.leaving && state.is_done() {
            return Verdict::End;
        }
        let (true, Some((_, limit))) = (std::mem::take(&mut state.expired), state.read_until)
        else {
            return Verdict::Wait;
        };
        if limit == Some(Deadline::WriteStall) && !std::mem::replace(&mut state.stalled, true) {
            state.since = state.now();
            state.arm_read();
            return Verdict::Wait;
        }
        state.missed = state.missed.or(limit);
        if state.leaving || !state.can_say_goaway() {
            return Verdict::End;
        }
        state.leaving = true;
        state.since = state.now();
        state.arm_read();
        Verdict::Leave
    }

    /// Ends the watch and lets go of the stream. Returns the limit that the peer has missed, if any.
    pub(super) fn end(&self) -> Option<Deadline> {
        let mut state = self.lock();
        state.set_read(None);
        state.set_write(None);
        let (stream, missed) = (state.stream.take(), state.missed);
        drop(state);
        drop(stream);
        missed
    }

    fn lock(&self) -> MutexGuard<'_, State<S>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: StreamSocket> State<S> {
    /// The limit that holds now for what must come by reading, and which of the [`Deadlines`] it is.
    fn awaited(&self) -> Option<(Duration, Option<Deadline>)> {
        let grace = Some((GRACE, self.missed));
        let limit = |limit: Option<Duration>, deadline| Some((limit?, Some(deadline)));
        if self.reading == Reading::Head && !self.leaving {
            limit(self.limits.header, Deadline::Header)
        } else if self.blocked.is_some() {
            None // The deadline of the write counts.
        } else if self.in_flight == 0 {
            if self.leaving { grace } else { limit(self.limits.idle, Deadline::Idle) }
        } else if self.held > 0 {
            let is_over = self.missed == Some(Deadline::WriteStall);
            if is_over { grace } else { limit(self.limits.write_stall, Deadline::WriteStall) }
        } else {
            None // The service has its time.
        }
    }

    /// The peer has got on: what is awaited now has its whole time.
    fn progress(&mut self) {
        self.since = self.now();
        self.stalled = false;
        self.arm_read();
    }

    /// Sets the deadline of reading for what is awaited now.
    fn arm_read(&mut self) {
        let until = self.awaited().and_then(|(limit, deadline)| {
            // A time that no clock can tell is no limit.
            Some((self.since.checked_add(limit)?, deadline))
        });
        self.expired = false;
        self.set_read(until);
    }

    /// Errors are those of a closed socket, which needs no deadline.
    fn set_read(&mut self, until: Option<(Instant, Option<Deadline>)>) {
        self.read_until = until;
        if let Some(stream) = &self.stream {
            let _ = stream.set_read_deadline(until.map(|(until, _)| until));
        }
    }

    fn set_write(&mut self, until: Option<Instant>) {
        self.write_until = until;
        if let Some(stream) = &self.stream {
            let _ = stream.set_write_deadline(until);
        }
    }

    fn after_now(&self, limit: Option<Duration>) -> Option<Instant> {
        self.now().checked_add(limit?)
    }

    fn has_come(&self, time: Instant) -> bool {
        self.now() >= time
    }

    /// The time of the reactor, or any time if the watch has ended.
    fn now(&self) -> Instant {
        self.stream.as_ref().map_or(self.since, |stream| stream.reactor().now())
    }

    fn not_taken(&self) -> usize {
        let stream = self.stream.as_ref();
        stream.map_or(0, |stream| socket::not_taken(stream.as_fd()).unwrap_or(0))
    }

    /// Whether a connection that is to close has nothing more to finish, and no GOAWAY to say.
    fn is_done(&self) -> bool {
        let is_reading_body = self.reading == Reading::Body;
        self.in_flight == 0
            && self.blocked.is_none()
            && !self.can_say_goaway()
            && (!is_reading_body || self.has_frames())
    }

    #[cfg(feature = "http2")]
    fn has_frames(&self) -> bool {
        self.frames.is_some()
    }

    #[cfg(not(feature = "http2"))]
    fn has_frames(&self) -> bool {
        false
    }

    /// Whether the peer is to learn by a GOAWAY that the connection ends: it has begun to speak HTTP/2.
    #[cfg(feature = "http2")]
    fn can_say_goaway(&self) -> bool {
        self.frames.as_ref().is_some_and(Frames::have_begun)
    }

    #[cfg(not(feature = "http2"))]
    fn can_say_goaway(&self) -> bool {
        false
    }
}

/// A request whose answer is not complete. The last of its owners ends it: the service's future, the
/// answer's body, and each piece of that body.
#[derive(Debug)]
pub(super) struct InFlight<S: StreamSocket> {
    watch: Arc<Watch<S>>,
    has_frames: bool,
}

/// hyper has a piece of the answer until the kernel has taken it. (With HTTP/1, a piece that hyper cannot write
/// waits for room in the socket, and [`Watch::is_blocked`] knows that.)
impl<S: StreamSocket> InFlight<S> {
    /// Notes that hyper has taken a piece, or has to come for one.
    pub(super) fn is_held(&self) {
        if self.has_frames {
            let mut state = self.watch.lock();
            state.held += 1;
            if state.held == 1 {
                state.progress();
            }
        }
    }

    /// Notes that hyper has written some of a piece.
    pub(super) fn gets_on(&self) {
        if self.has_frames {
            self.watch.lock().progress();
        }
    }

    /// Notes that hyper has written or dropped a piece, or has come for one that the service does not have yet.
    pub(super) fn is_let_go(&self) {
        if self.has_frames {
            let mut state = self.watch.lock();
            state.held -= 1;
            if state.held == 0 {
                state.progress();
            }
        }
    }

    /// Notes that the connection is to carry something else than HTTP.
    pub(super) fn is_upgrade(&self) {
        self.watch.end();
    }
}

impl<S: StreamSocket> Drop for InFlight<S> {
    fn drop(&mut self) {
        let mut state = self.watch.lock();
        state.in_flight -= 1;
        if state.in_flight == 0 {
            state.progress();
        }
    }
}

#[cfg(test)]
#[path = "watch_tests.rs"]
mod tests;
