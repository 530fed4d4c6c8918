//! A connection with both of its ends, and the operations that are under way on it.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::net::Shutdown;

use netpoll::Direction;

use super::model::{Asked, Deadline, Model, Reset, State, index};
use super::socket::{Call, Face, Socket};
use crate::pattern;
use crate::stage::Stage;
use crate::stage::host::Host;
use crate::stage::job::{Done, Job};

/// So many wait in line at most.
const LINE: usize = 3;

pub(crate) struct Pair {
    pub(super) sockets: [Option<Socket>; 2],
    pub(super) model: Model,
    /// Of each end, reads and writes.
    pub(super) pending: [[VecDeque<Pending>; 2]; 2],
}

/// An operation that waits.
pub(super) struct Pending {
    pub(super) job: Job,
    pub(super) asked: Asked,
    /// Whether it keeps its place in line, so that another may come behind it.
    orderly: bool,
}

impl Pair {
    pub(super) fn new(sockets: [Socket; 2], model: Model) -> Self {
        Self { sockets: sockets.map(Some), model, pending: Default::default() }
    }

    pub(super) fn socket(&self, end: usize) -> &Socket {
        self.sockets[end].as_ref().expect("an end that was dropped is not asked for")
    }

    pub(super) fn is_idle(&self, end: usize) -> bool {
        self.pending[end].iter().all(VecDeque::is_empty)
    }

    /// Whether both ends are gone.
    pub(crate) fn is_over(&self) -> bool {
        self.sockets.iter().all(Option::is_none)
    }

    /// Whether another operation of this direction can begin, and its outcome be foretold.
    fn takes(&self, end: usize, call: Call, face: Face) -> bool {
        let line = &self.pending[end][index(call.direction())];
        let orderly = call == Call::Read && is_orderly(call, face);
        let Some(first) = line.front() else { return true };
        let may_wait = !self.model.will_end(end, &first.asked);
        orderly && line.len() < LINE && first.orderly && may_wait
    }

    /// Begins an operation. What need not wait is over directly.
    pub(super) fn begin(
        &mut self,
        stage: &mut Stage,
        end: usize,
        call: Call,
        len: usize,
        (host, face): (Host, Face),
    ) {
        if !self.takes(end, call, face) {
            return;
        }
        let direction = index(call.direction());
        let base = self.models_base(end);
        let freed = host != Host::Walk && direction == 1 && self.model.lets_write(end);
        let asked = Asked { call, len, host, base, late: false, freed };
        stage.does(call.name(), "begun", len as u64);
        stage.tally.count("face", face.name());
        stage.tally.count("host", host.name());
        let operation = if direction == 0 {
            self.socket(end).reading(call, face, len)
        } else {
            let bytes = pattern::bytes(self.model.links[end].salt, base, len);
            if !call.only_waits() {
                self.model.write_begins(end, len);
            }
            self.socket(end).writing(call, face, bytes)
        };
        let mut job = Job::start(&stage.hosts, host, operation);
        if host != Host::Walk {
            stage.wait(job.begun());
        }
        let is_done = job.is_done();
        let orderly = is_orderly(call, face);
        self.pending[end][direction].push_back(Pending { job, asked, orderly });
        while is_done && self.pending[end][direction].len() > 1 {
            // It had its turn, so those before it are over as well.
            self.wait_for_first(stage, end, direction);
        }
        if is_done {
            self.finish(stage, end, direction, "at once");
        }
        self.may_have_met();
    }

    /// While a write is under way, a read that another polls may have found some of it.
    fn may_have_met(&mut self) {
        for end in 0..2 {
            let link = &self.model.links[1 - end];
            let under_way = link.most > link.least;
            for waiting in &mut self.pending[end][0] {
                waiting.asked.freed |= under_way && waiting.asked.host != Host::Walk;
            }
        }
    }

    fn models_base(&self, end: usize) -> u64 {
        self.model.links[end].most
    }

    /// The first of a line is over: judges what came of it.
    pub(super) fn finish(
        &mut self,
        stage: &mut Stage,
        end: usize,
        direction: usize,
        when: &'static str,
    ) {
        let mut first = self.pending[end][direction].pop_front().expect("somebody is in line");
        let done = first.job.take().expect("it is over");
        self.judge(stage, end, &first.asked, &done, when);
    }

    pub(super) fn judge(
        &mut self,
        stage: &mut Stage,
        end: usize,
        asked: &Asked,
        done: &Done,
        when: &'static str,
    ) {
        let amount = *done.result.as_ref().unwrap_or(&0) as u64;
        let before = self.model.clone();
        match self.model.judge(end, asked, done) {
            Ok(verdict) => {
                stage.does(asked.call.name(), verdict, amount);
                stage.tally.count(when, verdict);
                let partly = asked.call == Call::WriteAll && done.result.is_err();
                if partly && self.model.links[end].least > asked.base {
                    stage.tally.count("partly written, then", verdict);
                }
            }
            Err(why) => panic!(
                "end {end}: {asked:?}: {:?}: {why}\nbefore: {before:#?}\nnow: {:#?}",
                done.result, self.model
            ),
        }
    }

    /// Waits for the first of a line.
    pub(super) fn wait_for_first(&mut self, stage: &mut Stage, end: usize, direction: usize) {
        let first = &mut self.pending[end][direction][0];
        stage.notes("waits for", first.asked.call.name(), end as u64);
        let known = (end, first.asked, self.model.clone());
        stage.wait_knowing(known, poll_fn(|cx| first.job.poll_done(cx)));
        self.finish(stage, end, direction, "pending");
    }

    /// Waits for everything that must come to an end by itself: where others poll, so that what they
    /// see is what there is.
    pub(crate) fn settle(&mut self, stage: &mut Stage) {
        while let Some((end, direction)) = self.first_due(false) {
            self.wait_for_first(stage, end, direction);
        }
    }

    /// The same, also for what the walk polls at an end.
    pub(super) fn settle_end(&mut self, stage: &mut Stage, end: usize) {
        for direction in 0..2 {
            while let Some(first) = self.pending[end][direction].front()
                && self.model.must_end(end, &first.asked)
            {
                self.wait_for_first(stage, end, direction);
            }
        }
    }

    /// The same at both.
    pub(super) fn settle_all(&mut self, stage: &mut Stage) {
        while let Some((end, direction)) = self.first_due(true) {
            self.wait_for_first(stage, end, direction);
        }
    }

    fn first_due(&self, also_ours: bool) -> Option<(usize, usize)> {
        [(0, 0), (0, 1), (1, 0), (1, 1)].into_iter().find(|(end, direction)| {
            let line = &self.pending[*end][*direction];
            line.front().is_some_and(|first| {
                let by_others = first.asked.host != Host::Walk || line.len() > 1;
                (also_ours || by_others) && self.model.must_end(*end, &first.asked)
            })
        })
    }

    /// Polls what the walk polls: what is over may be so, and what must be so is, if it was told.
    pub(super) fn poke(&mut self, stage: &mut Stage, end: usize, direction: usize) {
        let line = &mut self.pending[end][direction];
        let Some(first) = line.front_mut().filter(|first| first.asked.host == Host::Walk) else {
            return;
        };
        let is_done = first.job.poke();
        stage.does("poked", if is_done { "over" } else { "pending" }, 0);
        if is_done {
            self.finish(stage, end, direction, "poked");
        }
    }

    /// Gives up all that is under way at an end.
    pub(super) fn cancel(&mut self, stage: &mut Stage, end: usize) {
        for direction in 0..2 {
            let mut line = std::mem::take(&mut self.pending[end][direction]);
            // The last to come first: the turn is to pass to nobody.
            for waiting in line.iter_mut().rev() {
                stage.wait(waiting.job.cancel());
            }
            for mut waiting in line {
                match waiting.job.take() {
                    Some(done) => self.judge(stage, end, &waiting.asked, &done, "given up"),
                    None => self.given_up(stage, end, &waiting.asked),
                }
            }
        }
    }

    fn given_up(&mut self, stage: &mut Stage, end: usize, asked: &Asked) {
        stage.does(asked.call.name(), "given up", asked.len as u64);
        if asked.call.direction() == Direction::Read {
            return;
        }
        if asked.call != Call::WriteAll {
            self.model.links[end].most = asked.base;
            return;
        }
        // Nothing can follow of which the place were known.
        self.model.links[end].vague = true;
        if self.model.sides[end].state == State::Open {
            self.shut(stage, end, Shutdown::Write);
        }
    }

    /// Shuts down an end, which may be too late.
    pub(super) fn shut(&mut self, stage: &mut Stage, end: usize, how: Shutdown) {
        let peer_is_gone = !self.model.sides[1 - end].has_descriptor();
        let both_are_shut = self.model.links.iter().all(|link| link.finished);
        let reset = self.model.sides[end].reset != Reset::No;
        let broken = peer_is_gone || both_are_shut || reset || self.model.is_deaf();
        let shut = self.socket(end).shutdown(how);
        let about = match (&shut, broken) {
            (Ok(()), _) => "done",
            (Err(error), true) if error.kind() == std::io::ErrorKind::NotConnected => "too late",
            (Err(error), _) => panic!("end {end}: shutdown: {error}: {:#?}", self.model),
        };
        stage.does(if how == Shutdown::Write { "shut writing" } else { "shut reading" }, about, 0);
        if shut.is_ok() || broken {
            let side = &mut self.model.sides[end];
            side.shut[usize::from(how == Shutdown::Write)] = true;
            self.model.links[end].finished |= how == Shutdown::Write;
        }
    }

    /// Forgets what an end was told of deadlines, as another registration has none.
    pub(super) fn forget_deadlines(&mut self, end: usize) {
        self.model.sides[end].deadlines = [Deadline::None; 2];
    }
}

/// Whether it keeps its place in line.
fn is_orderly(call: Call, face: Face) -> bool {
    matches!(call, Call::Read) && matches!(face, Face::Futures | Face::Tokio)
}
