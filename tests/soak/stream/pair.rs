//! A connection with both of its ends, and the operations that are under way on it.

use std::future::poll_fn;
use std::net::Shutdown;

use netpoll::Direction;

use super::model::{Deadline, Model, Request, Reset, State, index};
use super::socket::{Call, Face, Socket};
use crate::pattern;
use crate::stage::Stage;
use crate::stage::host::Host;
use crate::stage::job::{Done, Job};

pub(crate) struct Pair {
    pub(super) sockets: [Option<Socket>; 2],
    pub(super) model: Model,
    /// Of each end, a read and a write at most: of several, none is promised to be first, so the model could
    /// not foretell their outcomes.
    pub(super) pending: [[Option<Pending>; 2]; 2],
}

/// An operation that waits.
pub(super) struct Pending {
    pub(super) job: Job,
    pub(super) request: Request,
}

impl Pair {
    pub(super) fn new(sockets: [Socket; 2], model: Model) -> Self {
        Self { sockets: sockets.map(Some), model, pending: Default::default() }
    }

    pub(super) fn socket(&self, end: usize) -> &Socket {
        self.sockets[end].as_ref().expect("an end that was dropped is not asked for")
    }

    pub(super) fn is_idle(&self, end: usize) -> bool {
        self.pending[end].iter().all(Option::is_none)
    }

    /// Whether both ends are gone.
    pub(crate) fn is_over(&self) -> bool {
        self.sockets.iter().all(Option::is_none)
    }

    /// Begins an operation. One that need not wait is over directly.
    pub(super) fn begin(
        &mut self,
        stage: &mut Stage,
        end: usize,
        call: Call,
        len: usize,
        (host, face): (Host, Face),
    ) {
        let direction = index(call.direction());
        if self.pending[end][direction].is_some() {
            return;
        }
        let base = self.models_base(end);
        let freed = host != Host::Walk && direction == 1 && self.model.lets_write(end);
        let request = Request { call, len, host, base, late: false, freed };
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
        self.pending[end][direction] = Some(Pending { job, request });
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
            if let Some(waiting) = &mut self.pending[end][0] {
                waiting.request.freed |= under_way && waiting.request.host != Host::Walk;
            }
        }
    }

    fn models_base(&self, end: usize) -> u64 {
        self.model.links[end].most
    }

    /// An operation is over: judges its outcome.
    pub(super) fn finish(
        &mut self,
        stage: &mut Stage,
        end: usize,
        direction: usize,
        when: &'static str,
    ) {
        let mut over = self.pending[end][direction].take().expect("an operation is pending");
        let done = over.job.take().expect("it is over");
        self.judge(stage, end, &over.request, &done, when);
    }

    pub(super) fn judge(
        &mut self,
        stage: &mut Stage,
        end: usize,
        request: &Request,
        done: &Done,
        when: &'static str,
    ) {
        let amount = *done.result.as_ref().unwrap_or(&0) as u64;
        let before = self.model.clone();
        match self.model.judge(end, request, done) {
            Ok(verdict) => {
                stage.does(request.call.name(), verdict, amount);
                stage.tally.count(when, verdict);
                let partly = request.call == Call::WriteAll && done.result.is_err();
                if partly && self.model.links[end].least > request.base {
                    stage.tally.count("partly written, then", verdict);
                }
            }
            Err(why) => panic!(
                "end {end}: {request:?}: {:?}: {why}\nbefore: {before:#?}\nnow: {:#?}",
                done.result, self.model
            ),
        }
    }

    /// Waits for an operation that is pending.
    pub(super) fn wait_for(&mut self, stage: &mut Stage, end: usize, direction: usize) {
        let pending = self.pending[end][direction].as_mut().expect("an operation is pending");
        stage.notes("waits for", pending.request.call.name(), end as u64);
        let known = (end, pending.request, self.model.clone());
        stage.wait_knowing(known, poll_fn(|cx| pending.job.poll_done(cx)));
        self.finish(stage, end, direction, "pending");
    }

    /// Waits for everything that must come to an end by itself: where others poll, so that they
    /// see the present state.
    pub(crate) fn settle(&mut self, stage: &mut Stage) {
        while let Some((end, direction)) = self.first_due(false) {
            self.wait_for(stage, end, direction);
        }
    }

    /// The same, also for operations that the walk polls at an end.
    pub(super) fn settle_end(&mut self, stage: &mut Stage, end: usize) {
        for direction in 0..2 {
            if let Some(pending) = &self.pending[end][direction]
                && self.model.must_end(end, &pending.request)
            {
                self.wait_for(stage, end, direction);
            }
        }
    }

    /// The same at both.
    pub(super) fn settle_all(&mut self, stage: &mut Stage) {
        while let Some((end, direction)) = self.first_due(true) {
            self.wait_for(stage, end, direction);
        }
    }

    fn first_due(&self, also_ours: bool) -> Option<(usize, usize)> {
        [(0, 0), (0, 1), (1, 0), (1, 1)].into_iter().find(|(end, direction)| {
            self.pending[*end][*direction].as_ref().is_some_and(|pending| {
                let by_others = pending.request.host != Host::Walk;
                (also_ours || by_others) && self.model.must_end(*end, &pending.request)
            })
        })
    }

    /// Polls the walk's operations: each that is over may be over, and each that must be over is, if it was woken.
    pub(super) fn poke(&mut self, stage: &mut Stage, end: usize, direction: usize) {
        let pending = self.pending[end][direction].as_mut();
        let Some(ours) = pending.filter(|pending| pending.request.host == Host::Walk) else {
            return;
        };
        let is_done = ours.job.poke();
        stage.does("poked", if is_done { "over" } else { "pending" }, 0);
        if is_done {
            self.finish(stage, end, direction, "poked");
        }
    }

    /// Gives up all that is under way at an end.
    pub(super) fn cancel(&mut self, stage: &mut Stage, end: usize) {
        for direction in 0..2 {
            let Some(mut pending) = self.pending[end][direction].take() else { continue };
            stage.wait(pending.job.cancel());
            match pending.job.take() {
                Some(done) => self.judge(stage, end, &pending.request, &done, "given up"),
                None => self.given_up(stage, end, &pending.request),
            }
        }
    }

    fn given_up(&mut self, stage: &mut Stage, end: usize, request: &Request) {
        stage.does(request.call.name(), "given up", request.len as u64);
        if request.call.direction() == Direction::Read {
            return;
        }
        if request.call != Call::WriteAll {
            self.model.links[end].most = request.base;
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

    /// Forgets the deadlines of an end, as another registration has none.
    pub(super) fn forget_deadlines(&mut self, end: usize) {
        self.model.sides[end].deadlines = [Deadline::None; 2];
    }
}
