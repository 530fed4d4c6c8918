//! Random walks that can be repeated, for the tests of several modules.

/// How much longer than usual, as a number of times: `NETPOLL_WALKS=1000`.
const LONGER: &str = "NETPOLL_WALKS";
/// One walk and no other: `NETPOLL_SEED=123`.
const SEED: &str = "NETPOLL_SEED";

/// A small generator. A walk that fails prints its seed.
#[derive(Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }

    pub(crate) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }
}

/// Takes so many walks, each with a seed of its own. Miri, which is a thousand times slower, takes a
/// hundredth of them.
pub(crate) fn walks(count: u64, walk: impl Fn(&mut Random)) {
    let count = if cfg!(miri) { count.div_ceil(100) } else { count };
    let setting = |name| std::env::var(name).ok()?.parse::<u64>().ok();
    let seeds = match setting(SEED) {
        Some(seed) => seed..seed + 1,
        None => 1..1 + count * setting(LONGER).unwrap_or(1),
    };
    for seed in seeds {
        let _walk = Walk(seed);
        // Neighbouring seeds begin far from each other, and none at zero.
        walk(&mut Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1));
    }
}

/// How many steps a walk takes: a twentieth of them under Miri.
pub(crate) fn steps(count: usize) -> std::ops::Range<usize> {
    0..if cfg!(miri) { count / 20 } else { count }
}

struct Walk(u64);

impl Drop for Walk {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("again with {SEED}={}", self.0);
        }
    }
}
