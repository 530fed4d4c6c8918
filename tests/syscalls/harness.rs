//! The harness itself: a fault is the chosen one, where it was chosen, and each flaw that a
//! session can have is noticed.

use crate::calls::Call;
use crate::case::Case;
use crate::session::{Flaw, Session};
use crate::sweep::{Fate, play};
use crate::table;

/// The flaw.
pub(crate) fn defects() -> Vec<String> {
    let mut defects = faults_that_are_not_seen();
    defects.extend(Flaw::ALL.into_iter().filter_map(flaw_that_is_not_noticed));
    defects
}

fn case(flaw: Flaw, errno: libc::c_int, time: u64) -> Case {
    let call = Call::named("listen").expect("one of the calls");
    Case::new(Session::Broken(flaw), call, errno, time, false).expect("it happens")
}

/// Every error of `listen(2)`, at each of three calls (the first is that of `bind`).
fn faults_that_are_not_seen() -> Vec<String> {
    let errors = table::errors_of(Call::named("listen").expect("one of the calls"));
    let mut defects = Vec::new();
    for errno in errors {
        for time in 1..=3 {
            let case = case(Flaw::Nothing, errno, time + 1);
            let (fate, said) = play(&case, None);
            let expected =
                format!("listen time {time}: {}", std::io::Error::from_raw_os_error(errno));
            if fate != Fate::Survived || !said.contains(&expected) {
                defects.push(format!("{case} should have been seen as `{expected}`: {said}"));
            }
        }
    }
    defects
}

/// The text that a verdict on it must have.
fn told(flaw: Flaw) -> &'static str {
    match flaw {
        Flaw::Nothing => "survived",
        Flaw::KeepsADescriptor => "left behind: ",
        Flaw::KeepsASlot => "it waits for a slot to be free",
        Flaw::KeepsAWaker => "it waits for the session to end",
        Flaw::KeepsAThread => "it waits for a thread to end",
        Flaw::Panics => " panics",
        Flaw::Hangs => "it waits for the session to end",
        Flaw::Dies => "the process died",
        Flaw::HidesTheError => "no operation returned the error",
        Flaw::TellsAnother | Flaw::LeavesOutTheName => "by its rule it Fails",
        Flaw::NeverRecovers => "the second try failed as well",
    }
}

fn flaw_that_is_not_noticed(flaw: Flaw) -> Option<String> {
    let case = case(flaw, libc::EBADF, 2);
    let (fate, said) = play(&case, Some(2));
    let noticed = match fate {
        Fate::Defect(what) => what.contains(told(flaw)),
        _ => said.contains(told(flaw)),
    };
    (!noticed).then(|| format!("{case} should have been found to be wrong: {said}"))
}
