//! The resources of this process, to be compared with those before.

use std::time::{Duration, Instant};
use std::{fs, thread};

use netpoll::Reactor;

/// A resource that is there after that is leaked.
const PATIENCE: Duration = Duration::from_secs(10);

/// The resources that must be as before whenever the walk has dropped everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Census {
    pub(crate) descriptors: usize,
    pub(crate) threads: usize,
    /// Slots of the global reactor.
    pub(crate) slots: u64,
}

impl Census {
    pub(crate) fn take() -> Self {
        let slots = Reactor::global().expect("a reactor").metrics().registrations;
        Self { descriptors: entries("/proc/self/fd"), threads: entries("/proc/self/task"), slots }
    }

    /// Fails if it does not. Another thread that has reported an end to the walk may be about to drop the
    /// sender, and the reactor in it: no event reports that.
    ///
    /// # Panics
    ///
    /// If something was left behind.
    pub(crate) fn comes_back(self) {
        let began = Instant::now();
        while Self::take() != self && began.elapsed() < PATIENCE {
            thread::yield_now();
        }
        assert_eq!(Self::take(), self, "something was left behind");
    }
}

/// The one that looks at `/proc/self/fd` is there each time.
fn entries(folder: &str) -> usize {
    fs::read_dir(folder).expect("/proc").count()
}

/// Resident memory, in kilobytes.
pub(crate) fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("/proc");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a line for it");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}
