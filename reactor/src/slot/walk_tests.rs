//! A slot against a plain model of it: tasks that wait and leave, events, deadlines, ends, tenants that
//! change, in any order.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::task::{Wake, Waker};

use super::*;
use crate::random_tests::{Random, steps, walks};

const TASKS: usize = 5;

/// A task that waits; the last two as the `poll_*` calls do, by their wakers.
struct Task {
    wakes: Arc<Wakes>,
    waker: Waker,
    /// `None` for a `poll_*` call.
    id: Option<WaiterId>,
    /// The wakes before it began to wait, if it waits.
    waits: [Option<usize>; 2],
}

#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Task {
    fn new(id: Option<WaiterId>) -> Self {
        let wakes = Arc::<Wakes>::default();
        Self { waker: Waker::from(wakes.clone()), wakes, id, waits: [None; 2] }
    }

    fn wakes(&self) -> usize {
        self.wakes.0.load(Ordering::Relaxed)
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Time {
    None,
    At(u64),
    Expired,
}

/// The model of one direction: plain values.
#[derive(Clone, Copy, Debug)]
struct Plain {
    time: Time,
    events: u64,
    /// An operation that has begun: the state, the tenant and the events by then.
    began: Option<(State, u64, u64)>,
}

struct Scene {
    slot: Slot,
    tasks: Vec<Task>,
    sides: [Plain; 2],
    ready: Ready,
    closed: bool,
    tenant: u64,
    now: u64,
    /// When the reactor checks the slot next: the slot was armed or filed for this time.
    check_at: Option<u64>,
}

fn own(direction: Direction) -> Ready {
    [Ready::READABLE, Ready::WRITABLE][direction as usize]
}

impl Scene {
    fn new() -> Self {
        let slot = Slot::new(0);
        let id = |task| (task < TASKS - 2).then_some(WaiterId::NONE);
        let tasks = (0..TASKS).map(|task| Task::new(id(task))).collect();
        let sides = [Plain { time: Time::None, events: 0, began: None }; 2];
        let (ready, closed) = (Ready::EMPTY, false);
        Self { slot, tasks, sides, ready, closed, tenant: 0, now: 1, check_at: None }
    }

    fn side(&mut self, direction: Direction) -> &mut Plain {
        &mut self.sides[direction as usize]
    }

    /// The slot agrees with the model, and each task whose wait is over was woken.
    fn check(&self) {
        for direction in Direction::BOTH {
            let status = self.slot.status(direction);
            let expired = self.sides[direction as usize].time == Time::Expired;
            let ready = self.ready.contains(own(direction));
            let is_as_it_should = match status {
                Status::Closed => self.closed,
                Status::Expired => expired && !self.closed,
                Status::Ready(state) => {
                    ready && state.ready() == self.ready && !expired && !self.closed
                }
                Status::Pending => !ready && !expired && !self.closed,
            };
            assert!(is_as_it_should, "{direction:?}: {status:?}");
            for (number, task) in self.tasks.iter().enumerate() {
                let forgotten = task.waits[direction as usize]
                    .is_some_and(|before| status != Status::Pending && task.wakes() == before);
                assert!(!forgotten, "task {number} waits {direction:?} for {status:?}");
            }
        }
    }

    fn wait(&mut self, random: &mut Random, direction: Direction) {
        let task = random.below(TASKS as u64) as usize;
        let before = self.tasks[task].wakes();
        let Task { id, waker, .. } = &mut self.tasks[task];
        let status = match self.slot.status(direction) {
            Status::Pending => self.slot.wait(direction, id.as_mut(), waker),
            status => status,
        };
        let waits = (status == Status::Pending).then_some(before);
        self.tasks[task].waits[direction as usize] = waits;
    }

    fn leave(&mut self, random: &mut Random, direction: Direction) {
        let task = random.below(TASKS as u64 - 2) as usize;
        let id = self.tasks[task].id.expect("a future");
        self.slot.leave(direction.into(), id);
        self.tasks[task].waits[direction as usize] = None;
    }

    fn deliver(&mut self, random: &mut Random) {
        let seen = Ready::from_bits(random.below(1 << 6) as u8);
        if random.below(4) == 0 {
            let other = Generation::from_bits(self.tenant + 1 + random.below(1000));
            assert!(!self.slot.deliver(other, seen, wake));
            return;
        }
        assert!(self.slot.deliver(self.slot.generation(), seen, wake));
        self.ready = self.ready.union(seen);
        for direction in Direction::BOTH {
            if seen.contains(own(direction)) {
                self.side(direction).events += 1;
            }
        }
    }

    fn begin(&mut self, direction: Direction) {
        let (state, tenant) = (self.slot.state(), self.tenant);
        let side = self.side(direction);
        side.began = Some((state, tenant, side.events));
    }

    /// An operation ends that has found no data, or less than it asked for.
    fn end(&mut self, random: &mut Random, direction: Direction) {
        let Some((state, tenant, events)) = self.side(direction).began.take() else { return };
        let short = random.below(2) == 0;
        if short {
            self.slot.short(direction, state);
        } else {
            self.slot.drained(direction, state);
        }
        let doubts = match direction {
            Direction::Read => 1 << 2 | 1 << 4 | 1 << 5,
            Direction::Write => 1 << 3 | 1 << 4,
        };
        let doubtful = short && self.ready.bits() & doubts != 0;
        if tenant == self.tenant && events == self.side(direction).events && !doubtful {
            let cleared = match direction {
                Direction::Read => 1 | 1 << 5,
                Direction::Write => 1 << 1,
            };
            self.ready = Ready::from_bits(self.ready.bits() & !cleared);
        }
    }

    /// As a registration does it.
    fn set(&mut self, random: &mut Random, direction: Direction) {
        let at = (self.now + random.below(200)).saturating_sub(50).max(1);
        self.side(direction).time = Time::At(at);
        let action = self.slot.set_deadline(direction, at);
        if action != SetAction::Arm {
            let in_time = self.check_at.is_some_and(|look| look <= at);
            assert!(in_time, "the reactor does not look by {at}, but at {:?}", self.check_at);
        }
        if action != SetAction::Nothing && at <= self.now {
            assert!(self.slot.expire(&[direction], at));
            self.side(direction).time = Time::Expired;
        } else if action == SetAction::Arm {
            self.check_at = Some(self.check_at.map_or(at, |look| look.min(at)));
        }
    }

    fn clear(&mut self, direction: Direction) {
        self.slot.clear_deadline(direction);
        self.side(direction).time = Time::None;
    }

    /// Time goes on, and the reactor looks when it is to look, or before.
    fn pass(&mut self, random: &mut Random) {
        self.now += random.below(60);
        let is_due = self.check_at.is_some_and(|look| look <= self.now);
        if !is_due && random.below(8) > 0 {
            return;
        }
        let due = |side: &Plain| matches!(side.time, Time::At(at) if at <= self.now);
        let (due, now) = ([due(&self.sides[0]), due(&self.sides[1])], self.now);
        let checked = self.slot.check_deadlines(now, wake);
        assert_eq!(checked.expired, due.iter().filter(|due| **due).count() as u64);
        for (side, due) in self.sides.iter_mut().zip(due) {
            if due {
                side.time = Time::Expired;
            }
        }
        let pending = self.sides.iter().filter_map(|side| match side.time {
            Time::At(at) => Some(at),
            Time::None | Time::Expired => None,
        });
        assert_eq!(checked.again_ns, pending.min());
        self.check_at = checked.again_ns;
    }

    fn close(&mut self) {
        assert_eq!(self.slot.close(), !self.closed);
        self.closed = true;
    }

    /// No task waits any longer: the slot drops the wakers.
    fn vacate(&mut self) {
        self.slot.vacate();
        for task in &mut self.tasks {
            task.waits = [None; 2];
            assert_eq!(Arc::strong_count(&task.wakes), 2, "a waker was kept");
        }
        (self.ready, self.closed, self.tenant) = (Ready::EMPTY, false, self.tenant + 1);
        for side in &mut self.sides {
            side.time = Time::None;
        }
    }

    fn step(&mut self, random: &mut Random) {
        let direction = random.pick(&Direction::BOTH);
        match random.below(100) {
            0..25 => self.wait(random, direction),
            25..35 => self.leave(random, direction),
            35..50 => self.deliver(random),
            50..60 => self.begin(direction),
            60..72 => self.end(random, direction),
            72..82 => self.set(random, direction),
            82..86 => self.clear(direction),
            86..97 => self.pass(random),
            97 => self.close(),
            _ => self.vacate(),
        }
        self.check();
    }
}

#[test]
fn agrees_with_a_plain_model() {
    walks(300, |random| {
        let mut scene = Scene::new();
        for _ in steps(1000) {
            scene.step(random);
        }
        scene.vacate();
        let wakers = scene.tasks.iter().map(|task| Arc::strong_count(&task.wakes));
        assert!(wakers.max() == Some(2), "a waker was kept");
    });
}

/// A timeout that is dropped before it fires, and the next one, in its slot: the reactor is not asked for a check again.
#[test]
fn the_next_tenant_has_the_place_in_the_wheel() {
    let slot = Slot::new(0);
    assert_eq!(slot.set_deadline(Direction::Read, 10), SetAction::Arm);
    assert_eq!(slot.check_deadlines(0, wake).again_ns, Some(10));
    slot.vacate();
    assert_eq!(slot.view().deadlines_ns, [None, None]);
    assert_eq!(slot.set_deadline(Direction::Read, 20), SetAction::ExpireIfPassed);
    let checked = slot.check_deadlines(10, wake);
    assert_eq!((checked.again_ns, checked.expired), (Some(20), 0));
    slot.vacate();
    assert_eq!(slot.set_deadline(Direction::Read, 15), SetAction::Arm);
}

/// An id is that of one wait: a future that keeps an older one could meet it again when the ids begin anew. In the queue for the
/// write lock a future keeps its id, and so its turn.
#[test]
fn a_future_that_waits_again_has_another_id_but_keeps_its_turn_for_the_write_lock() {
    let slot = Slot::new(0);
    for (direction, ready) in
        [(Direction::Read, Ready::READABLE), (Direction::Write, Ready::WRITABLE)]
    {
        let mut id = WaiterId::NONE;
        assert_eq!(slot.wait(direction, Some(&mut id), Waker::noop()), Status::Pending);
        let first = id;
        assert_eq!(slot.wait(direction, Some(&mut id), Waker::noop()), Status::Pending);
        assert_eq!(id, first, "it is polled again, and waits on");
        assert!(slot.deliver(slot.generation(), ready, drop));
        slot.drained(direction, slot.state());
        assert_eq!(slot.wait(direction, Some(&mut id), Waker::noop()), Status::Pending);
        assert_ne!(id, first, "{direction:?}");
    }
    let mut id = WaiterId::NONE;
    assert_eq!(slot.wait_for_write_lock(Some(&mut id), Waker::noop()), Status::Pending);
    let first = id;
    slot.wake_next_for_write_lock();
    assert_eq!(slot.wait_for_write_lock(Some(&mut id), Waker::noop()), Status::Pending);
    assert_eq!(id, first);
}
