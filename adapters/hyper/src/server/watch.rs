//! What a connection is waited for, and until when.
//!
//! The deadlines are the socket's own. They are set when something *happens*: a byte came, a request
//! began, an answer ended, a write found no room. So nobody has to poll a timer, and when one passes,
//! the socket fails and hyper's task is woken, whatever it waits for.
//!
//! An expiry is judged once more where it is noticed, in [`ServedIo`](super::ServedIo): the time
//! may have been moved while it was on its way, and a write that waits may have got on without being
//! told. Whoever polls then goes on.
//!
//! Setting a deadline wakes nobody but tasks, and never waits, so it is done under the lock: two
//! events at once leave the deadline of the later one.

use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use netpoll::socket;
use netpoll_futures::{Stream, StreamSocket};

use super::deadlines::{Deadline, Deadlines};

/// A connection, as it is watched.
#[derive(Debug)]
pub(super) struct Watch<S: StreamSocket>(Mutex<State<S>>);

#[derive(Debug)]
struct State<S: StreamSocket> {
    /// `None` when nothing is watched any more: the connection has ended, or is something else now.
    stream: Option<Stream<S>>,
    limits: Deadlines,
    frames: bool,
    /// No request has come yet, or the beginning of one has.
    head: bool,
    in_flight: usize,
    /// Answers that hyper has taken a piece of and has not come back for the next: with HTTP/2, for
    /// want of the peer's leave to send it.
    sending: usize,
    /// A write waits for room. What the peer had not taken when it began to.
    blocked: Option<usize>,
    read_until: Option<(Instant, Deadline)>,
    write_until: Option<Instant>,
    late: Option<Deadline>,
}

impl<S: StreamSocket> Watch<S> {
    /// Of a new connection, whose first request is waited for from now on.
    pub(super) fn new(stream: Stream<S>, limits: Deadlines) -> Arc<Self> {
        let mut state = State {
            stream: Some(stream),
            limits,
            frames: false,
            head: true,
            in_flight: 0,
            sending: 0,
            blocked: None,
            read_until: None,
            write_until: None,
            late: None,
        };
        state.renew_read();
        Arc::new(Self(Mutex::new(state)))
    }

    /// It speaks HTTP/2.
    #[cfg(feature = "http2")]
    pub(super) fn has_frames(&self) {
        self.lock().frames = true;
    }

    /// A head is complete.
    pub(super) fn request(self: &Arc<Self>) -> InFlight<S> {
        let mut state = self.lock();
        state.head = false;
        state.in_flight += 1;
        state.renew_read();
        InFlight { watch: self.clone(), frames: state.frames, sending: false }
    }

    /// Bytes have come.
    pub(super) fn has_read(&self) {
        let mut state = self.lock();
        // Between requests, a byte of HTTP/1 begins one. A frame of HTTP/2 may be anything.
        if !state.frames && state.is_idle() {
            state.head = true;
            state.renew_read();
        }
    }

    /// Bytes were written.
    pub(super) fn has_written(&self) {
        let mut state = self.lock();
        if state.blocked.take().is_some() {
            state.set_write(None);
        }
        if state.is_idle() || state.sending > 0 {
            state.renew_read();
        }
    }

    /// A write waits for room.
    pub(super) fn is_blocked(&self) {
        let mut state = self.lock();
        if state.blocked.is_some() {
            return;
        }
        state.blocked = Some(state.not_taken());
        let until = state.after(state.limits.write_stall);
        state.set_write(until);
        if state.is_idle() || state.sending > 0 {
            state.renew_read();
        }
    }

    /// Reading failed for its deadline. Whether it is too late indeed.
    pub(super) fn is_late_to_read(&self) -> bool {
        let mut state = self.lock();
        if state.stream.is_none() {
            return true;
        }
        match state.read_until {
            Some((until, deadline)) if state.has_come(until) => {
                state.late.get_or_insert(deadline);
                true
            }
            moved => {
                state.set_read(moved);
                false
            }
        }
    }

    /// Writing failed for its deadline. Whether it is too late indeed: not if the peer has taken
    /// something, which the socket does not tell until there is room for much more.
    pub(super) fn is_late_to_write(&self) -> bool {
        let mut state = self.lock();
        if state.stream.is_none() {
            return true;
        }
        let left = state.not_taken();
        let moved = match state.write_until {
            Some(until) if state.has_come(until) => {
                if state.blocked.is_none_or(|before| left >= before) {
                    state.late.get_or_insert(Deadline::WriteStall);
                    return true;
                }
                state.blocked = Some(left);
                state.after(state.limits.write_stall)
            }
            moved => moved,
        };
        state.set_write(moved);
        false
    }

    /// Nothing is watched any more, and the stream is not kept. Which deadline has passed, if any.
    pub(super) fn end(&self) -> Option<Deadline> {
        let mut state = self.lock();
        state.set_read(None);
        state.set_write(None);
        let (stream, late) = (state.stream.take(), state.late);
        drop(state);
        drop(stream);
        late
    }

    fn lock(&self) -> MutexGuard<'_, State<S>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: StreamSocket> State<S> {
    fn is_idle(&self) -> bool {
        self.in_flight == 0 && !self.head
    }

    /// What is waited for, which must come by reading.
    fn awaited(&self) -> Option<(Duration, Deadline)> {
        let (limit, deadline) = if self.head {
            (self.limits.header, Deadline::Header)
        } else if self.blocked.is_some() {
            return None; // The writer's deadline is the one that counts.
        } else if self.in_flight == 0 {
            (self.limits.idle, Deadline::Idle)
        } else if self.sending > 0 {
            (self.limits.write_stall, Deadline::WriteStall)
        } else {
            return None;
        };
        Some((limit?, deadline))
    }

    /// Something has happened: it is waited anew for what comes next.
    fn renew_read(&mut self) {
        let until = self.awaited().and_then(|(limit, what)| Some((self.after(Some(limit))?, what)));
        self.set_read(until);
    }

    /// Errors are those of a closed socket, which need no deadline.
    fn set_read(&mut self, until: Option<(Instant, Deadline)>) {
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

    /// A time that no clock can tell is no limit.
    fn after(&self, limit: Option<Duration>) -> Option<Instant> {
        self.stream.as_ref()?.reactor().now().checked_add(limit?)
    }

    fn has_come(&self, time: Instant) -> bool {
        self.stream.as_ref().is_none_or(|stream| stream.reactor().now() >= time)
    }

    fn not_taken(&self) -> usize {
        let stream = self.stream.as_ref();
        stream.map_or(0, |stream| socket::not_taken(stream.as_fd()).unwrap_or(0))
    }
}

/// A request whose answer is not complete. Dropped, it is.
#[derive(Debug)]
pub(super) struct InFlight<S: StreamSocket> {
    watch: Arc<Watch<S>>,
    frames: bool,
    sending: bool,
}

impl<S: StreamSocket> InFlight<S> {
    /// Whether hyper has a piece of the answer and has not come for the next. (With HTTP/1, what it
    /// cannot write is what the socket does not take, and that is known.)
    pub(super) fn is_sending(&mut self, sending: bool) {
        if !self.frames || self.sending == sending {
            return;
        }
        self.sending = sending;
        let mut state = self.watch.lock();
        if sending {
            state.sending += 1;
        } else {
            state.sending -= 1;
        }
        if sending || state.sending == 0 {
            state.renew_read();
        }
    }

    /// The connection is to become something else.
    pub(super) fn is_upgrade(&self) {
        self.watch.end();
    }
}

impl<S: StreamSocket> Drop for InFlight<S> {
    fn drop(&mut self) {
        let mut state = self.watch.lock();
        state.in_flight -= 1;
        state.sending -= usize::from(self.sending);
        if state.in_flight == 0 || self.sending && state.sending == 0 {
            state.renew_read();
        }
    }
}

#[cfg(test)]
#[path = "watch_tests.rs"]
mod tests;
