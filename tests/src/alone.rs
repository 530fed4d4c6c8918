//! A test in a process of its own, for tests that change the whole process: its limits, its filters, its
//! signals, its root.

use std::process::{Command, Output};

use crate::watched;

/// Set in the process that runs one test alone.
const ALONE: &str = "NETPOLL_TEST_ALONE";

/// Runs the test `name` in a process where no other test runs; `judge` is given its output.
///
/// # Panics
///
/// If the body or `judge` does, or if either hangs.
pub fn in_a_process(
    name: &'static str,
    body: impl FnOnce() + Send + 'static,
    judge: impl FnOnce(&Output) + Send + 'static,
) {
    if std::env::var_os(ALONE).is_some() {
        return watched(body);
    }
    watched(move || {
        let this = std::env::current_exe().expect("the path of this program");
        let args = ["--exact", name, "--nocapture", "--test-threads=1"];
        let run = Command::new(this).args(args).env(ALONE, "1").output().expect("a process");
        judge(&run);
    });
}

/// The same where the test is to pass.
///
/// # Panics
///
/// As [`in_a_process`], or if there is no test of this name.
pub fn alone(name: &'static str, body: impl FnOnce() + Send + 'static) {
    in_a_process(name, body, move |run| {
        let said = String::from_utf8_lossy(&run.stdout);
        let complained = String::from_utf8_lossy(&run.stderr);
        assert!(run.status.success(), "{name}, alone: {}\n{said}\n{complained}", run.status);
        assert!(said.contains("1 passed"), "no test is called {name}");
        let shown = said.split("shown: ").skip(1).filter_map(|line| line.lines().next());
        shown.for_each(|shown| println!("{name}: {shown}"));
    });
}
