//! How often each step was made, and its results.

use std::collections::BTreeMap;
use std::fmt::Write;

#[derive(Debug, Default)]
pub(crate) struct Tally(BTreeMap<(&'static str, &'static str), u64>);

impl Tally {
    pub(crate) fn count(&mut self, what: &'static str, about: &'static str) {
        *self.0.entry((what, about)).or_default() += 1;
    }

    pub(crate) fn of(&self, what: &str, about: &str) -> u64 {
        let rows = self.0.iter().filter(|((w, a), _)| *w == what && *a == about);
        rows.map(|(_, count)| count).sum()
    }

    /// A row for each.
    pub(crate) fn table(&self) -> String {
        let mut table = String::from("| step | subject | times |\n| --- | --- | ---: |\n");
        for ((what, about), count) in &self.0 {
            writeln!(table, "| {what} | {about} | {count} |").expect("into a string");
        }
        table
    }

    /// The rows that were met too seldom, of those that chance alone cannot leave out: in less than a
    /// million steps, of the usual ones only.
    pub(crate) fn missing(&self, steps: u64, required: &[(&str, &str, u64)]) -> Vec<String> {
        let scaled = |least: u64| least.saturating_mul(steps) / 1_000_000;
        let counts = |least: u64| steps >= 1_000_000 || scaled(least) >= 5;
        let asked = required.iter().filter(|(_, _, least)| counts(*least));
        let missing = asked.filter(|(what, about, least)| self.of(what, about) < scaled(*least));
        missing.map(|(w, a, _)| format!("{w}: {a}: {} times", self.of(w, a))).collect()
    }
}
