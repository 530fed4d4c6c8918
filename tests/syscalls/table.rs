//! The facts of `errors.md`: the errors of each call.

use libc::c_int;

use crate::calls::Call;
use crate::errno;

const TABLE: &str = include_str!("errors.md");

/// The errors of a call, by the manual.
pub(crate) fn errors_of(call: &Call) -> Vec<c_int> {
    let row = rows().find(|row| row[0] == call.row());
    let row = row.unwrap_or_else(|| panic!("errors.md has no row for {}", call.name));
    let number = |name: &str| errno::number(name).unwrap_or_else(|| panic!("{name} is no error"));
    row[2].split(' ').map(number).collect()
}

/// Where that is said.
pub(crate) fn pages_of(call: &Call) -> &'static str {
    rows().find(|row| row[0] == call.row()).map_or("", |row| row[1])
}

fn rows() -> impl Iterator<Item = [&'static str; 3]> {
    TABLE.lines().filter_map(|line| {
        let mut cells = line.strip_prefix("| ")?.strip_suffix(" |")?.split(" | ");
        Some([cells.next()?, cells.next()?, cells.next()?])
    })
}
