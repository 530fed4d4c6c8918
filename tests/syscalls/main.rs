//! Faults at the system call: every call that the crates make fails with every error that its manual
//! page lists, the first time, in the middle and the last time, and from the first time on for ever,
//! while a session is played from the start of the reactor to the last close. No task hangs, nothing
//! leaks or panics, the caller gets the error, and a bystander on the same reactor notices nothing.
//!
//! ```text
//! cargo test -p netpoll-tests --test syscalls                            the sweep, and its table
//! cargo test -p netpoll-tests --test syscalls -- tcp/connect             the cases so named
//! cargo test -p netpoll-tests --test syscalls -- tcp/connect/EPERM/1     one, and all that it says
//! cargo test -p netpoll-tests --test syscalls -- --full                  every time, not only three
//! ```
//!
//! # How a call is made to fail
//!
//! By a filter of `seccomp(2)` that has the kernel ask a supervisor, a thread of the same process
//! outside of the filter, what to answer (`SECCOMP_RET_USER_NOTIF`). Rather than
//!
//! - `strace -e inject`, which is a program that has to be there, traces every call of the process,
//!   the bystander's too, and cannot tell `EPOLL_CTL_ADD` from `EPOLL_CTL_DEL`;
//! - a seam in the reactor's `sys`, which would not see the standard library's calls on behalf of
//!   the adapters, would have to be there in the shipped code, and would test the seam.
//!
//! The filter is of threads: the session's, and those that come from it, the reactor's first of all.
//! The bystander, the supervisor and their watchdogs are outside of it, so their calls are
//! neither counted nor failed. It needs no privilege.
//!
//! The calls are in `calls.rs`, with the rule that each is held to; their errors are in
//! `errors.md`.
#![cfg(not(netpoll_loom))]

mod bystander;
mod calls;
mod case;
mod child;
mod errno;
mod filter;
mod harness;
mod judge;
mod report;
mod session;
mod supervisor;
mod sweep;
mod table;

use std::process::ExitCode;

use case::Case;
use session::Session;
use sweep::Fate;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--child", name] => child::run_case(Case::named(name).expect("a case")),
        ["--count", name] => child::run_count(Session::named(name).expect("a session")),
        ["--list", ..] => list(),
        [name] if Case::named(name).is_some() => replay(&Case::named(name).expect("a case")),
        _ => sweep(&arguments),
    }
}

fn list() -> ExitCode {
    cases(false).iter().for_each(|case| println!("{case}: test"));
    ExitCode::SUCCESS
}

fn cases(is_full: bool) -> Vec<Case> {
    let which = if is_full { sweep::each } else { sweep::first_middle_last };
    Session::ALL.into_iter().flat_map(|session| sweep::cases_of(session, which)).collect()
}

fn replay(case: &Case) -> ExitCode {
    let (fate, said) = sweep::play(case, None);
    print!("{said}");
    ended(matches!(fate, Fate::Survived | Fate::Absent))
}

/// Plays the cases whose names contain all the words; the harness itself, where there are none.
fn sweep(arguments: &[String]) -> ExitCode {
    let is_full = arguments.iter().any(|word| word == "--full");
    let words: Vec<_> = arguments.iter().filter(|word| !word.starts_with('-')).collect();
    let flaws = if words.is_empty() { harness::defects() } else { Vec::new() };
    flaws.iter().for_each(|flaw| println!("the harness: {flaw}"));
    let mut cases = cases(is_full);
    for call in sweep::never_called(&cases) {
        println!("no session calls {}", call.name);
    }
    cases.retain(|case| words.iter().all(|word| case.to_string().contains(*word)));
    let fates = sweep::play_all(&cases);
    report::print(&cases, &fates);
    let defects = fates.iter().filter(|fate| matches!(fate, Fate::Defect(_))).count();
    println!("{} cases, {defects} defects, {} of the harness", cases.len(), flaws.len());
    ended(defects == 0 && flaws.is_empty())
}

fn ended(well: bool) -> ExitCode {
    if well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
