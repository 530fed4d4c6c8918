//! All the numbers, as they were measured: tables and charts are made from them, also later.

use std::fmt;

use super::measures::Values;
use super::rows::Row;
use crate::measure::stats::Sample;

const HEAD: &str = "row\tserver\tround\tmeasure\tvalue";

#[derive(Default)]
pub(super) struct Record {
    /// The subject of a record: names and facts.
    pub(super) machine: Vec<(String, String)>,
    entries: Vec<Entry>,
}

#[derive(PartialEq)]
struct Entry {
    row: String,
    server: String,
    round: usize,
    measure: String,
    value: f64,
}

impl Record {
    pub(super) fn new(machine: Vec<(String, String)>) -> Self {
        Self { machine, entries: Vec::new() }
    }

    pub(super) fn add(&mut self, row: &str, server: &str, round: usize, values: Values) {
        let entry = |(measure, value)| Entry {
            row: row.to_owned(),
            server: server.to_owned(),
            round,
            measure,
            value,
        };
        self.entries.extend(values.into_iter().map(entry));
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut record = Self::default();
        for line in text.lines().filter(|line| *line != HEAD) {
            if let Some(fact) = line.strip_prefix("# ") {
                let (name, fact) = fact.split_once('\t')?;
                record.machine.push((name.to_owned(), fact.to_owned()));
                continue;
            }
            let cells: Vec<&str> = line.split('\t').collect();
            let [row, server, round, measure, value] = cells.try_into().ok()?;
            let values = vec![(measure.to_owned(), value.parse().ok()?)];
            record.add(row, server, round.parse().ok()?, values);
        }
        Some(record)
    }

    /// Which of these have been measured, in their order.
    pub(super) fn servers(&self, row: &str) -> Vec<&str> {
        let mut servers = Vec::new();
        for entry in self.entries.iter().filter(|entry| entry.row == row) {
            if !servers.contains(&entry.server.as_str()) {
                servers.push(&entry.server);
            }
        }
        servers
    }

    fn values(&self, row: &str, server: &str, measure: &str) -> Vec<(usize, f64)> {
        let wanted = |e: &&Entry| e.row == row && e.server == server && e.measure == measure;
        self.entries.iter().filter(wanted).map(|entry| (entry.round, entry.value)).collect()
    }

    pub(super) fn sample(&self, row: &str, server: &str, measure: &str) -> Option<Sample> {
        sample(self.values(row, server, measure).into_iter().map(|(_, value)| value).collect())
    }

    /// Each value combined with that of another server, or in another record, in the same round: a
    /// disturbance of the one disturbs the other.
    pub(super) fn compared(
        &self,
        row: &Row,
        server: &str,
        measure: &str,
        (record, base): (&Self, &str),
        combine: impl Fn(f64, f64) -> f64,
    ) -> Option<Sample> {
        let baseline = record.values(row.name, base, measure);
        let of_round =
            |round| baseline.iter().find(|(of, _)| *of == round).map(|(_, value)| *value);
        let values = self.values(row.name, server, measure).into_iter();
        sample(values.filter_map(|(round, value)| Some(combine(value, of_round(round)?))).collect())
    }

    /// The names of the measured values that begin with this.
    pub(super) fn measures(&self, row: &str, server: &str, prefix: &str) -> Vec<&str> {
        let mut names = Vec::new();
        for entry in self.entries.iter().filter(|entry| entry.row == row && entry.server == server)
        {
            if entry.measure.starts_with(prefix) && !names.contains(&entry.measure.as_str()) {
                names.push(&entry.measure);
            }
        }
        names
    }
}

fn sample(values: Vec<f64>) -> Option<Sample> {
    (!values.is_empty()).then(|| Sample::new(values))
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, fact) in &self.machine {
            writeln!(f, "# {name}\t{fact}")?;
        }
        writeln!(f, "{HEAD}")?;
        for Entry { row, server, round, measure, value } in &self.entries {
            writeln!(f, "{row}\t{server}\t{round}\t{measure}\t{value:.4}")?;
        }
        Ok(())
    }
}
