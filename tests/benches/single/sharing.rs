//! The cache lines that the threads of a server share while it echoes, by valgrind.
//!
//! A line that one thread writes and another one accesses travels between their processors. On a machine of few processors
//! its cost cannot be measured as a time. So the server runs under valgrind's lackey, which prints the address of each
//! access, and valgrind prints which thread runs. A line counts as shared if two threads access it and one of them
//! writes it, each at least once in eight of the echoes that a thread serves on average.
//!
//! Valgrind runs one thread at a time, and each of them slowly. So the reactor's own thread finds the lease free more
//! often than it would otherwise, and makes turns. A thread that makes fewer than a sixteenth of all accesses does
//! not count as one that serves.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::Command;

use indicatif::ProgressBar;

use crate::args::Args;
use crate::measure::child::Child;
use crate::measure::sys;
use crate::measure::table::Table;
use crate::single::clients;

const SERVERS: [&str; 4] = ["tokio-two", "netpoll-two", "netpoll-two-reactors", "netpoll-cores"];
const CONNECTIONS: usize = 64;
const ROUNDS: usize = 20;
const LINE: u64 = 64;

/// Where valgrind loads a program that may lie anywhere.
const BASE: u64 = 0x10_8000;

/// The accesses to one line.
#[derive(Default)]
struct Line {
    by_thread: HashMap<u32, Accesses>,
    /// The instructions that write it, by their addresses.
    writers: HashMap<u64, usize>,
}

#[derive(Clone, Copy, Default)]
struct Accesses {
    reads: usize,
    writes: usize,
}

/// Prints, for each server, how many lines its threads share, and with `--functions` the functions that write them.
pub(crate) fn run(args: &Args) {
    let servers = args.list("--servers").unwrap_or_else(|| SERVERS.map(str::to_owned).to_vec());
    let rounds = args.number("--rounds", ROUNDS);
    let connections = args.number("--connections", CONNECTIONS);
    let wanted = args.number("--functions", 0);
    let bar = ProgressBar::new(servers.len() as u64);
    let head =
        ["server", "threads", "shared lines", "accesses to them an echo", "writes among them"];
    let mut table = Table::new(&head);
    let mut functions = Vec::new();
    for server in &servers {
        bar.set_message(server.clone());
        let trace = trace(server, connections, rounds);
        let lines = read(&trace);
        std::fs::remove_file(&trace).expect("it is ours");
        let echoes = (rounds * connections) as f64;
        let threads = threads(&lines);
        let least = (echoes / threads as f64 / 8.0) as usize;
        let shared: Vec<&Line> = lines.values().filter(|line| line.is_shared(least)).collect();
        let sum = |count: fn(&Accesses) -> usize| {
            let all = shared.iter().flat_map(|line| line.by_thread.values());
            format!("{:.1}", all.map(count).sum::<usize>() as f64 / echoes)
        };
        table.row(vec![
            server.clone(),
            threads.to_string(),
            shared.len().to_string(),
            sum(|accesses| accesses.reads + accesses.writes),
            sum(|accesses| accesses.writes),
        ]);
        functions.push(if wanted > 0 { writers(&shared, echoes) } else { Vec::new() });
        bar.inc(1);
    }
    bar.finish_and_clear();
    table.print();
    for (server, functions) in servers.iter().zip(functions).filter(|_| wanted > 0) {
        let mut table = Table::new(&[server, "writes an echo"]);
        for (function, writes) in functions.into_iter().take(wanted) {
            table.row(vec![function, format!("{writes:.2}")]);
        }
        table.print();
    }
}

/// Serves so many rounds under lackey, and returns the file with its trace.
fn trace(server: &str, connections: usize, rounds: usize) -> PathBuf {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("lackey.out");
    let log = format!("--log-file={}", file.display());
    let tool = [
        "valgrind",
        "--tool=lackey",
        "--basic-counts=no",
        "--trace-mem=yes",
        "--trace-sched=yes",
        &log,
    ];
    let mut child = Child::start_under(&tool, &["as-server", server]);
    let [port, process] = child.numbers();
    clients::exchange(port as u16, connections, rounds);
    sys::terminate(process as u32).expect("it is ours");
    child.wait();
    file
}

/// Reads the trace: `SCHED[n]: acquired lock` says that thread n runs from there on; `I`, `L`, `S` and `M` begin the
/// address of an instruction, a load, a store and both.
fn read(trace: &Path) -> HashMap<u64, Line> {
    let mut lines: HashMap<u64, Line> = HashMap::new();
    let (mut thread, mut instruction) = (1, 0);
    let trace = BufReader::new(File::open(trace).expect("valgrind has written its file"));
    for text in trace.lines() {
        let Ok(text) = text else { continue };
        if let Some((_, sched)) = text.split_once("SCHED[") {
            if let Some((number, rest)) = sched.split_once(']')
                && rest.contains("acquired lock")
            {
                thread = number.parse().expect("a number");
            }
            continue;
        }
        let Some((kind, address)) = text.trim_start().split_once(' ') else { continue };
        let address = address.trim().split(',').next().unwrap_or_default();
        let Ok(address) = u64::from_str_radix(address, 16) else { continue };
        match kind {
            "I" => instruction = address,
            "L" => lines.entry(address / LINE).or_default().access(thread).reads += 1,
            "S" | "M" => {
                let line = lines.entry(address / LINE).or_default();
                line.access(thread).writes += 1;
                *line.writers.entry(instruction).or_default() += 1;
            }
            _ => {}
        }
    }
    lines
}

impl Line {
    fn access(&mut self, thread: u32) -> &mut Accesses {
        self.by_thread.entry(thread).or_default()
    }

    fn is_shared(&self, least: usize) -> bool {
        let all = || self.by_thread.values();
        let often = all().filter(|accesses| accesses.reads + accesses.writes >= least).count();
        often > 1 && all().any(|accesses| accesses.writes >= least)
    }
}

/// How many threads serve: those that make a sixteenth of all accesses or more.
fn threads(lines: &HashMap<u64, Line>) -> usize {
    let mut by_thread: HashMap<u32, usize> = HashMap::new();
    for (thread, accesses) in lines.values().flat_map(|line| &line.by_thread) {
        *by_thread.entry(*thread).or_default() += accesses.reads + accesses.writes;
    }
    let all: usize = by_thread.values().sum();
    by_thread.values().filter(|own| **own * 16 >= all).count()
}

/// The functions that write shared lines, those with the most writes first.
fn writers(shared: &[&Line], echoes: f64) -> Vec<(String, f64)> {
    let mut writes: BTreeMap<u64, usize> = BTreeMap::new();
    for (instruction, count) in shared.iter().flat_map(|line| &line.writers) {
        *writes.entry(*instruction).or_default() += count;
    }
    let names = functions(writes.keys().copied());
    let mut functions: HashMap<String, f64> = HashMap::new();
    for (name, count) in names.into_iter().zip(writes.into_values()) {
        *functions.entry(name).or_default() += count as f64 / echoes;
    }
    let mut functions: Vec<_> = functions.into_iter().collect();
    functions.sort_by(|one, other| other.1.total_cmp(&one.1));
    functions
}

/// The functions of this program that have these instructions, by `addr2line`.
fn functions(instructions: impl Iterator<Item = u64>) -> Vec<String> {
    let own = std::env::current_exe().expect("the path of this program");
    let addresses: Vec<_> =
        instructions.map(|at| format!("{:x}", at.saturating_sub(BASE))).collect();
    let output =
        Command::new("addr2line").args(["-f", "-C", "-e"]).arg(own).args(&addresses).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    let text = text.unwrap_or_default();
    // Two lines each: the function, and its place.
    let mut names = text.lines().step_by(2).map(|name| match name {
        "??" => "in another library".to_owned(),
        name => name.to_owned(),
    });
    addresses.into_iter().map(|at| names.next().unwrap_or(at)).collect()
}
