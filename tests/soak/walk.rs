//! The walk: its objects, and the choice of the next step.

use std::sync::Arc;

use crate::census::{Census, resident};
use crate::others::alarm::Alarm;
use crate::others::door::Door;
use crate::others::pipe::Pipe;
use crate::others::post::Post;
use crate::stage::Stage;
use crate::stage::home::{Home, Kind};
use crate::stream::Pair;
use crate::tally::Tally;
use crate::trail::Trail;

/// How often everything is dropped and counted.
const CENSUSES: u64 = 20;

/// Places, which are empty at times.
struct Places<T>(Vec<Option<T>>);

impl<T> Places<T> {
    fn new(count: usize) -> Self {
        Self((0..count).map(|_| None).collect())
    }

    /// Any of them.
    fn any(&mut self, stage: &mut Stage, name: &'static str) -> &mut Option<T> {
        let chosen = stage.roll(self.0.len());
        stage.at(name, chosen);
        &mut self.0[chosen]
    }

    fn each(&mut self) -> impl Iterator<Item = &mut Option<T>> {
        self.0.iter_mut()
    }

    fn clear(&mut self) {
        self.0.iter_mut().for_each(|place| *place = None);
    }
}

pub(crate) struct Walk {
    stage: Stage,
    pairs: Places<Pair>,
    doors: Places<Door>,
    posts: Places<Post>,
    alarms: Places<Alarm>,
    pipes: Places<Pipe>,
    /// Beside the global one.
    most_homes: usize,
    homes_made: usize,
}

/// The result of a walk.
pub(crate) struct Report {
    pub(crate) tally: Tally,
    /// Resident memory whenever everything was dropped, in kilobytes.
    pub(crate) resident: Vec<u64>,
}

impl Walk {
    pub(crate) fn new(seed: u64, trail: Arc<Trail>) -> Self {
        Self {
            stage: Stage::new(seed, trail),
            pairs: Places::new(12),
            doors: Places::new(3),
            posts: Places::new(3),
            alarms: Places::new(4),
            pipes: Places::new(2),
            most_homes: 3,
            homes_made: 0,
        }
    }

    /// Walks so many steps.
    pub(crate) fn walk(mut self, steps: u64) -> Report {
        self.warm_up();
        let before = Census::take();
        let part = (steps / CENSUSES).max(1);
        let mut resident_then = Vec::new();
        for number in 1..=steps {
            self.stage.step(number);
            // A step that chance has chosen may not be possible just now: then another is chosen.
            while !self.stage.has_acted() {
                self.step();
            }
            if number % part == 0 || number == steps {
                self.clear();
                before.comes_back();
                resident_then.push(resident());
            }
        }
        Report { tally: self.stage.tally, resident: resident_then }
    }

    /// Objects that are made once, by their first user, are there before anything is counted.
    fn warm_up(&mut self) {
        self.stage.step(0);
        for _ in 0..200 {
            let mut job = self
                .stage
                .start(Box::pin(async { crate::stage::job::Done::new(Ok(0), Vec::new()) }));
            self.stage.finish(&mut job).result.expect("nothing can fail");
        }
    }

    fn step(&mut self) {
        match self.stage.roll(1000) {
            0..850 => self.step_of_a_pair(),
            850..875 => self.step_of_a_door(),
            875..925 => {
                step(
                    self.posts.any(&mut self.stage, "datagrams"),
                    &mut self.stage,
                    Post::open,
                    Post::step,
                );
            }
            925..965 => {
                step(
                    self.alarms.any(&mut self.stage, "timer"),
                    &mut self.stage,
                    Alarm::new,
                    Alarm::step,
                );
            }
            965..995 => {
                step(
                    self.pipes.any(&mut self.stage, "pipe"),
                    &mut self.stage,
                    Pipe::new,
                    Pipe::step,
                );
            }
            _ => self.step_of_a_home(),
        }
    }

    fn step_of_a_pair(&mut self) {
        let stage = &mut self.stage;
        let door = self.doors.any(stage, "listener").as_mut();
        let place = self.pairs.any(stage, "stream");
        match place {
            Some(pair) => {
                pair.step(stage);
                if pair.is_over() {
                    *place = None;
                }
            }
            None => {
                let door = door.filter(|_| stage.chance(70));
                *place = Pair::connect(stage, door);
            }
        }
    }

    fn step_of_a_door(&mut self) {
        let place = self.doors.any(&mut self.stage, "listener");
        step(place, &mut self.stage, Door::open, Door::step);
    }

    /// A reactor more, or one less.
    fn step_of_a_home(&mut self) {
        let chosen = self.stage.roll(self.most_homes) + 1;
        self.stage.at("reactor", chosen);
        if chosen < self.stage.homes.len() {
            let home = self.stage.homes.remove(chosen);
            self.shut_down(&home);
            return;
        }
        let mut kind = self.stage.pick(&Kind::MADE);
        // The walk can turn only one.
        if self.stage.homes.iter().any(|home| home.kind == Kind::ByHand) {
            kind = Kind::Threaded;
        }
        self.homes_made += 1;
        self.stage.does("reactor made", kind.name(), 0);
        self.stage.homes.push(Home::new(kind, self.homes_made));
    }

    fn shut_down(&mut self, home: &Home) {
        let stage = &mut self.stage;
        stage.does("reactor shut down", home.kind.name(), 0);
        home.reactor.shutdown();
        for pair in self.pairs.each().flatten() {
            pair.loses(stage, home);
        }
        for place in self.doors.each() {
            place.take_if(|door| door.loses(stage, home));
        }
        for place in self.alarms.each() {
            place.take_if(|alarm| alarm.loses(stage, home));
        }
    }

    /// Drops everything.
    fn clear(&mut self) {
        for pair in self.pairs.each().flatten() {
            pair.clear(&mut self.stage);
        }
        self.pairs.clear();
        self.doors.clear();
        self.posts.clear();
        self.alarms.clear();
        self.pipes.clear();
        while self.stage.homes.len() > 1 {
            let home = self.stage.homes.pop().expect("more than one");
            let metrics = home.reactor.metrics();
            assert_eq!(metrics.registrations, 0, "slots were left behind: {metrics:?}");
            home.reactor.shutdown();
        }
    }
}

/// A step of the object in a place, or the place is filled.
fn step<T>(
    place: &mut Option<T>,
    stage: &mut Stage,
    open: impl FnOnce(&mut Stage) -> T,
    step: impl FnOnce(&mut T, &mut Stage) -> bool,
) {
    match place {
        None => *place = Some(open(stage)),
        Some(there) => {
            if !step(there, stage) {
                *place = None;
            }
        }
    }
}
