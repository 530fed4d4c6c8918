//! The arguments of the soak, and those that `cargo test` passes to every test.

use std::time::{SystemTime, UNIX_EPOCH};

/// The default: as many steps as an unoptimised build makes in some ten seconds.
const STEPS: u64 = 150_000;

pub(crate) struct Arguments {
    pub(crate) seed: u64,
    pub(crate) steps: u64,
    /// Print how often each step was made.
    pub(crate) table: bool,
    /// `--list`: lists the tests, and runs none.
    pub(crate) only_lists: bool,
    /// The caller asks for other tests.
    pub(crate) is_filtered_out: bool,
}

impl Arguments {
    pub(crate) fn read() -> Self {
        let mut read = Self {
            seed: told("NETPOLL_SOAK_SEED").unwrap_or_else(of_the_clock),
            steps: told("NETPOLL_SOAK_STEPS").unwrap_or(STEPS),
            table: false,
            only_lists: false,
            is_filtered_out: false,
        };
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            let mut number = || arguments.next().and_then(|value| value.parse().ok());
            match argument.as_str() {
                "--seed" => read.seed = number().expect("--seed takes a number"),
                "--steps" => read.steps = number().expect("--steps takes a number"),
                "--table" => read.table = true,
                "--list" => read.only_lists = true,
                // They have a value, which is no name of a test.
                "--test-threads" | "--skip" | "--format" | "--color" | "--logfile" => {
                    arguments.next();
                }
                flag if flag.starts_with('-') => {}
                name => read.is_filtered_out = !"soak".contains(name),
            }
        }
        read
    }
}

fn told(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

/// Another one each time.
fn of_the_clock() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    u64::from(since.map_or(0, |since| since.subsec_nanos() ^ since.as_secs() as u32))
}
