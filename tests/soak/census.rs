//! What this process has, to be compared with what it had.

use std::fs;

use netpoll::Reactor;

/// What must be as before whenever the walk has dropped everything.
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
