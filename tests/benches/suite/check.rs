//! The checks of the measurements themselves: they notice errors, and every
//! server does the work that it is measured at. They are tests like others; nothing is measured.

use std::fs;
use std::path::Path;

use libtest_mimic::{Arguments, Failed, Trial};
use netpoll_tests::watched;

use super::effort::Effort;
use super::measures::{calls, served};
use super::record::Record;
use super::rows::{ROWS, Row, What};
use super::{chart, machine, report};
use crate::measure::child::own_program;
use crate::servers::go;
use crate::single::scale;

/// Runs them, as `cargo test` does.
pub(crate) fn run() -> ! {
    let mut trials = vec![
        trial("a_wrong_byte_is_noticed", a_wrong_byte_is_noticed),
        trial("a_ratio_is_of_the_same_round", a_ratio_is_of_the_same_round),
        trial("three_rounds_have_a_middle_half", three_rounds_have_a_middle_half),
        trial("a_record_is_read_as_it_was_written", a_record_is_read_as_it_was_written),
        trial("a_chart_has_a_bar_for_each_server", a_chart_has_a_bar_for_each_server),
        trial("a_summary_of_strace_is_understood", a_summary_of_strace_is_understood),
        trial("every_peer_has_a_version", every_peer_has_a_version),
        trial("twenty_thousand_deadlines_fire_once_each", || {
            scale::measure(20_000);
        }),
    ];
    for row in ROWS.iter().filter(|row| matches!(row.what, What::Served(_))) {
        trials
            .push(trial(&format!("every_server_is_in::{}", row.name), || every_server_is_in(row)));
    }
    let mut arguments = Arguments::from_args();
    // They have the processors to themselves.
    arguments.test_threads.get_or_insert(1);
    libtest_mimic::run(&arguments, trials).exit();
}

fn trial(name: &str, body: impl FnOnce() + Send + 'static) -> Trial {
    let run = || {
        watched(body);
        Ok::<_, Failed>(())
    };
    Trial::test(name, run)
}

fn row(name: &str) -> &'static Row {
    Row::named(name).expect("a row")
}

fn a_wrong_byte_is_noticed() {
    for name in ["one", "many", "churn"] {
        let error =
            row(name).measure(&own_program(), "liar", &Effort::least()).expect_err("it lies");
        assert!(error.contains("a wrong byte at 63"), "{name}: {error}");
    }
}

/// A server that cannot serve, or not every client, makes the load say so.
fn every_server_is_in(row: &'static Row) {
    if row.obstacle().is_some() {
        return;
    }
    let effort = Effort::least();
    for server in row.servers(&effort).into_iter().filter(|server| *server != go::NAME) {
        // On a busy machine a server may get no processor in so short a time.
        let mut missing = None;
        for _ in 0..5 {
            let values = row
                .measure(&own_program(), server, &effort)
                .unwrap_or_else(|e| panic!("{server}: {e}"));
            let is_missing =
                |(name, value): &(String, f64)| *value <= 0.0 && *name != served::SWITCHES;
            missing = values.into_iter().find(is_missing);
            if missing.is_none() {
                break;
            }
        }
        assert!(missing.is_none(), "{server}: {missing:?} in each of five rounds");
    }
}

/// Three rounds, in which the machine is slow, fast and slow again.
fn three_rounds() -> Record {
    let mut record = Record::new(vec![("kernel".to_owned(), "7.0".to_owned())]);
    for (round, slowness) in [3.0, 1.0, 2.0].into_iter().enumerate() {
        for (server, cost) in [("bare", 1000.0), ("tokio", 1500.0)] {
            let value = (served::SERVER.to_owned(), cost * slowness);
            record.add("many", server, round, vec![value]);
        }
    }
    record
}

fn a_ratio_is_of_the_same_round() {
    let sample = report::figure(&three_rounds(), row("many"), "tokio").expect("it was measured");
    assert_eq!([0.0, 0.5, 1.0].map(|share| sample.quantile(share)), [1.5; 3]);
}

fn three_rounds_have_a_middle_half() {
    let sample = three_rounds().sample("many", "bare", served::SERVER).expect("it was measured");
    let quantiles = [0.0, 0.25, 0.5, 0.75, 1.0].map(|share| sample.quantile(share));
    assert_eq!(quantiles, [1000.0, 1500.0, 2000.0, 2500.0, 3000.0]);
}

fn a_record_is_read_as_it_was_written() {
    let written = three_rounds().to_string();
    let read = Record::parse(&written).expect("it is one");
    assert_eq!(read.to_string(), written);
    assert_eq!(read.servers("many"), ["bare", "tokio"]);
    assert!(Record::parse("many\tbare\t0").is_none(), "a line that is cut short");
}

fn a_chart_has_a_bar_for_each_server() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("check");
    fs::create_dir_all(&folder).expect("a folder for tests");
    chart::draw_all(&three_rounds(), &folder).expect("it can be written");
    let chart = fs::read_to_string(folder.join("processor-time.svg")).expect("it is there");
    for text in ["bare epoll", "tokio, current_thread", "1.50", "64 connections, one cpu"] {
        assert!(chart.contains(text), "no {text}");
    }
    // The background is one more.
    assert_eq!(chart.matches("<rect ").count(), 3);
}

fn a_summary_of_strace_is_understood() {
    let summary = "\
% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 60.00    0.000300           1       301           sendto
 40.00    0.000200           1       305         4 recvfrom
------ ----------- ----------- --------- --------- ----------------
100.00    0.000500           1       606         4 total
";
    let calls = calls::parse(summary);
    assert_eq!(
        calls.into_iter().collect::<Vec<_>>(),
        [("recvfrom".to_owned(), 305), ("sendto".to_owned(), 301)]
    );
}

fn every_peer_has_a_version() {
    assert_eq!(machine::version("netpoll"), Some(env!("CARGO_PKG_VERSION")));
    for peer in ["tokio", "smol", "async-io", "mio"] {
        assert!(machine::version(peer).is_some_and(|version| version.contains('.')), "{peer}");
    }
}
