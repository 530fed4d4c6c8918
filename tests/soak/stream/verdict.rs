//! The results that an operation may have, and the state that is known after it.

use std::error::Error;

use netpoll::Direction;
use netpoll_futures::{ReactorGone, bytes_written, is_closed, is_deadline_exceeded, raw_os_error};

use super::model::{Deadline, Model, Request, Reset, State, index};
use super::socket::Call;
use crate::stage::host::Host;
use crate::stage::job::Done;

pub(super) type Verdict = Result<&'static str, String>;

impl Model {
    /// Whether this may have come of it; then it is so.
    pub(crate) fn judge(&mut self, end: usize, request: &Request, done: &Done) -> Verdict {
        match (&done.result, request.call.direction()) {
            (Err(error), _) if is_deadline_exceeded(error) => self.late(end, request, done),
            (Err(error), _) if is_closed(error) => {
                self.ended(end, request, done, State::Closed, "Closed")
            }
            (Err(error), _) if is_gone(error) => {
                self.ended(end, request, done, State::Gone, "ReactorGone")
            }
            (Err(error), direction) => match (raw_os_error(error), direction) {
                (Some(libc::ECONNRESET | libc::EPIPE), Direction::Read) => self.read_reset(end),
                (Some(libc::ECONNRESET | libc::EPIPE), Direction::Write) => {
                    self.write_reset(end, request, done)
                }
                _ => Err("no such error was to be expected".into()),
            },
            (Ok(_), _) if !self.may_succeed(end, request) => Err("it was to fail".into()),
            (Ok(_), _) if request.call.only_waits() => Ok("ready"),
            (Ok(0), Direction::Read) => self.read_end(end),
            (Ok(_), Direction::Read) => self.read_data(end, request, done),
            (Ok(len), Direction::Write) => self.wrote(end, request, *len),
        }
    }

    fn may_succeed(&self, end: usize, request: &Request) -> bool {
        let side = &self.sides[end];
        let deadline = side.deadlines[index(request.call.direction())];
        request.freed || side.state == State::Open && deadline != Deadline::Passed
    }

    fn late(&mut self, end: usize, request: &Request, done: &Done) -> Verdict {
        let direction = index(request.call.direction());
        let side = &mut self.sides[end];
        let now = if side.home.has_clock() { done.at } else { side.home.now() };
        // An operation that the walk polls goes by the present state, and first by whether it is closed.
        let may_be_before = side.state == State::Open || request.host != Host::Walk;
        let noticed = match side.deadlines[direction] {
            Deadline::Passed => side.state == State::Open,
            Deadline::Soon(at) => at <= now && may_be_before,
            Deadline::None | Deadline::Far => false,
        };
        if !noticed && !request.late {
            return Err(format!("no deadline has passed, it is {now:?}"));
        }
        // Of one that is closed, the next may have seen it just as well.
        if noticed && !request.late && side.state == State::Open {
            side.deadlines[direction] = Deadline::Passed;
        }
        self.failed(end, request, done).map(|()| "DeadlineExceeded")
    }

    fn ended(
        &mut self,
        end: usize,
        request: &Request,
        done: &Done,
        state: State,
        name: &'static str,
    ) -> Verdict {
        if self.sides[end].state != state {
            return Err(format!("it is not {state:?}"));
        }
        self.failed(end, request, done).map(|()| name)
    }

    /// A write that failed may have written something before.
    fn failed(&mut self, end: usize, request: &Request, done: &Done) -> Result<(), String> {
        match &done.result {
            Err(error) if request.call.direction() == Direction::Write => {
                self.links[end].wrote(request.base, bytes_written(error))
            }
            _ => Ok(()),
        }
    }

    fn read_reset(&mut self, end: usize) -> Verdict {
        let deaf = self.is_deaf();
        let side = &mut self.sides[end];
        let is_due = deaf || matches!(side.reset, Reset::Due | Reset::Perhaps);
        let may_be_empty = deaf || self.links[1 - end].may_be_empty();
        if !is_due || side.state != State::Open || !may_be_empty {
            return Err("the peer has not reset it".into());
        }
        side.reset = Reset::Reported;
        Ok("reset")
    }

    fn read_end(&mut self, end: usize) -> Verdict {
        let deaf = self.is_deaf();
        let (tcp, side, link) = (self.tcp, &self.sides[end], &mut self.links[1 - end]);
        let is_due = !tcp && side.reset == Reset::Due;
        let at_end = link.finished && (deaf || link.may_be_empty()) && !is_due;
        let is_dead = side.reset == Reset::Reported && link.may_be_empty();
        if !at_end && !side.shut[0] && !is_dead {
            return Err("this is not the end".into());
        }
        // An end that has shut down reading finds an end before each byte that is still on its way.
        if at_end && !side.shut[0] {
            (link.least, link.most) = (link.read, link.read);
        }
        Ok("end")
    }

    fn read_data(&mut self, end: usize, request: &Request, done: &Done) -> Verdict {
        let link = &mut self.links[1 - end];
        link.is_data(request, &done.bytes)?;
        if request.call != Call::Peek {
            link.read += done.bytes.len() as u64;
            link.least = link.least.max(link.read);
        }
        Ok("data")
    }

    fn wrote(&mut self, end: usize, request: &Request, len: usize) -> Verdict {
        let all = request.call != Call::WriteAll || len == request.len;
        let shut = self.sides[end].shut[1] && !request.freed;
        if len == 0 || len > request.len || !all || shut {
            return Err("it cannot have written that".into());
        }
        self.links[end].wrote(request.base, len)?;
        if self.is_deaf() {
            self.resets_both();
            return Ok("to a closed reader");
        }
        if self.sides[1 - end].has_descriptor() {
            return Ok(if len < request.len { "part" } else { "all" });
        }
        if !self.tcp && !request.freed {
            return Err("the peer is gone".into());
        }
        self.is_answered(end);
        Ok("to no reader")
    }

    /// A peer that is gone, and gets bytes, answers with a reset.
    pub(super) fn is_answered(&mut self, end: usize) {
        self.links[1 - end].cut = true;
        let reset = &mut self.sides[end].reset;
        *reset = if *reset == Reset::No { Reset::Perhaps } else { *reset };
    }

    /// A peer that has shut down both directions, and then gets bytes, answers with a reset.
    fn resets_both(&mut self) {
        for (side, link) in self.sides.iter_mut().zip(&mut self.links) {
            link.cut = true;
            side.reset = if side.reset == Reset::No { Reset::Perhaps } else { side.reset };
        }
    }

    fn write_reset(&mut self, end: usize, request: &Request, done: &Done) -> Verdict {
        let answered = self.tcp && !self.sides[1 - end].has_descriptor() || self.is_deaf();
        let peer_is_gone = !self.sides[1 - end].has_descriptor();
        let side = &mut self.sides[end];
        let broken = side.shut[1] || peer_is_gone || answered || side.reset != Reset::No;
        if !broken || side.state != State::Open && !request.freed {
            return Err("nothing has broken it".into());
        }
        // Of a Unix socket only reading takes the error.
        if self.tcp && side.reset != Reset::No {
            side.reset = Reset::Reported;
        }
        let wrote = self.failed(end, request, done);
        if answered {
            // Of a part that was written before, it may be.
            self.resets_both();
        }
        wrote.map(|()| "broken")
    }
}

fn is_gone(error: &std::io::Error) -> bool {
    error.get_ref().is_some_and(<dyn Error + Send + Sync>::is::<ReactorGone>)
        || error.get_ref().and_then(|payload| payload.source()).is_some_and(|source| {
            source.is::<ReactorGone>()
                || source.downcast_ref::<std::io::Error>().is_some_and(is_gone)
        })
}
