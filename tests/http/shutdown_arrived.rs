//! Requests that have arrived when the server is shut down, and that no task of the server has seen yet: each is
//! answered, and then its connection closes.

use std::net;

use futures::future::try_join_all;
use netpoll_futures::TcpStream;
use netpoll_hyper::{Deadlines, End, Executor};
use netpoll_tests::watched;

use crate::client::read_to_the_end;
use crate::fixtures::{Outcome, run, under, until};
use crate::raw::{DATA, GOAWAY, Raw, frame, get, hello};
use crate::site::Site;

/// More than the operations that a thread makes before it lets other tasks run.
const CLIENTS: usize = 300;

const REQUEST: &[u8] = b"GET /hello HTTP/1.1\r\nhost: localhost\r\n\r\n";

/// Connects and sends, without a moment in which the server's tasks could run on this thread.
fn connect_and_send(site: &Site, bytes: &[u8]) -> Outcome<TcpStream> {
    let mut stream = net::TcpStream::connect(site.address)?;
    std::io::Write::write_all(&mut stream, bytes)?;
    Ok(TcpStream::try_from(stream)?)
}

/// Sends at once: there is room for so little.
fn send(stream: &TcpStream, bytes: &[u8]) -> Outcome {
    assert_eq!(stream.try_write(bytes)?, bytes.len());
    Ok(())
}

/// Whether the connection ends after one answer.
async fn is_answered(stream: &TcpStream) -> bool {
    let answer = read_to_the_end(stream).await;
    answer.starts_with(b"HTTP/1.1 200 OK") && answer.ends_with(b"hello")
}

async fn all_are_answered(mut site: Site, clients: &[TcpStream]) -> Outcome {
    let mut answered = 0;
    for client in clients {
        answered += usize::from(is_answered(client).await);
    }
    assert_eq!(answered, CLIENTS, "of {CLIENTS} requests");
    (&mut site.served).await??;
    assert_eq!(site.ended(|end| matches!(end, End::Finished)), CLIENTS);
    Ok(())
}

/// Connections to a server that has seen each of them, and of which each has had `before`.
async fn seen(executor: &Executor, before: &[u8]) -> Outcome<(Site, Vec<TcpStream>)> {
    let site = Site::open(executor, Deadlines::default()).await?;
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        let client = TcpStream::connect(site.address).await?;
        if !before.is_empty() {
            client.write_all(before).await?;
            let mut answer = Vec::new();
            while !answer.ends_with(b"hello") {
                let mut buffer = [0; 1024];
                let count = client.read(&mut buffer).await?;
                assert!(count > 0, "it ended: {}", answer.escape_ascii());
                answer.extend_from_slice(&buffer[..count]);
            }
        }
        clients.push(client);
    }
    until(|| site.server.connections() == CLIENTS).await;
    Ok((site, clients))
}

#[test]
fn a_request_on_an_idle_connection_is_answered() {
    run(|executor| async move {
        for before in [REQUEST, b""] {
            let (site, clients) = seen(&executor, before).await?;
            for client in &clients {
                send(client, REQUEST)?;
            }
            site.server.shutdown();
            all_are_answered(site, &clients).await?;
        }
        Ok(())
    });
}

#[test]
fn a_request_on_a_connection_that_waits_to_be_accepted_is_answered() {
    run(|executor| async move {
        let site = Site::open(&executor, Deadlines::default()).await?;
        let clients: Outcome<Vec<_>> =
            (0..CLIENTS).map(|_| connect_and_send(&site, REQUEST)).collect();
        site.server.shutdown();
        all_are_answered(site, &clients?).await
    });
}

/// With one thread, no answer is complete before the server shuts down.
#[test]
fn the_last_answer_says_that_the_connection_closes() {
    watched(|| {
        under("local_pool", |executor| async move {
            for before in [REQUEST, b""] {
                let (site, clients) = seen(&executor, before).await?;
                for client in &clients {
                    send(client, REQUEST)?;
                }
                site.server.shutdown();
                for client in &clients {
                    let answer = read_to_the_end(client).await;
                    let says_so = answer.windows(17).any(|part| part == b"connection: close");
                    assert!(says_so, "{}", answer.escape_ascii());
                }
            }
            Ok(())
        });
    });
}

/// The body of stream 3 and the stream that the last GOAWAY names, when the connection has ended.
async fn last_frames(raw: &mut Raw) -> Outcome<(Vec<u8>, Option<u32>)> {
    let (mut body, mut last) = (Vec::new(), None);
    while let Some(frame) = raw.next().await {
        match frame.kind {
            DATA if frame.stream == 3 => body.extend_from_slice(&frame.payload),
            GOAWAY => last = frame.payload.first_chunk().copied(),
            _ if frame.is_ping() => raw.pong(&frame).await?,
            _ => {}
        }
    }
    Ok((body, last.map(u32::from_be_bytes)))
}

/// The last GOAWAY names the last stream that the server has handled, so the client repeats the others.
#[test]
fn a_request_on_an_idle_http2_connection_is_answered() {
    run(|executor| async move {
        for is_accepted in [true, false] {
            let mut site = Site::open(&executor, Deadlines::default()).await?;
            let mut raws = Vec::new();
            for _ in 0..CLIENTS {
                if is_accepted {
                    let mut raw = Raw::new(TcpStream::connect(site.address).await?);
                    raw.stream.write_all(&[hello(), frame(4, 1, 0, &[])].concat()).await?;
                    assert_eq!(raw.fetch(1, "/hello").await?, b"hello");
                    raws.push(raw);
                } else {
                    let bytes = [hello(), frame(4, 1, 0, &[]), get(3, "/hello")].concat();
                    raws.push(Raw::new(connect_and_send(&site, &bytes)?));
                }
            }
            if is_accepted {
                for raw in &raws {
                    send(&raw.stream, &get(3, "/hello"))?;
                }
            }
            site.server.shutdown();
            // All at once: a client that replies to no ping within a second gets no second GOAWAY.
            for (body, last) in try_join_all(raws.iter_mut().map(last_frames)).await? {
                assert_eq!(body, b"hello", "accepted: {is_accepted}");
                assert_eq!(last, Some(3), "accepted: {is_accepted}");
            }
            (&mut site.served).await??;
        }
        Ok(())
    });
}
