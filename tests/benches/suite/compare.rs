//! Two revisions: each row with every server, of the present sources and of another revision's, in turns.
//!
//! The servers of the other revision are in its own program, which is built here. The clients of both are this program's.

use std::env;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use super::effort::Effort;
use super::rows::{ROWS, in_order, title_of};
use super::{Program, measure, report, turns};
use crate::args::Args;
use crate::measure::child::own_program;
use crate::measure::table::Table;
use crate::servers::go;

pub(crate) fn run(args: &Args) -> ExitCode {
    let (effort, revision) = (Effort::of(args), args.operand());
    if let Some(name) = effort.unknown() {
        eprintln!("{name} is neither a row nor a server, see --help");
        return ExitCode::FAILURE;
    }
    let other = match build(revision) {
        Ok(program) => program,
        Err(error) => {
            eprintln!("{revision}: {error}");
            return ExitCode::FAILURE;
        }
    };
    let mut notes = Vec::new();
    let mut turns = turns(&effort, &mut notes);
    turns.retain(|turn| turn.server != go::NAME);
    let mut programs = [own_program(), other].map(Program::new);
    let failures = measure(&turns, &effort, &mut programs);
    for note in notes.iter().chain(&failures) {
        println!("{note}\n");
    }
    print(&programs, revision);
    if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn print(
    [Program { record: own, .. }, Program { record: other, .. }]: &[Program; 2],
    revision: &str,
) {
    println!("The present sources, as a multiple of {revision}:\n");
    let measured: Vec<&str> = ROWS.iter().flat_map(|row| own.servers(row.name)).collect();
    let servers = in_order(&measured);
    let mut head = vec![""];
    head.extend(servers.iter().map(|server| title_of(server)));
    let mut table = Table::new(&head);
    for row in ROWS.iter().filter(|row| !own.servers(row.name).is_empty()) {
        let ratio = |server: &&str| {
            own.compared(row, server, row.value(), (other, server), |own, other| own / other)
        };
        let mut cells = vec![row.title.to_owned()];
        cells.extend(
            servers.iter().map(|server| report::cell(ratio(server), |value| format!("{value:.3}"))),
        );
        table.row(cells);
    }
    table.print();
}

/// The program of a revision. Cargo's files stay in the target folder for the next comparison.
fn build(revision: &str) -> io::Result<PathBuf> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("compare");
    let worktree = Worktree::add(folder.join("sources"), revision)?;
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or("cargo".into()));
    cargo.args([
        "bench",
        "--no-run",
        "-p",
        "netpoll-tests",
        "--bench",
        "peers",
        "--message-format=json",
    ]);
    cargo.arg("--target-dir").arg(folder.join("target")).current_dir(&worktree.0);
    let built = cargo.stderr(Stdio::inherit()).output()?;
    let messages = String::from_utf8_lossy(&built.stdout);
    let program =
        messages.rsplit_once("\"executable\":\"").and_then(|(_, rest)| rest.split('"').next());
    match program {
        Some(program) if built.status.success() => Ok(program.into()),
        _ => Err(io::Error::other("it does not build")),
    }
}

/// The sources of a revision, which are removed when this is dropped.
struct Worktree(PathBuf);

impl Worktree {
    fn add(folder: PathBuf, revision: &str) -> io::Result<Self> {
        let worktree = Self(folder);
        // An interrupted comparison has left it.
        worktree.remove();
        let added =
            git().args(["worktree", "add", "--detach"]).arg(&worktree.0).arg(revision).status()?;
        if added.success() {
            Ok(worktree)
        } else {
            Err(io::Error::other("git has no sources of it"))
        }
    }

    /// It may not be there.
    fn remove(&self) {
        let mut remove = git();
        remove.args(["worktree", "remove", "--force"]).arg(&self.0).stderr(Stdio::null());
        drop(remove.status());
    }
}

impl Drop for Worktree {
    fn drop(&mut self) {
        self.remove();
    }
}

fn git() -> Command {
    let mut git = Command::new("git");
    git.current_dir(env!("CARGO_MANIFEST_DIR"));
    git
}
