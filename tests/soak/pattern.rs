//! The bytes that travel: each tells by itself where in its stream it belongs.

use std::sync::LazyLock;

use rand::rngs::SmallRng;
use rand::{RngCore, SeedableRng};

/// After so many bytes they come again: a prime, so that no size of buffers divides it.
const PERIOD: usize = 65_521;

/// The longest piece that is asked for at once.
pub(crate) const LONGEST: usize = 1 << 19;

static TABLE: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut period = vec![0; PERIOD];
    SmallRng::seed_from_u64(1).fill_bytes(&mut period);
    period.iter().copied().cycle().take(PERIOD + LONGEST).collect()
});

/// The bytes of a stream from a position on.
pub(crate) fn bytes(salt: u64, position: u64, len: usize) -> &'static [u8] {
    let period = PERIOD as u64;
    let at = usize::try_from((salt % period + position) % period).expect("less than a period");
    &TABLE[at..at + len]
}
