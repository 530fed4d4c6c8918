//! Connections, and a deadline that another thread sets.

use std::future::Future;
use std::io;
use std::pin::pin;
use std::thread;
use std::time::Duration;

use futures::poll;
use netpoll_futures::{Deadlines, TcpListener, TcpStream};

/// A connection: the side of the client, and that of the server.
pub(crate) async fn connected() -> io::Result<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let client = TcpStream::connect(listener.local_addr()?).await?;
    Ok((client, listener.accept().await?.0))
}

/// The output of a call of a library that owns a stream. The call waits for the peer; meanwhile another thread sets the
/// deadline of the stream.
pub(crate) async fn late<F: Future>(deadlines: Deadlines, call: F) -> F::Output {
    let mut call = pin!(call);
    assert!(poll!(call.as_mut()).is_pending(), "the peer is silent");
    let setter = thread::spawn(move || deadlines.set_deadline(Duration::from_millis(5)));
    setter.join().expect("no panic").expect("the stream is open");
    call.await
}
