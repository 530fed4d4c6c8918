//! What netpoll costs, measured beside tokio and async-io on the same machine in the same run.
//!
//! ```text
//! cargo run --release -p netpoll-tests --example measure -- WHAT
//! ```
//!
//! The other ends of the connections are always in a process of their own, so that neither their
//! memory nor their time nor their system calls are counted. What is compared runs in turns, many
//! short rounds of each: what else the machine does meanwhile then disturbs all of them alike.

mod args;
mod child;
mod clients;
mod deadline_cost;
mod echo_cpu;
mod echo_servers;
mod http;
mod idle;
mod memory;
mod overshoot;
mod ping_pong;
mod procfs;
mod stats;
mod sys;

use std::process::ExitCode;

use args::Args;

const HELP: &str = "\
Usage: measure WHAT [OPTIONS]

WHAT is one of
  ping-pong      10,000 echoes of 64 bytes over one connection, for a look at the system calls
                   --deadlines   set_deadline(now + 30 s) before every read and every write
                   --under TOOL  run the server, and only the server, under \"strace -f -c\" or such
                   --rounds N    that many echoes (10000)
  memory         resident bytes of an idle connection that waits in a read
                   --connections N (10000)  --rounds N (3)
  deadline-cost  nanoseconds of moving a deadline, beyond those of reading the clock
                   --rounds N (301)
  idle           what the reactor does while 1,000 connections wait with deadlines an hour away
                   --connections N (1000)  --seconds N (10)
  overshoot      how late deadlines of 0.1, 1, 10 and 100 ms are; it fails if one is early
                   --firings N, of each delay by each library (1000; for the record 10000)
                   --every N     microseconds from one to the next, on average (500)
                   --load        beside as many threads that compute as there are processors
  echo-cpu       processor time of an echo server with 64 connections
                   --deadlines   each read and each write within 30 s
                   --connections N (64)  --echoes N, of each connection (3000)  --rounds N (9)
  http           processor time of an HTTP/1 server on hyper with 64 connections
                   --connections N (64)  --echoes N, of each connection (3000)  --rounds N (9)

The parts of `ping-pong`, for other tools than strace:
  ping-pong-server [--deadlines]    prints its port, serves one connection, prints what it counted
  echo-client PORT [--connections N] [--rounds N]
";

type Subcommand = fn(&Args);

/// What there is to run: first what people ask for, then the child processes that those start.
const SUBCOMMANDS: [(&str, Subcommand); 14] = [
    ("ping-pong", ping_pong::run),
    ("memory", memory::run),
    ("deadline-cost", deadline_cost::run),
    ("idle", idle::run),
    ("overshoot", overshoot::run),
    ("echo-cpu", echo_cpu::run),
    ("http", http::run),
    ("ping-pong-server", ping_pong::serve),
    ("echo-client", clients::echo),
    ("idle-clients", clients::idle),
    ("memory-server", memory::serve),
    ("echo-server", echo_servers::serve),
    ("http-server", http::serve),
    ("http-client", http::ask),
];

fn main() -> ExitCode {
    let args = Args::of_this_process();
    if args.flag("--help") || args.what() == Some("help") {
        print!("{HELP}");
        return ExitCode::SUCCESS;
    }
    match SUBCOMMANDS.iter().find(|(name, _)| args.what() == Some(name)) {
        Some((_, run)) => {
            run(&args);
            ExitCode::SUCCESS
        }
        None => {
            eprint!("{HELP}");
            ExitCode::FAILURE
        }
    }
}
