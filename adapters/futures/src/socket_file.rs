//! The file that binding a Unix socket to a path has made, and its removal, as in Go
//! (`net/unixsock_posix.go`): once, when the listener is closed, and before its descriptor is.
//!
//! Another server may have removed the file by then and have bound the path anew, and its file is not
//! ours to remove. So the file is remembered by device and inode as well, which are read directly after
//! `bind(2)`, and is removed only if the path still leads to it. While the listener's descriptor is open
//! the kernel keeps the inode, and its number means no other file; after that, the time at which the file
//! was created tells two files of one number apart. Where that time is not to be had, as with musl, the
//! time of its last modification serves: `bind(2)` sets it, no use of the socket changes it, and a file on
//! which a program has set another time stays.
//!
//! Linux has no call that removes a name only if it stands for a given file. Two windows remain, each as
//! long as a few system calls: a path that another process binds anew between our `bind(2)` and our
//! look at the file, and one that it binds anew between our second look and `unlink(2)`.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{self, Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

/// Dropped, it removes the file, if it is to.
#[derive(Debug)]
pub(crate) struct SocketFile {
    /// `None` if there is none, or if that is over.
    bound: Mutex<Option<Bound>>,
    removed_on_close: AtomicBool,
    /// A forked child has a copy of all this, and no right to its parent's files.
    process: u32,
}

/// A path, and the file that it leads to.
#[derive(Debug)]
struct Bound {
    path: PathBuf,
    identity: Identity,
}

/// Which file it is, whatever its name.
#[derive(Debug, PartialEq, Eq)]
struct Identity {
    device: u64,
    inode: u64,
    /// When it was created, or last modified. `None` where the file system records neither.
    time: Option<SystemTime>,
}

impl SocketFile {
    /// The file that is at `path` now. It stays, until [`set_removed_on_close`](Self::set_removed_on_close)
    /// says otherwise; one that cannot be looked at always stays.
    pub(crate) fn of(path: Option<PathBuf>) -> Self {
        let process = path.as_ref().map_or(0, |_| process::id());
        let bound = Mutex::new(path.and_then(|path| Bound::at(path).ok()));
        Self { bound, removed_on_close: AtomicBool::new(false), process }
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
        let bound = self.bound.lock().unwrap_or_else(PoisonError::into_inner).take();
        let is_to_go =
            |bound: &Bound| self.removed_on_close.load(Ordering::Relaxed) && bound.is_there();
        if let Some(bound) = bound.filter(is_to_go) {
            // Another process may have removed it since, which is as good.
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
    fn at(path: PathBuf) -> io::Result<Self> {
        let identity = Identity::of(&path)?;
        // A relative path leads elsewhere after `chdir(2)`.
        Ok(Self { path: path::absolute(&path).unwrap_or(path), identity })
    }

    fn is_there(&self) -> bool {
        Identity::of(&self.path).is_ok_and(|found| found == self.identity)
    }
}

impl Identity {
    /// Of the path itself: `bind(2)` does not follow a link in its last place.
    fn of(path: &Path) -> io::Result<Self> {
        let found = fs::symlink_metadata(path)?;
        let time = found.created().or_else(|_| found.modified()).ok();
        Ok(Self { device: found.dev(), inode: found.ino(), time })
    }
}
