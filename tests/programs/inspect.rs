//! The example `inspect`: a snapshot names the socket on which a proxy hangs.

use std::time::Duration;

use netpoll_tests::alone::alone;

#[path = "../examples/inspect.rs"]
#[allow(dead_code)] // Its command line.
mod example;

#[test]
fn the_snapshot_of_a_stuck_proxy_marks_the_backend_that_reads_nothing() {
    alone("inspect::the_snapshot_of_a_stuck_proxy_marks_the_backend_that_reads_nothing", || {
        let (report, is_found) = example::inspect(Duration::ZERO).expect("the example runs");
        assert!(is_found, "{report}");
        let stuck =
            report.lines().next().and_then(|line| line.trim_end_matches('.').rsplit(' ').next());
        let stuck = stuck.expect("the first line ends with the third backend");
        let marked: Vec<&str> = report.lines().filter(|line| line.starts_with('>')).collect();
        let [row, verdict] = marked[..] else { panic!("two lines are marked:\n{report}") };
        // Descriptor, kind, own address, peer.
        assert_eq!(row.split_whitespace().nth(4), Some(stuck), "{report}");
        assert!(row.contains("write "), "{report}");
        assert!(verdict.contains("to write to") && verdict.ends_with(stuck), "{report}");
        // The listeners come after every row that has a waiter.
        let kinds = report.lines().filter(|line| line.contains(" tcp ") && line.contains("read "));
        assert!(kinds.count() >= 6, "{report}");
    });
}
