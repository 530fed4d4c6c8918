//! The limit of a whole request, from the end of its head to the end of its answer; and the limit of a body's size, which is the
//! service's.

use std::pin::pin;

use futures::channel::mpsc::unbounded;
use http_body_util::BodyExt;
use hyper::Request;
use hyper::body::{Bytes, Incoming};
use netpoll_futures::TcpStream;
use netpoll_hyper::{Deadline, Deadlines, Executor, Version};

use crate::client::{Client, get, post, read_to_the_end};
use crate::fixtures::{Outcome, ms, now, run, until};
use crate::site::{Body, Site, from_channel, pattern, pieces, whole};
use crate::upgrade::{read, write};

const VERSIONS: [Version; 2] = [Version::Http1, Version::Http2];

fn a_second() -> Deadlines {
    Deadlines::none().request(ms(1000))
}

/// The status of the answer to a request of which the server's clock says that it is late, and not early.
async fn late_status(site: &Site, client: &mut Client, request: Request<Body>) -> Outcome<u16> {
    let mut answer = pin!(client.send(request));
    let mut passed = 0;
    let answer = loop {
        if let Some(answer) = now(answer.as_mut()).await {
            break answer?;
        }
        site.pass(ms(50)).await?;
        passed += 51;
    };
    assert!(passed >= 1000, "not early: {passed}");
    let status = answer.status().as_u16();
    assert_eq!(answer.into_body().collect().await?.to_bytes(), "");
    Ok(status)
}

/// With HTTP/1 the connection has ended by the limit. With HTTP/2 it is as good as before.
async fn has_ended_as_it_must(site: &Site, client: &mut Client, version: Version) -> Outcome {
    if version == Version::Http1 {
        site.late(Deadline::Request, 1).await;
        client.is_gone().await;
    } else {
        assert_eq!(client.get("/hello").await?, "hello");
        assert_eq!(site.late_ones(), 0);
    }
    Ok(())
}

#[test]
fn a_slow_upload_is_answered_408() {
    run(|executor| async move {
        for version in VERSIONS {
            let site = Site::by_hand(&executor, a_second())?;
            let mut client = Client::connect(&executor, version, site.address).await?;
            let (send, body) = unbounded();
            send.unbounded_send(Bytes::from_static(b"the rest never comes"))?;
            let upload = post("/limited/1000", from_channel(body));
            assert_eq!(late_status(&site, &mut client, upload).await?, 408);
            has_ended_as_it_must(&site, &mut client, version).await?;
            drop(send);
        }
        Ok(())
    });
}

#[test]
fn a_service_that_does_not_answer_is_dropped_and_answered_408() {
    run(|executor| async move {
        for version in VERSIONS {
            let site = Site::by_hand(&executor, a_second())?;
            let mut client = Client::connect(&executor, version, site.address).await?;
            assert_eq!(late_status(&site, &mut client, get("/wait")).await?, 408);
            assert_eq!(site.waiting(), 1, "it was called");
            has_ended_as_it_must(&site, &mut client, version).await?;
        }
        Ok(())
    });
}

/// A client that sends for ever does not keep the connection.
#[test]
fn the_connection_closes_after_the_408() {
    run(|executor| async move {
        let site = Site::by_hand(&executor, a_second())?;
        let stream = TcpStream::connect(site.address).await?;
        let head =
            b"POST /limited/1000000 HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000000\r\n\r\n";
        stream.write_all(head).await?;
        // It fails when the server has closed.
        while stream.write_all(b"x").await.is_ok() {
            site.pass(ms(50)).await?;
        }
        let answer = read_to_the_end(&stream).await;
        assert!(
            answer.starts_with(b"HTTP/1.1 408 Request Timeout\r\n"),
            "{}",
            answer.escape_ascii()
        );
        let answer = String::from_utf8(answer)?;
        assert!(answer.contains("connection: close\r\n"), "{answer}");
        assert!(answer.ends_with("\r\n\r\n"), "{answer}");
        site.late(Deadline::Request, 1).await;
        until(|| site.server.connections() == 0).await;
        Ok(())
    });
}

/// Reads while the server's time passes, until the answer breaks off.
async fn breaks_off(site: &Site, answer: &mut Incoming) -> Outcome {
    loop {
        site.pass(ms(50)).await?;
        match now(pin!(answer.frame())).await {
            None | Some(Some(Ok(_))) => {}
            Some(Some(Err(_))) => return Ok(()),
            Some(None) => return Err("the answer is complete".into()),
        }
    }
}

#[test]
fn an_answer_without_an_end_breaks_off() {
    run(|executor| async move {
        for version in VERSIONS {
            let site = Site::by_hand(&executor, a_second())?;
            let mut client = Client::connect(&executor, version, site.address).await?;
            // One that is silent.
            let (send, body) = unbounded();
            let mut answer = client.send(post("/echo", from_channel(body))).await?.into_body();
            breaks_off(&site, &mut answer).await?;
            has_ended_as_it_must(&site, &mut client, version).await?;
            drop(send);
            // One that is not.
            let site = Site::by_hand(&executor, a_second())?;
            let mut client = Client::connect(&executor, version, site.address).await?;
            let mut answer = client.send(get("/endless")).await?.into_body();
            breaks_off(&site, &mut answer).await?;
            has_ended_as_it_must(&site, &mut client, version).await?;
        }
        Ok(())
    });
}

/// The limit begins anew with each request, and does not hold between two.
#[test]
fn a_request_in_time_is_as_without_a_limit() {
    run(|executor| async move {
        for version in VERSIONS {
            let site = Site::by_hand(&executor, a_second())?;
            let mut client = Client::connect(&executor, version, site.address).await?;
            for _ in 0..2 {
                let (send, body) = unbounded();
                let mut answer = client.send(post("/echo", from_channel(body))).await?.into_body();
                site.pass(ms(900)).await?;
                send.unbounded_send(Bytes::from_static(b"in time"))?;
                drop(send);
                let frame = answer.frame().await.expect("a piece")?;
                assert_eq!(frame.into_data().expect("data"), "in time");
                assert_eq!(answer.collect().await?.to_bytes(), "");
                site.pass(ms(5000)).await?;
            }
            assert_eq!(site.late_ones(), 0);
        }
        Ok(())
    });
}

#[test]
fn other_streams_continue() {
    run(|executor| async move {
        let site = Site::by_hand(&executor, a_second())?;
        let mut client = Client::connect(&executor, Version::Http2, site.address).await?;
        let (send_early, body) = unbounded();
        let mut early = client.send(post("/echo", from_channel(body))).await?.into_body();
        site.pass(ms(600)).await?;
        let (send, body) = unbounded();
        let mut answer = client.send(post("/echo", from_channel(body))).await?.into_body();
        site.pass(ms(600)).await?;
        assert!(early.frame().await.expect("an end").is_err(), "it is late");
        send.unbounded_send(Bytes::from_static(b"in time"))?;
        drop(send);
        let frame = answer.frame().await.expect("a piece")?;
        assert_eq!(frame.into_data().expect("data"), "in time");
        assert_eq!(answer.collect().await?.to_bytes(), "");
        drop(send_early);
        Ok(())
    });
}

#[test]
fn the_limit_ends_with_an_upgrade() {
    run(|executor| async move {
        let site = Site::by_hand(&executor, a_second())?;
        for version in VERSIONS {
            let mut client = Client::connect(&executor, version, site.address).await?;
            let request = match version {
                Version::Http1 => {
                    let mut request = get("/tunnel");
                    request.headers_mut().insert("connection", "upgrade".parse()?);
                    request.headers_mut().insert("upgrade", "echo".parse()?);
                    request
                }
                _ => Request::connect("elsewhere:80").body(whole(""))?,
            };
            let mut upgraded = hyper::upgrade::on(client.send(request).await?).await?;
            for _ in 0..2 {
                site.pass(ms(5000)).await?;
                write(&mut upgraded, b"hello").await?;
                assert_eq!(read(&mut upgraded).await?, b"hello");
            }
        }
        assert_eq!(site.late_ones(), 0);
        Ok(())
    });
}

#[test]
fn a_service_limits_the_size_of_a_body() {
    run(|executor| async move {
        let site = Site::open(&executor, Deadlines::none()).await?;
        for version in VERSIONS {
            let mut answers = Vec::new();
            for len in [1000, 1001] {
                for with_length in [true, false] {
                    let body = pattern(len);
                    let body = if with_length { whole(body) } else { pieces(&body) };
                    answers.push(limited(&executor, version, &site, body).await?);
                }
            }
            assert_eq!(answers, [200, 200, 413, 413]);
        }
        Ok(())
    });
}

/// The status of a request to a page that takes 1,000 bytes.
async fn limited(executor: &Executor, version: Version, site: &Site, body: Body) -> Outcome<u16> {
    let mut client = Client::connect(executor, version, site.address).await?;
    Ok(client.send(post("/limited/1000", body)).await?.status().as_u16())
}
