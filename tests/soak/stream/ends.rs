//! How an end comes to its end, or goes on elsewhere.

use std::os::fd::{AsFd, AsRawFd};

use netpoll_futures::is_closed;

use super::model::State;
use super::pair::Pair;
use crate::stage::Stage;
use crate::stage::home::{Home, Kind};
use crate::stage::host::Host;

impl Pair {
    pub(super) fn close(&mut self, stage: &mut Stage, end: usize) {
        self.count_pending(stage, end, "closed while pending");
        self.close_as(stage, end, false);
    }

    /// Resets the connection.
    pub(super) fn abort(&mut self, stage: &mut Stage, end: usize) {
        if !self.model.tcp {
            return;
        }
        self.count_pending(stage, 1 - end, "reset while pending");
        self.socket(end).set_abortive().expect("it is open");
        if stage.chance(50) {
            return self.close_as(stage, end, true);
        }
        self.leaves(stage, end, true);
    }

    fn close_as(&mut self, stage: &mut Stage, end: usize, abortive: bool) {
        stage.does("close", if abortive { "abortive" } else { "as usual" }, 0);
        let socket = self.socket(end).clone();
        stage.wait(socket.close()).expect("it is open");
        self.departs(end, abortive);
        self.model.sides[end].state = State::Closed;
        self.settle_end(stage, end);
    }

    fn departs(&mut self, end: usize, abortive: bool) {
        self.model.departs(end, abortive);
        let both = self.pending[1 - end].iter().all(Option::is_some);
        let mut waiting = self.pending[1 - end].iter().flatten();
        // Of a read and a write of which others poll one, either may be told of the reset.
        if self.model.tcp && both && waiting.any(|waiting| waiting.request.host != Host::Walk) {
            self.model.tells_either(end);
        }
    }

    fn count_pending(&self, stage: &mut Stage, end: usize, what: &'static str) {
        for waiting in self.pending[end].iter().flatten() {
            stage.tally.count(what, waiting.request.call.name());
        }
    }

    /// Of an end that is closed, or has no reactor any more.
    pub(super) fn close_again(&mut self, stage: &mut Stage, end: usize) {
        let socket = self.socket(end).clone();
        let closed = stage.wait(socket.close());
        drop(socket);
        if self.model.sides[end].state == State::Closed {
            let error = closed.expect_err("it was closed before");
            assert!(is_closed(&error), "end {end}: {error}");
            return stage.does("close", "a second time", 0);
        }
        closed.expect("the descriptor is open still");
        stage.does("close", "without a reactor", 0);
        self.leaves(stage, end, false);
    }

    /// Drops all that there is of an end.
    pub(super) fn drop_end(&mut self, stage: &mut Stage, end: usize) {
        stage.does("drop", self.model.sides[end].state.name(), 0);
        self.leaves(stage, end, false);
    }

    fn leaves(&mut self, stage: &mut Stage, end: usize, abortive: bool) {
        self.cancel(stage, end);
        // An operation that was given up may have ended the writing: if it sees that, it is to see it now.
        self.settle(stage);
        self.sockets[end] = None;
        if self.model.sides[end].has_descriptor() {
            self.departs(end, abortive);
        }
        self.model.sides[end].state = State::Dropped;
    }

    /// Goes on with another descriptor of the same socket; the connection is not to notice.
    pub(super) fn replace_by_duplicate(&mut self, stage: &mut Stage, end: usize) {
        let duplicate = self.socket(end).duplicate().expect("a duplicate");
        self.count_pending(stage, end, "replaced while pending");
        stage.does("duplicate", "replaces the original", 0);
        let original = self.socket(end).clone();
        stage.wait(original.close()).expect("it is open");
        drop(original);
        self.model.sides[end].state = State::Closed;
        self.settle_end(stage, end);
        self.sockets[end] = Some(duplicate);
        self.model.sides[end].state = State::Open;
        self.model.sides[end].home = stage.homes[0].clone();
        self.forget_deadlines(end);
    }

    /// Goes on with the same descriptor, in the care of another reactor.
    pub(super) fn move_elsewhere(&mut self, stage: &mut Stage, end: usize) {
        if !self.is_idle(end) {
            return;
        }
        let home = stage.any_home();
        stage.does("moves to a reactor", home.kind.name(), 0);
        let socket = self.sockets[end].take().expect("it is there");
        let number = socket.as_fd().as_raw_fd();
        let moved =
            socket.moved_to(&home.reactor).expect("a descriptor that is registered no more");
        assert_eq!(moved.as_fd().as_raw_fd(), number, "the last clone gives its own descriptor");
        self.sockets[end] = Some(moved);
        self.model.sides[end].home = home;
        self.forget_deadlines(end);
    }

    /// A reactor was shut down: all operations on it fail.
    pub(crate) fn loses(&mut self, stage: &mut Stage, home: &Home) {
        for end in 0..2 {
            let side = &mut self.model.sides[end];
            if side.home.number != home.number || self.sockets[end].is_none() {
                continue;
            }
            if side.state == State::Closed {
                self.drop_end(stage, end);
                continue;
            }
            side.state = State::Gone;
            self.count_pending(stage, end, "reactor gone while pending");
            self.settle_end(stage, end);
        }
        self.settle(stage);
    }

    /// The end of it, whatever it is about.
    pub(crate) fn clear(&mut self, stage: &mut Stage) {
        for end in 0..2 {
            if self.sockets[end].is_some() {
                self.drop_end(stage, end);
                self.settle(stage);
            }
        }
    }

    pub(super) fn spread(&mut self, stage: &mut Stage) {
        for end in 0..2 {
            if stage.homes.iter().any(|home| home.kind != Kind::Global) && stage.chance(60) {
                self.move_elsewhere(stage, end);
            }
        }
    }
}

impl State {
    fn name(self) -> &'static str {
        match self {
            State::Open => "open",
            State::Closed => "closed",
            State::Gone => "without a reactor",
            State::Dropped => "dropped",
        }
    }
}
