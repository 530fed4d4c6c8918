//! The rows with a measurement of their own.

use std::path::Path;

use super::super::effort::Effort;
use super::Values;
use crate::measure::child::Child;
use crate::single::memory;

pub(crate) const BYTES: &str = "bytes";
pub(crate) const NANOS: &str = "ns";

/// The servers, and their ways to move a deadline.
pub(crate) const DEADLINES: [(&str, &str); 3] = [
    ("tokio", "tokio Sleep::reset"),
    ("async-io-local", "async-io Timer::set_at"),
    ("netpoll-local", "netpoll set_read_deadline"),
];

/// Bytes of an idle connection.
pub(crate) fn memory(program: &Path, server: &str, effort: &Effort) -> Values {
    vec![(BYTES.to_owned(), memory::measure(program, server, effort.idle))]
}

/// Nanoseconds of moving one of a thousand deadlines, beyond those of reading the clock.
pub(crate) fn deadline_cost(program: &Path, server: &str) -> Values {
    let known = DEADLINES.iter().find(|(name, _)| *name == server);
    let (_, contestant) = known.expect("a server that is in this row");
    let words = ["as-deadline-cost", contestant, "--rounds", "101"];
    let mut child = Child::start_of(program, &[], &words);
    let [picos] = child.numbers();
    child.finish();
    vec![(NANOS.to_owned(), picos as f64 / 1e3)]
}
