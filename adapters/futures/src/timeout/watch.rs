//! The directions that wait for the peer, and their deadlines.
//!
//! A direction begins to wait when a poll first returns `Pending`, and waits until a byte moves: a
//! future that is dropped and started again gains no time. The deadline is set *after* that poll. This
//! is soon enough, since setting a deadline that has already passed also wakes a waiting task.
//!
//! A setter may wake a task, so no deadline is set under the lock. The time is stored under it, and the thread
//! that stored it sets the deadline afterwards and compares: if another thread has stored another time
//! meanwhile, it sets that one too. So the deadline of the later change stands.

use std::io;
use std::sync::{Mutex, MutexGuard};
use std::task::Poll;
use std::time::{Duration, Instant};

use crate::sys;
use netpoll::{fork_generation, is_deadline_exceeded};

use super::Timeouts;
use crate::sealed::StreamSocket;
use crate::stream::Stream;
use crate::sync::{AtomicU32, Ordering, lock};

#[derive(Debug)]
pub(super) struct Watch {
    /// The process that made the stream. A forked child takes no lock, since a thread of the parent may
    /// have held it at the fork, and sets no deadlines.
    generation: u32,
    state: Mutex<State>,
    /// Whether a direction may wait. A hint: if one task moves a byte while another begins to wait,
    /// either may come first.
    waits: AtomicU32,
}

#[derive(Debug)]
struct State {
    timeouts: Timeouts,
    reads: bool,
    /// A write waits for room: the number of bytes that the peer had not taken when it began to.
    blocked: Option<usize>,
    read_until: Option<Instant>,
    write_until: Option<Instant>,
}

/// The deadlines that a change of the state has moved.
#[derive(Clone, Copy)]
enum Moved {
    Read,
    Write,
    Both,
}

impl Watch {
    pub(super) fn new(timeouts: Timeouts) -> Self {
        let state =
            State { timeouts, reads: false, blocked: None, read_until: None, write_until: None };
        let generation = fork_generation();
        Self { generation, state: Mutex::new(state), waits: AtomicU32::new(0) }
    }

    pub(super) fn timeouts(&self) -> Timeouts {
        self.lock().map(|state| state.timeouts).unwrap_or_default()
    }

    /// Restarts the limits of the directions that wait.
    pub(super) fn set_timeouts<S: StreamSocket>(&self, stream: &Stream<S>, timeouts: Timeouts) {
        let Some(mut state) = self.lock() else { return };
        state.timeouts = timeouts;
        state.renew_read(stream);
        let moved = if state.blocked.is_some() {
            state.renew_write(stream);
            Moved::Both
        } else {
            Moved::Read
        };
        self.set_deadlines(stream, state, moved);
    }

    /// Records the result of a polled read.
    pub(super) fn read<S: StreamSocket>(
        &self,
        stream: &Stream<S>,
        read: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        match read {
            Poll::Pending => self.waits_to_read(stream),
            Poll::Ready(Ok(_)) => self.has_read(stream),
            Poll::Ready(Err(_)) => {}
        }
        read
    }

    /// Whether a read failed for a deadline that does not count, and has to be tried again: bytes have
    /// arrived meanwhile (the task may have been polled too late to read them), or a write waits for
    /// room.
    pub(super) fn reads_on<S: StreamSocket>(
        &self,
        stream: &Stream<S>,
        read: &io::Result<usize>,
    ) -> bool {
        if !read.as_ref().is_err_and(is_deadline_exceeded) {
            return false;
        }
        let Some(mut state) = self.lock() else { return false };
        let has_input = state.reads && has_input(stream);
        if has_input {
            state.reads = false;
            self.publish_waits(&state);
        }
        let goes_on = has_input || state.reads && state.blocked.is_some();
        if goes_on {
            state.renew_read(stream);
            self.set_deadlines(stream, state, Moved::Read);
        }
        goes_on
    }

    /// Polls a write, and polls it again if it failed for a deadline that does not count.
    pub(super) fn write<S: StreamSocket>(
        &self,
        stream: &Stream<S>,
        mut write: impl FnMut() -> Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        loop {
            let written = write();
            match &written {
                Poll::Pending => self.waits_to_write(stream),
                Poll::Ready(Ok(1..)) => self.has_written(stream),
                Poll::Ready(Err(error)) if self.writes_on(stream, error) => continue,
                Poll::Ready(_) => {}
            }
            return written;
        }
    }

    fn waits_to_read<S: StreamSocket>(&self, stream: &Stream<S>) {
        let Some(mut state) = self.lock() else { return };
        if !state.reads {
            state.reads = true;
            state.renew_read(stream);
            self.publish_waits(&state);
            self.set_deadlines(stream, state, Moved::Read);
        }
    }

    fn has_read<S: StreamSocket>(&self, stream: &Stream<S>) {
        if !self.may_wait() {
            return;
        }
        let Some(mut state) = self.lock() else { return };
        if state.reads {
            state.reads = false;
            state.renew_read(stream);
            self.publish_waits(&state);
            self.set_deadlines(stream, state, Moved::Read);
        }
    }

    fn waits_to_write<S: StreamSocket>(&self, stream: &Stream<S>) {
        let Some(mut state) = self.lock() else { return };
        if state.blocked.is_none() {
            state.renew_write(stream);
            state.renew_read(stream);
            self.publish_waits(&state);
            self.set_deadlines(stream, state, Moved::Both);
        }
    }

    pub(super) fn has_written<S: StreamSocket>(&self, stream: &Stream<S>) {
        if !self.may_wait() {
            return;
        }
        let Some(mut state) = self.lock() else { return };
        let has_waited = state.blocked.take().is_some();
        if has_waited {
            state.write_until = None;
        }
        if state.reads {
            state.renew_read(stream);
        }
        self.publish_waits(&state);
        let moved = match (state.reads, has_waited) {
            (true, true) => Moved::Both,
            (true, false) => Moved::Read,
            (false, true) => Moved::Write,
            (false, false) => return,
        };
        self.set_deadlines(stream, state, moved);
    }

    /// Whether a write failed for a deadline that does not count: the deadline was moved meanwhile, or
    /// the peer has taken bytes, which the socket does not report until there is room for many more.
    fn writes_on<S: StreamSocket>(&self, stream: &Stream<S>, error: &io::Error) -> bool {
        if !is_deadline_exceeded(error) {
            return false;
        }
        let Some(mut state) = self.lock() else { return false };
        match (state.write_until, state.blocked) {
            (Some(until), Some(before)) if until <= stream.reactor().now() => {
                let has_progress = not_taken(stream) < before;
                if has_progress {
                    state.renew_write(stream);
                    self.set_deadlines(stream, state, Moved::Write);
                }
                has_progress
            }
            (Some(_), Some(_)) => {
                self.set_deadlines(stream, state, Moved::Write);
                true
            }
            // The caller set this deadline on the inner stream.
            _ => false,
        }
    }

    /// Sets the deadlines that the caller has moved in the state, without the lock.
    fn set_deadlines<'a, S: StreamSocket>(
        &'a self,
        stream: &Stream<S>,
        mut state: MutexGuard<'a, State>,
        moved: Moved,
    ) {
        loop {
            let until = (state.read_until, state.write_until);
            drop(state);
            // The setters fail only on a closed socket, which needs no deadline.
            if !matches!(moved, Moved::Write) {
                let _ = stream.set_read_deadline(until.0);
            }
            if !matches!(moved, Moved::Read) {
                let _ = stream.set_write_deadline(until.1);
            }
            let Some(now) = self.lock() else { return };
            if until == (now.read_until, now.write_until) {
                return;
            }
            state = now;
        }
    }

    fn may_wait(&self) -> bool {
        self.waits.load(Ordering::Relaxed) != 0
    }

    fn publish_waits(&self, state: &State) {
        let waits = u32::from(state.reads || state.blocked.is_some());
        self.waits.store(waits, Ordering::Relaxed);
    }

    /// `None` in a forked child.
    fn lock(&self) -> Option<MutexGuard<'_, State>> {
        (self.generation == fork_generation()).then(|| lock(&self.state))
    }
}

impl State {
    /// Sets the deadline of a waiting read. None while a write waits for room: then the write has the
    /// deadline.
    fn renew_read<S: StreamSocket>(&mut self, stream: &Stream<S>) {
        let idle = self.timeouts.idle.filter(|_| self.reads && self.blocked.is_none());
        self.read_until = after(stream, idle);
    }

    /// Sets the deadline by which the peer must take at least one of the bytes that it has not taken
    /// yet.
    fn renew_write<S: StreamSocket>(&mut self, stream: &Stream<S>) {
        self.blocked = Some(not_taken(stream));
        self.write_until = after(stream, self.timeouts.write_stall);
    }
}

fn after<S: StreamSocket>(stream: &Stream<S>, limit: Option<Duration>) -> Option<Instant> {
    limit.and_then(|limit| stream.reactor().now().checked_add(limit))
}

/// Whether a read would return bytes, the end of the stream or an error. Ignores the deadline.
fn has_input<S: StreamSocket>(stream: &Stream<S>) -> bool {
    let peek = stream.registration().while_open(|socket| sys::peek(socket.as_fd(), &mut [0]));
    !peek.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
}

fn not_taken<S: StreamSocket>(stream: &Stream<S>) -> usize {
    let asked = |socket: &S| sys::not_taken(socket.as_fd());
    stream.registration().while_open(asked).unwrap_or(0)
}
