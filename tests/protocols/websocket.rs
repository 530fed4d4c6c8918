//! WebSocket: messages there and back, small and large, and a deadline underneath.

use std::time::{Duration, Instant};

use async_tungstenite::tungstenite::{Error, Message};
use async_tungstenite::{accept_async, client_async};
use futures::StreamExt;
use futures::executor::block_on;
use netpoll_futures::{TcpListener, TcpStream, is_deadline_exceeded};
use netpoll_tests::watched;

/// Sends every message back, until the other side closes.
async fn echo(stream: TcpStream) -> Result<usize, Error> {
    let mut socket = accept_async(stream).await?;
    let mut count = 0;
    while let Some(message) = socket.next().await {
        match message? {
            message if message.is_text() || message.is_binary() => {
                socket.send(message).await?;
                count += 1;
            }
            _ => {}
        }
    }
    Ok(count)
}

async fn converse(stream: TcpStream) -> Result<(), Error> {
    let (mut socket, _) = client_async("ws://localhost/echo", stream).await?;
    for len in [0, 1, 125, 126, 65_535, 65_536, 1_000_000] {
        for message in [Message::text("x".repeat(len)), Message::binary(vec![7; len])] {
            socket.send(message.clone()).await?;
            let back = socket.next().await.expect("not the end")?;
            assert!(back == message, "a message of {len} bytes");
        }
    }
    socket.close(None).await
}

#[test]
fn messages_come_back() {
    watched(|| {
        block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await?;
            let client = TcpStream::connect(listener.local_addr()?).await?;
            let (server, _) = listener.accept().await?;
            let (served, conversed) = futures::join!(echo(server), converse(client));
            conversed?;
            assert_eq!(served?, 14);
            Ok::<_, Error>(())
        })
        .expect("no errors");
    });
}

#[test]
fn a_silent_peer_is_late() {
    watched(|| {
        block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await?;
            let client = TcpStream::connect(listener.local_addr()?).await?;
            let (server, _) = listener.accept().await?;
            let deadlines = server.clone();
            let (server, client) =
                futures::join!(accept_async(server), client_async("ws://localhost/", client));
            let (mut server, (_client, _)) = (server?, client?);
            deadlines.set_read_deadline(Some(Instant::now() + Duration::from_millis(20)))?;
            match server.next().await.expect("not the end") {
                Err(Error::Io(late)) => assert!(is_deadline_exceeded(&late), "{late:?}"),
                other => panic!("{other:?}"),
            }
            Ok::<_, Error>(())
        })
        .expect("no errors but that");
    });
}
