//! The sweep: counts the calls of each session, makes the cases, and has each played by a process of
//! its own, several at a time.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use indicatif::{ProgressBar, ProgressStyle};

use crate::calls::{CALLS, Call};
use crate::case::Case;
use crate::session::Session;
use crate::table;

/// The outcome of a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// As its rule says.
    Survived,
    /// The session took another way, and the call that was to fail was not made.
    Absent,
    /// A defect, and its description.
    Defect(String),
}

/// Plays a case in a process of its own. Returns its verdict, and the rest of its output.
pub(crate) fn play(case: &Case, patience: Option<u32>) -> (Fate, String) {
    let said = say(&["--child", &case.to_string()], patience);
    let last = said.lines().last().unwrap_or_default();
    let fate = match last.split(':').next() {
        Some("survived") => Fate::Survived,
        Some("absent") => Fate::Absent,
        Some("defect") => Fate::Defect(last.to_owned()),
        _ => Fate::Defect(format!("the process died: {said}")),
    };
    (fate, said)
}

/// How often a session makes each call, without a fault.
pub(crate) fn counts(session: Session) -> Vec<u64> {
    let [one, other] = [(); 2].map(|()| {
        let said = say(&["--count", session.name()], None);
        let counts: BTreeMap<_, _> = said.lines().filter_map(|line| line.split_once(' ')).collect();
        CALLS.each_ref().map(|call| match counts.get(call.name).map(|count| count.parse()) {
            Some(Ok(count)) => count,
            _ => panic!("{}: {said}", session.name()),
        })
    });
    // A call that depends on chance should be there in most runs.
    one.into_iter().zip(other).map(|(one, other): (u64, u64)| one.min(other)).collect()
}

fn say(arguments: &[&str], patience: Option<u32>) -> String {
    let this = std::env::current_exe().expect("the path of this program");
    let mut command = Command::new(this);
    command.args(arguments).stdin(Stdio::null());
    if let Some(seconds) = patience {
        command.env("NETPOLL_TEST_PATIENCE", seconds.to_string());
    }
    let run = command.output().expect("a process");
    if run.status.success() {
        return String::from_utf8_lossy(&run.stdout).into_owned();
    }
    format!("{}: {}", run.status, String::from_utf8_lossy(&run.stderr))
}

/// The cases of a session, of which `every` says which of so many calls are to fail.
pub(crate) fn cases_of(session: Session, every: fn(u64) -> Vec<u64>) -> Vec<Case> {
    let counts = counts(session);
    let mut cases = Vec::new();
    let calls = CALLS.iter().zip(counts);
    for (call, count) in calls.filter(|(call, _)| call.is_swept_in(session)) {
        for errno in table::errors_of(call) {
            for from in every(count) {
                cases.extend(Case::new(session, call, errno, from, false));
            }
            if count > 0 {
                cases.extend(Case::new(session, call, errno, 1, true));
            }
        }
    }
    cases
}

/// The first, the middle and the last of so many.
pub(crate) fn first_middle_last(count: u64) -> Vec<u64> {
    let mut which = vec![1, count.div_ceil(2), count];
    which.retain(|which| (1..=count).contains(which));
    which.dedup();
    which
}

/// Each of so many, as long as they are few.
pub(crate) fn each(count: u64) -> Vec<u64> {
    (1..=count).step_by(usize::try_from(count / 50 + 1).unwrap_or(usize::MAX)).collect()
}

/// Plays them all, three times as many at a time as there are processors: most of them wait most of
/// the time.
pub(crate) fn play_all(cases: &[Case]) -> Vec<Fate> {
    let bar = ProgressBar::new(cases.len() as u64);
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} {msg}");
    bar.set_style(style.expect("a template"));
    let next = AtomicUsize::new(0);
    let fates = Mutex::new(vec![Fate::Absent; cases.len()]);
    let workers = 3 * thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::SeqCst);
                    let Some(case) = cases.get(at) else { return };
                    let (fate, _) = play(case, None);
                    if let Fate::Defect(what) = &fate {
                        bar.suspend(|| println!("{case}: {what}"));
                    }
                    fates.lock().expect("no panic")[at] = fate;
                    bar.inc(1);
                }
            });
        }
    });
    bar.finish_and_clear();
    fates.into_inner().expect("no panic")
}

/// The calls that no session makes: such a call is not swept.
pub(crate) fn never_called(cases: &[Case]) -> Vec<&'static Call> {
    let is_called = |call: &&Call| cases.iter().any(|case| std::ptr::eq(case.fault.call, *call));
    CALLS.iter().filter(|call| !is_called(call)).collect()
}
