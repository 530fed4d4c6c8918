//! A deadline judges the peer, and not the moment at which the server looks.
//!
//! Client and server share one thread, and the clock of the server is moved by hand. A test has the peer
//! act in time, then has the deadline pass, and only then lets the server's tasks run.

use std::os::fd::AsFd;

use netpoll_futures::{TcpStream, sys};
use netpoll_hyper::{Deadline, Deadlines, Executor};
use netpoll_tests::watched;

use crate::client::{read_to_the_end, read_up_to};
use crate::fixtures::{Outcome, ms, under, until};
use crate::raw::{DATA, HEADERS, Raw, get, hello, windows};
use crate::site::{MIB, Site};

const REQUEST: &[u8] = b"GET /hello HTTP/1.1\r\nhost: localhost\r\n\r\n";
const LAST_REQUEST: &[u8] = b"GET /hello HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";

fn run<F>(test: impl FnOnce(Executor) -> F + Send + 'static)
where
    F: Future<Output = Outcome> + Send + 'static,
{
    watched(|| under("local_pool", test));
}

/// Writes at once, and lets no other task run until the system of the server has acknowledged the bytes.
fn write(stream: &TcpStream, bytes: &[u8]) -> Outcome {
    assert_eq!(stream.try_write(bytes)?, bytes.len(), "there is room for so little");
    while sys::not_taken(stream.as_fd())? > 0 {
        std::thread::yield_now();
    }
    Ok(())
}

async fn connect(site: &Site) -> Outcome<TcpStream> {
    until(|| site.server.connections() == 0).await;
    let stream = TcpStream::connect(site.address).await?;
    until(|| site.server.connections() == 1).await;
    site.settle().await?;
    Ok(stream)
}

/// Fetches with HTTP/1, and leaves the connection open.
async fn fetch(site: &Site, stream: &TcpStream) -> Outcome {
    stream.write_all(REQUEST).await?;
    read_up_to(stream, b"hello").await?;
    site.settle().await?;
    Ok(())
}

fn all_limits() -> Deadlines {
    let second = Some(ms(1000));
    Deadlines::none().header(second).idle(second).write_stall(second)
}

#[test]
fn a_first_request_that_came_in_time_is_answered() {
    run(|executor| async move {
        let site = Site::by_hand(&executor, all_limits())?;
        for cut in [0, 3, REQUEST.len()] {
            let stream = connect(&site).await?;
            stream.write_all(&LAST_REQUEST[..cut]).await?;
            site.settle().await?;
            write(&stream, &LAST_REQUEST[cut..])?;
            site.pass_while_the_thread_is_busy(ms(2000))?;
            let answer = read_to_the_end(&stream).await;
            assert!(answer.starts_with(b"HTTP/1.1 200 OK"), "{}", answer.escape_ascii());
        }
        assert_eq!(site.late_ones(), 0);
        Ok(())
    });
}

#[test]
fn a_next_request_that_came_in_time_is_answered() {
    run(|executor| async move {
        let site = Site::by_hand(&executor, all_limits())?;
        for cut in [0, 3] {
            let stream = connect(&site).await?;
            fetch(&site, &stream).await?;
            stream.write_all(&LAST_REQUEST[..cut]).await?;
            site.settle().await?;
            write(&stream, &LAST_REQUEST[cut..])?;
            site.pass_while_the_thread_is_busy(ms(2000))?;
            let answer = read_to_the_end(&stream).await;
            assert!(answer.starts_with(b"HTTP/1.1 200 OK"), "{}", answer.escape_ascii());
        }
        assert_eq!(site.late_ones(), 0);
        Ok(())
    });
}

/// A head that has begun in time has its own time, however late the server is to see the beginning.
#[test]
fn a_head_that_is_seen_late_has_its_whole_time() {
    run(|executor| async move {
        let site = Site::by_hand(&executor, all_limits())?;
        let stream = connect(&site).await?;
        fetch(&site, &stream).await?;
        write(&stream, &LAST_REQUEST[..3])?;
        site.pass_while_the_thread_is_busy(ms(2000))?;
        site.settle().await?;
        site.pass(ms(900)).await?;
        stream.write_all(&LAST_REQUEST[3..]).await?;
        let answer = read_to_the_end(&stream).await;
        assert!(answer.starts_with(b"HTTP/1.1 200 OK"), "{}", answer.escape_ascii());
        assert_eq!(site.late_ones(), 0);
        Ok(())
    });
}

/// The last look finds bytes, and they complete no head.
#[test]
fn half_a_head_that_came_in_time_is_late_all_the_same() {
    run(|executor| async move {
        let site = Site::by_hand(&executor, all_limits())?;
        let stream = connect(&site).await?;
        write(&stream, &LAST_REQUEST[..20])?;
        site.pass_while_the_thread_is_busy(ms(2000))?;
        assert_eq!(read_to_the_end(&stream).await, b"");
        site.late(Deadline::Header, 1).await;
        Ok(())
    });
}

#[test]
fn a_request_of_http2_that_came_in_time_is_answered() {
    run(|executor| async move {
        let site = Site::by_hand(&executor, all_limits())?;
        let mut raw = Raw::new(connect(&site).await?);
        write(&raw.stream, &[hello(), get(1, "/hello")].concat())?;
        site.pass_while_the_thread_is_busy(ms(2000))?;
        assert_eq!(raw.answer(1).await?, b"hello");
        site.settle().await?;
        write(&raw.stream, &get(3, "/hello"))?;
        site.pass_while_the_thread_is_busy(ms(2000))?;
        assert_eq!(raw.answer(3).await?, b"hello");
        assert_eq!(site.late_ones(), 0);
        Ok(())
    });
}

/// A download whose client reads all that there is: between two reads the server's thread is busy for longer
/// than every limit.
#[test]
fn a_download_goes_on_while_its_client_reads() {
    run(|executor| async move {
        let site = Site::by_hand(&executor, all_limits())?;
        let mut raw = Raw::new(connect(&site).await?);
        raw.stream.write_all(&[hello(), get(1, "/endless")].concat()).await?;
        raw.next_of(HEADERS).await?;
        let mut read = 0;
        for _ in 0..20 {
            // The windows of RFC 9113, section 6.9.2, which are as large as they were at first.
            let window = 65_535;
            let end = read + window;
            while read < end {
                read += raw.next_of(DATA).await?.payload.len();
            }
            site.settle().await?;
            write(&raw.stream, &windows(1, window as u32))?;
            site.pass_while_the_thread_is_busy(ms(2000))?;
        }
        assert!(read >= 20 * 65_535);
        assert_eq!(site.late_ones(), 0);
        Ok(())
    });
}

/// The server waits for room, and there is room when it looks.
#[test]
fn a_peer_that_made_room_in_time_is_not_stalled() {
    run(|executor| async move {
        let limits = Deadlines::none().write_stall(ms(1000));
        let site = Site::by_hand(&executor, limits)?;
        let stream = connect(&site).await?;
        let request = format!("GET /much/{} HTTP/1.1\r\nhost: localhost\r\n\r\n", 64 * MIB);
        stream.write_all(request.as_bytes()).await?;
        let mut buffer = vec![0; MIB];
        let mut read = stream.read(&mut buffer).await?;
        site.settle().await?;
        while read < 64 * MIB {
            while let Ok(count @ 1..) = stream.try_read(&mut buffer) {
                read += count;
            }
            if read < 64 * MIB {
                site.pass_while_the_thread_is_busy(ms(2000))?;
                site.settle().await?;
                read += stream.read(&mut buffer).await?;
            }
        }
        assert_eq!(site.late_ones(), 0);
        Ok(())
    });
}
