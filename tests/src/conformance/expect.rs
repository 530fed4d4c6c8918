//! What is expected of results, and the times that deadlines are set to.

use std::fmt::Debug;
use std::io::{self, ErrorKind};
use std::time::{Duration, Instant};

use netpoll::{is_closed, is_deadline_exceeded};

/// That it failed by its deadline.
#[track_caller]
pub(super) fn assert_timeout<T: Debug>(result: io::Result<T>) {
    let error = result.expect_err("the deadline has passed");
    assert!(is_deadline_exceeded(&error), "not for its deadline: {error:?}");
    assert_eq!(error.kind(), ErrorKind::TimedOut);
}

/// That it failed because this side had closed it.
#[track_caller]
pub(super) fn assert_closed<T: Debug>(result: io::Result<T>) {
    let error = result.expect_err("it is closed");
    assert!(is_closed(&error), "not for being closed: {error:?}");
    assert!(!is_deadline_exceeded(&error));
}

/// A deadline that has long passed.
pub(super) fn long_ago() -> Option<Instant> {
    let now = Instant::now();
    Some(now.checked_sub(Duration::from_secs(1)).unwrap_or(now))
}

/// A deadline so long from now.
pub(super) fn after(time: Duration) -> Option<Instant> {
    Some(Instant::now() + time)
}

/// A deadline so many milliseconds from now.
pub(super) fn in_milliseconds(count: u64) -> Option<Instant> {
    after(Duration::from_millis(count))
}

/// A deadline that no behaviour comes to.
pub(super) fn in_an_hour() -> Option<Instant> {
    after(Duration::from_secs(3600))
}

/// From far below a tick of the reactor to far above.
pub(super) const TIMES: [Duration; 8] = [
    Duration::from_nanos(1),
    Duration::from_micros(1),
    Duration::from_micros(50),
    Duration::from_millis(1),
    Duration::from_millis(5),
    Duration::from_millis(20),
    Duration::from_millis(100),
    Duration::from_secs(1),
];

/// Deadlines that do not fit into nanoseconds from now: the last is about the latest there can be.
pub(super) fn beyond_all_clocks() -> impl Iterator<Item = Instant> {
    let now = Instant::now();
    [1 << 34, 1 << 50, 1 << 62]
        .map(Duration::from_secs)
        .into_iter()
        .filter_map(move |time| now.checked_add(time))
}
