//! The wheel against a map that does the same slowly.

use std::collections::BTreeMap;

use super::*;
use crate::random_tests::{Random, steps, walks};

/// Many keys. Miri, which is a thousand times slower, takes fewer.
const KEYS: u32 = if cfg!(miri) { 150 } else { 1000 };

/// A wheel with the deadlines of its keys, as the slots have them.
struct Filed {
    wheel: Wheel,
    deadlines: BTreeMap<u32, u64>,
}

impl Filed {
    fn new() -> Self {
        Self { wheel: Wheel::new(), deadlines: BTreeMap::new() }
    }

    /// Sets a deadline, and files its key for it.
    fn file(&mut self, key: u32, time_ns: u64) {
        self.deadlines.insert(key, time_ns);
        self.wheel.file(key, time_ns);
    }

    /// A key that is due, after as many steps as it takes. As the reactor does it: a key whose deadline is
    /// still to come is filed again, and one without a deadline is forgotten.
    fn pop_due(&mut self, now_ns: u64) -> Option<u32> {
        loop {
            let Step::Check(key) = self.wheel.step(now_ns) else { return None };
            match self.deadlines.get(&key) {
                Some(at) if tick_at(*at) <= now_ns >> TICK_SHIFT => {
                    self.deadlines.remove(&key);
                    return Some(key);
                }
                Some(at) => self.wheel.file(key, *at),
                None => {}
            }
        }
    }
}

/// A time some way ahead, short ones and long ones alike.
fn some_time_after(now: u64, random: &mut Random) -> u64 {
    let magnitude = random.below(58);
    now + random.below(1 << magnitude).max(1)
}

#[test]
fn agrees_with_a_sorted_map() {
    walks(10, compare);
}

fn compare(random: &mut Random) {
    let mut filed = Filed::new();
    let mut now = 0;
    for _ in steps(2000) {
        let key = random.below(500) as u32;
        match random.below(5) {
            0 | 1 => filed.file(key, some_time_after(now, random)),
            // The deadline moves, and the wheel is not told unless it is earlier.
            2 if filed.deadlines.contains_key(&key) => {
                let at = some_time_after(now, random);
                if at < filed.deadlines[&key] {
                    filed.file(key, at);
                } else {
                    filed.deadlines.insert(key, at);
                }
            }
            3 if now < 1 << 60 => now = some_time_after(now, random),
            _ => now += random.below(1 << TICK_SHIFT),
        }
        let before = filed.deadlines.clone();
        while let Some(key) = filed.pop_due(now) {
            assert!(before[&key] <= now, "{key} came early");
        }
        for (key, at) in &filed.deadlines {
            assert!(tick_at(*at) > now >> TICK_SHIFT, "{key} is overdue");
            let next = filed.wheel.next_ns().expect("something is filed");
            assert!(next <= due_ns(*at), "the reactor would oversleep {key}");
        }
    }
}

/// The wheel takes each key out of a bucket that it reaches, so one whose deadline is gone is gone then.
#[test]
fn a_key_without_a_deadline_leaves_with_its_bucket() {
    let mut filed = Filed::new();
    let at = |ticks: u64| ticks << TICK_SHIFT;
    let bucket = BUCKETS as u64 * 5;
    for key in 0..BUCKETS as u32 {
        filed.file(key, at(bucket + u64::from(key)));
    }
    filed.deadlines.retain(|key, _| *key == 0 || *key == 63);
    assert_eq!(filed.pop_due(at(bucket)), Some(0));
    assert_eq!(filed.pop_due(at(bucket)), None);
    assert_eq!(filed.wheel.next_ns(), Some(at(bucket + 63)), "the 62 in between are gone");
    assert_eq!(filed.pop_due(at(bucket + 63)), Some(63));
    assert!(filed.wheel.is_empty());
}

#[test]
fn deadlines_of_one_tick_are_due_at_one_time() {
    let tick = 1 << TICK_SHIFT;
    assert_eq!(due_ns(5 * tick), 5 * tick);
    assert_eq!(due_ns(5 * tick - 1), 5 * tick);
    assert_eq!(due_ns(4 * tick + 1), 5 * tick);
    assert!(due_ns(u64::MAX) >= u64::MAX - tick);
}

#[test]
fn a_deadline_an_hour_away_causes_no_wake_up_before() {
    let mut filed = Filed::new();
    let hour = 3_600_000_000_000;
    for key in 0..KEYS {
        filed.file(key, hour + u64::from(key) * 1_000_003);
    }
    assert!(filed.wheel.next_ns().unwrap() >= hour);
    assert_eq!(filed.pop_due(hour - (2 << TICK_SHIFT)), None);
    assert!(filed.wheel.next_ns().unwrap() >= hour);
}

#[test]
fn an_earlier_time_moves_a_key_and_a_later_one_does_not() {
    let mut filed = Filed::new();
    let at = |ticks: u64| ticks << TICK_SHIFT;
    filed.file(7, at(100));
    filed.wheel.file(7, at(5000));
    assert_eq!(filed.wheel.next_ns(), Some(at(100)));
    filed.file(7, at(3));
    assert_eq!(filed.wheel.next_ns(), Some(at(3)));
    assert_eq!(filed.pop_due(at(3) - 1), None);
    assert_eq!(filed.pop_due(at(3)), Some(7));
    assert_eq!(filed.pop_due(at(10_000)), None);
    assert!(filed.wheel.is_empty());
}

#[test]
fn a_time_that_has_passed_is_due_at_once() {
    let mut filed = Filed::new();
    assert_eq!(filed.pop_due(1 << 40), None);
    filed.file(1, 5);
    assert_eq!(filed.pop_due(1 << 40), Some(1));
}

/// Beyond the horizon a key is filed for the horizon, and looked at again then.
#[test]
fn a_key_beyond_the_horizon_is_filed_again_at_the_horizon() {
    let mut filed = Filed::new();
    let far = u64::MAX >> 3;
    filed.file(1, far);
    assert_eq!(filed.pop_due(1 << 50), None);
    assert_eq!(filed.pop_due((HORIZON + 1) << TICK_SHIFT), None);
    assert_eq!(filed.pop_due(far - 1), None);
    assert_eq!(filed.pop_due(due_ns(far)), Some(1));
}

#[test]
fn a_caller_that_stops_midway_learns_that_there_is_more_to_do() {
    let mut filed = Filed::new();
    let at = |ticks: u64| ticks << TICK_SHIFT;
    let (bucket, keys) = (BUCKETS as u64 * 5, KEYS);
    for key in 0..keys {
        filed.file(key, at(bucket + u64::from(key) % 3));
    }
    let mut due = Vec::new();
    // One step at a time, while time passes and another key comes.
    for now in bucket - 10..bucket + 3 * u64::from(keys) {
        match filed.wheel.step(at(now)) {
            Step::Check(key) if filed.deadlines[&key] <= at(now) => due.push(key),
            Step::Check(key) => filed.wheel.file(key, filed.deadlines[&key]),
            Step::Done => assert!(now < bucket || filed.wheel.is_empty()),
        }
        let next = filed.wheel.next_ns();
        assert!(now < bucket || next.is_none_or(|next| next <= at(now + 3)), "it would sleep");
        if now == bucket + 100 {
            filed.file(keys, at(now - 50));
        }
    }
    assert!(filed.wheel.is_empty());
    due.sort_unstable();
    assert!(due.into_iter().eq(0..=keys), "each once");
}
