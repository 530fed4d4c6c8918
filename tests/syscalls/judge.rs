//! Whether the outcome of a case follows its rule.

use std::io;

use crate::calls::Outcome;
use crate::case::Case;
use crate::session::{Failure, is_gone};

/// The observations of a case.
pub(crate) struct Played {
    /// The operations that failed, one for each try of the session.
    pub(crate) failures: Vec<Failure>,
    /// How often each call was made while the session lasted.
    pub(crate) calls: Vec<u64>,
    /// How many calls were made to fail.
    pub(crate) failed: u64,
    /// The bystander's rounds, or why it stopped; `None` if it never began.
    pub(crate) bystander: Option<io::Result<u64>>,
    /// The objects that were left behind.
    pub(crate) left: Vec<String>,
    pub(crate) panics: usize,
}

/// `survived`, `absent` if the call was never made, or `defect`, and its description.
pub(crate) fn verdict(case: &Case, played: &Played) -> String {
    let failures: Vec<_> = played.failures.iter().map(ToString::to_string).collect();
    let told = failures.join("; ");
    match defect_of_case(case, played) {
        Some(defect) => format!("defect: {defect}; said: {told}"),
        None if played.failed == 0 => "absent".into(),
        None => format!("survived: {told}"),
    }
}

fn defect_of_case(case: &Case, played: &Played) -> Option<String> {
    let outcome = if played.failed == 0 { Outcome::Survives } else { case.outcome() };
    let is_once = played.failed > 0 && !case.fault.for_ever;
    if played.failed == 0 && !case.fault.call.is_up_to_chance(case.fault.from) {
        return Some("the call that was to fail was not made".into());
    }
    let defect = defect_of_failures(case, outcome, &played.failures);
    let defect = defect.or_else(|| {
        let never_recovers = is_once && played.failures.len() > 1;
        never_recovers.then(|| "the second try failed as well".into())
    });
    defect.or_else(|| defect_of_rest(outcome, played))
}

/// The flaw of a session without a fault.
pub(crate) fn defect_of(played: &Played) -> Option<String> {
    let failed = played.failures.first().map(ToString::to_string);
    failed.or_else(|| defect_of_rest(Outcome::Survives, played))
}

fn defect_of_failures(case: &Case, outcome: Outcome, failures: &[Failure]) -> Option<String> {
    let is_it = |failure: &Failure| failure.is(case.told(), case.session);
    let may_fail = |failure: &Failure| match outcome {
        Outcome::Survives => false,
        Outcome::Fails | Outcome::Either => is_it(failure),
        // No operation returns `EAGAIN`; a caller that asks for the peer gets none.
        Outcome::Waits => failure.is_late() || (is_it(failure) && case.fault.errno != libc::EAGAIN),
        Outcome::Ends => is_it(failure) || failure.is_gone(),
    };
    if let Some(other) = failures.iter().find(|failure| !may_fail(failure)) {
        return Some(format!("by its rule it {outcome:?}, and {other}"));
    }
    let hidden = outcome == Outcome::Fails && failures.is_empty();
    hidden.then(|| "no operation returned the error".into())
}

fn defect_of_rest(outcome: Outcome, played: &Played) -> Option<String> {
    if played.panics > 0 {
        return Some(format!("{} panics", played.panics));
    }
    if let Some(left) = played.left.first() {
        return Some(format!("left behind: {left}"));
    }
    defect_of_bystander(outcome, played)
}

fn defect_of_bystander(outcome: Outcome, played: &Played) -> Option<String> {
    let had_no_reactor = played.failures.iter().any(Failure::is_of_the_start);
    match (&played.bystander, outcome) {
        (Some(Err(error)), Outcome::Ends) if is_gone(error) => None,
        (Some(Ok(rounds)), Outcome::Ends) => {
            Some(format!("the reactor goes on: the bystander made {rounds} rounds"))
        }
        (Some(Err(error)), _) => Some(format!("the bystander failed with `{error}`")),
        (Some(Ok(_)), _) => None,
        (None, _) if had_no_reactor => None,
        (None, _) => Some("the bystander never began".into()),
    }
}
