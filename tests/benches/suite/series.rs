//! Values that change with a parameter: one table each, beside the comparison.

use std::io::IsTerminal;

use super::effort::Effort;
use super::measures::served::{self, Processors, Scenario};
use super::progress;
use super::rows::{TWO_PROCESSORS, title_of};
use crate::args::Args;
use crate::measure::child::own_program;
use crate::measure::stats::Sample;
use crate::measure::table::Table;

struct Series {
    title: &'static str,
    /// The first is the baseline of the others.
    servers: &'static [&'static str],
    scenarios: &'static [(&'static str, Scenario)],
}

const fn connections(connections: usize) -> Scenario {
    Scenario { connections, ..TWO_PROCESSORS }
}

const GROWTH: Series = Series {
    title: "microseconds of an echo, by connections",
    servers: &["bare", "tokio", "netpoll-inline", "netpoll-local"],
    scenarios: &[
        ("10", connections(10)),
        ("100", connections(100)),
        ("1,000", connections(1000)),
        ("10,000", connections(10_000)),
    ],
};

const fn free(connections: usize) -> Scenario {
    Scenario { processors: Processors::Free, ..self::connections(connections) }
}

const THREADS: Series = Series {
    title: "microseconds of an echo, by two threads, by connections",
    servers: &["tokio-two", "netpoll-two", "netpoll-two-reactors", "netpoll-cores"],
    scenarios: &[("64", free(64)), ("1,000", free(1000))],
};

/// How the cost of an echo grows with the connections.
pub(crate) fn growth(args: &Args) {
    GROWTH.run(&Effort::of(args));
}

/// Two threads with one reactor, and with two.
pub(crate) fn threads(args: &Args) {
    THREADS.run(&Effort::of(args));
}

impl Series {
    fn run(&self, effort: &Effort) {
        let bar = progress(effort.rounds * self.scenarios.len() * self.servers.len());
        let mut costs = vec![vec![Vec::new(); self.scenarios.len()]; self.servers.len()];
        for round in 0..effort.rounds {
            if !std::io::stderr().is_terminal() {
                eprintln!("round {} of {}", round + 1, effort.rounds);
            }
            for (column, (_, scenario)) in self.scenarios.iter().enumerate() {
                for number in 0..self.servers.len() {
                    let place = (number + round) % self.servers.len();
                    costs[place][column].push(cost(self.servers[place], scenario, effort));
                    bar.inc(1);
                }
            }
        }
        bar.finish_and_clear();
        self.print(&costs);
    }

    fn print(&self, costs: &[Vec<Vec<f64>>]) {
        let mut head = vec![self.title];
        head.extend(self.scenarios.iter().map(|(name, _)| *name));
        let mut table = Table::new(&head);
        for (server, own) in self.servers.iter().zip(costs) {
            let mut cells = vec![title_of(server).to_owned()];
            cells.extend(own.iter().zip(&costs[0]).map(|(own, first)| cell(own, first)));
            table.row(cells);
        }
        table.print();
    }
}

/// Nanoseconds of an echo.
fn cost(server: &str, scenario: &Scenario, effort: &Effort) -> f64 {
    let measured = served::measure(&own_program(), server, scenario, effort).expect("it serves");
    let cost = measured.iter().find(|(name, _)| name == served::SERVER);
    cost.expect("it is always measured").1
}

/// The median, and the ratio to the baseline of the same round with its spread.
fn cell(own: &[f64], first: &[f64]) -> String {
    let ratios = Sample::new(own.iter().zip(first).map(|(own, first)| own / first).collect());
    let (median, ratio) = (Sample::new(own.to_vec()).median() / 1e3, ratios.median());
    format!("{median:.2}, {ratio:.2} ({})", ratios.middle_half(2))
}
