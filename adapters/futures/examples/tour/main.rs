//! The main job, under five executors: an echo server and a thousand clients, real TCP over
//! loopback, with every byte checked, and then the deadlines and `close`.
//!
//! Start reading at `executors.rs`: executors differ in a few lines, and no socket is
//! among them. `workload.rs` is the server and its clients, `deadlines.rs` the promises of deadlines and
//! `close`; the rest is for the command line and the table.
//!
//! Run it with `cargo run --release --example tour`, and with `-- --help` for its options.

mod deadlines;
mod executors;
mod limits;
mod options;
mod progress;
mod report;
mod syscalls;
mod workload;

use std::error::Error;
use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;

use netpoll::Reactor;

use crate::executors::Executor;
use crate::options::{Command, Options};
use crate::progress::{Progress, watch};
use crate::report::Row;
use crate::syscalls::Calls;
use crate::workload::Workload;

/// The result of a check, or of any other step that can fail.
pub(crate) type Result<T, E = Box<dyn Error + Send + Sync>> = std::result::Result<T, E>;

fn main() -> ExitCode {
    let done = match options::parse(std::env::args_os().skip(1)) {
        Ok(Command::Help) => print(&options::help()).map(|()| true),
        Ok(Command::Tour(options)) => tour(&options),
        Err(error) => {
            eprintln!("tour: {error}\nTry --help.");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("tour: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the executors one after the other, and prints the table. Returns whether every check held.
fn tour(options: &Options) -> Result<bool> {
    limits::raise_descriptors(options.connections)?;
    let reactor = Reactor::global()?;
    let progress = Arc::new(Progress::new(options.executors.len()));
    let mut rows = Vec::new();
    {
        let _watchdog = watch(progress.clone(), options.limit)?;
        for executor in &options.executors {
            progress.executor(executor.name);
            match visit(executor, options, reactor, &progress) {
                Ok(row) => rows.push(row),
                Err(error) => progress.failed(&*error),
            }
        }
    }
    print(&report::introduction(options))?;
    print(&report::table(&rows, options))?;
    print(&report::metrics(&reactor.metrics()))?;
    print(&report::verdict(&rows, options))?;
    Ok(rows.len() == options.executors.len())
}

/// One executor's part, and its row of the table.
fn visit(
    executor: &Executor,
    options: &Options,
    reactor: &Reactor,
    progress: &Arc<Progress>,
) -> Result<Row> {
    let before = reactor.metrics();
    let outcome = (executor.run)(&Workload::new(options, progress.clone()))?;
    let after = reactor.metrics();
    progress.step("nothing is left behind", 1);
    if after.registrations > before.registrations {
        let left = after.registrations - before.registrations;
        return Err(format!("{left} sockets or timers are still registered").into());
    }
    let syscalls =
        if options.syscalls { count_syscalls(executor, options, progress) } else { None };
    let wakes = after.wakes - before.wakes;
    Ok(Row { title: executor.title, connections: options.connections, outcome, wakes, syscalls })
}

/// System calls of an echo, or why they cannot be told.
fn count_syscalls(executor: &Executor, options: &Options, progress: &Progress) -> Option<Calls> {
    let counted = syscalls::per_echo(executor.name, options, progress);
    counted.map_err(|error| progress.note(&format!("system calls: {error}"))).ok()
}

/// Prints a line of the report. Unlike `println!`, it does not panic when the output is closed.
fn print(text: &str) -> Result<()> {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush())?;
    Ok(())
}
