//! Which clients are cut off for not taking their answer.

use std::time::Instant;

use http_body_util::BodyExt;
use netpoll_futures::TcpStream;
use netpoll_hyper::{Deadline, Deadlines, Version};

use crate::client::{Client, get};
use crate::fixtures::{ms, pause, run, until};
use crate::site::{MIB, Site, whole};

fn limits() -> Deadlines {
    Deadlines::none().write_stall(ms(100))
}

#[test]
fn a_client_that_never_reads_is_cut_off() {
    run(|executor| async move {
        for path in ["/endless", &format!("/much/{}", 64 * MIB)] {
            let site = Site::open(&executor, limits()).await?;
            let began = Instant::now();
            let stream = TcpStream::connect(site.address).await?;
            let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n");
            stream.write_all(request.as_bytes()).await?;
            site.late(Deadline::WriteStall, 1).await;
            assert!(began.elapsed() >= ms(100), "not early");
            until(|| site.server.connections() == 0).await;
        }
        Ok(())
    });
}

/// The kernel discards the bytes that the client has not taken, instead of sending them for minutes.
#[test]
fn a_connection_that_has_stalled_is_reset() {
    run(|executor| async move {
        let site = Site::open(&executor, limits()).await?;
        let stream = TcpStream::connect(site.address).await?;
        stream.write_all(b"GET /endless HTTP/1.1\r\nhost: localhost\r\n\r\n").await?;
        site.late(Deadline::WriteStall, 1).await;
        let mut buffer = vec![0; MIB];
        let end = loop {
            match stream.read(&mut buffer).await {
                Ok(1..) => {}
                end => break end,
            }
        };
        let error = end.expect_err("a reset");
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
        Ok(())
    });
}

/// A tunnel lifts the limits of its own stream.
#[test]
fn a_stream_beside_a_tunnel_has_its_limits() {
    run(|executor| async move {
        let site = Site::open(&executor, limits()).await?;
        let mut client = Client::connect(&executor, Version::Http2, site.address).await?;
        let request = hyper::Request::connect("elsewhere:80").body(whole(""))?;
        let tunnel = hyper::upgrade::on(client.send(request).await?).await?;
        let mut answer = client.send(get("/endless")).await?.into_body();
        site.late(Deadline::WriteStall, 1).await;
        while let Some(Ok(_)) = answer.frame().await {}
        drop(tunnel);
        Ok(())
    });
}

/// An answer that hyper has passed on whole, and the socket has not: the connection is not idle.
#[test]
fn an_answer_that_is_being_written_is_not_idle() {
    run(|executor| async move {
        let limits = Deadlines::none().idle(ms(20));
        let site = Site::open(&executor, limits).await?;
        let stream = TcpStream::connect(site.address).await?;
        let request = format!("GET /much/{} HTTP/1.1\r\nhost: localhost\r\n\r\n", 64 * MIB);
        stream.write_all(request.as_bytes()).await?;
        assert!(stream.read(&mut [0; 1]).await? > 0);
        pause(ms(200)).await?;
        assert_eq!(site.late_ones(), 0);
        let mut buffer = vec![0; MIB];
        let mut read = 0;
        while let Ok(count @ 1..) = stream.read(&mut buffer).await {
            read += count;
        }
        assert!(read > 64 * MIB, "it came to the end: {read}");
        site.late(Deadline::Idle, 1).await;
        Ok(())
    });
}

/// The socket has room all the while: it is the window of the stream that has none.
#[test]
fn a_client_without_window_is_cut_off() {
    run(|executor| async move {
        let site = Site::open(&executor, limits()).await?;
        let began = Instant::now();
        let mut client = Client::connect(&executor, Version::Http2, site.address).await?;
        let mut answer = client.send(get("/endless")).await?.into_body();
        site.late(Deadline::WriteStall, 1).await;
        assert!(began.elapsed() >= ms(100), "not early");
        while let Some(Ok(_)) = answer.frame().await {}
        client.is_gone().await;
        Ok(())
    });
}

/// More than there is room for on the way, by the largest buffers that are usual, or the windows of
/// hyper's client: a client that has read so much has read bytes that were written meanwhile.
fn more_than_is_on_the_way(version: Version) -> usize {
    if version == Version::Http1 { 40 * MIB } else { 16 * MIB }
}

/// The limit is for taking nothing, and not for taking it all.
#[test]
fn a_client_that_reads_slowly_is_not_cut_off() {
    run(|executor| async move {
        for version in [Version::Http1, Version::Http2] {
            let limits = Deadlines::none().write_stall(ms(1000));
            let site = Site::by_hand(&executor, limits)?;
            let mut client = Client::connect(&executor, version, site.address).await?;
            let mut answer = client.send(get("/endless")).await?.into_body();
            for _ in 0..3 {
                let mut read = 0;
                while read < more_than_is_on_the_way(version) {
                    let frame = answer.frame().await.expect("there is more")?;
                    read += frame.data_ref().map_or(0, hyper::body::Bytes::len);
                }
                site.pass(ms(600)).await?;
            }
            assert_eq!(site.late_ones(), 0);
            while site.late_ones() == 0 {
                site.pass(ms(600)).await?;
            }
            site.late(Deadline::WriteStall, 1).await;
        }
        Ok(())
    });
}
