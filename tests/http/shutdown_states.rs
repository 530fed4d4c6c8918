//! The states of a connection, against a shutdown of its server. A connection without a request in flight is
//! closed at once, whatever its client does; a request in flight is finished.

use std::time::Instant;

use futures::future::try_join_all;
use netpoll_futures::TcpStream;
use netpoll_hyper::{End, Executor, Version};

use crate::client::read_to_the_end;
use crate::fixtures::{Outcome, ms, run, until};
use crate::raw::{GOAWAY, HEADERS, PREFACE, Raw, data, frame, get, hello, ping, post, windows};
use crate::site::Site;

/// Which versions a server speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Speaks {
    Both,
    Http1,
    Http2,
}

use Speaks::{Both, Http1, Http2};

const HEAD: &[u8] = b"GET /hello HTTP/1.1\r\nhost: localhost\r\n\r\n";

async fn open(executor: &Executor, speaks: Speaks) -> Outcome<Site> {
    Site::with(executor, |server| match speaks {
        Both => server,
        Http1 => server.only(Version::Http1),
        Http2 => server.only(Version::Http2),
    })
    .await
}

/// A state without a request in flight: a server without limits, and the bytes that bring a connection there.
/// The client says no more, and answers no frame.
struct Idle {
    name: &'static str,
    speaks: Speaks,
    sent: Vec<u8>,
    /// The bytes, or the end of them, that the server answers before the state is reached.
    answer: &'static [u8],
}

fn idle_states() -> Vec<Idle> {
    let idle =
        |name, speaks, sent: &[&[u8]], answer| Idle { name, speaks, sent: sent.concat(), answer };
    let hello = &*hello();
    let settings_ack = &*frame(4, 1, 0, &[]);
    let get = &*get(1, "/hello");
    let early = &*post(1, "/early");
    let piece = &*data(1, b"0123456789", false);
    let endless_ping = &*ping();
    // The end of an answer, and the acknowledgements of hyper.
    const ANSWER: &[u8] = b"hello";
    const PONG: &[u8] = b"are you?";
    const SETTINGS_ACK: &[u8] = b"\x00\x00\x00\x04\x01\x00\x00\x00\x00";
    let mut states = vec![
        idle("nothing yet", Both, &[], b""),
        idle("the start of either version", Both, &[&PREFACE[..5]], b""),
        idle("almost a preface", Both, &[&PREFACE[..23]], b""),
        idle("a preface", Both, &[PREFACE], b"\x04\x00"),
        idle("a preface, only", Http2, &[PREFACE], b"\x04\x00"),
        idle("nothing yet, only", Http1, &[], b""),
        idle("nothing yet, only", Http2, &[], b""),
        idle("half a preface, only", Http2, &[&PREFACE[..9]], b""),
        idle("settings", Both, &[hello], SETTINGS_ACK),
        idle("half a frame", Both, &[hello, endless_ping, &get[..12]], PONG),
        idle("after an answer, HTTP/2", Both, &[hello, settings_ack, get], ANSWER),
        idle("half a frame after it", Both, &[hello, get, endless_ping, &get[..4]], ANSWER),
        idle("after an early answer, HTTP/2", Both, &[hello, early, piece], b"\x01\x05"),
    ];
    for speaks in [Both, Http1] {
        states.extend([
            idle("half a head", speaks, &[&HEAD[..20]], b""),
            idle("an empty line", speaks, &[b"\r\n"], b""),
            idle("after an answer", speaks, &[HEAD], ANSWER),
            idle("half a next head", speaks, &[HEAD, &HEAD[..20]], ANSWER),
            idle("an empty line after it", speaks, &[HEAD, b"\r\n"], ANSWER),
            idle(
                "after an early answer",
                speaks,
                &[b"POST /early HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nabc"],
                b"\r\n\r\n",
            ),
        ]);
    }
    states
}

/// Reads until `what` has come.
async fn read_until(stream: &TcpStream, what: &[u8]) -> Outcome {
    let mut read = Vec::new();
    let mut buffer = [0; 4096];
    while !what.is_empty() && !read.windows(what.len()).any(|part| part == what) {
        let count = stream.read(&mut buffer).await?;
        if count == 0 {
            return Err(format!("it ended after {}", read.escape_ascii()).into());
        }
        read.extend_from_slice(&buffer[..count]);
    }
    Ok(())
}

/// Brings a connection into a state, and shuts its server down.
async fn shut_down_in(executor: &Executor, state: Idle) -> Outcome {
    let Idle { name, speaks, sent, answer } = state;
    let mut site = open(executor, speaks).await?;
    let stream = TcpStream::connect(site.address).await?;
    stream.write_all(&sent).await?;
    read_until(&stream, answer).await.map_err(|error| format!("{name}: {error}"))?;
    until(|| site.server.connections() == 1).await;
    site.server.shutdown();
    // The time that a client has for its answer to a GOAWAY, and much more for a busy machine.
    let began = Instant::now();
    until(|| site.server.connections() == 0 || began.elapsed() > ms(20_000)).await;
    assert_eq!(site.server.connections(), 0, "{name}, {speaks:?}: it holds the server");
    (&mut site.served).await??;
    read_to_the_end(&stream).await;
    let finished = site.ended(|end| matches!(end, End::Finished));
    assert_eq!(finished, 1, "{name}, {speaks:?}: it finished");
    Ok(())
}

#[test]
fn a_connection_without_a_request_is_closed_at_once() {
    run(|executor| async move {
        let states = idle_states().into_iter();
        try_join_all(states.map(|state| shut_down_in(&executor, state))).await?;
        Ok(())
    });
}

/// The client pings all the while, and does not answer the server's ping.
#[test]
fn a_client_that_pings_does_not_hold_the_server() {
    run(|executor| async move {
        let mut site = open(&executor, Both).await?;
        let mut raw = Raw::new(TcpStream::connect(site.address).await?);
        raw.stream.write_all(&hello()).await?;
        assert_eq!(raw.fetch(1, "/hello").await?, b"hello");
        site.server.shutdown();
        let mut kinds = Vec::new();
        let began = Instant::now();
        while raw.stream.write_all(&ping()).await.is_ok() {
            let Some(frame) = raw.next().await else { break };
            kinds.push(frame.kind);
            assert!(began.elapsed() < ms(20_000), "it holds the server");
        }
        assert!(kinds.contains(&GOAWAY));
        (&mut site.served).await??;
        Ok(())
    });
}

/// Requests that are in flight, HTTP/1 and HTTP/2: the server shuts down, the client goes on as it must, and has its
/// whole answer.
#[test]
fn a_request_in_flight_is_finished() {
    run(|executor| async move {
        for is_http2 in [false, true] {
            for path in ["/wait", "/echo", "/much/300000"] {
                let mut site = open(&executor, Both).await?;
                let mut raw = Raw::new(TcpStream::connect(site.address).await?);
                let request = match (is_http2, path) {
                    (false, "/echo") => {
                        b"POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n".to_vec()
                    }
                    (false, _) => format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n").into_bytes(),
                    (true, "/echo") => [hello(), post(1, path)].concat(),
                    (true, _) => [hello(), get(1, path)].concat(),
                };
                raw.stream.write_all(&request).await?;
                match path {
                    "/wait" => until(|| site.waiting() == 1).await,
                    "/echo" if is_http2 => drop(raw.next_of(HEADERS).await?),
                    "/echo" => read_until(&raw.stream, b"HTTP/1.1 200 OK").await?,
                    _ => {}
                }
                // A request that has come is in flight, whether the server has looked or not.
                until(|| site.server.connections() == 1).await;
                site.server.shutdown();
                match path {
                    "/wait" => site.open_the_gate(),
                    "/echo" if is_http2 => {
                        raw.stream.write_all(&data(1, b"0123456789", true)).await?;
                    }
                    "/echo" => raw.stream.write_all(b"0123456789").await?,
                    _ if is_http2 => raw.stream.write_all(&windows(1, 1 << 20)).await?,
                    _ => {}
                }
                let answer = if is_http2 {
                    raw.answer(1).await?
                } else {
                    read_to_the_end(&raw.stream).await
                };
                let ends_well = match path {
                    "/wait" => answer.ends_with(b"at last"),
                    "/echo" => answer.ends_with(b"0123456789"),
                    _ => answer.len() >= 300_000,
                };
                assert!(ends_well, "HTTP/2 {is_http2}, {path}: {} bytes", answer.len());
                (&mut site.served).await??;
                assert_eq!(site.ended(|end| matches!(end, End::Finished)), 1);
            }
        }
        Ok(())
    });
}
