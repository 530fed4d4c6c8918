//! Names, peers and expectations that the tests share.

use std::fs;
use std::future::Future;
use std::io::{self, ErrorKind};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::Poll;

use futures::executor::block_on;
use netpoll_futures::{OpError, UnixListener, UnixStream, is_closed, is_deadline_exceeded};
use netpoll_tests::{CountingWaker, watched};

/// Runs a test under the watchdog. What it fails with, it did not expect.
pub(crate) fn run<F>(test: impl FnOnce() -> F + Send + 'static)
where
    F: Future<Output = io::Result<()>>,
{
    watched(|| block_on(test()).expect("no error but those that the test expects"));
}

/// A number that no other test of this process has, nor another process.
fn unique() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("netpoll-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// An abstract name of one's own.
pub(crate) fn abstract_name() -> SocketAddr {
    SocketAddr::from_abstract_name(unique()).expect("a short name")
}

/// A directory of one's own, which goes with all that is in it.
#[derive(Debug)]
pub(crate) struct Directory(PathBuf);

impl Directory {
    pub(crate) fn new() -> io::Result<Self> {
        let path = std::env::temp_dir().join(unique());
        fs::create_dir(&path).map(|()| Self(path))
    }

    /// A path for a socket.
    pub(crate) fn socket(&self) -> PathBuf {
        self.0.join("socket")
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // Who has failed already need not be told that.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Whether there is something at a path.
pub(crate) fn is_there(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

/// A connection to a listener.
pub(crate) async fn join(listener: &UnixListener) -> io::Result<(UnixStream, UnixStream)> {
    let client = UnixStream::connect_addr(&listener.local_addr()?).await?;
    let (server, _) = listener.accept().await?;
    Ok((client, server))
}

/// Reads so many bytes and no more.
pub(crate) async fn read_exactly(stream: &UnixStream, len: usize) -> io::Result<Vec<u8>> {
    let mut all = vec![0; len];
    let mut filled = 0;
    while filled < len {
        match stream.read(&mut all[filled..]).await? {
            0 => return Err(ErrorKind::UnexpectedEof.into()),
            count => filled += count,
        }
    }
    Ok(all)
}

/// Polls once, for nobody in particular.
pub(crate) fn poll_once<F: Future + ?Sized>(future: Pin<&mut F>) -> Poll<F::Output> {
    CountingWaker::new().poll(future)
}

#[track_caller]
pub(crate) fn assert_late<T: std::fmt::Debug>(result: io::Result<T>) {
    let error = result.expect_err("it is too late for that");
    assert!(is_deadline_exceeded(&error), "not a deadline: {error:?}");
    assert_eq!(error.kind(), ErrorKind::TimedOut);
}

#[track_caller]
pub(crate) fn assert_closed<T: std::fmt::Debug>(result: io::Result<T>) {
    let error = result.expect_err("the socket is closed");
    assert!(is_closed(&error), "not for being closed: {error:?}");
}

#[track_caller]
pub(crate) fn assert_kind<T: std::fmt::Debug>(result: io::Result<T>, kind: ErrorKind) {
    let error = result.expect_err("it fails");
    assert_eq!(error.kind(), kind, "{error:?}");
}

/// That it failed so, and says what was tried on what.
#[track_caller]
pub(crate) fn assert_says<T: std::fmt::Debug>(
    result: io::Result<T>,
    kind: ErrorKind,
    operation: &str,
    subject: &str,
) {
    let error = result.expect_err("it fails");
    assert_eq!(error.kind(), kind, "{error:?}");
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<OpError>());
    let inner = inner.expect("an error with its operation");
    assert_eq!((inner.operation(), inner.subject()), (operation, subject));
    assert!(error.to_string().starts_with(&format!("{operation} {subject}: ")), "{error}");
}
