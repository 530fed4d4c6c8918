//! Files and processes that the tests share.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use netpoll_tests::watched;

/// A folder of its own, which goes with it.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new() -> io::Result<Self> {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path =
            std::env::temp_dir().join(format!("netpoll-shape-{}-{number}", std::process::id()));
        fs::create_dir(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Runs the test `name` in a process where no other test runs: it changes what belongs to the process.
pub(crate) fn alone(name: &'static str, body: impl FnOnce() + Send + 'static) {
    const ALONE: &str = "NETPOLL_TEST_ALONE";

    if std::env::var_os(ALONE).is_some() {
        return watched(body);
    }
    watched(move || {
        let this = std::env::current_exe().expect("the path of this program");
        let args = ["--exact", name, "--nocapture", "--test-threads=1"];
        let run = Command::new(this).args(args).env(ALONE, "1").output().expect("a process");
        let printed = String::from_utf8_lossy(&run.stdout);
        let complained = String::from_utf8_lossy(&run.stderr);
        assert!(run.status.success(), "{name}, alone: {}\n{printed}\n{complained}", run.status);
        assert!(printed.contains("1 passed"), "no test is called {name}");
    });
}
