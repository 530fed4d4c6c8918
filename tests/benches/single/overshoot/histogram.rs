//! Bars of text: how many were how late, the contestants side by side.

use crate::measure::stats::Sample;

/// The bounds of the classes, in microseconds.
const BOUNDS: [f64; 16] = [
    0.0,
    25.0,
    50.0,
    75.0,
    100.0,
    125.0,
    150.0,
    200.0,
    300.0,
    500.0,
    1000.0,
    2000.0,
    4000.0,
    8000.0,
    16_000.0,
    f64::MAX,
];

/// The longest bar, and the room for one contestant with its number.
const BAR: usize = 20;
const COLUMN: usize = 30;

pub(super) fn print(samples: &[(&str, Sample)]) {
    let classes: Vec<_> = BOUNDS.windows(2).map(|pair| (pair[0], pair[1])).collect();
    let count = |sample: &Sample, (low, high)| sample.count_within(low, high);
    let counts = samples.iter().flat_map(|(_, sample)| classes.iter().map(|c| count(sample, *c)));
    let most = counts.max().unwrap_or(0).max(1);

    print_line("microseconds", samples.iter().map(|(name, _)| (*name).to_owned()));
    for class in classes {
        let cells = samples.iter().map(|(_, sample)| cell(count(sample, class), most));
        print_line(&label(class), cells);
    }
    println!();
}

fn print_line(label: &str, cells: impl Iterator<Item = String>) {
    let cells: String = cells.map(|cell| format!("{cell:<COLUMN$}")).collect();
    println!("{}", format!("{label:>14}  {cells}").trim_end());
}

fn label((low, high): (f64, f64)) -> String {
    if high < f64::MAX { format!("{low:.0} to {high:.0}") } else { format!("{low:.0} and more") }
}

/// A bar, and the number it stands for. The few late ones are of interest: they are seen as well.
fn cell(count: usize, most: usize) -> String {
    match count {
        0 => String::new(),
        _ => format!("{} {count}", "#".repeat((count * BAR).div_ceil(most))),
    }
}
