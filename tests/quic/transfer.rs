//! Bytes both ways at once, under each executor. Each byte is checked.

use futures::future::try_join;
use netpoll_tests::fixtures::pattern;
use netpoll_tests::watched;
use quinn::{RecvStream, SendStream, TransportConfig};

use crate::fixtures::{AnyRuntime, connected, on_driver, on_local_pool, on_smol, on_thread_pool};

/// How many bytes each side sends: in a release build, `.ci/nightly quic` has 64 MiB.
const LEN: usize = if cfg!(debug_assertions) { 2 << 20 } else { 64 << 20 };

#[test]
fn both_ways_under_smol() {
    watched(|| on_smol(both_ways));
}

#[test]
fn both_ways_in_a_thread_pool() {
    watched(|| on_thread_pool(both_ways));
}

#[test]
fn both_ways_in_a_local_pool() {
    watched(|| on_local_pool(both_ways));
}

#[test]
fn both_ways_on_the_thread_that_runs_the_reactor() {
    watched(|| on_driver(both_ways));
}

async fn both_ways(runtime: AnyRuntime) {
    let [client, server] = connected(&runtime, TransportConfig::default()).await;
    let near = async {
        let (send, receive) = client.connection.open_bi().await.expect("a stream");
        exchange(send, receive, [3, 5]).await;
    };
    let far = async {
        let (send, receive) = server.connection.accept_bi().await.expect("a stream");
        exchange(send, receive, [5, 3]).await;
    };
    futures::join!(near, far);
    client.connection.close(0_u32.into(), b"done");
    server.connection.closed().await;
    futures::join!(client.endpoint.wait_idle(), server.endpoint.wait_idle());
}

/// Sends bytes that begin at the first place of the pattern, and receives those that begin at the second.
async fn exchange(mut send: SendStream, mut receive: RecvStream, [ours, theirs]: [usize; 2]) {
    let bytes = pattern(LEN + 8);
    let write = async {
        send.write_all(&bytes[ours..ours + LEN]).await?;
        send.finish()?;
        // Until then its bytes may have to be sent again.
        send.stopped().await?;
        Ok::<_, Box<dyn std::error::Error>>(())
    };
    let read = async {
        let mut received = 0;
        while let Some(chunk) = receive.read_chunk(usize::MAX, true).await? {
            let from = theirs + received;
            assert!(chunk.bytes == bytes[from..from + chunk.bytes.len()], "at {received}");
            received += chunk.bytes.len();
        }
        assert_eq!(received, LEN);
        Ok(())
    };
    try_join(write, read).await.expect("the connection is open");
}
