//! The body of a request that goes on after the answer, and the head that comes after it.

use std::pin::pin;

use netpoll_futures::TcpStream;
use netpoll_hyper::{Deadline, Deadlines};

use crate::client::read_to_the_end;
use crate::fixtures::{Outcome, has_ended, ms, run, until};
use crate::raw::{HEADERS, Raw, data, hello, ping, post};
use crate::site::Site;

const REQUEST: &[u8] = b"GET /hello HTTP/1.1\r\nhost: localhost\r\n\r\n";

/// Heads of an upload of a hundred bytes, with a length and in chunks.
const WITH_LENGTH: &[u8] =
    b"POST /early HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100\r\n\r\n";
const IN_CHUNKS: &[u8] =
    b"POST /early HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n";

/// A tenth of the body, and its end.
fn piece(is_chunk: bool) -> &'static [u8] {
    if is_chunk { b"a\r\n0123456789\r\n" } else { b"0123456789" }
}

fn end(is_chunk: bool) -> &'static [u8] {
    if is_chunk { b"0\r\n\r\n" } else { b"" }
}

fn second() -> Deadlines {
    Deadlines::none().header(ms(1000)).idle(ms(1000))
}

/// Reads the head of an answer that has no body.
async fn read_head(stream: &TcpStream, status: &[u8]) -> Outcome {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        assert_eq!(stream.read(&mut byte).await?, 1, "the head ends: {}", head.escape_ascii());
        head.extend_from_slice(&byte);
    }
    assert!(head.starts_with(&[b"HTTP/1.1 ", status].concat()), "{}", head.escape_ascii());
    Ok(())
}

async fn read_exactly(stream: &TcpStream, expected: &[u8]) -> Outcome {
    let mut read = Vec::new();
    let mut byte = [0];
    while read.len() < expected.len() {
        assert_eq!(stream.read(&mut byte).await?, 1, "there is more");
        read.extend_from_slice(&byte);
    }
    assert_eq!(read, expected);
    Ok(())
}

/// Has the server answer an upload that has just begun.
async fn upload_early(site: &Site, is_chunk: bool) -> Outcome<TcpStream> {
    let stream = TcpStream::connect(site.address).await?;
    stream.write_all(if is_chunk { IN_CHUNKS } else { WITH_LENGTH }).await?;
    read_head(&stream, b"202").await?;
    Ok(stream)
}

/// Lets time pass until the server cuts the client off. Fails if a hundred times the limit do not do it.
async fn is_cut_off(site: &Site, stream: &TcpStream) -> Outcome {
    let mut cut_off = pin!(read_to_the_end(stream));
    for _ in 0..1000 {
        if has_ended(cut_off.as_mut()).await {
            return Ok(());
        }
        site.pass(ms(100)).await?;
    }
    Err("it is never cut off".into())
}

#[test]
fn a_body_that_flows_after_the_answer_is_not_cut_off() {
    run(|executor| async move {
        for is_chunk in [false, true] {
            let site = Site::by_hand(&executor, second())?;
            let stream = upload_early(&site, is_chunk).await?;
            for sent in 1..=10 {
                site.pass(ms(800)).await?;
                stream.write_all(piece(is_chunk)).await?;
                until(|| site.uploaded() == 10 * sent).await;
            }
            stream.write_all(end(is_chunk)).await?;
            stream.write_all(REQUEST).await?;
            read_head(&stream, b"200").await?;
            assert_eq!(site.late_ones(), 0);
        }
        Ok(())
    });
}

#[test]
fn a_body_that_stops_after_the_answer_is_cut_off() {
    run(|executor| async move {
        for is_chunk in [false, true] {
            // Without a limit for heads, too.
            for limits in [second(), second().header(None)] {
                let site = Site::by_hand(&executor, limits)?;
                let stream = upload_early(&site, is_chunk).await?;
                stream.write_all(piece(is_chunk)).await?;
                until(|| site.uploaded() == 10).await;
                is_cut_off(&site, &stream).await?;
                site.late(Deadline::Idle, 1).await;
            }
        }
        Ok(())
    });
}

/// The bytes after the body are a head again, and gain it no time.
#[test]
fn a_head_after_such_a_body_has_its_deadline() {
    run(|executor| async move {
        for is_chunk in [false, true] {
            let site = Site::by_hand(&executor, second())?;
            let stream = upload_early(&site, is_chunk).await?;
            for sent in 1..=10 {
                stream.write_all(piece(is_chunk)).await?;
                until(|| site.uploaded() == 10 * sent).await;
            }
            stream.write_all(end(is_chunk)).await?;
            stream.write_all(&REQUEST[..REQUEST.len() - 2]).await?;
            for rounds in 0.. {
                assert!(rounds < 1000, "a head that never ends lives");
                if stream.write_all(b"x: y\r\n").await.is_err() || site.late_ones() > 0 {
                    break;
                }
                site.pass(ms(300)).await?;
            }
            site.late(Deadline::Header, 1).await;
        }
        Ok(())
    });
}

/// With frames, bytes of the body count, and pings do not.
#[test]
fn a_body_of_http2_that_flows_after_the_answer_is_not_cut_off() {
    run(|executor| async move {
        let site = Site::by_hand(&executor, second())?;
        let mut raw = Raw::new(TcpStream::connect(site.address).await?);
        raw.stream.write_all(&[hello(), post(1, "/early")].concat()).await?;
        assert!(raw.next_of(HEADERS).await?.ends_stream(), "the answer is complete");
        for sent in 1..=10 {
            site.pass(ms(800)).await?;
            raw.stream.write_all(&data(1, b"0123456789", false)).await?;
            until(|| site.uploaded() == 10 * sent).await;
        }
        assert_eq!(site.late_ones(), 0);
        for rounds in 0.. {
            assert!(rounds < 1000, "a body that has stopped holds the connection");
            if raw.stream.write_all(&ping()).await.is_err() || site.late_ones() > 0 {
                break;
            }
            site.pass(ms(300)).await?;
        }
        site.late(Deadline::Idle, 1).await;
        Ok(())
    });
}

#[test]
fn an_empty_line_begins_no_head() {
    run(|executor| async move {
        let limits = Deadlines::none().header(ms(1000));
        let site = Site::by_hand(&executor, limits)?;
        let stream = TcpStream::connect(site.address).await?;
        for _ in 0..3 {
            stream.write_all(REQUEST).await?;
            read_head(&stream, b"200").await?;
            read_exactly(&stream, b"hello").await?;
            stream.write_all(b"\r\n").await?;
            // In steps, so that the server reads it before the limit has passed.
            for _ in 0..50 {
                site.pass(ms(100)).await?;
            }
        }
        assert_eq!(site.late_ones(), 0);
        // The first byte that is none does.
        stream.write_all(b"\r\nG").await?;
        is_cut_off(&site, &stream).await?;
        site.late(Deadline::Header, 1).await;
        Ok(())
    });
}

#[test]
fn empty_lines_are_no_progress() {
    run(|executor| async move {
        let limits = Deadlines::none().idle(ms(1000));
        let site = Site::by_hand(&executor, limits)?;
        let stream = TcpStream::connect(site.address).await?;
        stream.write_all(REQUEST).await?;
        read_head(&stream, b"200").await?;
        for rounds in 0.. {
            assert!(rounds < 1000, "a client that sends empty lines is never idle");
            if stream.write_all(b"\r\n").await.is_err() || site.late_ones() > 0 {
                break;
            }
            site.pass(ms(300)).await?;
        }
        site.late(Deadline::Idle, 1).await;
        Ok(())
    });
}
