//! The command line.

use std::ffi::OsString;
use std::ops::RangeInclusive;
use std::time::Duration;

use crate::Result;
use crate::executors::{ALL, Executor};

/// A client port each, and Linux has 28,000 of them unless told otherwise.
const CONNECTIONS: RangeInclusive<usize> = 1..=20_000;
const MESSAGES: RangeInclusive<usize> = 1..=100_000;
const SECONDS: RangeInclusive<usize> = 1..=86_400;

/// The choices of the command line.
pub(crate) enum Command {
    Help,
    Tour(Options),
}

/// How the tour is to be made.
pub(crate) struct Options {
    pub(crate) connections: usize,
    pub(crate) messages: usize,
    pub(crate) executors: Vec<Executor>,
    pub(crate) echo_only: bool,
    pub(crate) syscalls: bool,
    pub(crate) limit: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            connections: 1_000,
            messages: 100,
            executors: ALL.to_vec(),
            echo_only: false,
            syscalls: false,
            limit: Duration::from_secs(60),
        }
    }
}

/// Understands the arguments, without the program's name.
pub(crate) fn parse(arguments: impl Iterator<Item = OsString>) -> Result<Command> {
    let mut options = Options::default();
    let mut arguments = arguments.map(|argument| {
        argument.into_string().map_err(|argument| format!("{} is no text", argument.display()))
    });
    while let Some(argument) = arguments.next().transpose()? {
        let mut value = || match arguments.next() {
            Some(value) => Ok(value?),
            None => Err(format!("{argument} needs a value")),
        };
        match argument.as_str() {
            "-h" | "--help" => return Ok(Command::Help),
            "--connections" => options.connections = number(&argument, &value()?, CONNECTIONS)?,
            "--messages" => options.messages = number(&argument, &value()?, MESSAGES)?,
            "--executor" => options.executors = vec![executor(&value()?)?],
            "--echo-only" => options.echo_only = true,
            "--syscalls" => options.syscalls = true,
            "--limit" => {
                options.limit = Duration::from_secs(number(&argument, &value()?, SECONDS)? as u64);
            }
            _ => return Err(format!("there is no option {argument}").into()),
        }
    }
    Ok(Command::Tour(options))
}

fn number(option: &str, value: &str, range: RangeInclusive<usize>) -> Result<usize> {
    let number = value.parse().ok().filter(|number| range.contains(number));
    let (least, most) = (range.start(), range.end());
    number.ok_or_else(|| format!("{option} takes a number from {least} to {most}: {value}").into())
}

fn executor(name: &str) -> Result<Executor> {
    let found = ALL.into_iter().find(|executor| executor.name == name);
    found.ok_or_else(|| format!("there is no executor {name}, only {}", names()).into())
}

fn names() -> String {
    ALL.map(|executor| executor.name).join(", ")
}

/// The text of `--help`.
pub(crate) fn help() -> String {
    HELP.replace("{names}", &names())
}

const HELP: &str = "\
The main job of netpoll under five executors, with every result checked.

Usage: cargo run --release --example tour -- [OPTIONS]

Under each executor in turn, an echo server and its clients run over loopback, on
the sockets of netpoll-futures. The clients send messages and compare every byte of
the echoes. Then, on every connection: a read deadline fires, and never early; one
is extended and must not fire at its first time; a past one fails a pending read at
once. At last `close` ends a pending accept, and nothing may be left registered.

Options:
  --connections N    connections under each executor (1000)
  --messages N       messages on each connection (100)
  --executor NAME    only this one: {names}
  --syscalls         count the system calls of an echo, with perf if it is there and
                     allowed to, or else with strace; takes longer
  --echo-only        leave out deadlines and close
  --limit SECONDS    when to give up, and name the check that hangs (60)
  -h, --help         this

The table has a row for each executor:
  connections        how many there were, all open at the same time
  echoes per s       messages that came back, over all connections, from the first
                     to the last; both ends run in this process
  latency µs         from writing a message until its echo is read, in microseconds:
                     half of them took at most p50, 99 in 100 at most p99. All
                     clients talk at once, so each waits for its turn behind the
                     others: it is the latency of a saturated server
  deadlines fired    two on each connection: one that came, one set in the past
  slowest µs         of the deadlines that came: the most microseconds between a
                     deadline and when its task ran
  wake-ups           tasks that the reactor woke, for sockets, deadlines and timers
  syscalls per echo  of client, server, reactor and executor together; four of them
                     move the data. The difference between two runs of which one
                     sends more messages, so that starting and connecting are not in
                     it. '~': by strace, which slows every call. Slower threads sleep
                     and wake more often, so by themselves they make fewer.
                     '-': not counted. A process cannot count its own system calls
                     without privileges, so this takes --syscalls

Below it are all counts of the reactor, setting up included. The last line is the
verdict: PASSED, or FAILED with the executors.

Exit code: 0 if every check held; 1 if not, with the executor and the check; 2 if
the command line makes no sense.
";
