//! Which clients are cut off for being slow with requests, and which are not.

use std::pin::pin;
use std::time::Instant;

use futures::channel::mpsc::unbounded;
use futures::future::try_join_all;
use http_body_util::BodyExt;
use hyper::body::Bytes;
use netpoll_futures::TcpStream;
use netpoll_hyper::{Deadline, Deadlines, Version};

use crate::client::{Client, post, read_to_the_end, read_up_to};
use crate::fixtures::{Outcome, has_ended, ms, now, pause, run, until};
use crate::site::{Site, from_channel};

const VERSIONS: [Version; 2] = [Version::Http1, Version::Http2];

/// A head without an end.
const HALF: &[u8] = b"GET /hello HTTP/1.1\r\nhost: localhost\r\nx-slow: ";

/// Half of the preface of HTTP/2: it could be either version still.
const HALF_A_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n";

/// All of it, with settings that are none, and half a frame.
const HALF_A_FRAME: &[u8] =
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00\x00\x00\x40\x01";

/// A second, as it must not be met by an honest client on a machine that is busy.
fn slow_heads() -> Deadlines {
    Deadlines::none().header(ms(1000))
}

#[test]
fn five_hundred_half_sent_requests_are_cut_off_while_others_are_served() {
    const SLOW: usize = 500;
    run(|executor| async move {
        let site = Site::open(&executor, slow_heads()).await?;
        let mut good = Client::connect(&executor, Version::Http1, site.address).await?;
        assert_eq!(good.get("/hello").await?, "hello");
        let slow = (0..SLOW).map(async |_| -> Outcome {
            let began = Instant::now();
            let stream = TcpStream::connect(site.address).await?;
            stream.write_all(HALF).await?;
            assert_eq!(read_to_the_end(&stream).await, b"", "no answer");
            assert!(began.elapsed() >= ms(1000), "not early");
            Ok(())
        });
        let mut served = 0;
        let cut_off = async {
            try_join_all(slow).await?;
            site.late(Deadline::Header, SLOW).await;
            Outcome::Ok(())
        };
        let mut cut_off = pin!(cut_off);
        while !has_ended(cut_off.as_mut()).await {
            assert_eq!(good.get("/hello").await?, "hello");
            served += 1;
        }
        assert!(served > 1, "requests were served meanwhile");
        until(|| site.server.connections() == 1).await;
        assert_eq!(good.get("/hello").await?, "hello", "it is the good one");
        Ok(())
    });
}

#[test]
fn a_byte_now_and_then_does_not_help() {
    run(|executor| async move {
        let limits = Deadlines::none().header(ms(200));
        let site = Site::open(&executor, limits).await?;
        let began = Instant::now();
        let stream = TcpStream::connect(site.address).await?;
        stream.write_all(HALF).await?;
        // It fails when it was cut off, which is the end of it.
        while stream.write_all(b"x").await.is_ok() {
            pause(ms(10)).await?;
        }
        assert!(began.elapsed() >= ms(200), "not early");
        site.late(Deadline::Header, 1).await;
        Ok(())
    });
}

#[test]
fn it_is_all_the_same_how_the_head_is_late() {
    run(|executor| async move {
        let limits = Deadlines::none().header(ms(50));
        let site = Site::open(&executor, limits).await?;
        for (late, start) in [b"", HALF, HALF_A_PREFACE, HALF_A_FRAME].iter().enumerate() {
            let began = Instant::now();
            let stream = TcpStream::connect(site.address).await?;
            stream.write_all(start).await?;
            read_to_the_end(&stream).await;
            assert!(began.elapsed() >= ms(50), "not early");
            site.late(Deadline::Header, late + 1).await;
        }
        Ok(())
    });
}

#[test]
fn the_second_head_has_its_deadline_too() {
    run(|executor| async move {
        let limits = Deadlines::none().header(ms(1000));
        let site = Site::by_hand(&executor, limits)?;
        let stream = TcpStream::connect(site.address).await?;
        let request = b"GET /hello HTTP/1.1\r\nhost: localhost\r\n\r\n";
        for _ in 0..2 {
            stream.write_all(request).await?;
            read_up_to(&stream, b"hello").await?;
            // Between requests there is no limit here.
            site.pass(ms(5000)).await?;
        }
        // The rest of this one is late.
        stream.write_all(HALF).await?;
        let mut cut_off = pin!(read_to_the_end(&stream));
        while !has_ended(cut_off.as_mut()).await {
            site.pass(ms(100)).await?;
        }
        site.late(Deadline::Header, 1).await;
        Ok(())
    });
}

#[test]
fn an_idle_connection_is_cut_off() {
    run(|executor| async move {
        for version in VERSIONS {
            let limits = Deadlines::none().idle(ms(50));
            let site = Site::open(&executor, limits).await?;
            let mut client = Client::connect(&executor, version, site.address).await?;
            let began = Instant::now();
            assert_eq!(client.get("/hello").await?, "hello");
            site.late(Deadline::Idle, 1).await;
            assert!(began.elapsed() >= ms(50), "not early");
            client.is_gone().await;
        }
        Ok(())
    });
}

#[test]
fn a_silent_connection_is_not_idle_before_its_first_request() {
    run(|executor| async move {
        let limits = Deadlines::none().idle(ms(20));
        let site = Site::by_hand(&executor, limits)?;
        let silent = TcpStream::connect(site.address).await?;
        until(|| site.server.connections() == 1).await;
        site.pass(ms(5000)).await?;
        silent.write_all(b"GET /hello HTTP/1.1\r\nhost: localhost\r\n\r\n").await?;
        let mut answer = pin!(read_to_the_end(&silent));
        let answer = loop {
            if let Some(answer) = now(answer.as_mut()).await {
                break answer;
            }
            site.pass(ms(5)).await?;
        };
        assert!(answer.starts_with(b"HTTP/1.1 200 OK"));
        site.late(Deadline::Idle, 1).await;
        Ok(())
    });
}

/// Every piece comes later than every limit, and comes back at once.
#[test]
fn bodies_may_be_slow_both_ways() {
    run(|executor| async move {
        for version in VERSIONS {
            let second = Some(ms(1000));
            // With frames, an answer stalls until the service is asked for the next piece, and there
            // is no telling from here when that was: the test after this one has real time.
            let write_stall = second.filter(|_| version == Version::Http1);
            let limits = Deadlines::none().header(second).idle(second).write_stall(write_stall);
            let site = Site::by_hand(&executor, limits)?;
            let mut client = Client::connect(&executor, version, site.address).await?;
            let (send, body) = unbounded();
            let answer = client.send(post("/echo", from_channel(body))).await?;
            let mut answer = answer.into_body();
            for round in 0..10 {
                site.pass(ms(5000)).await?;
                send.unbounded_send(Bytes::from(vec![round; 100]))?;
                let frame = answer.frame().await.expect("a piece")?;
                assert_eq!(frame.into_data().expect("data"), vec![round; 100]);
            }
            drop(send);
            while let Some(frame) = answer.frame().await {
                assert_eq!(frame?.into_data().expect("data"), "", "the end of it");
            }
            assert_eq!(client.get("/hello").await?, "hello", "it is as good as before");
            assert_eq!(site.late_ones(), 0);
        }
        Ok(())
    });
}

#[test]
fn a_service_that_is_slow_is_no_stall() {
    run(|executor| async move {
        let limits = Deadlines::none().write_stall(ms(1000));
        let site = Site::open(&executor, limits).await?;
        let mut client = Client::connect(&executor, Version::Http2, site.address).await?;
        let (send, body) = unbounded();
        let mut answer = client.send(post("/echo", from_channel(body))).await?.into_body();
        for pause_before in [ms(0), ms(1100)] {
            pause(pause_before).await?;
            send.unbounded_send(Bytes::from_static(b"a piece"))?;
            let frame = answer.frame().await.expect("a piece")?;
            assert_eq!(frame.into_data().expect("data"), "a piece");
        }
        assert_eq!(site.late_ones(), 0);
        Ok(())
    });
}
