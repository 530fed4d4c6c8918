//! How often what was done, and what came of it.

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
        let mut table = String::from("| what | about | times |\n| --- | --- | ---: |\n");
        for ((what, about), count) in &self.0 {
            writeln!(table, "| {what} | {about} | {count} |").expect("into a string");
        }
        table
    }

    /// Those of the rows that a run of a million steps has `least` times, and that are missing.
    pub(crate) fn missing(&self, steps: u64, required: &[(&str, &str, u64)]) -> Vec<String> {
        let per_run = |least: u64| (least * steps / 1_000_000).max(u64::from(steps >= 20_000));
        let missing = required.iter().filter(|(w, a, least)| self.of(w, a) < per_run(*least));
        missing.map(|(w, a, _)| format!("{w}: {a}: {} times", self.of(w, a))).collect()
    }
}
