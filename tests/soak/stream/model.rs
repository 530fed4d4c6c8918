//! What is known of a connection, and what may therefore come of an operation.
//!
//! The kernel decides how much a write takes and a read gives, so of a `write_all` that waits it is
//! known only between which positions it is. Everything else is known.

use std::time::Instant;

use netpoll::Direction;
use netpoll_futures::{ReactorGone, bytes_written, is_closed, is_deadline_exceeded, raw_os_error};

use super::socket::Call;
use crate::pattern;
use crate::stage::home::{Home, TICK};
use crate::stage::host::Host;
use crate::stage::job::Done;

/// What is known of a deadline.
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
    /// It depends on what was under way.
    Perhaps,
    /// It is still to be reported.
    Owed,
    Reported,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Open,
    Closed,
    /// Its reactor was shut down; the descriptor is open.
    Gone,
    /// Nobody has it any more.
    Dropped,
}

/// An end of the connection.
#[derive(Clone, Debug)]
pub(crate) struct Side {
    pub(crate) home: Home,
    pub(crate) state: State,
    pub(crate) deadlines: [Deadline; 2],
    pub(crate) reset: Reset,
    /// What it has shut down itself.
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
    /// What was not read yet may be lost: the connection was reset.
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
    /// What the end of this number writes.
    pub(crate) links: [Link; 2],
}

/// What was begun.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    pub(crate) call: Call,
    pub(crate) len: usize,
    pub(crate) host: Host,
    /// Where in the stream a write begins.
    pub(crate) base: u64,
    /// A deadline that was moved meanwhile may have passed before.
    pub(crate) late: bool,
    /// Polled by another, it may have met its like at the other end, and succeeded before what has
    /// happened since.
    pub(crate) freed: bool,
}

pub(crate) type Verdict = Result<&'static str, String>;

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
    fn wrote(&mut self, base: u64, len: usize) -> Result<(), String> {
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
    fn may_be_empty(&self) -> bool {
        self.cut || self.read >= self.least
    }

    fn is_data(&self, asked: &Asked, bytes: &[u8]) -> Result<(), String> {
        let (at, len) = (self.read, bytes.len());
        if len > asked.len || at + len as u64 > self.most {
            return Err(format!("{len} bytes too many"));
        }
        if bytes != pattern::bytes(self.salt, at, len) {
            return Err(format!("the {len} bytes from {at} on are not those that were sent"));
        }
        Ok(())
    }
}

impl Model {
    /// Whether an operation that is under way must come to an end without anybody doing anything more.
    pub(crate) fn must_end(&self, end: usize, asked: &Asked) -> bool {
        let side = &self.sides[end];
        let direction = index(asked.call.direction());
        side.state != State::Open
            || side.has_passed(side.deadlines[direction])
            || side.shut[direction]
            || side.reset != Reset::No && !self.is_deaf()
            || if direction == 0 { self.is_readable(end) } else { self.is_writable(end, asked) }
    }

    /// As [`must_end`](Self::must_end), or because a time comes that is close.
    pub(crate) fn will_end(&self, end: usize, asked: &Asked) -> bool {
        let side = &self.sides[end];
        let deadline = side.deadlines[index(asked.call.direction())];
        self.must_end(end, asked) || side.home.has_clock() && matches!(deadline, Deadline::Soon(_))
    }

    fn is_readable(&self, end: usize) -> bool {
        let link = &self.links[1 - end];
        link.finished || link.least > link.read
    }

    fn is_writable(&self, end: usize, asked: &Asked) -> bool {
        let all_was_read = self.links[end].read >= asked.base;
        let fits = asked.call != Call::WriteAll || asked.len <= 1024;
        !self.sides[1 - end].has_descriptor() || all_was_read && fits
    }

    /// Whether this may have come of it; then it is so.
    pub(crate) fn judge(&mut self, end: usize, asked: &Asked, done: &Done) -> Verdict {
        match (&done.result, asked.call.direction()) {
            (Err(error), _) if is_deadline_exceeded(error) => self.late(end, asked, done),
            (Err(error), _) if is_closed(error) => {
                self.ended(end, asked, done, State::Closed, "Closed")
            }
            (Err(error), _) if is_gone(error) => {
                self.ended(end, asked, done, State::Gone, "ReactorGone")
            }
            (Err(error), direction) => match (raw_os_error(error), direction) {
                (Some(libc::ECONNRESET | libc::EPIPE), Direction::Read) => self.read_reset(end),
                (Some(libc::ECONNRESET | libc::EPIPE), Direction::Write) => {
                    self.write_reset(end, asked, done)
                }
                _ => Err("no such error was to be expected".into()),
            },
            (Ok(_), _) if !self.may_succeed(end, asked) => Err("it was to fail".into()),
            (Ok(_), _) if asked.call.only_waits() => Ok("ready"),
            (Ok(0), Direction::Read) => self.read_end(end),
            (Ok(_), Direction::Read) => self.read_data(end, asked, done),
            (Ok(len), Direction::Write) => self.wrote(end, asked, *len),
        }
    }

    fn may_succeed(&self, end: usize, asked: &Asked) -> bool {
        let side = &self.sides[end];
        let deadline = side.deadlines[index(asked.call.direction())];
        asked.freed || side.state == State::Open && deadline != Deadline::Passed
    }

    fn late(&mut self, end: usize, asked: &Asked, done: &Done) -> Verdict {
        let direction = index(asked.call.direction());
        let side = &mut self.sides[end];
        let now = if side.home.has_clock() { done.at } else { side.home.now() };
        // Who is polled by the walk asks the present, and of that first whether it is closed.
        let may_be_before = side.state == State::Open || asked.host != Host::Walk;
        let noticed = match side.deadlines[direction] {
            Deadline::Passed => side.state == State::Open,
            Deadline::Soon(at) => at <= now && may_be_before,
            Deadline::None | Deadline::Far => false,
        };
        if !noticed && !asked.late {
            return Err(format!("no deadline has passed, it is {now:?}"));
        }
        // Of one that is closed, the next may have seen it just as well.
        if noticed && !asked.late && side.state == State::Open {
            side.deadlines[direction] = Deadline::Passed;
        }
        self.failed(end, asked, done).map(|()| "DeadlineExceeded")
    }

    fn ended(
        &mut self,
        end: usize,
        asked: &Asked,
        done: &Done,
        state: State,
        name: &'static str,
    ) -> Verdict {
        if self.sides[end].state != state {
            return Err(format!("it is not {state:?}"));
        }
        self.failed(end, asked, done).map(|()| name)
    }

    /// A write that failed may have written something before.
    fn failed(&mut self, end: usize, asked: &Asked, done: &Done) -> Result<(), String> {
        match &done.result {
            Err(error) if asked.call.direction() == Direction::Write => {
                self.links[end].wrote(asked.base, bytes_written(error))
            }
            _ => Ok(()),
        }
    }

    fn read_reset(&mut self, end: usize) -> Verdict {
        let deaf = self.is_deaf();
        let side = &mut self.sides[end];
        let owed = deaf || matches!(side.reset, Reset::Owed | Reset::Perhaps);
        let may_be_empty = deaf || self.links[1 - end].may_be_empty();
        if !owed || side.state != State::Open || !may_be_empty {
            return Err("nobody has reset it".into());
        }
        side.reset = Reset::Reported;
        Ok("reset")
    }

    fn read_end(&mut self, end: usize) -> Verdict {
        let deaf = self.is_deaf();
        let (tcp, side, link) = (self.tcp, &self.sides[end], &mut self.links[1 - end]);
        let is_owed = !tcp && side.reset == Reset::Owed;
        let at_end = link.finished && (deaf || link.may_be_empty()) && !is_owed;
        let is_dead = side.reset == Reset::Reported && link.may_be_empty();
        if !at_end && !side.shut[0] && !is_dead {
            return Err("this is not the end".into());
        }
        if at_end {
            (link.least, link.most) = (link.read, link.read);
        }
        Ok("end")
    }

    fn read_data(&mut self, end: usize, asked: &Asked, done: &Done) -> Verdict {
        let link = &mut self.links[1 - end];
        link.is_data(asked, &done.bytes)?;
        if asked.call != Call::Peek {
            link.read += done.bytes.len() as u64;
            link.least = link.least.max(link.read);
        }
        Ok("data")
    }

    fn wrote(&mut self, end: usize, asked: &Asked, len: usize) -> Verdict {
        let all = asked.call != Call::WriteAll || len == asked.len;
        let shut = self.sides[end].shut[1] && !asked.freed;
        if len == 0 || len > asked.len || !all || shut {
            return Err("it cannot have written that".into());
        }
        self.links[end].wrote(asked.base, len)?;
        if self.is_deaf() {
            self.resets_both();
            return Ok("to who listens no more");
        }
        if self.sides[1 - end].has_descriptor() {
            return Ok(if len < asked.len { "part" } else { "all" });
        }
        if !self.tcp && !asked.freed {
            return Err("nobody is there to read it".into());
        }
        // The peer answers with a reset.
        self.links[1 - end].cut = true;
        let reset = &mut self.sides[end].reset;
        *reset = if *reset == Reset::No { Reset::Perhaps } else { *reset };
        Ok("to nobody")
    }

    /// Who has shut down both directions, and then gets something, answers with a reset.
    fn resets_both(&mut self) {
        for (side, link) in self.sides.iter_mut().zip(&mut self.links) {
            link.cut = true;
            side.reset = if side.reset == Reset::No { Reset::Perhaps } else { side.reset };
        }
    }

    /// Whether an end has shut down both directions: what comes then, it answers with a reset, and
    /// nobody knows when something comes.
    pub(crate) fn is_deaf(&self) -> bool {
        self.tcp && self.sides.iter().any(|side| side.shut == [true, true])
    }

    fn write_reset(&mut self, end: usize, asked: &Asked, done: &Done) -> Verdict {
        let answered = self.tcp && !self.sides[1 - end].has_descriptor() || self.is_deaf();
        let peer_is_gone = !self.sides[1 - end].has_descriptor();
        let side = &mut self.sides[end];
        let broken = side.shut[1] || peer_is_gone || answered || side.reset != Reset::No;
        if !broken || side.state != State::Open && !asked.freed {
            return Err("nothing has broken it".into());
        }
        // Of a Unix socket only reading takes the error.
        if self.tcp && side.reset != Reset::No {
            side.reset = Reset::Reported;
        }
        let wrote = self.failed(end, asked, done);
        if answered {
            // Of a part that was written before, it may be.
            self.resets_both();
        }
        wrote.map(|()| "broken")
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
            (true, _) => Reset::Owed,
            (false, true) => Reset::Perhaps,
            (false, false) => Reset::No,
        };
        link.cut |= self.tcp && reset != Reset::No;
        link.finished |= !self.tcp || reset != Reset::Owed;
        if peer.reset == Reset::No {
            peer.reset = reset;
        }
    }
}

fn is_gone(error: &std::io::Error) -> bool {
    error.get_ref().is_some_and(|payload| payload.is::<ReactorGone>())
        || error.get_ref().and_then(|payload| payload.source()).is_some_and(|source| {
            source.is::<ReactorGone>()
                || source.downcast_ref::<std::io::Error>().is_some_and(is_gone)
        })
}
