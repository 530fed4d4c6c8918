//! Where the walk takes place: executors, reactors, and operations that are under way.

pub(crate) mod home;
pub(crate) mod host;
pub(crate) mod job;

use std::fmt::Debug;
use std::future::{Future, poll_fn};
use std::panic::Location;
use std::sync::Arc;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use crate::tally::Tally;
use crate::trail::Trail;
use home::{Home, Kind, Way};
use host::{Host, Hosts};
use job::{Done, Job, Operation};

/// The tools of every step.
pub(crate) struct Stage {
    pub(crate) hosts: Hosts,
    /// The global one, and those that come and go.
    pub(crate) homes: Vec<Home>,
    pub(crate) tally: Tally,
    trail: Arc<Trail>,
    seed: u64,
    random: SmallRng,
    place: (&'static str, usize),
    /// Whether the step has done anything so far.
    acted: bool,
}

impl Stage {
    pub(crate) fn new(seed: u64, trail: Arc<Trail>) -> Self {
        Self {
            hosts: Hosts::new(),
            homes: vec![Home::global()],
            tally: Tally::default(),
            trail,
            seed,
            random: SmallRng::seed_from_u64(seed),
            place: ("", 0),
            acted: false,
        }
    }

    /// The next step. Its choices depend on its number, and not on how many were made before.
    pub(crate) fn step(&mut self, number: u64) {
        self.trail.step(number);
        self.acted = false;
        self.random =
            SmallRng::seed_from_u64(self.seed ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    }

    pub(crate) fn has_acted(&self) -> bool {
        self.acted
    }

    /// The subject of the step.
    pub(crate) fn at(&mut self, place: &'static str, number: usize) {
        self.place = (place, number);
    }

    /// A number below `end`.
    pub(crate) fn roll(&mut self, end: usize) -> usize {
        self.random.random_range(0..end)
    }

    pub(crate) fn salt(&mut self) -> u64 {
        self.random.random()
    }

    /// One of several.
    pub(crate) fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.roll(of.len())]
    }

    /// True in so many of a hundred cases.
    pub(crate) fn chance(&mut self, percent: usize) -> bool {
        self.roll(100) < percent
    }

    /// Remembers a step, and counts it.
    pub(crate) fn does(&mut self, what: &'static str, about: &'static str, amount: u64) {
        self.notes(what, about, amount);
        self.tally.count(what, about);
    }

    /// Remembers something that is not worth counting.
    pub(crate) fn notes(&mut self, what: &'static str, about: &'static str, amount: u64) {
        self.acted = true;
        self.trail.note(self.place, what, about, amount);
    }

    /// Waits for something of which this is known.
    #[track_caller]
    pub(crate) fn wait_knowing<F: Future>(
        &mut self,
        known: impl Debug + Send + 'static,
        future: F,
    ) -> F::Output {
        self.trail.waits_for(Some(Box::new(known)));
        let output = self.wait(future);
        self.trail.waits_for(None);
        output
    }

    pub(crate) fn any_home(&mut self) -> Home {
        let chosen = self.roll(self.homes.len());
        self.homes[chosen].clone()
    }

    /// The poller of an operation: the walk in half of all cases.
    pub(crate) fn any_host(&mut self) -> Host {
        if self.chance(50) { Host::Walk } else { self.pick(&Host::ALL) }
    }

    /// Begins an operation, on any executor. It has been polled once.
    #[track_caller]
    pub(crate) fn start(&mut self, operation: Operation) -> Job {
        let host = self.any_host();
        let job = Job::start(&self.hosts, host, operation);
        if host != Host::Walk {
            self.wait(job.begun());
        }
        job
    }

    /// Waits for its result.
    #[track_caller]
    pub(crate) fn finish(&mut self, job: &mut Job) -> Done {
        self.wait(poll_fn(|cx| job.poll_done(cx)));
        job.take().expect("it is over")
    }

    /// Waits, in one of the ways. A reactor without a thread is turned meanwhile.
    #[track_caller]
    pub(crate) fn wait<F: Future>(&mut self, future: F) -> F::Output {
        let by_hand = self.homes.iter().find(|home| home.kind == Kind::ByHand).cloned();
        let home = by_hand.unwrap_or_else(|| self.any_home());
        let way = Way::for_home(&home, self.roll(6));
        self.tally.count("wait", way.name());
        self.trail.waits_at(Some((Location::caller(), way.name(), home.kind.name())));
        let output = way.run(&home, future);
        self.trail.waits_at(None);
        output
    }
}
