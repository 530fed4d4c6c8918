//! The table, the reactor's metrics, and the verdict.

use std::time::Duration;

use netpoll::Metrics;

use crate::executors::Executor;
use crate::options::Options;
use crate::syscalls::Calls;
use crate::workload::Outcome;

/// The results of an executor's part.
pub(crate) struct Row {
    pub(crate) title: &'static str,
    pub(crate) connections: usize,
    pub(crate) outcome: Outcome,
    pub(crate) wakes: u64,
    /// If they were counted.
    pub(crate) syscalls: Option<Calls>,
}

const COLUMNS: usize = 9;

const HEAD: [[&str; COLUMNS]; 2] = [
    ["executor", "", "echoes", "latency µs", "", "deadlines", "slowest", "", "syscalls"],
    ["", "connections", "per s", "p50", "p99", "fired", "µs", "wake-ups", "per echo"],
];

/// The subject of the table.
pub(crate) fn introduction(options: &Options) -> String {
    format!(
        "An echo server and its clients on netpoll's sockets, over loopback, in one process. Each client sends {}\n\
         messages and compares every byte of the echoes. --help explains the columns.\n\n",
        grouped(options.messages as u128)
    )
}

/// The table, with a row for each executor whose checks held, and a line for each kind of dash in it.
pub(crate) fn table(rows: &[Row], options: &Options) -> String {
    let body: Vec<_> = rows.iter().map(cells).collect();
    let head = HEAD.map(|line| line.map(str::to_owned));
    let widths: [usize; COLUMNS] = std::array::from_fn(|column| {
        let cells = head.iter().chain(&body).map(|line| line[column].chars().count());
        cells.max().unwrap_or(0)
    });
    let rule = "-".repeat(widths.iter().sum::<usize>() + 2 * (COLUMNS - 1));
    let [head, body] = [&head[..], &body]
        .map(|lines| lines.iter().map(|line| aligned(line, &widths)).collect::<String>());
    format!("{head}{rule}\n{body}{}", dashes(rows, options))
}

/// Why there are dashes, if there are any.
fn dashes(rows: &[Row], options: &Options) -> String {
    let mut lines = String::new();
    if rows.iter().any(|row| row.outcome.fired.is_none()) {
        lines += "- under deadlines: left out, by --echo-only\n";
    }
    if rows.iter().any(|row| row.syscalls.is_none()) {
        lines += if options.syscalls {
            "- under syscalls: could not be counted; the reason is on standard error\n"
        } else {
            "- under syscalls: not counted; --syscalls counts them, and takes longer\n"
        };
    }
    lines
}

/// The last line: whether every check held, and which checks they were.
pub(crate) fn verdict(rows: &[Row], options: &Options) -> String {
    let held = |executor: &&Executor| rows.iter().any(|row| row.title == executor.title);
    let failed: Vec<&str> =
        options.executors.iter().filter(|it| !held(it)).map(|executor| executor.name).collect();
    if !failed.is_empty() {
        let (failed, count) = (failed.join(", "), options.executors.len());
        return format!(
            "\nFAILED under {failed}, of {count} executors: the reason is on standard error.\n"
        );
    }
    let echoes: usize = rows.iter().map(|row| row.outcome.latencies.len()).sum();
    let fired: usize =
        rows.iter().filter_map(|row| row.outcome.fired.as_ref()).map(|it| it.count).sum();
    let deadlines = if options.echo_only {
        "deadlines and close were left out".to_owned()
    } else {
        format!("{} deadlines fired, none early", grouped(fired as u128))
    };
    let executors = match rows {
        [row] => row.title.to_owned(),
        rows => format!("{} executors", rows.len()),
    };
    format!(
        "\nPASSED under {executors}: {} echoes without a wrong byte, {deadlines}, nothing left registered.\n",
        grouped(echoes as u128)
    )
}

fn cells(row: &Row) -> [String; COLUMNS] {
    let Outcome { took, latencies, fired } = &row.outcome;
    let rate = latencies.len() as f64 / took.as_secs_f64();
    let or_dash = |cell: Option<String>| cell.unwrap_or_else(|| "-".to_owned());
    [
        row.title.to_owned(),
        grouped(row.connections as u128),
        grouped(rate as u128),
        grouped(percentile(latencies, 50).as_micros()),
        grouped(percentile(latencies, 99).as_micros()),
        or_dash(fired.as_ref().map(|fired| grouped(fired.count as u128))),
        or_dash(fired.as_ref().map(|fired| grouped(fired.slowest.as_micros()))),
        grouped(row.wakes.into()),
        or_dash(row.syscalls.as_ref().map(per_echo)),
    ]
}

fn per_echo(calls: &Calls) -> String {
    let about = if calls.exact { "" } else { "~" };
    format!("{about}{:.1}", calls.per_echo)
}

/// The first column is text, and starts at the left; the others are numbers.
fn aligned(line: &[String; COLUMNS], widths: &[usize; COLUMNS]) -> String {
    let mut aligned = format!("{:<1$}", line[0], widths[0]);
    for (cell, width) in line.iter().zip(widths).skip(1) {
        aligned += &format!("  {cell:>width$}");
    }
    aligned + "\n"
}

/// The least that so many in a hundred do not exceed.
fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().unwrap_or_default()
}

/// The counts of the reactor.
pub(crate) fn metrics(metrics: &Metrics) -> String {
    let lines = [
        ("registrations", metrics.registrations, "sockets and timers that are registered now"),
        ("turns", metrics.turns, "waits for events, each of which serves all that have come"),
        (
            "thread turns",
            metrics.thread_turns,
            "those of the reactor's own thread, and not of an executor's",
        ),
        ("events", metrics.events, "that epoll reported"),
        ("stale events", metrics.stale_events, "of them for descriptors that were gone"),
        ("wakes", metrics.wakes, "tasks woken by events, deadlines and timers"),
        ("expiries", metrics.expiries, "deadlines and timers whose time came in a turn"),
        (
            "notifies",
            metrics.notifies,
            "times that its sleep was ended, mostly for an earlier deadline",
        ),
    ];
    let lines = lines.map(|(name, count, what)| {
        format!("  {name:<13}  {:>11}  {what}\n", grouped(count.into()))
    });
    format!("\nThe reactor's counts, over all executors:\n{}", lines.concat())
}

/// A number with its thousands apart: `12,345`.
fn grouped(number: u128) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}
