//! The cost of netpoll, measured beside a bare epoll loop and the peers, on the same machine in the
//! same run.
//!
//! ```text
//! cargo bench -p netpoll-tests                 the comparison, in less than two minutes
//! cargo bench -p netpoll-tests -- full         the same for the record
//! cargo bench -p netpoll-tests -- --help       all subcommands
//! cargo test -p netpoll-tests --bench peers    the checks of the measurements themselves
//! ```
//!
//! The measure is the processor time of the *server*, by the kernel's accounting. Clients
//! are in a process of their own, so that their time does not count. The contestants take
//! turns, many short rounds of each, and each is compared with the baseline in its own round:
//! other work of the machine then disturbs all of them alike.
//!
//! - `suite/`: the rows, the order of the contestants, the record, the tables and the charts;
//! - `servers/`: the servers that are compared;
//! - `load/`: their clients, which also read the kernel's accounts;
//! - `single/`: measurements of one thing each;
//! - `measure/`: the parts that all of them use.
#![cfg(not(netpoll_loom))]

mod args;
mod load;
mod measure;
mod servers;
mod single;
mod suite;

use std::process::ExitCode;

use args::Args;
use single::{
    clients, deadline_cost, expiry, idle, instructions, memory, overshoot, ping_pong, scale,
    sharing, timers,
};

const HELP: &str = include_str!("help.txt");

type Subcommand = fn(&Args);

/// The subcommands, beside the comparison.
const SUBCOMMANDS: [(&str, Subcommand); 12] = [
    ("ping-pong", ping_pong::run),
    ("memory", memory::run),
    ("deadline-cost", deadline_cost::run),
    ("idle", idle::run),
    ("instructions", instructions::run),
    ("overshoot", overshoot::run),
    ("scale", scale::run),
    ("sharing", sharing::run),
    ("timers", timers::run),
    ("expiry", expiry::run),
    ("growth", suite::series::growth),
    ("threads", suite::series::threads),
];

/// The child processes that those start.
const CHILDREN: [(&str, Subcommand); 7] = [
    ("as-server", servers::run),
    ("as-load", load::run),
    ("as-deadline-cost", deadline_cost::one),
    ("as-memory-server", memory::serve),
    ("as-idle-clients", clients::idle),
    ("as-ping-pong-server", ping_pong::serve),
    ("as-echo-client", clients::echo),
];

fn main() -> ExitCode {
    let args = Args::of_this_process();
    if run(&args, &CHILDREN) {
        return ExitCode::SUCCESS;
    }
    if !args.is_bench() {
        suite::check::run();
    }
    if args.flag("--help") || args.subcommand() == Some("help") {
        print!("{HELP}");
        return ExitCode::SUCCESS;
    }
    match args.subcommand() {
        None | Some("quick" | "full" | "http") => suite::run(&args),
        Some("compare") => suite::compare::run(&args),
        Some("chart") => suite::redraw(&args),
        Some(_) if run(&args, &SUBCOMMANDS) => ExitCode::SUCCESS,
        Some(_) => {
            eprint!("{HELP}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the subcommand, if it is one of these.
fn run(args: &Args, subcommands: &[(&str, Subcommand)]) -> bool {
    let subcommand = subcommands.iter().find(|(name, _)| args.subcommand() == Some(name));
    if let Some((_, run)) = subcommand {
        run(args);
    }
    subcommand.is_some()
}
