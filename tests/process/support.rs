//! A process for a test, and what lives in it.

use std::io;
use std::sync::Arc;
use std::task::{Wake, Waker};

use netpoll_futures::{TcpListener, TcpStream};
pub(crate) use netpoll_tests::alone::{alone, in_a_process};

/// Some port of the loopback interface.
pub(crate) const LOOPBACK: &str = "127.0.0.1:0";

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
