//! The wheel against a map that does the same slowly.

use std::collections::BTreeMap;

use super::*;
use crate::random_tests::{Random, walks};

impl Wheel {
    /// One key that is due, after as many steps as it takes.
    fn pop_due(&mut self, now_ns: u64) -> Option<u32> {
        loop {
            match self.step(now_ns) {
                Step::Due(key) => return Some(key),
                Step::Moved => {}
                Step::Done => return None,
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
    walks(10, |random| compare(random, 2000));
}

fn compare(random: &mut Random, steps: usize) {
    let mut wheel = Wheel::new();
    let mut model: BTreeMap<u32, u64> = BTreeMap::new();
    let mut now = 0;
    for _ in 0..steps {
        match random.below(4) {
            0 | 1 => {
                let key = random.below(500) as u32;
                let at = some_time_after(now, random);
                wheel.file(key, at);
                let filed = model.entry(key).or_insert(at);
                *filed = (*filed).min(at);
            }
            2 if now < 1 << 60 => now = some_time_after(now, random),
            _ => now += random.below(1 << TICK_SHIFT),
        }
        let next = wheel.next_ns();
        let mut popped = Vec::new();
        while let Some(key) = wheel.pop_due(now) {
            popped.push(key);
        }
        for key in popped {
            let at = model.remove(&key).expect("a key that was not filed came out");
            assert!(at <= now || at > now + (HORIZON >> 1), "{key} came early");
        }
        for (key, at) in &model {
            assert!(tick_at(*at) > now >> TICK_SHIFT, "{key} is overdue");
            let next = wheel.next_ns().expect("something is filed");
            assert!(next <= tick_at(*at) << TICK_SHIFT, "the reactor would oversleep {key}");
        }
        assert_eq!(wheel.is_empty(), model.is_empty());
        assert!(next.is_some() || model.is_empty() || wheel.next_ns().is_some());
    }
}

#[test]
fn a_deadline_an_hour_away_wakes_nobody_before() {
    let mut wheel = Wheel::new();
    let hour = 3_600_000_000_000;
    for key in 0..1000 {
        wheel.file(key, hour + u64::from(key) * 1_000_003);
    }
    assert!(wheel.next_ns().unwrap() >= hour);
    assert_eq!(wheel.pop_due(hour - (2 << TICK_SHIFT)), None);
    assert!(wheel.next_ns().unwrap() >= hour);
}

#[test]
fn an_earlier_time_moves_a_key_and_a_later_one_does_not() {
    let mut wheel = Wheel::new();
    let at = |ticks: u64| ticks << TICK_SHIFT;
    wheel.file(7, at(100));
    wheel.file(7, at(5000));
    assert_eq!(wheel.next_ns(), Some(at(100)));
    wheel.file(7, at(3));
    assert_eq!(wheel.next_ns(), Some(at(3)));
    assert_eq!(wheel.pop_due(at(3) - 1), None);
    assert_eq!(wheel.pop_due(at(3)), Some(7));
    assert_eq!(wheel.pop_due(at(10_000)), None);
    assert!(wheel.is_empty());
}

#[test]
fn a_time_that_has_passed_is_due_at_once() {
    let mut wheel = Wheel::new();
    assert_eq!(wheel.pop_due(1 << 40), None);
    wheel.file(1, 5);
    assert_eq!(wheel.pop_due(1 << 40), Some(1));
}

#[test]
fn beyond_the_horizon_means_to_be_looked_at_again() {
    let mut wheel = Wheel::new();
    wheel.file(1, u64::MAX >> 3);
    assert_eq!(wheel.pop_due(1 << 50), None);
    assert_eq!(wheel.pop_due((HORIZON + 1) << TICK_SHIFT), Some(1));
}

#[test]
fn who_stops_midway_is_told_that_there_is_more_to_do() {
    let mut wheel = Wheel::new();
    let at = |ticks: u64| ticks << TICK_SHIFT;
    let (bucket, keys) = (BUCKETS as u64 * 5, 1000);
    for key in 0..keys {
        wheel.file(key, at(bucket + u64::from(key) % 3));
    }
    let mut due = Vec::new();
    // One step at a time, while time passes, and others come and go.
    for now in bucket - 10..bucket + 3 * u64::from(keys) {
        match wheel.step(at(now)) {
            Step::Due(key) => due.push(key),
            Step::Moved => assert!(wheel.next_ns().unwrap() <= at(now), "it would sleep"),
            Step::Done => assert!(now < bucket || wheel.is_empty()),
        }
        if now == bucket + 100 {
            wheel.file(keys, at(now - 50));
            wheel.file(0, at(now - 60));
        }
    }
    assert!(wheel.is_empty());
    due.sort_unstable();
    assert!(due.into_iter().eq(0..=keys), "each once");
}
