//! System calls of an echo, counted from outside: by perf, or else by strace.
//!
//! A process without privileges has no way to count its own: `/proc/self/io` leaves out calls on
//! sockets, and the kernel's tracepoints are for root. So the tour runs itself again, under a
//! tracer: twice, to tell the echoes from the calls before them.

use std::path::Path;
use std::process::{Command, Stdio, id};
use std::{env, fs, io};

use crate::Result;
use crate::options::Options;
use crate::progress::Progress;

/// Messages on each connection in the shorter run.
const FEW: usize = 1;

/// How many system calls an echo takes.
pub(crate) struct Calls {
    pub(crate) per_echo: f64,
    /// Whether counting them did not change them.
    pub(crate) exact: bool,
}

/// A program that runs another one and writes into a file which system calls that made.
struct Tracer {
    program: &'static str,
    /// The last one takes the file.
    arguments: &'static [&'static str],
    /// Finds the number of all calls in that file.
    total: fn(&str) -> Result<u64>,
    exact: bool,
    /// How many more messages there are on each connection in the longer run. Connecting is not
    /// always the same work, and should not be seen in the difference.
    more: usize,
}

/// The best first: perf does not slow the counted process, but needs privileges.
const TRACERS: [Tracer; 2] = [
    Tracer {
        program: "perf",
        arguments: &["stat", "-x,", "-e", "raw_syscalls:sys_enter", "-o"],
        total: perf_total,
        exact: true,
        more: 100,
    },
    Tracer {
        program: "strace",
        arguments: &["-f", "-c", "-o"],
        total: strace_total,
        exact: false,
        more: 20,
    },
];

/// Counts with the first tracer that can. The error is why each of them cannot.
pub(crate) fn per_echo(executor: &str, options: &Options, progress: &Progress) -> Result<Calls> {
    let mut reasons = Vec::new();
    for tracer in &TRACERS {
        progress.step("system calls", 2);
        match tracer.per_echo(executor, options, progress) {
            Ok(per_echo) => return Ok(Calls { per_echo, exact: tracer.exact }),
            Err(reason) => reasons.push(format!("{}: {reason}", tracer.program)),
        }
    }
    Err(reasons.join("; ").into())
}

impl Tracer {
    /// By how many calls a run with more messages has more of them. Calls outside the
    /// echoes, as starting and connecting, are in both.
    fn per_echo(&self, executor: &str, options: &Options, progress: &Progress) -> Result<f64> {
        let few = self.count(executor, FEW, options)?;
        progress.advance();
        let many = self.count(executor, FEW + self.more, options)?;
        progress.advance();
        Ok((many as f64 - few as f64) / (options.connections * self.more) as f64)
    }

    /// All system calls of a run that does nothing but echo.
    fn count(&self, executor: &str, messages: usize, options: &Options) -> Result<u64> {
        let file = env::temp_dir().join(format!("netpoll-tour-{}-{executor}", id()));
        let run = self.run(&file, executor, messages, options);
        let counted = run.and_then(|()| (self.total)(&fs::read_to_string(&file)?));
        // There is none if the tracer did not start.
        let _ = fs::remove_file(&file);
        counted
    }

    fn run(&self, file: &Path, executor: &str, messages: usize, options: &Options) -> Result<()> {
        let mut command = Command::new(self.program);
        command.args(self.arguments).arg(file).arg(env::current_exe()?);
        command.args(["--echo-only", "--executor", executor]);
        command.args(["--connections", &options.connections.to_string()]);
        command.args(["--messages", &messages.to_string()]);
        command.args(["--limit", &options.limit.as_secs().to_string()]);
        let run = command.stdin(Stdio::null()).output().map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => "is not installed".to_owned(),
            _ => error.to_string(),
        })?;
        if run.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&run.stderr);
        let first = said.lines().find(|line| !line.trim().is_empty()).unwrap_or("says nothing");
        Err(format!("{first} ({})", run.status).into())
    }
}

/// The first field of the only line with commas: `12345,,raw_syscalls:sys_enter,...`.
fn perf_total(counts: &str) -> Result<u64> {
    let fields = counts.lines().find_map(|line| line.split_once(','));
    let total = fields.and_then(|(total, _)| total.parse().ok());
    total.ok_or_else(|| format!("no count in its output: {counts}").into())
}

/// The sum of the fourth column between the rules.
fn strace_total(summary: &str) -> Result<u64> {
    let is_rule = |line: &&str| line.starts_with("---");
    let lines = summary.lines().skip_while(|line| !is_rule(line)).skip(1);
    let calls = lines.take_while(|line| !is_rule(line)).map(|line| {
        let calls = line.split_whitespace().nth(3).and_then(|calls| calls.parse::<u64>().ok());
        calls.ok_or_else(|| format!("no count in a line that it wrote: {line}"))
    });
    let calls = calls.collect::<Result<Vec<_>, _>>()?;
    if calls.is_empty() { Err("it wrote no counts".into()) } else { Ok(calls.iter().sum()) }
}
