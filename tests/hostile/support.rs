//! Connections, and wakers that do as they are told.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::task::{Poll, Wake, Waker};

use futures::executor::block_on;
use netpoll_futures::{TcpListener, TcpStream};
use netpoll_tests::watched;

/// Some port of the loopback interface.
pub(crate) const LOOPBACK: &str = "127.0.0.1:0";

/// Runs a test under the watchdog. What it fails with, it did not expect.
pub(crate) fn run<F>(test: impl FnOnce() -> F + Send + 'static)
where
    F: Future<Output = io::Result<()>>,
{
    watched(|| block_on(test()).expect("no error but those that the test expects"));
}

/// A connection: who connected, and who accepted.
pub(crate) async fn pair() -> io::Result<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind(LOOPBACK).await?;
    let client = TcpStream::connect(listener.local_addr()?).await?;
    let (server, _) = listener.accept().await?;
    Ok((client, server))
}

/// A waker that runs a function.
pub(crate) fn on_wake(act: impl Fn() + Send + Sync + 'static) -> Waker {
    struct Acting<F>(F);

    impl<F: Fn() + Send + Sync + 'static> Wake for Acting<F> {
        fn wake(self: Arc<Self>) {
            (self.0)();
        }
    }

    Waker::from(Arc::new(Acting(act)))
}

/// A waker that panics.
pub(crate) fn panicking_waker() -> Waker {
    on_wake(|| panic!("a waker that panics, as its test wants it"))
}

/// Lets the other tasks of the executor run.
pub(crate) async fn yield_now() {
    let mut yielded = false;
    std::future::poll_fn(|cx| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
