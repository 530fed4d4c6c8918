//! The times at which the reactor checks slots: a hierarchical timing wheel, after Varghese and Lauck (1987).
//!
//! Seven levels of 64 buckets; a bucket of level `n` is 64^n ticks wide. A tick is read as digits of six
//! bits: the highest digit in which a key's tick differs from the wheel's gives its level, and the digit
//! itself its bucket. When the wheel reaches a bucket of a higher level, it takes each key out of it, and the
//! caller files the key again, for the time that the deadline then has, or forgets it. Filing and removing
//! are O(1), whatever the number of keys.
//!
//! A tick is 65.5 microseconds. With the millisecond that timer wheels usually have, a deadline of
//! 100 microseconds would fire a millisecond late; the price is one more level.
//!
//! The wheel keeps for each bucket the earliest tick filed in it. So the reactor sleeps until a key
//! is due, and not until a bucket must be moved down: a thousand deadlines an hour away cost no
//! wake-up in between.
//!
//! A step takes out one key, so that the caller decides how many are enough for one turn: a million
//! deadlines of one bucket leave it in a million steps, with events in between.
//!
//! Keys are slot indices. The wheel is a plain data structure that belongs to the thread that turns the
//! reactor; it knows neither slots nor a clock.

const TICK_SHIFT: u32 = 16;
const LEVELS: usize = 7;
const LEVEL_BITS: u32 = 6;
const BUCKETS: usize = 1 << LEVEL_BITS;

/// No key: the end of a bucket's list.
const END: u32 = u32::MAX;
/// The tick of a key that is not filed.
const NOT_FILED: u64 = u64::MAX;
/// Keys of later ticks are filed here, nine years on, and the reactor checks them again then. A whole round of
/// the top level would lead back to the current bucket, so the horizon is one bucket short of it.
const HORIZON: u64 = ((BUCKETS as u64 - 1) << (LEVEL_BITS * (LEVELS as u32 - 1))) - 1;

/// The first tick at whose beginning `time_ns` has passed: rounded up, so that nothing is early.
fn tick_at(time_ns: u64) -> u64 {
    time_ns.div_ceil(1 << TICK_SHIFT)
}

/// The time at which a key filed for `time_ns` is due: the beginning of its tick. All deadlines that are filed for one
/// tick are due at one time.
pub(crate) fn due_ns(time_ns: u64) -> u64 {
    tick_at(time_ns).saturating_mul(1 << TICK_SHIFT)
}

#[derive(Debug)]
pub(crate) struct Wheel {
    /// The wheel has taken out the keys of every earlier tick.
    tick: u64,
    levels: Box<[Level]>,
    /// The bucket that the wheel is emptying. Until it is empty, the tick of the wheel is the first tick of this bucket.
    emptying: Option<(usize, usize)>,
    /// By key; it grows to the highest key ever filed.
    nodes: Vec<Node>,
    filed: usize,
}

/// The result of a step of the wheel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Step {
    /// This key is no longer filed. It is due, or the wheel has reached its bucket: file it again for the
    /// time that its slot has now, if there is one.
    Check(u32),
    /// Nothing is due.
    Done,
}

#[derive(Debug)]
struct Level {
    /// One bit for each bucket that is not empty.
    occupied: u64,
    buckets: [Bucket; BUCKETS],
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    first: u32,
    /// No key in this bucket is due before this tick.
    earliest: u64,
}

/// 16 bytes: each slot has one.
#[derive(Clone, Copy, Debug)]
struct Node {
    /// The tick, of 49 bits, then the level and the bucket. [`NOT_FILED`] reads as a tick after all others.
    filed: u64,
    previous: u32,
    next: u32,
}

impl Node {
    const NOT_FILED: Node = Node { filed: NOT_FILED, previous: END, next: END };

    fn tick(self) -> u64 {
        self.filed >> (2 * LEVEL_BITS)
    }

    fn place(self) -> (usize, usize) {
        let (level, bucket) = (self.filed as usize >> LEVEL_BITS, self.filed as usize);
        (level % BUCKETS, bucket % BUCKETS)
    }
}

impl Wheel {
    pub(crate) fn new() -> Self {
        let empty = Bucket { first: END, earliest: NOT_FILED };
        let level = || Level { occupied: 0, buckets: [empty; BUCKETS] };
        Self {
            tick: 0,
            levels: (0..LEVELS).map(|_| level()).collect(),
            emptying: None,
            nodes: Vec::new(),
            filed: 0,
        }
    }

    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.filed == 0
    }

    /// Files `key` for a check at `time_ns`, unless it is filed for an earlier time.
    pub(crate) fn file(&mut self, key: u32, time_ns: u64) {
        let tick = tick_at(time_ns).min(self.tick.saturating_add(HORIZON));
        let node = self.node(key);
        if node.tick() <= tick {
            return;
        }
        if node.filed != NOT_FILED {
            self.unlink(key);
        }
        self.link(key, tick);
    }

    /// When the next step has a key to take out, in nanoseconds: when the first key is due, at the latest.
    #[inline]
    pub(crate) fn next_ns(&self) -> Option<u64> {
        if self.filed == 0 { None } else { self.next_filed_ns() }
    }

    fn next_filed_ns(&self) -> Option<u64> {
        if self.emptying.is_some() {
            return Some(self.tick << TICK_SHIFT);
        }
        let earliest = self.levels.iter().enumerate().filter_map(|(level, ring)| {
            let bucket = self.next_bucket(level)?;
            Some(ring.buckets[bucket].earliest)
        });
        earliest.min().map(|tick| tick << TICK_SHIFT)
    }

    /// Takes out one key. A caller that stops before [`Step::Done`] learns from [`next_ns`](Self::next_ns) that
    /// more keys are to be taken out.
    pub(crate) fn step(&mut self, now_ns: u64) -> Step {
        let now = now_ns >> TICK_SHIFT;
        loop {
            // The wheel keeps its tick until the bucket is empty. Otherwise a later step would first find keys that
            // were filed again on lower levels, and after them those left in this bucket, which may be due earlier.
            if let Some((level, bucket)) = self.emptying {
                match self.take(level, bucket) {
                    Some(key) => return Step::Check(key),
                    None => self.emptying = None,
                }
            }
            let Some((level, bucket, start)) = self.first_bucket().filter(|found| found.2 <= now)
            else {
                self.tick = self.tick.max(now);
                return Step::Done;
            };
            self.tick = self.tick.max(start);
            if level > 0 {
                self.emptying = Some((level, bucket));
            } else if let Some(key) = self.take(level, bucket) {
                return Step::Check(key);
            }
        }
    }

    /// Takes a key out of the bucket that the wheel reaches next, due or not.
    pub(crate) fn take_next(&mut self) -> Option<u32> {
        let (level, bucket, _) = self.first_bucket()?;
        self.take(level, bucket)
    }

    fn take(&mut self, level: usize, bucket: usize) -> Option<u32> {
        let key = self.levels[level].buckets[bucket].first;
        if key == END {
            return None;
        }
        self.unlink(key);
        Some(key)
    }

    fn node(&mut self, key: u32) -> Node {
        let (index, nodes) = (key as usize, &mut self.nodes);
        if index >= nodes.len() {
            // Growth by an eighth, as in the arena: doubling would leave room for slots that may never exist.
            if index >= nodes.capacity() {
                nodes.reserve_exact(index + 1 + nodes.len() / 8 - nodes.len());
            }
            nodes.resize(index + 1, Node::NOT_FILED);
        }
        nodes[index]
    }

    /// The bucket that the wheel reaches first, and the tick at which it does.
    ///
    /// A lower level's buckets all lie before a higher level's next one.
    fn first_bucket(&self) -> Option<(usize, usize, u64)> {
        (0..LEVELS).find_map(|level| {
            let bucket = self.next_bucket(level)?;
            Some((level, bucket, self.start_of(level, bucket)))
        })
    }

    /// The first occupied bucket of a level, from where the wheel stands.
    fn next_bucket(&self, level: usize) -> Option<usize> {
        let occupied = self.levels[level].occupied;
        let here = (self.tick >> (LEVEL_BITS * level as u32)) as u32 % BUCKETS as u32;
        let ahead = occupied.rotate_right(here).trailing_zeros();
        (occupied != 0).then_some(((ahead + here) as usize) % BUCKETS)
    }

    fn start_of(&self, level: usize, bucket: usize) -> u64 {
        let shift = LEVEL_BITS * level as u32;
        let round = self.tick >> (shift + LEVEL_BITS) << (shift + LEVEL_BITS);
        let start = round + ((bucket as u64) << shift);
        // A bucket behind the wheel belongs to the next round. That happens on the top level only: on a lower level, a
        // key of the next round differs from the wheel in a higher digit, and lies a level higher.
        let behind = start + (1 << shift) <= self.tick;
        if behind { start + (1 << (shift + LEVEL_BITS)) } else { start }
    }

    fn link(&mut self, key: u32, tick: u64) {
        let differing = (tick ^ self.tick) | (BUCKETS as u64 - 1);
        let level = (((63 - differing.leading_zeros()) / LEVEL_BITS) as usize).min(LEVELS - 1);
        // An overdue key goes into the bucket of the wheel's present tick, so the next step takes it out.
        let place = tick.max(self.tick);
        let level = if tick <= self.tick { 0 } else { level };
        let bucket = (place >> (LEVEL_BITS * level as u32)) as usize % BUCKETS;
        let ring = &mut self.levels[level];
        let next = std::mem::replace(&mut ring.buckets[bucket].first, key);
        ring.buckets[bucket].earliest = ring.buckets[bucket].earliest.min(tick);
        ring.occupied |= 1 << bucket;
        if next != END {
            self.nodes[next as usize].previous = key;
        }
        let filed = (tick << LEVEL_BITS | level as u64) << LEVEL_BITS | bucket as u64;
        self.nodes[key as usize] = Node { filed, previous: END, next };
        self.filed += 1;
    }

    fn unlink(&mut self, key: u32) {
        let node = self.nodes[key as usize];
        let (level, place) = node.place();
        let ring = &mut self.levels[level];
        let bucket = &mut ring.buckets[place];
        match node.previous {
            END => bucket.first = node.next,
            previous => self.nodes[previous as usize].next = node.next,
        }
        if node.next != END {
            self.nodes[node.next as usize].previous = node.previous;
        }
        if bucket.first == END {
            *bucket = Bucket { first: END, earliest: NOT_FILED };
            ring.occupied &= !(1 << place);
        }
        self.nodes[key as usize].filed = NOT_FILED;
        self.filed -= 1;
    }
}

#[cfg(test)]
#[cfg(not(netpoll_loom))]
#[path = "wheel_tests.rs"]
mod tests;
