//! The tables.

use super::measures::{calls, served};
use super::record::Record;
use super::rows::{ROWS, Row, What, in_order, title_of};
use crate::measure::stats::Sample;
use crate::measure::table::Table;

/// How a number is to be written.
type Write = fn(f64) -> String;

pub(super) fn print(record: &Record) {
    println!("## The machine\n");
    for (name, fact) in &record.machine {
        println!("- {name}: {fact}");
    }
    println!();
    print_multiples(record);
    print_latencies(record);
    print_others(record);
    for row in ROWS.iter().filter(|row| matches!(row.what, What::Served(_))) {
        print_details(record, row);
    }
    for row in ROWS.iter().filter(|row| matches!(row.what, What::Calls(_))) {
        print_calls(record, row);
    }
}

/// The main figure of a row for a server: a multiple, a difference or a number of its own.
pub(super) fn figure(record: &Record, row: &Row, server: &str) -> Option<Sample> {
    let (value, baseline) = (row.value(), row.baseline().map(|server| (record, server)));
    match row.what {
        What::Served(_) => record.compared(row, server, value, baseline?, |own, base| own / base),
        What::Memory => record.compared(row, server, value, baseline?, |own, base| own - base),
        What::DeadlineCost | What::Calls(_) => record.sample(row.name, server, value),
    }
}

/// All servers that are in these rows.
fn columns(record: &Record, rows: &[&Row]) -> Vec<&'static str> {
    in_order(&rows.iter().flat_map(|row| record.servers(row.name)).collect::<Vec<_>>())
}

fn print_multiples(record: &Record) {
    let served: Vec<&Row> = ROWS.iter().filter(|row| matches!(row.what, What::Served(_))).collect();
    let heading = "## Processor time of the server for a request\n\n\
                   As a multiple of the bare loop's (for HTTP, TLS and QUIC, of tokio's) in the same \
                   round: the median of the rounds, and their middle half.";
    print_rows(record, &served, heading, |value| format!("{value:.2}"));
}

/// The rows whose clients have a processor of their own: on the same one, a latency is above all the order in which the
/// two processes run.
fn print_latencies(record: &Record) {
    let rows: Vec<&Row> = ROWS.iter().filter(|row| row.has_latency()).collect();
    let servers = columns(record, &rows);
    if servers.is_empty() {
        return;
    }
    println!(
        "## Latency that the clients see\n\n\
         As a multiple of tokio's in the same round, the median of the rounds; in brackets the \
         median in microseconds.\n"
    );
    let mut head = vec![""];
    head.extend(servers.iter().map(|server| title_of(server)));
    let mut table = Table::new(&head);
    for row in rows.iter().filter(|row| !record.servers(row.name).is_empty()) {
        for (measure, title) in served::LATENCIES {
            let cell = |server: &&str| {
                let Some(sample) = record.sample(row.name, server, measure) else {
                    return "-".to_owned();
                };
                let ratio =
                    record.compared(row, server, measure, (record, "tokio"), |own, tokios| {
                        own / tokios
                    });
                let ratio = ratio.map_or("-".to_owned(), |ratio| format!("{:.2}", ratio.median()));
                format!("{ratio} ({:.0})", sample.median())
            };
            let mut cells = vec![format!("{}: {title}", row.title)];
            cells.extend(servers.iter().map(cell));
            table.row(cells);
        }
    }
    table.print();
}

fn print_others(record: &Record) {
    let others: Vec<&Row> =
        ROWS.iter().filter(|row| !matches!(row.what, What::Served(_))).collect();
    let heading = "## The rest\n\nThe median of the rounds, and their middle half.";
    print_rows(record, &others, heading, |value| match value.abs() {
        size if size < 100.0 => format!("{value:.2}"),
        _ => format!("{value:.0}"),
    });
}

/// A line for each row, and nothing if none was measured.
fn print_rows(record: &Record, rows: &[&Row], heading: &str, write: Write) {
    let servers = columns(record, rows);
    if servers.is_empty() {
        return;
    }
    println!("{heading}\n");
    let mut head = vec![""];
    head.extend(servers.iter().map(|server| title_of(server)));
    let mut table = Table::new(&head);
    for row in rows.iter().filter(|row| !record.servers(row.name).is_empty()) {
        let mut cells = vec![row.title.to_owned()];
        cells.extend(servers.iter().map(|server| cell(figure(record, row, server), write)));
        table.row(cells);
    }
    table.print();
}

/// The median, and the middle half where there is one.
pub(super) fn cell(sample: Option<Sample>, write: Write) -> String {
    let Some(sample) = sample else { return "-".to_owned() };
    let quantiles = [0.5, 0.25, 0.75].map(|share| write(sample.quantile(share)));
    let [median, low, high] = quantiles;
    if low == high { median } else { format!("{median} ({low} to {high})") }
}

fn print_details(record: &Record, row: &Row) {
    let servers = columns(record, &[row]);
    if servers.is_empty() {
        return;
    }
    println!("### {}\n", row.title);
    let mut table = Table::new(&[
        "server",
        "us each",
        "p50, us",
        "p99, us",
        "p99.9, us",
        "switches each",
        "requests/s",
        "the load's own us each",
    ]);
    for server in servers {
        let median = |measure| record.sample(row.name, server, measure).map(|s| s.median());
        let text = |measure, scale: f64, decimals| {
            median(measure).map_or("-".to_owned(), |value| format!("{:.decimals$}", value * scale))
        };
        table.row(vec![
            title_of(server).to_owned(),
            text(served::SERVER, 1e-3, 2),
            text(served::P50, 1.0, 1),
            text(served::P99, 1.0, 1),
            text(served::P999, 1.0, 1),
            text(served::SWITCHES, 1.0, 3),
            text(served::RATE, 1.0, 0),
            text(served::LOAD, 1e-3, 2),
        ]);
    }
    table.print();
}

/// Which calls they are.
fn print_calls(record: &Record, row: &Row) {
    let servers = columns(record, &[row]);
    if servers.is_empty() {
        return;
    }
    println!("### {}\n\nStopped by strace at each of them, and so much slower.\n", row.title);
    let mut table = Table::new(&["server", "calls"]);
    for server in servers {
        let prefix = format!("{}:", calls::CALLS);
        let names = record.measures(row.name, server, &prefix).into_iter();
        let calls = names.filter_map(|name| {
            let each = record.sample(row.name, server, name)?.median();
            Some(format!("{} {each:.2}", &name[prefix.len()..]))
        });
        table.row(vec![title_of(server).to_owned(), calls.collect::<Vec<_>>().join(", ")]);
    }
    table.print();
}
