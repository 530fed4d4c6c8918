//! The file that a socket's binding to a path has made, and its removal, as Go does it
//! (`net/unixsock_posix.go`): once, by who closes the listener, and before that. Afterwards somebody
//! else may have bound the path.

use std::fs;
use std::path::PathBuf;
use std::process;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

/// Dropped, it is removed, if it is to be.
#[derive(Debug)]
pub(crate) struct SocketFile {
    /// `None` if there is none, or if that is over.
    path: Mutex<Option<PathBuf>>,
    removed_on_close: AtomicBool,
    /// A forked child has a copy of all this, and no right to its parent's files.
    process: u32,
}

impl SocketFile {
    /// One that stays, until told otherwise.
    pub(crate) fn of(path: Option<PathBuf>) -> Self {
        let process = path.as_ref().map_or(0, |_| process::id());
        Self { path: Mutex::new(path), removed_on_close: AtomicBool::new(false), process }
    }

    pub(crate) fn set_removed_on_close(&self, on: bool) {
        self.removed_on_close.store(on, Ordering::Relaxed);
    }

    /// The socket is about to be closed.
    pub(crate) fn closing(&self) {
        // Not even the lock is a child's: a thread that it does not have may hold it.
        if self.process != process::id() {
            return;
        }
        let path = self.path.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(path) = path.filter(|_| self.removed_on_close.load(Ordering::Relaxed)) else {
            return;
        };
        // Somebody else may have removed it, which is as good.
        let _ = fs::remove_file(path);
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        self.closing();
    }
}
