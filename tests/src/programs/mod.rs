//! Programs of others in tests: whether they are there, and until when they run.

mod cast;
mod wrk;

use std::env;
use std::io::Write;
use std::sync::Arc;

pub use cast::Cast;
pub use wrk::wrk;

use crate::watched;

/// Whether a program is in `PATH`; if not, that is printed, also where the test harness captures the output of
/// tests.
#[must_use]
pub fn is_installed(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    let found = env::split_paths(&path).any(|folder| folder.join(program).is_file());
    if !found {
        let _ = writeln!(
            std::io::stderr(),
            "{program} is not installed: one of our own takes its place"
        );
    }
    found
}

/// Runs a test with programs under the watchdog. They end with it, also if it hangs.
///
/// # Panics
///
/// If the test does, or if it hangs.
pub fn with_programs(test: impl FnOnce(&Arc<Cast>) + Send + 'static) {
    struct Curtain(Arc<Cast>);
    impl Drop for Curtain {
        fn drop(&mut self) {
            self.0.end_all();
        }
    }
    let cast = Cast::new();
    let _curtain = Curtain(cast.clone());
    watched(move || test(&cast));
}
