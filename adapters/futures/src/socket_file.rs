//! The file that binding a Unix socket to a path creates, and its removal, as in Go
//! (`net/unixsock_posix.go`): once, when the listener is closed, and before its descriptor is closed.
//!
//! By then, another server may have removed the file and bound the path anew; its file must stay. So
//! the device and inode of the file are stored directly after `bind(2)`, and the path is unlinked only
//! if it still leads to them. While the listener's descriptor is open, the kernel keeps the inode, so
//! no other file gets its number. After that, the creation time distinguishes two files with one
//! number. If the creation time is not available, as with musl, the modification time replaces it:
//! `bind(2)` sets it, and no use of the socket changes it. If a program has set another time on the
//! file, the file stays.
//!
//! Linux has no call that unlinks a path only if it leads to a given file. So two race windows remain,
//! each a few system calls long: another process may bind the path anew between `bind(2)` and the first
//! `stat`, or between the second `stat` and `unlink(2)`.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{self, Path, PathBuf};
use std::process;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use crate::sync::lock;

/// Dropping it removes the file, if removal is set.
#[derive(Debug, Default)]
pub(crate) struct SocketFile {
    /// `None` if there is no file, or if it has been removed already.
    bound: Mutex<Option<Bound>>,
    removed_on_close: AtomicBool,
    /// The process that created the file. A forked child must not remove its parent's files.
    process: u32,
}

/// A path, and the identity of the file that it leads to.
#[derive(Debug, PartialEq, Eq)]
struct Bound {
    /// Absolute: a relative path leads elsewhere after `chdir(2)`.
    path: PathBuf,
    device: u64,
    inode: u64,
    /// The time of creation, or of the last modification. `None` if the file system records neither.
    time: Option<SystemTime>,
}

impl SocketFile {
    /// The file that is at `path` now. It is not removed unless
    /// [`set_removed_on_close`](Self::set_removed_on_close) asks for it; a file whose metadata cannot
    /// be read is never removed.
    pub(crate) fn of(path: Option<&Path>) -> Self {
        let bound = Mutex::new(path.and_then(|path| Bound::at(path).ok()));
        Self { bound, removed_on_close: AtomicBool::new(false), process: process::id() }
    }

    pub(crate) fn set_removed_on_close(&self, on: bool) {
        self.removed_on_close.store(on, Ordering::Relaxed);
    }

    /// Called directly before the socket is closed: removes the file, if removal is set.
    pub(crate) fn closing(&self) {
        // A forked child must not take the lock: a thread of the parent may have held it at the fork.
        if self.process != process::id() {
            return;
        }
        let bound = lock(&self.bound).take();
        let is_to_go =
            |bound: &Bound| self.removed_on_close.load(Ordering::Relaxed) && bound.is_there();
        if let Some(bound) = bound.filter(is_to_go) {
            // An error is ignored: another process may have removed the file since.
            let _ = fs::remove_file(bound.path);
        }
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        self.closing();
    }
}

impl Bound {
    fn at(path: &Path) -> io::Result<Self> {
        // Not the metadata of the file behind a link: `bind(2)` follows none in the last component.
        let found = fs::symlink_metadata(path)?;
        let time = found.created().or_else(|_| found.modified()).ok();
        let path = path::absolute(path).unwrap_or_else(|_| path.to_owned());
        Ok(Self { path, device: found.dev(), inode: found.ino(), time })
    }

    fn is_there(&self) -> bool {
        Self::at(&self.path).is_ok_and(|found| found == *self)
    }
}
