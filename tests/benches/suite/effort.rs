//! How much is measured, by the command line.

use std::time::Duration;

use super::rows::{self, Row};
use crate::args::Args;

pub(super) struct Effort {
    pub(super) rounds: usize,
    /// Rows that take long, or whose numbers are always the same, are in fewer of them.
    pub(super) few_rounds: usize,
    pub(super) warm_up: Duration,
    pub(super) counted: Duration,
    /// How many connections are idle, for the memory of one.
    pub(super) idle: usize,
    rows: Option<Vec<String>>,
    servers: Option<Vec<String>>,
}

impl Effort {
    pub(super) fn of(args: &Args) -> Self {
        let full = args.subcommand() == Some("full");
        let rounds = args.number("--rounds", if full { 15 } else { 3 });
        let counted = args.number("--millis", if full { 500 } else { 200 });
        Self {
            rounds,
            few_rounds: rounds.min(if full { 3 } else { 1 }),
            warm_up: Duration::from_millis(if full { 100 } else { 50 }),
            counted: Duration::from_millis(counted as u64),
            idle: if full { 10_000 } else { 2000 },
            rows: match args.subcommand() {
                Some("http") => Some(vec!["http".to_owned(), "http-apart".to_owned()]),
                _ => args.list("--only"),
            },
            servers: args.list("--servers"),
        }
    }

    /// The first name that is of no row or no server.
    pub(super) fn unknown(&self) -> Option<&str> {
        let mut rows = self.rows.iter().flatten().filter(|name| Row::named(name).is_none());
        let mut servers = self.servers.iter().flatten().filter(|name| !rows::is_server(name));
        rows.next().or_else(|| servers.next()).map(String::as_str)
    }

    /// As little as shows that it works.
    pub(super) fn least() -> Self {
        Self {
            rounds: 1,
            few_rounds: 1,
            warm_up: Duration::from_millis(1),
            counted: Duration::from_millis(20),
            idle: 10,
            rows: None,
            servers: None,
        }
    }

    pub(super) fn wants_row(&self, row: &Row) -> bool {
        self.rows.as_ref().is_none_or(|rows| rows.iter().any(|name| name == row.name))
    }

    pub(super) fn wants_server(&self, server: &str) -> bool {
        self.servers.as_ref().is_none_or(|servers| servers.iter().any(|name| name == server))
    }
}
