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
