//! tokio's clock, which a program can pause and advance if tokio was compiled with `test-util`.

use netpoll::Builder;
use tokio::runtime;
use tokio::time::Instant;

/// Has a reactor follow tokio's clock. That of tokio is the system's, unless it can be paused.
pub(crate) fn follow_tokio(reactor: Builder) -> Builder {
    if can_be_paused() { reactor.clock(|| Instant::now().into_std()) } else { reactor }
}

/// Whether tokio was compiled with `test-util`. No feature of this crate tells, since another crate may have enabled it.
/// But only then has tokio's builder a method `start_paused`, which hides the one of the trait here.
pub(crate) fn can_be_paused() -> bool {
    runtime::Builder::new_current_thread().start_paused(false).is_of_tokio()
}

#[allow(dead_code)] // With `test-util`.
trait WithoutTestUtil {
    fn start_paused(&mut self, _: bool) -> Absent {
        Absent
    }
}

impl WithoutTestUtil for runtime::Builder {}

#[allow(dead_code)] // With `test-util`.
struct Absent;

trait IsOfTokio {
    fn is_of_tokio(&self) -> bool;
}

impl IsOfTokio for runtime::Builder {
    fn is_of_tokio(&self) -> bool {
        true
    }
}

impl IsOfTokio for Absent {
    fn is_of_tokio(&self) -> bool {
        false
    }
}
