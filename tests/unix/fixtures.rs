//! Names and connections of Unix sockets, and expectations of their errors.

use std::io::{self, ErrorKind};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use netpoll_futures::{OpError, UnixListener, UnixStream};

/// An abstract name that no other test has, in this process or another.
pub(crate) fn abstract_name() -> SocketAddr {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let name = format!("netpoll-{}-{number}", std::process::id());
    SocketAddr::from_abstract_name(name).expect("a short name")
}

/// Whether a path has a file.
pub(crate) fn is_there(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

/// A connection to a listener.
pub(crate) async fn join(listener: &UnixListener) -> io::Result<(UnixStream, UnixStream)> {
    let client = UnixStream::connect_addr(&listener.local_addr()?).await?;
    let (server, _) = listener.accept().await?;
    Ok((client, server))
}

/// The operation failed with an error of this kind, whose text names the operation and the socket.
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
