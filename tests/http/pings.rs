//! A ping is no progress: a client that pings, or answers pings, has the limits of one that is silent.

use netpoll_futures::TcpStream;
use netpoll_hyper::{Deadline, Deadlines, Executor};

use crate::fixtures::{Outcome, ms, run, until};
use crate::raw::{
    DATA, Frame, GOAWAY, HEADERS, PING, PREFACE, Raw, SETTINGS, WINDOW_UPDATE, frame, get, hello,
    ping, windows,
};
use crate::site::Site;

async fn connect(site: &Site) -> Outcome<Raw> {
    let mut raw = Raw::new(TcpStream::connect(site.address).await?);
    raw.stream.write_all(&hello()).await?;
    assert_eq!(raw.fetch(1, "/hello").await?, b"hello");
    Ok(raw)
}

/// As [`send_to_the_end`], with nothing but pings.
async fn ping_to_the_end(site: &Site, raw: &mut Raw) -> Outcome<Vec<u8>> {
    send_to_the_end(site, raw, &[]).await
}

/// Sends `frames` and a ping four times in each second of the server's clock, which the test moves, until the
/// server ends the connection. Returns the types of the frames that the server sent, but for its answers to the
/// pings. Each answer is awaited before the clock moves: a server that has not run yet would take the clock's
/// last move for the beginning of its limit, and then wait for ever.
async fn send_to_the_end(site: &Site, raw: &mut Raw, frames: &[u8]) -> Outcome<Vec<u8>> {
    let mut kinds = Vec::new();
    for _ in 0..100 {
        if raw.stream.write_all(&[frames, &ping()].concat()).await.is_err() {
            kinds.extend(raw.read_to_the_end().await);
            return Ok(kinds);
        }
        loop {
            match raw.next().await {
                Some(frame) if frame.kind == PING && !frame.is_ping() => break,
                Some(frame) => kinds.push(frame.kind),
                None => return Ok(kinds),
            }
        }
        site.pass(ms(250)).await?;
    }
    Err("the server never ends the connection".into())
}

/// Pings in the same way until the server sends a GOAWAY frame, and returns that frame.
async fn ping_until_goaway(site: &Site, raw: &mut Raw) -> Outcome<Frame> {
    for _ in 0..100 {
        raw.stream.write_all(&ping()).await?;
        loop {
            let frame = raw.next().await.ok_or("no GOAWAY came before the end")?;
            match frame.kind {
                GOAWAY => return Ok(frame),
                PING if !frame.is_ping() => break,
                _ => {}
            }
        }
        site.pass(ms(250)).await?;
    }
    Err("the server never sends a GOAWAY frame".into())
}

fn limits() -> Deadlines {
    Deadlines::none().idle(ms(1000)).write_stall(ms(1000))
}

#[test]
fn a_client_that_pings_is_idle() {
    run(|executor| async move {
        let site = Site::by_hand(&executor, limits())?;
        let mut raw = connect(&site).await?;
        let kinds = ping_to_the_end(&site, &mut raw).await?;
        assert!(kinds.contains(&GOAWAY), "it learned why: {kinds:?}");
        site.late(Deadline::Idle, 1).await;
        Ok(())
    });
}

#[test]
fn a_client_that_pings_and_opens_no_window_has_stalled() {
    run(|executor| async move {
        let site = Site::by_hand(&executor, limits())?;
        let mut raw = connect(&site).await?;
        raw.stream.write_all(&get(3, "/endless")).await?;
        ping_to_the_end(&site, &mut raw).await?;
        site.late(Deadline::WriteStall, 1).await;
        Ok(())
    });
}

/// Its windows are closed from the first.
#[test]
fn a_client_that_never_opens_a_window_has_stalled() {
    run(|executor| async move {
        let site = Site::by_hand(&executor, limits())?;
        let mut raw = Raw::new(TcpStream::connect(site.address).await?);
        // SETTINGS_INITIAL_WINDOW_SIZE (RFC 9113, section 6.5.2).
        let closed = frame(SETTINGS, 0, 0, b"\x00\x04\x00\x00\x00\x00");
        raw.stream.write_all(&[PREFACE, &closed, &get(1, "/hello")].concat()).await?;
        raw.next_of(HEADERS).await?;
        ping_to_the_end(&site, &mut raw).await?;
        site.late(Deadline::WriteStall, 1).await;
        Ok(())
    });
}

/// The windows of the connection open, and that of the stream does not: no byte moves.
#[test]
fn a_window_that_lets_no_byte_through_is_no_progress() {
    run(|executor| async move {
        let site = Site::by_hand(&executor, limits())?;
        let mut raw = connect(&site).await?;
        raw.stream.write_all(&get(3, "/endless")).await?;
        let other = frame(WINDOW_UPDATE, 0, 0, &1u32.to_be_bytes());
        send_to_the_end(&site, &mut raw, &other).await?;
        site.late(Deadline::WriteStall, 1).await;
        Ok(())
    });
}

/// Each window lets a byte through, and a byte now and then is less than the least rate.
#[test]
fn a_window_of_a_byte_now_and_then_is_a_stall() {
    run(|executor| async move {
        let site = Site::by_hand(&executor, limits().write_rate(1000))?;
        let mut raw = connect(&site).await?;
        raw.stream.write_all(&get(3, "/endless")).await?;
        send_to_the_end(&site, &mut raw, &windows(3, 1)).await?;
        site.late(Deadline::WriteStall, 1).await;
        Ok(())
    });
}

/// A client that opens its windows now and then, and reads: it is slow and not stalled.
#[test]
fn a_client_that_reads_slowly_has_not_stalled() {
    run(|executor| async move {
        let site = Site::by_hand(&executor, limits())?;
        let mut raw = connect(&site).await?;
        raw.stream.write_all(&get(3, "/endless")).await?;
        let mut read = 0;
        while read < 65_535 - "hello".len() {
            read += raw.next_of(DATA).await?.payload.len();
        }
        for _ in 0..10 {
            site.pass(ms(900)).await?;
            raw.stream.write_all(&windows(3, 100)).await?;
            let mut more = 0;
            while more < 100 {
                more += raw.next_of(DATA).await?.payload.len();
            }
        }
        assert_eq!(site.late_ones(), 0);
        Ok(())
    });
}

/// With hyper's own pings, in real time. The client answers each, up to a number that takes ten times the limit.
async fn answers_pings(executor: Executor, path: Option<&str>, missed: Deadline) -> Outcome {
    let limits = Deadlines::none().idle(ms(200)).write_stall(ms(200));
    let site = Site::with(&executor, |server| {
        server.deadlines(limits).http2(|http2| {
            http2.keep_alive_interval(ms(20));
        })
    })
    .await?;
    let mut raw = connect(&site).await?;
    if let Some(path) = path {
        raw.stream.write_all(&get(3, path)).await?;
    }
    let mut answered = 0;
    while let Some(frame) = raw.next().await {
        if frame.is_ping() && raw.pong(&frame).await.is_ok() {
            answered += 1;
            assert!(answered < 500, "a client that answers pings is never cut off");
        }
    }
    site.late(missed, 1).await;
    Ok(())
}

#[test]
fn a_client_that_answers_pings_is_idle() {
    run(|executor| answers_pings(executor, None, Deadline::Idle));
}

#[test]
fn a_client_that_answers_pings_and_opens_no_window_has_stalled() {
    run(|executor| answers_pings(executor, Some("/endless"), Deadline::WriteStall));
}

/// The client does not know of the end when it sends the request. Its request is answered, and requests that it
/// sends after the last GOAWAY it may send again elsewhere.
#[test]
fn an_idle_client_gets_a_goaway_and_time_for_a_request_that_crosses_it() {
    run(|executor| async move {
        let site = Site::by_hand(&executor, limits())?;
        let mut raw = connect(&site).await?;
        let goaway = ping_until_goaway(&site, &mut raw).await?;
        assert_eq!(goaway.payload[4..8], [0; 4], "no error");
        assert_eq!(raw.fetch(3, "/hello").await?, b"hello");
        raw.read_to_the_end().await;
        until(|| site.server.connections() == 0).await;
        site.late(Deadline::Idle, 1).await;
        Ok(())
    });
}

/// Before its first request, a client of HTTP/2 is waited for as long as any head.
#[test]
fn a_client_that_sends_no_first_request_gets_a_goaway() {
    run(|executor| async move {
        let limits = Deadlines::none().header(ms(1000));
        let site = Site::by_hand(&executor, limits)?;
        let mut raw = Raw::new(TcpStream::connect(site.address).await?);
        raw.stream.write_all(&hello()).await?;
        let kinds = ping_to_the_end(&site, &mut raw).await?;
        assert!(kinds.contains(&GOAWAY), "{kinds:?}");
        site.late(Deadline::Header, 1).await;
        Ok(())
    });
}
