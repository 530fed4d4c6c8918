//! What the tests share.

use std::future::Future;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures::executor::block_on;
use netpoll::{Direction, Reactor, Timer};
use netpoll_futures::{Async, is_closed, is_deadline_exceeded};
use netpoll_tests::{CountingWaker, watched};

use std::os::fd::AsFd;

use crate::os;

/// Runs a test under the watchdog. What it fails with, it did not expect.
pub(crate) fn run<F>(test: impl FnOnce() -> F + Send + 'static)
where
    F: Future<Output = io::Result<()>>,
{
    watched(|| block_on(test()).expect("no error but those that the test expects"));
}

/// A folder that goes with it.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new() -> io::Result<Self> {
        static FOLDERS: AtomicUsize = AtomicUsize::new(0);
        let number = FOLDERS.fetch_add(1, Ordering::Relaxed);
        let name = format!("netpoll-any-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left of it is for the system to clean up.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Writes until that blocks, and returns how much it wrote.
pub(crate) async fn fill<T: AsFd>(io: &Async<T>) -> io::Result<usize> {
    io.writable().await?;
    let mut written = 0;
    loop {
        match io.try_io(Direction::Write, |io| os::write(io.as_fd(), &[0x5a; 4096])) {
            Ok(count) => written += count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(written),
            Err(error) => return Err(error),
        }
    }
}

/// Reads a byte at a time, as an operation for `read_with`.
pub(crate) fn read_byte(io: &impl AsFd) -> io::Result<u8> {
    let mut byte = [0];
    match os::read(io.as_fd(), &mut byte)? {
        0 => Err(ErrorKind::UnexpectedEof.into()),
        _ => Ok(byte[0]),
    }
}

/// Waits until the reactor has come round to waking.
pub(crate) fn wait_until_woken(waker: &CountingWaker) {
    while waker.wakes() == 0 {
        std::thread::yield_now();
    }
}

/// Waits until the reactor has come round to waking so often. It is to do so exactly so often.
#[track_caller]
pub(crate) fn wait_for_wakes(waker: &CountingWaker, wakes: usize) {
    while waker.wakes() < wakes {
        std::thread::yield_now();
    }
    assert_eq!(waker.wakes(), wakes);
}

/// Waits until a thread of this name sleeps.
pub(crate) fn wait_until_asleep(name: &str) {
    let sleeps = |task: &Path| {
        // A thread may have ended since it was listed.
        let of = |file: &str| std::fs::read_to_string(task.join(file)).unwrap_or_default();
        of("comm").trim() == name && of("stat").contains(") S ")
    };
    let tasks = || std::fs::read_dir("/proc/self/task").expect("procfs").flatten();
    while !tasks().any(|task| sleeps(&task.path())) {
        std::thread::yield_now();
    }
}

/// Resolves when the reactor has come to a time so far from now, and so to every earlier deadline.
pub(crate) async fn reactor_reaches(from_now: Duration) -> io::Result<()> {
    Timer::at(Reactor::global()?, Instant::now() + from_now)?.await
}

/// A deadline that has passed.
pub(crate) fn past() -> Option<Instant> {
    let now = Instant::now();
    Some(now.checked_sub(Duration::from_secs(1)).unwrap_or(now))
}

/// A deadline so many milliseconds from now.
pub(crate) fn soon(milliseconds: u64) -> Option<Instant> {
    Some(Instant::now() + Duration::from_millis(milliseconds))
}

#[track_caller]
pub(crate) fn assert_late<T: std::fmt::Debug>(result: io::Result<T>) {
    let error = result.expect_err("it is too late for that");
    assert!(is_deadline_exceeded(&error), "not a deadline: {error:?}");
    assert_eq!(error.kind(), ErrorKind::TimedOut);
}

#[track_caller]
pub(crate) fn assert_closed<T: std::fmt::Debug>(result: io::Result<T>) {
    let error = result.expect_err("it is closed");
    assert!(is_closed(&error), "not for being closed: {error:?}");
}

#[track_caller]
pub(crate) fn assert_kind<T: std::fmt::Debug>(result: io::Result<T>, kind: ErrorKind) {
    let error = result.expect_err("it fails");
    assert_eq!(error.kind(), kind, "{error:?}");
}

/// That it failed with this error of the system, as it is.
#[track_caller]
pub(crate) fn assert_failed<T: std::fmt::Debug>(result: io::Result<T>, errno: i32) {
    let error = result.expect_err("it fails");
    assert_eq!(error.raw_os_error(), Some(errno), "{error:?}");
}
