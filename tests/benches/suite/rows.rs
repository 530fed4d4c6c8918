//! The comparison: one row of the table each.

use std::path::Path;
use std::thread;

use super::effort::Effort;
use super::measures::calls::{self, Pace};
use super::measures::served::{self, Processors, Scenario};
use super::measures::{Values, alone};
use crate::load::Exchange;
use crate::servers::{Server, echo, servers_of};
use crate::single::memory;

pub(super) struct Row {
    pub(super) name: &'static str,
    pub(super) title: &'static str,
    pub(super) what: What,
}

/// How a row is measured.
pub(super) enum What {
    /// The server's cost of its clients.
    Served(Scenario),
    /// The memory of an idle connection.
    Memory,
    /// The cost of moving a deadline.
    DeadlineCost,
    /// The system calls of an echo.
    Calls(Pace),
}

const ONE_PROCESSOR: Scenario = Scenario {
    exchange: Exchange::Echo,
    connections: 64,
    processors: Processors::One,
    deadlines: false,
    rate: None,
    churn: false,
};

pub(super) const TWO_PROCESSORS: Scenario =
    Scenario { processors: Processors::Two, ..ONE_PROCESSOR };

pub(super) const ROWS: [Row; 20] = [
    served("one", "1 connection, one cpu", Scenario { connections: 1, ..ONE_PROCESSOR }),
    served("many", "64 connections, one cpu", ONE_PROCESSOR),
    served(
        "deadlines",
        "64, two deadlines per echo",
        Scenario { deadlines: true, ..ONE_PROCESSOR },
    ),
    served("apart", "64, clients on another cpu", TWO_PROCESSORS),
    served(
        "thousand",
        "1,000, clients on another cpu",
        Scenario { connections: 1000, ..TWO_PROCESSORS },
    ),
    served("paced", "64, 20,000 echoes/s", Scenario { rate: Some(20_000), ..TWO_PROCESSORS }),
    served(
        "churn",
        "connect, echo, close; 32 at once",
        Scenario { connections: 32, churn: true, ..ONE_PROCESSOR },
    ),
    served("large", "64, 16 KiB, one cpu", Scenario { exchange: Exchange::Large, ..ONE_PROCESSOR }),
    served(
        "unix",
        "64 Unix streams, one cpu",
        Scenario { exchange: Exchange::Unix, ..ONE_PROCESSOR },
    ),
    served("udp", "64 UDP clients, one cpu", Scenario { exchange: Exchange::Udp, ..ONE_PROCESSOR }),
    served("http", "hyper, 64, one cpu", Scenario { exchange: Exchange::Http, ..ONE_PROCESSOR }),
    served(
        "http-apart",
        "hyper, 64, clients on another cpu",
        Scenario { exchange: Exchange::Http, ..TWO_PROCESSORS },
    ),
    served("axum", "axum, 64, one cpu", Scenario { exchange: Exchange::Axum, ..ONE_PROCESSOR }),
    served(
        "tls",
        "TLS, request",
        Scenario { exchange: Exchange::Tls, connections: 1, ..ONE_PROCESSOR },
    ),
    served(
        "tls-churn",
        "TLS, handshake and request",
        Scenario { exchange: Exchange::Tls, connections: 1, churn: true, ..ONE_PROCESSOR },
    ),
    served(
        "quic",
        "QUIC, a mebibyte",
        Scenario { exchange: Exchange::Quic, connections: 1, ..ONE_PROCESSOR },
    ),
    Row { name: "memory", title: "idle connection, bytes beyond bare", what: What::Memory },
    Row { name: "deadline-cost", title: "moving a deadline, ns", what: What::DeadlineCost },
    Row {
        name: "calls-paced",
        title: "system calls per echo, paced",
        what: What::Calls(Pace::Paced),
    },
    Row {
        name: "calls-loaded",
        title: "system calls per echo, loaded",
        what: What::Calls(Pace::Loaded),
    },
];

const fn served(name: &'static str, title: &'static str, scenario: Scenario) -> Row {
    Row { name, title, what: What::Served(scenario) }
}

impl Row {
    pub(super) fn named(name: &str) -> Option<&'static Self> {
        ROWS.iter().find(|row| row.name == name)
    }

    /// Why it cannot be measured here.
    pub(super) fn obstacle(&self) -> Option<&'static str> {
        match &self.what {
            What::Served(scenario) => {
                let needs_two = matches!(scenario.processors, Processors::Two);
                (needs_two && processors() < 2).then_some("it takes two processors")
            }
            What::Calls(_) => calls::obstacle(),
            What::Memory | What::DeadlineCost => None,
        }
    }

    /// Whether its clients see a latency that is the server's: they have a processor of their own.
    pub(super) fn has_latency(&self) -> bool {
        matches!(self.what, What::Served(Scenario { processors: Processors::Two, .. }))
    }

    /// In how many rounds it is.
    pub(super) fn rounds(&self, effort: &Effort) -> usize {
        match self.what {
            What::Served(_) => effort.rounds,
            What::Memory | What::DeadlineCost | What::Calls(_) => effort.few_rounds,
        }
    }

    /// The chosen contestants. The baseline is always among them.
    pub(super) fn servers(&self, effort: &Effort) -> Vec<&'static str> {
        let baseline = self.baseline();
        let mut names = self.names();
        names.retain(|name| Some(*name) == baseline || effort.wants_server(name));
        names
    }

    /// All contestants.
    fn names(&self) -> Vec<&'static str> {
        let names = |servers: &'static [Server]| servers.iter().map(|server| server.name).collect();
        match &self.what {
            What::Served(scenario) => names(servers_of(scenario.exchange)),
            What::Calls(_) => names(servers_of(Exchange::Echo)),
            What::Memory => memory::HOLDERS.iter().map(|holder| holder.server).collect(),
            What::DeadlineCost => alone::DEADLINES.iter().map(|(server, _)| *server).collect(),
        }
    }

    /// The baseline of the others.
    pub(super) fn baseline(&self) -> Option<&'static str> {
        match &self.what {
            What::Served(scenario) => Some(servers_of(scenario.exchange)[0].name),
            What::Memory => Some(memory::HOLDERS[0].server),
            What::DeadlineCost | What::Calls(_) => None,
        }
    }

    /// The measured value that the tables are about.
    pub(super) fn value(&self) -> &'static str {
        match self.what {
            What::Served(_) => served::SERVER,
            What::Memory => alone::BYTES,
            What::DeadlineCost => alone::NANOS,
            What::Calls(_) => calls::CALLS,
        }
    }

    /// One turn of one server of a program.
    pub(super) fn measure(
        &self,
        program: &Path,
        server: &str,
        effort: &Effort,
    ) -> Result<Values, String> {
        match &self.what {
            What::Served(scenario) => served::measure(program, server, scenario, effort),
            What::Memory => Ok(alone::memory(program, server, effort)),
            What::DeadlineCost => Ok(alone::deadline_cost(program, server)),
            What::Calls(pace) => calls::measure(program, server, *pace),
        }
    }
}

/// The names and titles of all servers, in the order of the tables. Some are in it more than once.
fn all_servers() -> impl Iterator<Item = (&'static str, &'static str)> {
    let http = servers_of(Exchange::Http);
    let served = servers_of(Exchange::Echo).iter().chain(http).chain(&echo::ON_TWO_THREADS);
    let served = served.map(|server| (server.name, server.title));
    served.chain(memory::HOLDERS.iter().map(|holder| (holder.server, holder.title)))
}

pub(super) fn is_server(name: &str) -> bool {
    all_servers().any(|(known, _)| known == name)
}

/// The title of a server of any row.
pub(super) fn title_of(server: &str) -> &str {
    all_servers().find(|(name, _)| *name == server).map_or(server, |(_, title)| title)
}

/// Those that were measured in one of these rows, in the order of the tables.
pub(super) fn in_order(measured: &[&str]) -> Vec<&'static str> {
    let mut ordered = Vec::new();
    for (name, _) in all_servers().filter(|(name, _)| measured.contains(name)) {
        if !ordered.contains(&name) {
            ordered.push(name);
        }
    }
    ordered
}

fn processors() -> usize {
    thread::available_parallelism().map_or(1, Into::into)
}
