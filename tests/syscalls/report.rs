//! The swept cases and their outcomes, as a table.

use crate::calls::{CALLS, Call};
use crate::case::Case;
use crate::sweep::Fate;
use crate::table;

pub(crate) fn print(cases: &[Case], fates: &[Fate]) {
    println!("| call | pages | errors | cases | once | for ever | survived | absent | defects |");
    println!("| --- | --- | --- | --- | --- | --- | --- | --- | --- |");
    for call in &CALLS {
        let of_call = |case: &Case| std::ptr::eq(case.fault.call, call);
        let errors = table::errors_of(call).len();
        println!(
            "| {} | {} | {errors} {}",
            call.name,
            table::pages_of(call),
            row(cases, fates, of_call)
        );
    }
    let errors: usize = CALLS.iter().map(|call: &Call| table::errors_of(call).len()).sum();
    println!("| all {} | | {errors} {}", CALLS.len(), row(cases, fates, |_| true));
}

/// The cells that count.
fn row(cases: &[Case], fates: &[Fate], of: impl Fn(&Case) -> bool) -> String {
    let chosen: Vec<_> = cases.iter().zip(fates).filter(|(case, _)| of(case)).collect();
    let count = |is: fn(&(&Case, &Fate)) -> bool| chosen.iter().filter(|one| is(one)).count();
    let cells = [
        chosen.len(),
        count(|(case, _)| !case.fault.for_ever),
        count(|(case, _)| case.fault.for_ever),
        count(|(_, fate)| **fate == Fate::Survived),
        count(|(_, fate)| **fate == Fate::Absent),
        count(|(_, fate)| matches!(fate, Fate::Defect(_))),
    ];
    cells.iter().map(|cell| format!("| {cell} ")).collect::<String>() + "|"
}
