//! The steps of a connection.

use std::future::poll_fn;
use std::io;
use std::net::Shutdown;
use std::task::Poll;
use std::time::{Duration, Instant};

use netpoll::Direction;

use super::model::{Deadline, Request, State, index};
use super::pair::Pair;
use super::socket::{Call, Face};
use crate::pattern;
use crate::stage::Stage;
use crate::stage::host::Host;
use crate::stage::job::Done;

/// So much is written at once, most often.
const SMALL: usize = 512;

/// More than there is room for.
const LARGE: usize = 192 * 1024;

/// Farther than the walk goes.
const FAR: Duration = Duration::from_secs(3600);

impl Pair {
    /// A step of this connection.
    pub(crate) fn step(&mut self, stage: &mut Stage) {
        let end = stage.roll(2);
        if self.sockets[end].is_none() {
            return self.step_of_the_last(stage, 1 - end);
        }
        match self.model.sides[end].state {
            State::Open => self.step_of_an_open_end(stage, end),
            _ => self.step_of_an_ended_end(stage, end),
        }
        self.settle(stage);
    }

    fn step_of_an_open_end(&mut self, stage: &mut Stage, end: usize) {
        match stage.roll(1000) {
            0..230 => self.read(stage, end),
            230..440 => self.write(stage, end),
            440..640 => self.set_deadline(stage, end),
            640..700 => self.try_read(stage, end),
            700..750 => self.try_write(stage, end),
            750..850 => {
                let direction = stage.roll(2);
                self.poke(stage, end, direction);
            }
            850..880 => self.await_one(stage, end),
            880..920 => self.drain(stage, end),
            920..945 => self.settle_all(stage),
            945..958 => self.cancel(stage, end),
            958..966 => self.half_close(stage, end),
            966..974 => self.close(stage, end),
            974..981 => self.abort(stage, end),
            981..986 => self.drop_end(stage, end),
            986..993 => self.replace_by_duplicate(stage, end),
            _ => self.move_elsewhere(stage, end),
        }
    }

    /// Closed, or without a reactor: everything fails, until it is dropped.
    fn step_of_an_ended_end(&mut self, stage: &mut Stage, end: usize) {
        match stage.roll(10) {
            0..2 => self.read(stage, end),
            2..4 => self.write(stage, end),
            4..5 => self.set_deadline(stage, end),
            5..6 => self.try_read(stage, end),
            6..7 => self.close_again(stage, end),
            _ => self.drop_end(stage, end),
        }
    }

    /// Of the end whose peer is gone: not for long.
    fn step_of_the_last(&mut self, stage: &mut Stage, end: usize) {
        if self.sockets[end].is_none() {
            return;
        }
        match stage.roll(8) {
            0..2 => self.drop_end(stage, end),
            2..5 if self.model.sides[end].state == State::Open => self.drain(stage, end),
            _ if self.model.sides[end].state == State::Open => self.step_of_an_open_end(stage, end),
            _ => self.step_of_an_ended_end(stage, end),
        }
        self.settle(stage);
    }

    fn read(&mut self, stage: &mut Stage, end: usize) {
        let call = stage.pick(&[Call::Read, Call::Read, Call::Read]);
        let call = if stage.chance(70) { call } else { stage.pick(&Call::READING) };
        let len = stage.pick(&[1, SMALL, 4 * SMALL, LARGE]);
        let by = (stage.any_host(), stage.pick(&Face::ALL));
        self.begin(stage, end, call, len, by);
    }

    fn write(&mut self, stage: &mut Stage, end: usize) {
        let call = if stage.chance(60) { Call::Write } else { stage.pick(&Call::WRITING) };
        let large = call == Call::WriteAll && stage.chance(30) || stage.chance(4);
        let len = if large { LARGE } else { 1 + stage.roll(2 * SMALL) };
        let by = (stage.any_host(), stage.pick(&Face::ALL));
        self.begin(stage, end, call, len, by);
    }

    fn try_read(&mut self, stage: &mut Stage, end: usize) {
        if self.pending[end][0].is_some() {
            return;
        }
        let mut buffer = vec![0; 4 * SMALL];
        let result = self.socket(end).try_read(&mut buffer);
        buffer.truncate(*result.as_ref().unwrap_or(&0));
        self.tried(stage, end, Call::Read, 4 * SMALL, &Done::new(result, buffer));
    }

    fn try_write(&mut self, stage: &mut Stage, end: usize) {
        if self.pending[end][1].is_some() {
            return;
        }
        let len = 1 + stage.roll(SMALL);
        let link = &mut self.model.links[end];
        let bytes = pattern::bytes(link.salt, link.most, len);
        link.most += len as u64;
        let result = self.socket(end).try_write(bytes);
        self.tried(stage, end, Call::Write, len, &Done::new(result, Vec::new()));
    }

    /// A try: readiness may not be known yet.
    fn tried(&mut self, stage: &mut Stage, end: usize, call: Call, len: usize, done: &Done) {
        let link = &mut self.model.links[end];
        let writes = call.direction() == Direction::Write;
        let base = link.most - if writes { len as u64 } else { 0 };
        let request = Request { call, len, host: Host::Walk, base, late: false, freed: false };
        let side = &self.model.sides[end];
        let passed = side.deadlines[index(call.direction())] == Deadline::Passed;
        match &done.result {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                assert!(side.state == State::Open && !passed, "end {end}: {:#?}", self.model);
                link.most = if writes { base } else { link.most };
                stage.does("try", "WouldBlock", 0);
            }
            _ => self.judge(stage, end, &request, done, "tried"),
        }
    }

    fn set_deadline(&mut self, stage: &mut Stage, end: usize) {
        let which = stage.pick(&[None, Some(Direction::Read), Some(Direction::Write)]);
        let now = self.model.sides[end].home.now();
        let soon = now + Duration::from_micros(20 + stage.roll(400) as u64);
        let (name, at, deadline) = match stage.roll(100) {
            0..35 => ("none", None, Deadline::None),
            35..70 => ("far", Some(now + FAR), Deadline::Far),
            70..82 => ("past", now.checked_sub(FAR).or(Some(now)), Deadline::Passed),
            82..85 => ("now", Some(now), Deadline::Soon(now)),
            _ => ("soon", Some(soon), Deadline::Soon(soon)),
        };
        let set = self.socket(end).set_deadline(which, at);
        stage.does("set deadline", name, 0);
        let open = self.model.sides[end].state == State::Open;
        assert_eq!(set.is_ok(), open, "end {end}: set_deadline: {set:?}: {:#?}", self.model);
        if open {
            let chosen = which.map_or(vec![0, 1], |direction| vec![index(direction)]);
            chosen.into_iter().for_each(|one| self.deadline_is(stage, end, one, deadline));
        }
    }

    fn deadline_is(&mut self, stage: &mut Stage, end: usize, direction: usize, next: Deadline) {
        let side = &mut self.model.sides[end];
        let before = std::mem::replace(&mut side.deadlines[direction], next);
        let may_have_passed = matches!(before, Deadline::Soon(at) if at <= side.home.now());
        // A poller on another thread may have seen it.
        if let Some(waiting) = &mut self.pending[end][direction] {
            waiting.request.late |= may_have_passed && waiting.request.host != Host::Walk;
            if next == Deadline::Passed {
                stage.tally.count("deadline passed while pending", waiting.request.call.name());
            }
        }
    }

    /// Waits for the operations that come to an end, also because their time comes.
    fn await_one(&mut self, stage: &mut Stage, end: usize) {
        for direction in 0..2 {
            let Some(pending) = &self.pending[end][direction] else { continue };
            let deadline = self.model.sides[end].deadlines[direction];
            if let (Deadline::Soon(at), false) = (deadline, self.model.sides[end].home.has_clock())
            {
                self.advance(stage, end, at);
            } else if self.model.will_end(end, &pending.request) {
                self.wait_for(stage, end, direction);
            }
        }
    }

    /// Moves the clock of an end's reactor to a time, or not quite.
    fn advance(&mut self, stage: &mut Stage, end: usize, to: Instant) {
        let home = &self.model.sides[end].home;
        let past = stage.pick(&[-1_i64, 66]);
        let by = to.saturating_duration_since(home.now()).as_nanos() as i64 + past * 1000;
        if by > 0 {
            home.reactor.advance(Duration::from_nanos(by.unsigned_abs()));
            stage.does("clock", if past > 0 { "moved past" } else { "moved close to" }, 0);
        }
    }

    /// Reads everything that there is at an end, and with that lets the peer's write come to its end.
    pub(super) fn drain(&mut self, stage: &mut Stage, end: usize) {
        if self.pending[end][0].is_some() {
            return self.cancel(stage, end);
        }
        let set = self.socket(end).set_deadline(Some(Direction::Read), None);
        set.expect("it is open");
        self.model.sides[end].deadlines[0] = Deadline::None;
        stage.does("drain", "begun", 0);
        while self.has_unread(end) {
            let len = stage.pick(&[4 * SMALL, LARGE]);
            let by = (Host::Walk, stage.pick(&Face::ALL));
            if self.pending[end][0].is_none() {
                self.begin(stage, end, Call::Read, len, by);
            }
            self.wait_for_either(stage, end);
        }
        if self.pending[end][0].is_some() {
            self.cancel(stage, end);
        }
    }

    /// Whether there is something to read, or something that is being written.
    fn has_unread(&self, end: usize) -> bool {
        let link = &self.model.links[1 - end];
        let writes = self.pending[1 - end][1].as_ref().is_some_and(|first| {
            !first.request.call.only_waits() && self.sockets[1 - end].is_some()
        });
        let open = self.model.sides[end].state == State::Open && !link.cut;
        // After the end of its own making it reads nothing, whatever is on its way.
        let listens = !self.model.sides[end].shut[0];
        open && listens && (link.least > link.read || writes && !link.finished)
    }

    /// The read at an end, or the peer's write, whichever is over first.
    fn wait_for_either(&mut self, stage: &mut Stage, end: usize) {
        let [near, far] = &mut self.pending;
        let (near, far) = if end == 0 { (near, far) } else { (far, near) };
        let Some(read) = near[0].as_mut() else { return };
        let mut write = far[1].as_mut();
        let reader_first = stage.wait(poll_fn(|cx| {
            if read.job.poll_done(cx).is_ready() {
                return Poll::Ready(true);
            }
            let written = write.as_mut().map(|write| write.job.poll_done(cx));
            if written.is_some_and(|written| written.is_ready()) {
                Poll::Ready(false)
            } else {
                Poll::Pending
            }
        }));
        match reader_first {
            true => self.finish(stage, end, 0, "drained"),
            false => self.finish(stage, 1 - end, 1, "drained"),
        }
    }

    fn half_close(&mut self, stage: &mut Stage, end: usize) {
        let reading = self.socket(end).is_tcp() && stage.chance(20);
        let pending = self.pending[end][usize::from(!reading)].as_ref();
        if let Some(pending) = pending {
            stage.tally.count("shut down while pending", pending.request.call.name());
        }
        self.shut(stage, end, if reading { Shutdown::Read } else { Shutdown::Write });
        self.settle_end(stage, end);
    }
}
