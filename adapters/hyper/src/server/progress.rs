//! Which deadline a connection has at each moment.
//!
//! # Rules
//!
//! 1. Every limit is a deadline of the socket. An event sets it: bytes were read, a request began, data of a body
//!    moved, a write found no room. No task polls a timer. When a deadline passes, the socket wakes the
//!    connection's task, whatever that task waits for.
//! 2. A deadline measures the progress of the peer, not the moment at which the server runs. A read whose
//!    deadline has passed does not fail: [`read_expired`](ProgressTracker::read_expired) records the expiry and
//!    clears the deadline, hyper reads and uses all bytes that the peer has sent, and only then
//!    [`decide`](ProgressTracker::decide) ends the connection. A write whose deadline has passed is tried once
//!    more, and then the kernel says how many bytes the peer has acknowledged.
//! 3. Only progress renews a deadline: a request that begins, a response that ends, bytes of a body in
//!    either direction. A ping, a window update, a settings frame and an empty line are not progress.
//!    HTTP/1 has no such frames, so there every byte counts, except empty lines.
//! 4. A response that waits for the peer's HTTP/2 windows has its deadline twice. When it passes for the first
//!    time, the peer may have opened the window just before, and the tasks that use the window may not have run
//!    yet. Without progress in the second period, the peer has stalled.
//!
//! A setter of a deadline may wake tasks, and no waker may run under a lock. So an event changes the state under
//! the lock, and [`update`](ProgressTracker::update) calls the setters after it has released the lock.

use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use netpoll::{Direction, fork_generation};
use netpoll_futures::sys;
use netpoll_futures::{Stream, StreamSocket};

use super::deadlines::{Deadline, Deadlines};
#[cfg(feature = "http2")]
use super::frames::Frames;

/// The limit for progress of a connection that shuts down and has no request in flight: after an HTTP/2 GOAWAY
/// for the peer's reply, and for each byte of a body that the peer still sends. Go gives a client as long after
/// a GOAWAY.
pub(super) const GRACE: Duration = Duration::from_secs(1);

/// Follows the progress of one connection, and sets its deadlines.
#[derive(Debug)]
pub(super) struct ProgressTracker<S: StreamSocket> {
    /// Of the process that made it. A forked child does not take the lock: a thread of the parent may have held
    /// it at the fork, and the child does not have that thread.
    generation: u32,
    state: Mutex<State<S>>,
}

#[derive(Debug)]
struct State<S: StreamSocket> {
    /// `None` after [`stop`](ProgressTracker::stop): the connection has ended, or no longer carries HTTP.
    stream: Option<Stream<S>>,
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
    /// If a write waits for room: the number of unacknowledged bytes when it began to wait.
    blocked: Option<usize>,
    last_progress: Instant,
    /// The deadline of reading, and the limit that it enforces: none for [`GRACE`].
    read_deadline: Option<(Instant, Option<Deadline>)>,
    /// The read deadline has passed. The socket has none until [`decide`](ProgressTracker::decide) acts on it.
    read_expired: bool,
    write_deadline: Option<Instant>,
    /// Counts the changes of both deadlines.
    revision: u64,
    /// Responses have waited for one whole period without progress (rule 4).
    stalled: bool,
    /// The connection ends when no request is in flight.
    shutting_down: bool,
    /// The limit that the peer exceeded.
    missed: Option<Deadline>,
}

/// The part of a message that hyper reads, or reads next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reading {
    /// The first head, or a head of which a byte was read.
    Head,
    /// The next head, of which no byte was read.
    #[cfg_attr(not(feature = "http1"), expect(dead_code, reason = "a state of HTTP/1"))]
    NextHead,
    /// The body of a request, or HTTP/2 frames of any kind after the first head.
    Body,
}

/// Why an operation failed with [`DeadlineExceeded`](netpoll::DeadlineExceeded).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expiry {
    /// The deadline was moved meanwhile: the caller repeats the operation.
    Moved,
    /// The deadline has passed, and is cleared: the caller repeats the operation once.
    Passed,
    /// The server did not set the deadline.
    Foreign,
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
            last_progress: stream.reactor().now(),
            stream: Some(stream),
            limits,
            reading: Reading::Head,
            #[cfg(feature = "http2")]
            frames: None,
            in_flight: 0,
            queued: 0,
            blocked: None,
            read_deadline: None,
            read_expired: false,
            write_deadline: None,
            revision: 0,
            stalled: false,
            shutting_down: false,
            missed: None,
        };
        let tracker = Arc::new(Self { generation: fork_generation(), state: Mutex::new(state) });
        tracker.update(State::arm_read);
        tracker
    }

    /// Records that the connection speaks HTTP/2.
    #[cfg(feature = "http2")]
    pub(super) fn speaks_http2(&self) {
        self.update(|state| state.frames = Some(Frames::new()));
    }

    /// Records that hyper has read a message completely, and waits for the head of the next HTTP/1 request.
    #[cfg(feature = "http1")]
    pub(super) fn awaits_head(&self) {
        self.update(|state| {
            if state.reading == Reading::Body {
                state.reading = Reading::NextHead;
            }
        });
    }

    /// Records that hyper has read a head, and calls the service.
    pub(super) fn request_began(self: &Arc<Self>) -> Arc<InFlight<S>> {
        let is_http2 = self.update(|state| {
            state.reading = Reading::Body;
            state.in_flight += 1;
            if state.in_flight == 1 {
                state.progress();
            }
            state.is_http2()
        });
        Arc::new(InFlight { tracker: self.clone(), is_http2: is_http2.unwrap_or(false) })
    }

    /// Records bytes that were read.
    pub(super) fn bytes_read(&self, bytes: &[u8]) {
        self.update(|state| {
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
        });
    }

    /// Records that bytes were written.
    pub(super) fn bytes_written(&self) {
        self.update(|state| {
            if state.blocked.take().is_none() {
                return;
            }
            state.set_write(None);
            // Bytes of HTTP/2 may be replies to pings. `InFlight` records those of bodies.
            if state.is_http2() {
                state.arm_read();
            } else {
                state.progress();
            }
        });
    }

    /// Records that a write waits for room.
    pub(super) fn write_blocked(&self) {
        self.update(|state| {
            if state.blocked.is_none() {
                state.begin_stall();
                state.arm_read();
            }
        });
    }

    /// Records that a read failed because its deadline passed (rule 2).
    pub(super) fn read_expired(&self) -> Expiry {
        self.expired(Direction::Read, |state| {
            let has_passed =
                state.read_deadline.is_some_and(|(deadline, _)| deadline <= state.now());
            state.read_expired = has_passed;
            has_passed
        })
    }

    /// Records that a write failed because its deadline passed (rule 2).
    pub(super) fn write_expired(&self) -> Expiry {
        self.expired(Direction::Write, |state| {
            let has_passed = state.write_deadline.is_some_and(|deadline| deadline <= state.now());
            if has_passed {
                state.write_deadline = None;
            }
            has_passed
        })
    }

    fn expired(
        &self,
        direction: Direction,
        has_passed: impl FnOnce(&mut State<S>) -> bool,
    ) -> Expiry {
        let expiry = self.update(|state| {
            // Also a deadline that was only moved is set again: another thread may be about to set it.
            state.revision += 1;
            if state.stream.is_none() {
                Expiry::Foreign
            } else if has_passed(state) {
                Expiry::Passed
            } else {
                Expiry::Moved
            }
        });
        if expiry == Some(Expiry::Passed) {
            // The reactor may not have handled the event of the last bytes yet.
            self.assume_ready(direction);
        }
        expiry.unwrap_or(Expiry::Foreign)
    }

    /// Returns whether the peer has acknowledged bytes since a write began to wait. The caller asks after the
    /// write's deadline has passed and the write has found no room again: the socket reports room only when
    /// a third of its buffer is free. If the peer has, the write waits for another period.
    pub(super) fn peer_took_bytes(&self) -> bool {
        let took_bytes = self.update(|state| {
            let took_bytes = state.blocked.is_some_and(|before| state.unacknowledged() < before);
            if took_bytes {
                state.begin_stall();
            } else {
                state.missed.get_or_insert(Deadline::WriteStall);
            }
            took_bytes
        });
        took_bytes.unwrap_or(false)
    }

    /// Makes the next operation of this direction call the kernel, whatever the reactor knows.
    pub(super) fn assume_ready(&self, direction: Direction) {
        let stream = self.lock().and_then(|state| state.stream.clone());
        if let Some(stream) = stream {
            stream.registration().assume_ready(direction);
        }
    }

    /// Records that the server shuts down gracefully.
    pub(super) fn shut_down(&self) {
        self.update(State::shut_down);
    }

    /// Decides the next step, after hyper has read and written all that it can.
    pub(super) fn decide(&self) -> Decision {
        self.update(State::decide).unwrap_or(Decision::End)
    }

    /// Clears the deadlines and releases the stream. From now on no event sets a deadline. Returns the limit
    /// that the peer exceeded, if any.
    pub(super) fn stop(&self) -> Option<Deadline> {
        let mut state = self.lock()?;
        let (stream, missed) = (state.stream.take(), state.missed);
        (state.read_deadline, state.write_deadline) = (None, None);
        state.revision += 1;
        drop(state);
        if let Some(stream) = stream {
            let _ = stream.set_deadline(None);
        }
        missed
    }

    /// Applies `change` to the state, and then sets the deadlines of the socket if `change` moved one.
    ///
    /// The setters run without the lock, so those of two threads may run in the wrong order. Each thread
    /// therefore compares the revision after its setters, and repeats them if another thread has moved a
    /// deadline meanwhile. The thread whose setters run last finds the revision that it has set: so the newest
    /// deadlines stand.
    ///
    /// `None` in a forked child.
    fn update<T>(&self, change: impl FnOnce(&mut State<S>) -> T) -> Option<T> {
        let mut state = self.lock()?;
        let mut revision = state.revision;
        let result = change(&mut state);
        if state.revision == revision {
            return Some(result);
        }
        let stream = state.stream.clone();
        while let Some(stream) = &stream
            && state.revision != revision
        {
            revision = state.revision;
            let (read, write) = (state.socket_read_deadline(), state.write_deadline);
            drop(state);
            // The error of a closed socket: it needs no deadline.
            let _ = stream.set_read_deadline(read);
            let _ = stream.set_write_deadline(write);
            state = self.lock()?;
        }
        // The stream may be the last, and its drop may close the socket: not under the lock.
        drop(state);
        Some(result)
    }

    /// `None` in a forked child.
    fn lock(&self) -> Option<MutexGuard<'_, State<S>>> {
        let is_ours = self.generation == fork_generation();
        is_ours.then(|| self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<S: StreamSocket> State<S> {
    /// The limit for the next progress of the peer, and its name.
    fn limit(&self) -> Option<(Duration, Option<Deadline>)> {
        let grace = Some((GRACE, self.missed));
        let limit = |limit: Option<Duration>, deadline| Some((limit?, Some(deadline)));
        if self.reading == Reading::Head && !self.shutting_down {
            limit(self.limits.header, Deadline::Header)
        } else if self.blocked.is_some() {
            None // The write deadline limits it.
        } else if self.in_flight == 0 {
            if self.shutting_down { grace } else { limit(self.limits.idle, Deadline::Idle) }
        } else if self.queued > 0 {
            let has_stalled = self.missed == Some(Deadline::WriteStall);
            if has_stalled { grace } else { limit(self.limits.write_stall, Deadline::WriteStall) }
        } else {
            None // The service is at work.
        }
    }

    /// Begins the current limit anew.
    fn progress(&mut self) {
        self.last_progress = self.now();
        self.stalled = false;
        self.arm_read();
    }

    /// Sets the read deadline to the current limit.
    fn arm_read(&mut self) {
        let deadline = self.limit().and_then(|(limit, name)| {
            // A time that `Instant` cannot represent is no limit.
            Some((self.last_progress.checked_add(limit)?, name))
        });
        self.read_expired = false;
        if self.stream.is_some() {
            self.read_deadline = deadline;
            self.revision += 1;
        }
    }

    fn set_write(&mut self, deadline: Option<Instant>) {
        if self.stream.is_some() {
            self.write_deadline = deadline;
            self.revision += 1;
        }
    }

    /// Begins a period in which the peer must acknowledge bytes.
    fn begin_stall(&mut self) {
        self.blocked = Some(self.unacknowledged());
        let limit = self.limits.write_stall;
        self.set_write(limit.and_then(|limit| self.now().checked_add(limit)));
    }

    fn socket_read_deadline(&self) -> Option<Instant> {
        self.read_deadline.filter(|_| !self.read_expired).map(|(deadline, _)| deadline)
    }

    fn shut_down(&mut self) {
        self.shutting_down = true;
        self.last_progress = self.now();
        self.arm_read();
    }

    fn decide(&mut self) -> Decision {
        if self.shutting_down && self.is_done() {
            return Decision::End;
        }
        let (true, Some((_, limit))) = (std::mem::take(&mut self.read_expired), self.read_deadline)
        else {
            return Decision::Wait;
        };
        if limit == Some(Deadline::WriteStall) && !std::mem::replace(&mut self.stalled, true) {
            self.last_progress = self.now();
            self.arm_read();
            return Decision::Wait;
        }
        self.missed = self.missed.or(limit);
        if self.shutting_down || !self.can_send_goaway() {
            return Decision::End;
        }
        self.shut_down();
        Decision::ShutDown
    }

    /// The time of the reactor. After the end any time will do.
    fn now(&self) -> Instant {
        self.stream.as_ref().map_or(self.last_progress, |stream| stream.reactor().now())
    }

    /// The number of bytes that were written and that the peer has not acknowledged. (On a Unix socket: not read.)
    fn unacknowledged(&self) -> usize {
        let stream = self.stream.as_ref();
        stream.map_or(0, |stream| sys::not_taken(stream.as_fd()).unwrap_or(0))
    }

    /// Whether a connection that shuts down has no request and no write to finish, and no GOAWAY to send.
    fn is_done(&self) -> bool {
        let is_reading_body = self.reading == Reading::Body;
        self.in_flight == 0
            && self.blocked.is_none()
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
}

/// The methods concern HTTP/2 only. In HTTP/1, data that hyper cannot write waits for room in the socket, which
/// [`ProgressTracker::write_blocked`] records.
impl<S: StreamSocket> InFlight<S> {
    /// Records that hyper has received data of the response, or must poll for the next data.
    pub(super) fn data_queued(&self) {
        self.update_http2(|state| {
            state.queued += 1;
            if state.queued == 1 {
                state.progress();
            }
        });
    }

    /// Records that hyper has written some of the data.
    pub(super) fn data_advanced(&self) {
        self.update_http2(State::progress);
    }

    /// Records that hyper has written or dropped the data, or has polled for the next data and the service has
    /// none yet.
    pub(super) fn data_released(&self) {
        self.update_http2(|state| {
            state.queued -= 1;
            if state.queued == 0 {
                state.progress();
            }
        });
    }

    /// Records that the connection carries another protocol from now on.
    pub(super) fn upgraded(&self) {
        self.tracker.stop();
    }

    fn update_http2(&self, change: impl FnOnce(&mut State<S>)) {
        if self.is_http2 {
            self.tracker.update(change);
        }
    }
}

impl<S: StreamSocket> Drop for InFlight<S> {
    fn drop(&mut self) {
        self.tracker.update(|state| {
            state.in_flight -= 1;
            if state.in_flight == 0 {
                state.progress();
            }
        });
    }
}

#[cfg(test)]
#[path = "progress_tests.rs"]
mod tests;
