//! Tables to paste into a document.

/// A table in Markdown, with its columns aligned for readers of the plain text.
pub(crate) struct Table(Vec<Vec<String>>);

impl Table {
    pub(crate) fn new(head: &[&str]) -> Self {
        Self(vec![head.iter().map(|cell| (*cell).to_owned()).collect()])
    }

    pub(crate) fn row(&mut self, cells: Vec<String>) {
        assert_eq!(cells.len(), self.0[0].len(), "a cell for each column");
        self.0.push(cells);
    }

    pub(crate) fn print(&self) {
        let width = |column: usize| self.0.iter().map(|row| row[column].chars().count()).max();
        let widths: Vec<usize> = (0..self.0[0].len()).filter_map(width).collect();
        for (number, row) in self.0.iter().enumerate() {
            print_row(row, &widths);
            if number == 0 {
                let rule: Vec<String> =
                    widths.iter().enumerate().map(|(column, width)| rule(column, *width)).collect();
                println!("|{}|", rule.join("|"));
            }
        }
        println!();
    }
}

/// The first column is words and stands left, the others are numbers and stand right.
fn rule(column: usize, width: usize) -> String {
    let dashes = "-".repeat(width);
    if column == 0 { format!(" {dashes} ") } else { format!(" {dashes}:") }
}

fn print_row(row: &[String], widths: &[usize]) {
    let cells = row.iter().zip(widths).enumerate().map(|(column, (cell, width))| {
        if column == 0 { format!(" {cell:<width$} ") } else { format!(" {cell:>width$} ") }
    });
    println!("|{}|", cells.collect::<Vec<_>>().join("|"));
}
