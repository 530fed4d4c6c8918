//! The instructions of an echo outside the kernel, by valgrind.
//!
//! Each server runs under callgrind twice, for a number of rounds and for twice as many. The difference is free of the
//! start and the end of the server. Unlike a time, the count of one program hardly varies. It varies with the reactor's
//! thread, by how the two threads meet, and with many connections, by how many events come in a batch.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, exit};

use indicatif::ProgressBar;

use crate::args::Args;
use crate::measure::child::Child;
use crate::measure::sys;
use crate::measure::table::Table;
use crate::single::clients;

const SERVERS: [&str; 7] = [
    "bare",
    "tokio",
    "netpoll-local",
    "netpoll-driven",
    "netpoll-minimal",
    "netpoll-inline",
    "netpoll-tokio",
];
const CONNECTIONS: [&str; 2] = ["1", "64"];

/// Echoes of the shorter run, over all connections together.
const ECHOES: usize = 12_800;

/// Its counts depend on how its two threads meet, and are not kept.
const VARIES: &str = "netpoll-local";

/// How much more than the kept count fails a check.
const TOLERANCE: f64 = 0.03;

/// One server with its load.
struct Case {
    server: String,
    connections: usize,
    deadlines: bool,
}

impl Case {
    fn name(&self) -> String {
        let deadlines = if self.deadlines { ", deadlines" } else { "" };
        format!("{}, {}{deadlines}", self.server, self.connections)
    }
}

/// The instructions of all functions by name, and their sum.
struct Profile {
    sum: f64,
    functions: HashMap<String, f64>,
}

/// Counts, prints a table, and keeps or checks the counts.
pub(crate) fn run(args: &Args) {
    let servers = args.list("--servers").unwrap_or_else(|| SERVERS.map(str::to_owned).to_vec());
    let connections =
        args.list("--connections").unwrap_or_else(|| CONNECTIONS.map(str::to_owned).to_vec());
    let deadlines = args.flag("--deadlines");
    let mut cases = Vec::new();
    for server in &servers {
        for connections in &connections {
            let connections = connections.parse().expect("--connections takes numbers");
            cases.push(Case { server: server.clone(), connections, deadlines });
        }
    }
    let bar = ProgressBar::new(cases.len() as u64);
    let mut counts = Vec::new();
    for case in &cases {
        bar.set_message(case.name());
        counts.push(count(case));
        bar.inc(1);
    }
    bar.finish_and_clear();
    print(&cases, &counts);
    let functions = args.number("--functions", 0);
    for (case, count) in cases.iter().zip(&counts).filter(|_| functions > 0) {
        print_functions(case, count, functions);
    }
    if args.flag("--keep") {
        fs::write(kept(), to_keep(&cases, &counts)).expect("the sources can be written");
    }
    if args.flag("--check") && !check(&cases, &counts) {
        exit(1);
    }
}

/// The instructions of one echo.
fn count(case: &Case) -> Profile {
    let rounds = (ECHOES / case.connections).max(1);
    let (short, long) = (profile(case, rounds), profile(case, 2 * rounds));
    let each = |long: f64, short: f64| (long - short) / (rounds * case.connections) as f64;
    let functions = long.functions.into_iter().map(|(name, count)| {
        let shorter = short.functions.get(&name).copied().unwrap_or(0.0);
        (name, each(count, shorter))
    });
    Profile { sum: each(long.sum, short.sum), functions: functions.collect() }
}

/// The instructions of a server from its start to its end, with so many rounds in between.
fn profile(case: &Case, rounds: usize) -> Profile {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("callgrind.out");
    let out = format!("--callgrind-out-file={}", file.display());
    let tool =
        ["valgrind", "-q", "--tool=callgrind", "--compress-strings=no", "--compress-pos=no", &out];
    let mut words = vec!["as-server", &case.server];
    words.extend(case.deadlines.then_some("--deadlines"));
    let mut server = Child::start_under(&tool, &words);
    let [port, process] = server.numbers();
    clients::exchange(port as u16, case.connections, rounds);
    sys::terminate(process as u32).expect("it is ours");
    server.wait();
    parse(&fs::read_to_string(file).expect("callgrind has written its file"))
}

/// Reads callgrind's file: `fn=` begins a function, and a line of numbers has a cost of it. The line after `calls=` has the
/// cost of the function that is called.
fn parse(text: &str) -> Profile {
    let mut profile = Profile { sum: 0.0, functions: HashMap::new() };
    let (mut function, mut is_inclusive) = (String::new(), false);
    for line in text.lines() {
        if let Some(name) = line.strip_prefix("fn=") {
            name.clone_into(&mut function);
        } else if line.starts_with("calls=") {
            is_inclusive = true;
        } else if line.starts_with(|first: char| {
            first.is_ascii_digit() || first == '+' || first == '-' || first == '*'
        }) {
            let cost: f64 =
                line.split_whitespace().nth(1).and_then(|cost| cost.parse().ok()).unwrap_or(0.0);
            if !std::mem::take(&mut is_inclusive) {
                profile.sum += cost;
                *profile.functions.entry(function.clone()).or_default() += cost;
            }
        }
    }
    profile
}

fn print(cases: &[Case], counts: &[Profile]) {
    let mut table = Table::new(&["server, connections", "instructions an echo"]);
    for (case, count) in cases.iter().zip(counts) {
        table.row(vec![case.name(), format!("{:.0}", count.sum)]);
    }
    table.print();
}

fn print_functions(case: &Case, count: &Profile, wanted: usize) {
    let mut functions: Vec<_> = count.functions.iter().collect();
    functions.sort_by(|one, other| other.1.total_cmp(one.1));
    let mut table = Table::new(&[&case.name(), "instructions an echo"]);
    for (name, count) in functions.into_iter().take(wanted) {
        table.row(vec![name.clone(), format!("{count:.0}")]);
    }
    table.print();
}

/// The counts that are kept with the sources.
fn kept() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/instructions.tsv")
}

/// The compiler: the counts of another one are others.
fn compiler() -> String {
    let output = Command::new("rustc").arg("--version").output().expect("a compiler");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn to_keep(cases: &[Case], counts: &[Profile]) -> String {
    let is_kept = |case: &Case| case.server != VARIES;
    let lines = (cases.iter().zip(counts))
        .filter(|(case, _)| is_kept(case))
        .map(|(case, count)| format!("{}\t{:.0}\n", case.name(), count.sum));
    format!("{}\n{}", compiler(), lines.collect::<String>())
}

/// Compares with the counts that are kept, and prints each that has grown.
fn check(cases: &[Case], counts: &[Profile]) -> bool {
    let text = fs::read_to_string(kept()).expect("counts are kept with the sources");
    let mut lines = text.lines();
    let (then, now) = (lines.next().unwrap_or_default(), compiler());
    if then != now {
        println!("Not compared: the counts of {then} are kept, and this is {now}.");
        return true;
    }
    let kept: HashMap<&str, f64> = lines
        .filter_map(|line| line.split_once('\t'))
        .filter_map(|(name, count)| Some((name, count.parse().ok()?)))
        .collect();
    let mut is_good = true;
    for (case, count) in cases.iter().zip(counts) {
        let name = case.name();
        let Some(before) = kept.get(name.as_str()) else { continue };
        let (mut sum, most) = (count.sum, before * (1.0 + TOLERANCE));
        // A busy machine changes how two threads meet, and the batches of events: the least of three counts is compared.
        for _ in 0..2 {
            if sum > most {
                sum = sum.min(self::count(case).sum);
            }
        }
        if sum > most {
            println!("{name}: {sum:.0} instructions an echo, {before:.0} are kept");
            is_good = false;
        }
    }
    is_good
}
