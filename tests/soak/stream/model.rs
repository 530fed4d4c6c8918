//! The known state of a connection, and the operations that must therefore come to an end.
//!
//! The kernel decides how much a write takes and a read gives, so of a `write_all` that waits it is
//! known only between which positions it is. Everything else is known.

use std::time::Instant;

use netpoll::Direction;

use super::socket::Call;
use crate::pattern;
use crate::stage::home::{Home, TICK};
use crate::stage::host::Host;

/// For so much there is room on the side of the reader.
const UNCROWDED: u64 = 2048;

/// The known state of a deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Deadline {
    None,
    /// It will not pass while the walk lasts.
    Far,
    /// It passes then, but may be noticed later.
    Soon(Instant),
    /// It has passed, and that was noticed.
    Passed,
}

/// Whether the peer has reset the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reset {
    No,
    /// It depends on the operations that were under way.
    Perhaps,
    /// It is still to be reported.
    Due,
    Reported,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Open,
    Closed,
    /// Its reactor was shut down; the descriptor is open.
    Gone,
    /// Its last owner is gone.
    Dropped,
}

/// An end of the connection.
#[derive(Clone, Debug)]
pub(crate) struct Side {
    pub(crate) home: Home,
    pub(crate) state: State,
    pub(crate) deadlines: [Deadline; 2],
    pub(crate) reset: Reset,
    /// The directions that it has shut down itself.
    pub(crate) shut: [bool; 2],
}

/// One direction of the connection, of which one end writes and the other reads.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    pub(crate) salt: u64,
    /// How much was written at least, and at most.
    pub(crate) least: u64,
    pub(crate) most: u64,
    pub(crate) read: u64,
    /// Nothing more will be written.
    pub(crate) finished: bool,
    /// Bytes that were not read yet may be lost: the connection was reset.
    pub(crate) cut: bool,
    /// A `write_all` was given up midway: how much was written will never be known.
    pub(crate) vague: bool,
    /// It was more than there may have been room for: some may wait at the sender.
    pub(crate) crowded: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Model {
    pub(crate) tcp: bool,
    pub(crate) sides: [Side; 2],
    /// The bytes that the end of this number writes.
    pub(crate) links: [Link; 2],
}

/// The operation that was begun.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request {
    pub(crate) call: Call,
    pub(crate) len: usize,
    pub(crate) host: Host,
    /// Where in the stream a write begins.
    pub(crate) base: u64,
    /// A deadline that was moved meanwhile may have passed before.
    pub(crate) late: bool,
    /// Polled by another thread, it may have succeeded before the later steps: a write when
    /// the reactor reports room, which the walk does not see; a read when it has met a write.
    pub(crate) freed: bool,
}

pub(crate) fn index(direction: Direction) -> usize {
    usize::from(direction == Direction::Write)
}

impl Side {
    pub(crate) fn new(home: Home) -> Self {
        let deadlines = [Deadline::None; 2];
        Self { home, state: State::Open, deadlines, reset: Reset::No, shut: [false; 2] }
    }

    /// Whether the kernel has the socket still.
    pub(crate) fn has_descriptor(&self) -> bool {
        matches!(self.state, State::Open | State::Gone)
    }

    /// Whether the reactor must have noticed by now that it has passed.
    fn has_passed(&self, deadline: Deadline) -> bool {
        match deadline {
            Deadline::Passed => true,
            Deadline::Soon(at) => !self.home.has_clock() && at + TICK <= self.home.now(),
            Deadline::None | Deadline::Far => false,
        }
    }
}

impl Link {
    pub(crate) fn new(salt: u64) -> Self {
        Self {
            salt,
            least: 0,
            most: 0,
            read: 0,
            finished: false,
            cut: false,
            vague: false,
            crowded: false,
        }
    }

    /// A write from `base` on has ended after so many bytes.
    pub(super) fn wrote(&mut self, base: u64, len: usize) -> Result<(), String> {
        let end = base + len as u64;
        if self.vague && len == 0 {
            self.most = base;
            return Ok(());
        }
        if end < self.least || end > self.most {
            return Err(format!("{end} bytes were written, by {self:?}"));
        }
        (self.least, self.most) = (end, end);
        Ok(())
    }

    /// Whether nothing of it is left to read for sure.
    pub(super) fn may_be_empty(&self) -> bool {
        self.cut || self.read >= self.least
    }

    pub(super) fn is_data(&self, request: &Request, bytes: &[u8]) -> Result<(), String> {
        let (at, len) = (self.read, bytes.len());
        if len > request.len || at + len as u64 > self.most {
            return Err(format!("{len} bytes too many"));
        }
        if bytes != pattern::bytes(self.salt, at, len) {
            return Err(format!("the {len} bytes from {at} on are not those that were sent"));
        }
        Ok(())
    }
}

impl Model {
    /// Whether an operation that is under way must come to an end without another step.
    pub(crate) fn must_end(&self, end: usize, request: &Request) -> bool {
        let side = &self.sides[end];
        let direction = index(request.call.direction());
        side.state != State::Open
            || side.has_passed(side.deadlines[direction])
            || side.shut[direction]
            || side.reset != Reset::No && !self.is_deaf()
            || if direction == 0 { self.is_readable(end) } else { self.is_writable(end, request) }
    }

    /// As [`must_end`](Self::must_end), or because a time comes that is close.
    pub(crate) fn will_end(&self, end: usize, request: &Request) -> bool {
        let side = &self.sides[end];
        let deadline = side.deadlines[index(request.call.direction())];
        self.must_end(end, request)
            || side.home.has_clock() && matches!(deadline, Deadline::Soon(_))
    }

    /// Whether a write that begins now may succeed.
    pub(super) fn lets_write(&self, end: usize) -> bool {
        let side = &self.sides[end];
        let open = side.state == State::Open && !side.shut[1];
        let has_reader = self.tcp || self.sides[1 - end].has_descriptor();
        open && has_reader && side.deadlines[1] != Deadline::Passed
    }

    pub(super) fn write_begins(&mut self, end: usize, len: usize) {
        if self.lets_write(end) && !self.sides[1 - end].has_descriptor() {
            // Perhaps before all of it is written.
            self.is_answered(end);
        }
        let link = &mut self.links[end];
        link.most += len as u64;
        link.crowded |= link.most - link.read > UNCROWDED;
    }

    fn is_readable(&self, end: usize) -> bool {
        let link = &self.links[1 - end];
        link.finished || link.least > link.read
    }

    fn is_writable(&self, end: usize, request: &Request) -> bool {
        let all_was_read = self.links[end].read >= request.base;
        let fits = request.call != Call::WriteAll || request.len <= 1024;
        !self.sides[1 - end].has_descriptor() || all_was_read && fits
    }

    /// Whether an end has shut down both directions: it answers later bytes with a reset, and
    /// the walk does not know when one comes.
    pub(crate) fn is_deaf(&self) -> bool {
        self.tcp && self.sides.iter().any(|side| side.shut == [true, true])
    }

    /// Whichever of the peer's operations comes first is told of the reset, the other finds the end.
    pub(crate) fn tells_either(&mut self, end: usize) {
        let reset = &mut self.sides[1 - end].reset;
        if *reset == Reset::Due {
            *reset = Reset::Perhaps;
            self.links[end].finished = true;
        }
    }

    /// The kernel has closed an end, and perhaps was told to reset the connection.
    pub(crate) fn departs(&mut self, end: usize, abortive: bool) {
        let unread = &self.links[1 - end];
        let arrived = !self.tcp || !unread.crowded && !self.sides[end].shut[0];
        let (surely, perhaps) = (arrived && unread.least > unread.read, unread.most > unread.read);
        let deaf = self.is_deaf();
        let link = &mut self.links[end];
        let peer = &mut self.sides[1 - end];
        let resets = surely || abortive && self.tcp;
        let reset = match (resets, perhaps) {
            _ if deaf => Reset::Perhaps,
            (true, _) if link.finished && self.tcp => Reset::Perhaps,
            (true, _) => Reset::Due,
            (false, true) => Reset::Perhaps,
            (false, false) => Reset::No,
        };
        link.cut |= self.tcp && reset != Reset::No;
        link.finished |= !self.tcp || reset != Reset::Due;
        if peer.reset == Reset::No {
            peer.reset = reset;
        }
    }
}
