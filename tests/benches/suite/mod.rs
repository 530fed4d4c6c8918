//! The comparison: every row with every server in turns, round after round.

pub(crate) mod chart;
pub(crate) mod check;
pub(crate) mod compare;
mod effort;
mod machine;
mod measures;
mod record;
mod report;
mod rows;
pub(crate) mod series;

use std::fs;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use indicatif::{ProgressBar, ProgressStyle};

use crate::args::Args;
use crate::measure::child::own_program;
use crate::servers::go;
use effort::Effort;
use record::Record;
use rows::{ROWS, Row};

/// One server's turn in one row.
struct Turn {
    round: usize,
    row: &'static Row,
    server: &'static str,
}

/// A program that has the servers, and their values.
struct Program {
    path: PathBuf,
    record: Record,
}

impl Program {
    fn new(path: PathBuf) -> Self {
        Self { path, record: Record::new(machine::describe()) }
    }
}

/// Measures, prints the tables, and leaves the numbers and the charts in a folder.
pub(crate) fn run(args: &Args) -> ExitCode {
    let effort = Effort::of(args);
    if let Some(name) = effort.unknown() {
        eprintln!("{name} is neither a row nor a server, see --help");
        return ExitCode::FAILURE;
    }
    let mut notes = Vec::new();
    let turns = turns(&effort, &mut notes);
    let mut programs = [Program::new(own_program())];
    let failures = measure(&turns, &effort, &mut programs);
    for note in notes.iter().chain(&failures) {
        println!("{note}\n");
    }
    let [Program { record, .. }] = programs;
    report::print(&record);
    let folder = folder(args);
    match save(&record, &folder) {
        Ok(()) => println!("The numbers and the charts are in {}.", folder.display()),
        Err(error) => println!("{}: {error}", folder.display()),
    }
    if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// All turns in their order. Measurements that this machine lacks are left out, and noted.
fn turns(effort: &Effort, notes: &mut Vec<String>) -> Vec<Turn> {
    let mut missing = Vec::new();
    if effort.wants_server(go::NAME)
        && let Err(reason) = go::build()
    {
        notes.push(format!("Without Go: {reason}."));
        missing.push(go::NAME);
    }
    let mut rows = Vec::new();
    for row in ROWS.iter().filter(|row| effort.wants_row(row)) {
        match row.obstacle() {
            Some(reason) => notes.push(format!("Without the row {}: {reason}.", row.name)),
            None => rows.push(row),
        }
    }
    let mut turns = Vec::new();
    for round in 0..effort.rounds {
        for row in rows.iter().filter(|row| round < row.rounds(effort)) {
            let mut servers = row.servers(effort);
            servers.retain(|server| !missing.contains(server));
            // Another one begins in each round: no contestant always follows the same one.
            let first = round % servers.len().max(1);
            servers.rotate_left(first);
            turns.extend(servers.into_iter().map(|server| Turn { round, row, server }));
        }
    }
    turns
}

/// Takes all turns, each with every program, and returns the failures.
fn measure(turns: &[Turn], effort: &Effort, programs: &mut [Program]) -> Vec<String> {
    let bar = progress(turns.len());
    let mut failures = Vec::new();
    for (number, Turn { round, row, server }) in turns.iter().enumerate() {
        bar.set_message(format!("{}: {server}", row.name));
        let begins = number == 0 || turns[number - 1].row.name != row.name;
        if begins && !io::stderr().is_terminal() {
            eprintln!("{number}/{} round {}, {}", turns.len(), round + 1, row.name);
        }
        let first = round % programs.len();
        programs.rotate_left(first);
        for Program { path, record } in &mut *programs {
            match row.measure(path, server, effort) {
                Ok(values) => record.add(row.name, server, *round, values),
                Err(error) => failures.push(format!("FAILED: {}, {server}: {error}", row.name)),
            }
        }
        programs.rotate_right(first);
        bar.inc(1);
    }
    bar.finish_and_clear();
    failures
}

/// Where there is no terminal, it draws nothing.
fn progress(turns: usize) -> ProgressBar {
    let bar = ProgressBar::new(turns as u64);
    let template = "[{bar:24}] {pos}/{len} {msg} ({eta} left)";
    bar.set_style(
        ProgressStyle::with_template(template).expect("it is right").progress_chars("#>."),
    );
    bar
}

/// Beside the sources for the record, and with the build's other files otherwise.
fn folder(args: &Args) -> PathBuf {
    if let Some(folder) = args.word("--to") {
        return folder.into();
    }
    if args.subcommand() == Some("full") {
        return Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/charts");
    }
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("charts")
}

fn save(record: &Record, folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    fs::write(folder.join("peers.tsv"), record.to_string())?;
    chart::draw_all(record, folder)
}

/// Draws the charts again, beside the file that has the numbers, and prints the tables.
pub(crate) fn redraw(args: &Args) -> ExitCode {
    let file = Path::new(args.operand());
    match redraw_from(file) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}: {error}", file.display());
            ExitCode::FAILURE
        }
    }
}

fn redraw_from(file: &Path) -> io::Result<()> {
    let record = Record::parse(&fs::read_to_string(file)?).ok_or(io::ErrorKind::InvalidData)?;
    report::print(&record);
    chart::draw_all(&record, file.parent().unwrap_or(Path::new("")))
}
