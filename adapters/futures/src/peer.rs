//! Limits for the progress of a peer. The [`TimeoutStream`](crate::TimeoutStream) uses them, and so does the server of `netpoll-hyper`:
//! each has its own [`Rules`].
//!
//! 1. Every limit is a deadline of the socket, and follows from the state. An event changes the state under the lock.
//!    No task polls a timer: when a deadline passes, the socket wakes each task that waits in its direction.
//! 2. A deadline measures the progress of the peer, not the moment at which a task runs. So the operation that finds a deadline
//!    passed is repeated once without one: [`expired`](PeerTracker::expired) removes the deadline from the socket. A write that finds
//!    no room again then asks the kernel whether the peer has taken bytes since the write began to wait, because the
//!    socket reports room only when a third of its buffer is free.
//! 3. A setter may wake tasks, and no waker runs under a lock. So a thread calls the setters after it has released the
//!    lock, and compares afterwards: if another thread has changed the state meanwhile, the thread sets the new deadlines too.
//!    So the setters that run last are those of the newest state.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::task::Poll;
use std::time::{Duration, Instant};

use netpoll::{Direction, fork_generation, is_deadline_exceeded};

use crate::sealed::StreamSocket;
use crate::stream::Stream;
use crate::sync::lock;
use crate::sys;

/// The limits that a peer has in each state.
pub trait Rules {
    /// The limit of reading, from the last progress on. `is_blocked`: a write waits for room, and has its own limit.
    fn read_limit(&self, is_blocked: bool) -> Option<Duration>;

    /// The limit of a write that waits for room, from the last byte on that the peer took.
    fn write_stall(&self) -> Option<Duration>;

    /// The bytes that the peer must take in each period of `write_stall` for which writes wait for room.
    fn least_taken(&self) -> u64 {
        1
    }

    /// Records that bytes were written; `was_blocked`: the write had waited for room. Returns whether this is progress, from
    /// which the limit of reading counts.
    fn written(&mut self, was_blocked: bool) -> bool;

    /// Records that the peer has stalled: a write fails.
    fn stalled(&mut self) {}

    /// Whether an operation that succeeds may change a limit although no write waits. If not, the operation takes no lock.
    fn counts_progress(&self) -> bool {
        true
    }
}

/// Follows the progress of a peer, and sets the deadlines of its stream.
#[derive(Debug)]
pub struct PeerTracker<S: StreamSocket, R> {
    /// Of the process that made it. A forked child does not take the lock: a thread of the parent may have held
    /// it at the fork, and the child does not have that thread.
    generation: u32,
    /// Whether an operation that succeeds has progress to record. Changed under the lock, read without.
    counts_progress: AtomicBool,
    peer: Mutex<Peer<S, R>>,
}

/// The state of a peer.
#[derive(Debug)]
pub struct Peer<S: StreamSocket, R> {
    pub rules: R,
    /// `None` after [`stop`](PeerTracker::stop): there are no deadlines.
    stream: Option<Stream<S>>,
    last_progress: Instant,
    blocked: Option<Blocked>,
    /// How long writes have waited for room since the period of `write_stall` began, without the present wait.
    waited: Duration,
    /// The bytes that were written after those waits.
    taken: u64,
    /// By direction, a deadline that has passed: the socket does not have it. A later one has not passed.
    passed: [Option<Instant>; 2],
    /// The deadlines of the socket that follow from the state.
    deadlines: [Option<Instant>; 2],
}

/// A write waits for room.
#[derive(Clone, Copy, Debug)]
struct Blocked {
    since: Instant,
    /// The bytes that the peer had not taken then.
    not_taken: usize,
}

/// Why an operation failed with [`DeadlineExceeded`](crate::DeadlineExceeded).
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// The deadline was moved meanwhile: the caller repeats the operation.
    Moved,
    /// The deadline has passed, and the socket no longer has it: the caller repeats the operation once.
    Passed,
    /// The tracker is stopped, or belongs to the parent process.
    Foreign,
}

impl<S: StreamSocket, R: Rules> PeerTracker<S, R> {
    /// From now on, the tracker alone sets the deadlines of the stream.
    pub fn new(stream: Stream<S>, rules: R) -> Self {
        let last_progress = stream.reactor().now();
        let stream = Some(stream);
        let (passed, deadlines) = ([None; 2], [None; 2]);
        let (waited, taken) = (Duration::ZERO, 0);
        let blocked = None;
        let peer = Peer { rules, stream, last_progress, blocked, waited, taken, passed, deadlines };
        let (counts_progress, peer) = (AtomicBool::new(true), Mutex::new(peer));
        let tracker = Self { generation: fork_generation(), counts_progress, peer };
        if let Some(peer) = tracker.lock() {
            tracker.set_deadlines(peer, true);
        }
        tracker
    }

    /// Applies `change` to the state, and sets the deadlines that it moves. `None` in a forked child.
    pub fn update<T>(&self, change: impl FnOnce(&mut Peer<S, R>) -> T) -> Option<T> {
        let mut peer = self.lock()?;
        let result = change(&mut peer);
        self.set_deadlines(peer, false);
        Some(result)
    }

    /// Records that an operation failed because its deadline passed (rule 2).
    pub fn expired(&self, direction: Direction) -> Expiry {
        let Some(mut peer) = self.lock() else { return Expiry::Foreign };
        let Some(stream) = peer.stream.clone() else { return Expiry::Foreign };
        let passed = peer.deadline(direction).filter(|deadline| *deadline <= peer.now());
        peer.passed[direction as usize] = passed;
        // Also a deadline that was only moved is set again: another thread may be about to set it.
        self.set_deadlines(peer, true);
        if passed.is_none() {
            return Expiry::Moved;
        }
        // The reactor may not have handled the event of the last bytes yet.
        stream.registration().assume_ready(direction);
        Expiry::Passed
    }

    /// Polls a write, and repeats it if its deadline was moved, or has passed (rule 2).
    pub fn poll_write(
        &self,
        mut write: impl FnMut() -> Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        loop {
            match write() {
                Poll::Ready(Err(error)) if is_deadline_exceeded(&error) => {
                    match self.expired(Direction::Write) {
                        Expiry::Moved => {}
                        Expiry::Foreign => return Poll::Ready(Err(error)),
                        Expiry::Passed => match write() {
                            Poll::Pending if self.has_stalled() => return Poll::Ready(Err(error)),
                            last => return self.record_write(last),
                        },
                    }
                }
                written => return self.record_write(written),
            }
        }
    }

    /// Whether an operation that succeeds has progress to record.
    #[inline]
    pub fn counts_progress(&self) -> bool {
        self.counts_progress.load(Ordering::Acquire)
    }

    /// Records that bytes were written.
    pub fn bytes_written(&self, count: usize) {
        if !self.counts_progress() {
            return;
        }
        self.update(|peer| {
            let was_blocked = peer.unblock(count);
            if peer.rules.written(was_blocked) {
                peer.progress();
            }
        });
    }

    /// Makes the next read call the kernel, whatever the reactor knows.
    pub fn assume_readable(&self) {
        let stream = self.lock().and_then(|peer| peer.stream.clone());
        if let Some(stream) = stream {
            stream.registration().assume_ready(Direction::Read);
        }
    }

    /// Clears the deadlines and releases the stream. From now on no event sets a deadline.
    pub fn stop(&self) {
        let stream = self.lock().and_then(|mut peer| peer.stream.take());
        if let Some(stream) = stream {
            let _ = stream.set_deadline(None);
        }
    }

    /// Makes the close of the stream reset the connection, so that the kernel discards the bytes that the peer has
    /// not acknowledged, instead of keeping them for minutes.
    pub fn reset_on_close(&self) {
        let stream = self.lock().and_then(|peer| peer.stream.clone());
        if let Some(stream) = stream {
            let reset = |socket: &S| sys::set_linger(socket.as_fd(), Some(Duration::ZERO));
            // It fails only on a closed socket.
            let _ = stream.registration().while_open(reset);
        }
    }

    fn record_write(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match &written {
            Poll::Ready(Ok(count @ 1..)) => self.bytes_written(*count),
            Poll::Pending => {
                self.update(|peer| {
                    if !peer.is_blocked() {
                        peer.block();
                    }
                });
            }
            Poll::Ready(_) => {}
        }
        written
    }

    /// Returns whether a write fails that has found no room again after its deadline: the peer has taken too few bytes in
    /// the period. If it has taken enough, another period begins.
    fn has_stalled(&self) -> bool {
        let has_stalled = self.update(|peer| {
            let not_taken = peer.not_taken();
            let taken = |before: Blocked| before.not_taken.saturating_sub(not_taken) as u64;
            let has_stalled = peer.blocked.is_some_and(|before| {
                peer.taken.saturating_add(taken(before)) < peer.rules.least_taken()
            });
            if has_stalled {
                peer.passed[Direction::Write as usize] = None;
                peer.rules.stalled();
            } else {
                peer.begin_period();
                peer.block();
            }
            has_stalled
        });
        has_stalled.unwrap_or(true)
    }

    /// Sets the deadlines of the socket to those of the state (rule 3), where the state has changed them. `all`: also those
    /// that stay.
    fn set_deadlines<'a>(&'a self, mut peer: MutexGuard<'a, Peer<S, R>>, all: bool) {
        let counts_progress = peer.is_blocked() || peer.rules.counts_progress();
        self.counts_progress.store(counts_progress, Ordering::Release);
        let deadlines = peer.deadlines();
        // The socket has these, or another thread is about to set and to compare them.
        let before = std::mem::replace(&mut peer.deadlines, deadlines);
        if before == deadlines && !all {
            return;
        }
        let stream = peer.stream.clone();
        let mut set = (!all).then_some(before);
        while let Some(stream) = &stream
            && set != Some(peer.deadlines)
        {
            let [read, write] = peer.deadlines;
            drop(peer);
            // The setters fail only on a closed socket, which needs no deadline.
            if set.is_none_or(|set| set[0] != read) {
                let _ = stream.set_read_deadline(read);
            }
            if set.is_none_or(|set| set[1] != write) {
                let _ = stream.set_write_deadline(write);
            }
            set = Some([read, write]);
            let Some(now) = self.lock() else { return };
            peer = now;
        }
        // The stream may be the last, and its drop may close the socket: not under the lock.
        drop(peer);
    }

    /// `None` in a forked child.
    fn lock(&self) -> Option<MutexGuard<'_, Peer<S, R>>> {
        (self.generation == fork_generation()).then(|| lock(&self.peer))
    }
}

impl<S: StreamSocket, R: Rules> Peer<S, R> {
    /// Records progress: the limit of reading begins anew.
    pub fn progress(&mut self) {
        self.last_progress = self.now();
    }

    /// Whether a write waits for room.
    pub fn is_blocked(&self) -> bool {
        self.blocked.is_some()
    }

    /// Records that a write waits for room from now on, while the period goes on in which the peer must take bytes.
    pub fn block(&mut self) {
        self.blocked = Some(Blocked { since: self.now(), not_taken: self.not_taken() });
    }

    /// Begins the period anew in which the peer must take bytes.
    pub fn begin_period(&mut self) {
        (self.waited, self.taken) = (Duration::ZERO, 0);
    }

    /// Records that a write of `count` bytes has found room. Returns whether it had waited.
    fn unblock(&mut self, count: usize) -> bool {
        let Some(before) = self.blocked.take() else { return false };
        self.taken = self.taken.saturating_add(count as u64);
        if self.taken >= self.rules.least_taken() {
            self.begin_period();
        } else {
            self.waited += self.now().saturating_duration_since(before.since);
        }
        true
    }

    /// Whether the deadline of reading has passed, and is still the deadline. The socket gets it again.
    pub fn take_passed_read(&mut self) -> bool {
        let passed = self.passed[Direction::Read as usize].take();
        passed.is_some() && passed == self.deadline(Direction::Read)
    }

    /// The deadline of a direction, also if it has passed. A time that `Instant` cannot represent is no limit.
    pub fn deadline(&self, direction: Direction) -> Option<Instant> {
        self.stream.as_ref()?;
        match direction {
            Direction::Read => {
                self.last_progress.checked_add(self.rules.read_limit(self.is_blocked())?)
            }
            Direction::Write => {
                let left = self.rules.write_stall()?.saturating_sub(self.waited);
                self.blocked?.since.checked_add(left)
            }
        }
    }

    /// Computes the deadlines of the socket.
    fn deadlines(&self) -> [Option<Instant>; 2] {
        Direction::BOTH.map(|direction| {
            let passed = self.passed[direction as usize];
            self.deadline(direction).filter(|deadline| passed != Some(*deadline))
        })
    }

    /// The time of the reactor. After the end any time will do.
    pub fn now(&self) -> Instant {
        self.stream.as_ref().map_or(self.last_progress, |stream| stream.reactor().now())
    }

    /// The number of bytes that were written and that the peer has not acknowledged. (On a Unix socket: not read.)
    fn not_taken(&self) -> usize {
        let not_taken = |socket: &S| sys::not_taken(socket.as_fd());
        let stream = self.stream.as_ref();
        stream.map_or(0, |stream| stream.registration().while_open(not_taken).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;
    use std::sync::Arc;
    use std::task::{Context, Wake, Waker};

    use netpoll::{Interest, Reactor, Registration};

    use super::*;

    /// Both limits hold at all times.
    #[derive(Debug)]
    struct Limits(Duration);

    impl Rules for Limits {
        fn read_limit(&self, _: bool) -> Option<Duration> {
            Some(self.0)
        }

        fn write_stall(&self) -> Option<Duration> {
            Some(self.0)
        }

        fn written(&mut self, _: bool) -> bool {
            true
        }
    }

    type Tracker = PeerTracker<UnixStream, Limits>;

    const SECOND: Duration = Duration::from_secs(1);

    /// A tracked stream, its peer, and the reactor with its clock.
    fn scene() -> io::Result<(Stream<UnixStream>, Tracker, UnixStream, Reactor)> {
        let reactor = Reactor::builder().manual_clock().build()?;
        let (near, peer) = UnixStream::pair()?;
        near.set_nonblocking(true)?;
        let stream: Stream<_> = Registration::with(&reactor, near, Interest::WriteOnDemand)?.into();
        let tracker = PeerTracker::new(stream.clone(), Limits(10 * SECOND));
        Ok((stream, tracker, peer, reactor))
    }

    /// A waker of an executor that polls a task in place, where it is woken.
    struct PollsInPlace {
        tracker: Tracker,
        found_it_locked: AtomicBool,
        ran: AtomicBool,
    }

    impl Wake for PollsInPlace {
        fn wake(self: Arc<Self>) {
            // `update`, for example, would wait for the lock for ever.
            let is_locked = self.tracker.peer.try_lock().is_err();
            self.found_it_locked.fetch_or(is_locked, Ordering::Relaxed);
            self.ran.store(true, Ordering::Relaxed);
        }
    }

    #[test]
    fn no_waker_runs_under_the_lock() -> io::Result<()> {
        let (stream, tracker, _peer, reactor) = scene()?;
        let [found_it_locked, ran] = [const { AtomicBool::new(false) }; 2];
        let waker = Arc::new(PollsInPlace { tracker, found_it_locked, ran });
        let woken = Waker::from(waker.clone());
        reactor.advance(2 * SECOND);
        assert!(stream.poll_read(&mut Context::from_waker(&woken), &mut [0]).is_pending());
        waker.tracker.update(|peer| peer.rules = Limits(SECOND));
        assert!(waker.ran.load(Ordering::Relaxed), "the deadline has passed");
        assert!(!waker.found_it_locked.load(Ordering::Relaxed));
        Ok(())
    }

    /// A waker of an executor that polls a task in place, and the task moves the limits.
    struct MovesTheLimits(Tracker);

    impl Wake for MovesTheLimits {
        fn wake(self: Arc<Self>) {
            self.0.update(|peer| peer.rules = Limits(100 * SECOND));
        }
    }

    /// Between the setters of one change, another change sets its deadlines. The newest deadlines stand (rule 3).
    #[test]
    fn the_newest_deadlines_stand() -> io::Result<()> {
        let (stream, tracker, _peer, reactor) = scene()?;
        let waker = Arc::new(MovesTheLimits(tracker));
        let woken = Waker::from(waker.clone());
        assert!(stream.poll_read(&mut Context::from_waker(&woken), &mut [0]).is_pending());
        waker.0.update(Peer::block);
        reactor.advance(2 * SECOND);
        // The read deadline has passed, so its setter wakes the task before the setter of the write deadline runs.
        waker.0.update(|peer| peer.rules = Limits(SECOND));
        assert!(stream.registration().try_ready(Direction::Write).is_ok());
        assert!(stream.poll_read(&mut Context::from_waker(Waker::noop()), &mut [0]).is_pending());
        Ok(())
    }

    /// At the fork, a thread of the parent held the lock. The child does not have that thread.
    #[test]
    fn in_a_forked_child_no_method_takes_the_lock() -> io::Result<()> {
        let (_stream, mut tracker, _peer, _reactor) = scene()?;
        tracker.generation += 1;
        let _held = tracker.peer.lock();
        assert_eq!(tracker.update(|_| ()), None);
        let late = || Poll::Ready(Err(netpoll::DeadlineExceeded::error()));
        assert!(matches!(tracker.poll_write(late), Poll::Ready(Err(_))));
        assert!(tracker.poll_write(|| Poll::Pending).is_pending());
        assert!(matches!(tracker.poll_write(|| Poll::Ready(Ok(1))), Poll::Ready(Ok(1))));
        assert_eq!(tracker.expired(Direction::Read), Expiry::Foreign);
        assert!(tracker.has_stalled());
        tracker.assume_readable();
        tracker.stop();
        Ok(())
    }

    /// The peer takes all bytes after the write has found no room, and before the tracker counts them.
    #[test]
    fn a_write_that_finds_room_after_its_deadline_has_not_stalled() -> io::Result<()> {
        let (stream, tracker, mut peer, reactor) = scene()?;
        let mut context = Context::from_waker(Waker::noop());
        let mut is_blocked = false;
        let mut write = || {
            let written = stream.poll_write(&mut context, &[0; 4096]);
            if written.is_pending() && !std::mem::replace(&mut is_blocked, true) {
                peer.set_nonblocking(true)?;
                while io::Read::read(&mut peer, &mut [0; 4096]).is_ok() {}
            }
            written
        };
        while tracker.poll_write(&mut write).is_ready() {}
        reactor.advance(11 * SECOND);
        let mut context = Context::from_waker(Waker::noop());
        while !matches!(stream.poll_write_ready(&mut context), Poll::Ready(Err(_))) {
            std::thread::yield_now();
        }
        assert!(matches!(tracker.poll_write(&mut write), Poll::Ready(Ok(4096))));
        Ok(())
    }
}
