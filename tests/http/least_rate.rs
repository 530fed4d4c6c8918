//! The least rate of a request's body: 1,000 bytes in each second for which the service waits for them, at `/rated`.

use std::pin::pin;

use futures::channel::mpsc::unbounded;
use http_body_util::BodyExt;
use hyper::Response;
use hyper::body::{Bytes, Incoming};
use netpoll_futures::TcpStream;
use netpoll_hyper::{Deadlines, Version};

use crate::client::{Client, post, read_to_the_end};
use crate::fixtures::{Outcome, let_others_run, ms, now, run, until};
use crate::site::{Site, from_channel, pieces, whole};

const VERSIONS: [Version; 2] = [Version::Http1, Version::Http2];

/// The page, which does not pause.
const RATED: &str = "/rated/1000000";

/// Sends so many pieces to the page, and lets 50 milliseconds pass after the page has read each. Returns the answer, and the
/// milliseconds that had passed when it came.
async fn upload(
    site: &Site,
    client: &mut Client,
    piece: &'static [u8],
    mut count: usize,
) -> Outcome<(Response<Incoming>, u64)> {
    let (send, body) = unbounded();
    let mut send = Some(send);
    let mut answer = pin!(client.send(post(RATED, from_channel(body))));
    let (mut sent, mut passed, mut must_pass) = (site.uploaded(), 0, false);
    loop {
        if let Some(answer) = now(answer.as_mut()).await {
            return Ok((answer?, passed));
        }
        if site.uploaded() < sent || send.is_none() {
            let_others_run().await;
        } else if std::mem::take(&mut must_pass) {
            site.pass(ms(50)).await?;
            passed += 51;
        } else if count == 0 {
            send = None;
        } else if let Some(send) = &send {
            // It fails after the page has answered.
            let _ = send.unbounded_send(Bytes::from_static(piece));
            sent += piece.len();
            count -= 1;
            must_pass = true;
        }
    }
}

#[test]
fn a_body_that_trickles_is_answered_408() {
    run(|executor| async move {
        for version in VERSIONS {
            let site = Site::by_hand(&executor, Deadlines::none())?;
            site.open_the_gate();
            let mut client = Client::connect(&executor, version, site.address).await?;
            let (answer, passed) = upload(&site, &mut client, b"x", usize::MAX).await?;
            assert_eq!(answer.status(), 408);
            assert_eq!(answer.into_body().collect().await?.to_bytes(), "deadline exceeded");
            assert!(passed >= 1000, "not early: {passed}");
            if version == Version::Http1 {
                client.is_gone().await;
            } else {
                assert_eq!(client.get("/hello").await?, "hello");
            }
        }
        Ok(())
    });
}

/// A client by hand, which sends on after the answer: it does not keep the connection.
#[test]
fn a_client_that_trickles_for_ever_does_not_keep_its_connection() {
    run(|executor| async move {
        let site = Site::by_hand(&executor, Deadlines::none())?;
        site.open_the_gate();
        let stream = TcpStream::connect(site.address).await?;
        let head =
            format!("POST {RATED} HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000000\r\n\r\n");
        stream.write_all(head.as_bytes()).await?;
        until(|| site.server.connections() == 1).await;
        while stream.write_all(b"x").await.is_ok() {
            let_others_run().await;
            site.pass(ms(50)).await?;
        }
        let answer = read_to_the_end(&stream).await;
        let is_late = answer.starts_with(b"HTTP/1.1 408 Request Timeout\r\n");
        assert!(is_late, "{}", answer.escape_ascii());
        until(|| site.server.connections() == 0).await;
        Ok(())
    });
}

#[test]
fn a_body_at_the_least_rate_may_take_any_time() {
    run(|executor| async move {
        for version in VERSIONS {
            let site = Site::by_hand(&executor, Deadlines::none())?;
            site.open_the_gate();
            let mut client = Client::connect(&executor, version, site.address).await?;
            let (answer, passed) = upload(&site, &mut client, &[b'x'; 60], 200).await?;
            assert_eq!(answer.status(), 200);
            assert_eq!(answer.into_body().collect().await?.to_bytes(), "12000");
            assert!(passed >= 10_000, "it was slow: {passed}");
        }
        Ok(())
    });
}

/// A long poll: the page answers long after it has read the whole body.
#[test]
fn a_body_that_has_ended_has_no_rate() {
    run(|executor| async move {
        for version in VERSIONS {
            for with_length in [true, false] {
                let site = Site::by_hand(&executor, Deadlines::none())?;
                let mut client = Client::connect(&executor, version, site.address).await?;
                let body = if with_length { whole("hello") } else { pieces(b"hello") };
                let mut answer = pin!(client.send(post(RATED, body)));
                while site.waiting() == 0 {
                    assert!(now(answer.as_mut()).await.is_none());
                    let_others_run().await;
                }
                site.pass(ms(60_000)).await?;
                site.open_the_gate();
                let answer = answer.await?;
                assert_eq!(answer.status(), 200);
                assert_eq!(answer.into_body().collect().await?.to_bytes(), "5");
            }
        }
        Ok(())
    });
}

/// A client that has sent much less than a second's bytes, and a page that does not read.
#[test]
fn a_service_that_does_not_read_is_not_its_clients_fault() {
    run(|executor| async move {
        for version in VERSIONS {
            let site = Site::by_hand(&executor, Deadlines::none())?;
            let mut client = Client::connect(&executor, version, site.address).await?;
            let (send, body) = unbounded();
            send.unbounded_send(Bytes::from_static(b"x"))?;
            let mut answer = pin!(client.send(post("/rated/1", from_channel(body))));
            while site.waiting() == 0 {
                assert!(now(answer.as_mut()).await.is_none());
                let_others_run().await;
            }
            site.pass(ms(60_000)).await?;
            site.open_the_gate();
            send.unbounded_send(Bytes::from_static(b"y"))?;
            drop(send);
            let answer = answer.await?;
            assert_eq!(answer.status(), 200);
            assert_eq!(answer.into_body().collect().await?.to_bytes(), "2");
        }
        Ok(())
    });
}

#[test]
fn other_streams_continue() {
    run(|executor| async move {
        let site = Site::by_hand(&executor, Deadlines::none())?;
        site.open_the_gate();
        let mut client = Client::connect(&executor, Version::Http2, site.address).await?;
        let (send, body) = unbounded();
        let mut echo = client.send(post("/echo", from_channel(body))).await?.into_body();
        let (answer, _) = upload(&site, &mut client, b"x", usize::MAX).await?;
        assert_eq!(answer.status(), 408);
        send.unbounded_send(Bytes::from_static(b"still here"))?;
        drop(send);
        let frame = echo.frame().await.expect("a piece")?;
        assert_eq!(frame.into_data().expect("data"), "still here");
        assert_eq!(site.late_ones(), 0);
        Ok(())
    });
}
