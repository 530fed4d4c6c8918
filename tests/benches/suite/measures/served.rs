//! The server's cost of its clients.

use std::path::Path;

use super::super::effort::Effort;
use super::{Serving, Values};
use crate::load::{Exchange, Reading};
use crate::measure::child::Child;

/// Of a server: nanoseconds of processor time for a request. The others are of a request as well,
/// but for the rate.
pub(crate) const SERVER: &str = "server-ns";
pub(crate) const LOAD: &str = "load-ns";
pub(crate) const SWITCHES: &str = "switches";
pub(crate) const RATE: &str = "per-second";
pub(crate) const P50: &str = "p50-us";
pub(crate) const P99: &str = "p99-us";
pub(crate) const P999: &str = "p99.9-us";
/// The latencies of the clients, with their titles.
pub(crate) const LATENCIES: [(&str, &str); 3] = [(P50, "p50"), (P99, "p99"), (P999, "p99.9")];

/// The clients' work, and their processor.
pub(crate) struct Scenario {
    pub(crate) exchange: Exchange,
    pub(crate) connections: usize,
    pub(crate) processors: Processors,
    pub(crate) deadlines: bool,
    /// Requests in a second, of all clients; without it each asks as soon as it was answered.
    pub(crate) rate: Option<usize>,
    /// Whether each request has a connection of its own.
    pub(crate) churn: bool,
}

/// Where the server and its clients run.
#[derive(Clone, Copy)]
pub(crate) enum Processors {
    /// On the same: the steadiest, as no process ever waits for another in vain.
    One,
    /// Each on its own.
    Two,
    /// Wherever there is room.
    Free,
}

pub(crate) fn measure(
    program: &Path,
    server: &str,
    scenario: &Scenario,
    effort: &Effort,
) -> Result<Values, String> {
    let serving = Serving::start(program, &[], &server_words(server, scenario))?;
    let words = load_words(&serving, scenario, effort);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let mut load = Child::start(&words);
    let reading = Reading::from(load.try_numbers()?);
    load.finish();
    Ok(values(&reading))
}

fn server_words<'a>(server: &'a str, scenario: &Scenario) -> Vec<&'a str> {
    let mut words = vec!["as-server", server];
    if !matches!(scenario.processors, Processors::Free) {
        words.extend(["--processor", "0"]);
    }
    words.extend(scenario.deadlines.then_some("--deadlines"));
    words.extend(scenario.exchange.flag());
    words
}

fn load_words(serving: &Serving, scenario: &Scenario, effort: &Effort) -> Vec<String> {
    let processor = match scenario.processors {
        Processors::One => Some(0),
        Processors::Two => Some(1),
        Processors::Free => None,
    };
    let mut words = vec!["as-load".to_owned(), serving.port.clone()];
    let mut option = |name: &str, value: u128| words.extend([name.to_owned(), value.to_string()]);
    option("--server", serving.id.into());
    if let Some(processor) = processor {
        option("--processor", processor);
    }
    option("--connections", scenario.connections as u128);
    option("--warm-up", effort.warm_up.as_millis());
    option("--for", effort.counted.as_millis());
    option("--rate", scenario.rate.unwrap_or(0) as u128);
    words.extend(scenario.churn.then(|| "--churn".to_owned()));
    words.extend(scenario.exchange.flag().map(str::to_owned));
    words
}

fn values(reading: &Reading) -> Values {
    let each = |total: u64| total as f64 / reading.requests as f64;
    let values = [
        (SERVER, each(reading.server_ns)),
        (LOAD, each(reading.load_ns)),
        (SWITCHES, each(reading.switches)),
        (RATE, reading.requests as f64 * 1e9 / reading.elapsed_ns as f64),
        (P50, reading.p50_ns as f64 / 1e3),
        (P99, reading.p99_ns as f64 / 1e3),
        (P999, reading.p999_ns as f64 / 1e3),
    ];
    values.map(|(name, value)| (name.to_owned(), value)).into()
}
