//! Puts deliberate faults into a copy of the crates, one at a time, and says which test notices.
//!
//! ```text
//! cargo run --release -p netpoll-tests --example faults
//! ```

mod copy;
mod suites;

use std::io;
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use netpoll_tests::faults::{FAULTS, Fault};

use copy::Copy;
use suites::{SUITES, Verdict};

const HELP: &str = "\
Usage: faults [WORDS]

Puts every fault whose description contains WORDS (all, if there are none) into a copy of the crates,
in target/faults, and runs the tests there until one fails. Takes about a minute for each fault.

It fails if a fault goes unnoticed.

  --list   only lists them
";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if words.iter().any(|word| word == "--help") {
        print!("{HELP}");
        return ExitCode::SUCCESS;
    }
    if words.iter().any(|word| word == "--list") {
        FAULTS.iter().for_each(|fault| println!("{}", fault.what));
        return ExitCode::SUCCESS;
    }
    let words = words.join(" ");
    let chosen: Vec<_> = FAULTS.iter().filter(|fault| fault.what.contains(&words)).collect();
    match try_all(&chosen) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("faults: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Whether every one of them was noticed.
fn try_all(chosen: &[&Fault]) -> io::Result<bool> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
    let copy = Copy::of(root)?;
    eprintln!("without a fault, nothing may fail");
    if let Verdict::Noticed { suite, test } = judge(&copy)? {
        return Err(io::Error::other(format!("{suite}: {test} fails without any fault")));
    }
    println!("| fault | noticed by | test | seconds |");
    println!("| --- | --- | --- | --- |");
    let mut noticed = 0;
    for (number, fault) in (1..).zip(chosen) {
        eprintln!("{number}/{} {}", chosen.len(), fault.what);
        let began = Instant::now();
        let verdict = copy.with(fault, || judge(&copy))?;
        let (suite, test) = match verdict {
            Verdict::Noticed { suite, test } => (suite, test),
            Verdict::Unnoticed => ("nothing", String::new()),
        };
        noticed += usize::from(suite != "nothing");
        println!("| {} | {suite} | {test} | {} |", fault.what, began.elapsed().as_secs());
    }
    println!();
    println!("{noticed} of {} noticed", chosen.len());
    Ok(noticed == chosen.len())
}

/// The first test of the first suite that fails.
fn judge(copy: &Copy) -> io::Result<Verdict> {
    for suite in SUITES {
        let verdict = suite.run(copy.root(), copy.target())?;
        if let Verdict::Noticed { .. } = verdict {
            return Ok(verdict);
        }
    }
    Ok(Verdict::Unnoticed)
}
