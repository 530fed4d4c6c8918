//! A connection that becomes something else is no longer the server's.

use std::io;
use std::net::TcpStream as TcpSocket;
use std::pin::Pin;

use futures::future::poll_fn;
use hyper::body::{Bytes, Incoming};
use hyper::rt::{Read, ReadBuf, Write};
use hyper::upgrade::Upgraded;
use hyper::{Request, Response, StatusCode};
use netpoll_futures::TcpStream;
use netpoll_hyper::{Deadlines, End, ServedIo, ServedStream, Version};

use crate::client::{Client, read_to_the_end};
use crate::fixtures::{ms, run, until};
use crate::site::{Body, Site, whole};

/// Answers CONNECT: a stream of the connection is a tunnel from now on, which sends everything back.
pub(crate) fn connect(request: Request<Incoming>) -> Response<Body> {
    std::thread::spawn(move || {
        smol::block_on(async {
            let mut upgraded = hyper::upgrade::on(request).await.expect("a stream");
            loop {
                match read(&mut upgraded).await {
                    Ok(bytes) if !bytes.is_empty() => {
                        write(&mut upgraded, &bytes).await.expect("the peer is there");
                    }
                    _ => break,
                }
            }
        });
    });
    Response::new(whole(Bytes::new()))
}

/// Reads the bytes that are there.
pub(crate) async fn read(upgraded: &mut Upgraded) -> io::Result<Vec<u8>> {
    let mut memory = [0; 100];
    let mut buffer = ReadBuf::new(&mut memory);
    poll_fn(|cx| Pin::new(&mut *upgraded).poll_read(cx, buffer.unfilled())).await?;
    Ok(buffer.filled().to_vec())
}

pub(crate) async fn write(upgraded: &mut Upgraded, bytes: &[u8]) -> io::Result<()> {
    let written = poll_fn(|cx| Pin::new(&mut *upgraded).poll_write(cx, bytes)).await?;
    assert_eq!(written, bytes.len(), "there is room for so little");
    Ok(())
}

/// Answers that the connection is a tunnel from now on, which sends everything back.
pub(crate) fn switch(request: Request<Incoming>) -> Response<Body> {
    // A thread, as a page knows of no executor.
    std::thread::spawn(move || {
        smol::block_on(async {
            let upgraded = hyper::upgrade::on(request).await.expect("a connection");
            let parts =
                upgraded.downcast::<ServedIo<ServedStream<TcpSocket>>>().expect("it is ours");
            let stream = parts.io.into_inner().into_inner();
            stream.write_all(&parts.read_buf).await.expect("the peer is there");
            let mut buffer = [0; 100];
            while let Ok(count @ 1..) = stream.read(&mut buffer).await {
                stream.write_all(&buffer[..count]).await.expect("the peer is there");
            }
        });
    });
    let mut answer = Response::new(whole(Bytes::new()));
    *answer.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    answer.headers_mut().insert("connection", "upgrade".parse().expect("a value"));
    answer.headers_mut().insert("upgrade", "echo".parse().expect("a value"));
    answer
}

fn limits() -> Deadlines {
    let second = Some(ms(1000));
    Deadlines::none().header(second).idle(second).write_stall(second)
}

#[test]
fn a_tunnel_in_a_stream_has_no_deadlines() {
    run(|executor| async move {
        let site = Site::by_hand(&executor, limits())?;
        let mut client = Client::connect(&executor, Version::Http2, site.address).await?;
        let request = Request::connect("elsewhere:80").body(whole(Bytes::new()))?;
        let answer = client.send(request).await?;
        assert_eq!(answer.status(), 200);
        let mut upgraded = hyper::upgrade::on(answer).await?;
        for _ in 0..3 {
            site.pass(ms(5000)).await?;
            write(&mut upgraded, b"hello").await?;
            assert_eq!(read(&mut upgraded).await?, b"hello");
        }
        assert_eq!(site.late_ones(), 0);
        Ok(())
    });
}

#[test]
fn a_tunnel_has_no_deadlines() {
    run(|executor| async move {
        let site = Site::by_hand(&executor, limits())?;
        let stream = TcpStream::connect(site.address).await?;
        let request = b"GET /tunnel HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n";
        stream.write_all(request).await?;
        let mut buffer = [0; 1024];
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let count = stream.read(&mut buffer).await?;
            assert!(count > 0, "the head ends: {}", head.escape_ascii());
            head.extend_from_slice(&buffer[..count]);
        }
        assert!(head.starts_with(b"HTTP/1.1 101 "));
        for _ in 0..2 {
            site.pass(ms(5000)).await?;
            stream.write_all(b"hello").await?;
            let count = stream.read(&mut buffer).await?;
            assert_eq!(&buffer[..count], b"hello");
        }
        stream.shutdown(std::net::Shutdown::Write)?;
        assert_eq!(read_to_the_end(&stream).await, b"");
        until(|| site.ended(|end| matches!(end, End::Finished)) == 1).await;
        assert_eq!(site.late_ones(), 0);
        Ok(())
    });
}
