//! A connection that becomes something else is no longer the server's.

use hyper::body::{Bytes, Incoming};
use hyper::{Request, Response, StatusCode};
use netpoll_futures::TcpStream;
use netpoll_hyper::{Deadlines, End, ServedIo};

use crate::client::read_to_the_end;
use crate::site::{Body, Site, whole};
use crate::stage::{ms, run, until};

/// Answers that the connection is a tunnel from now on, which sends everything back.
pub(crate) fn switch(request: Request<Incoming>) -> Response<Body> {
    // A thread, as a page knows of no executor.
    std::thread::spawn(move || {
        smol::block_on(async {
            let upgraded = hyper::upgrade::on(request).await.expect("a connection");
            let parts = upgraded.downcast::<ServedIo<std::net::TcpStream>>().expect("it is ours");
            let stream = parts.io.into_inner();
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

#[test]
fn a_tunnel_has_no_deadlines() {
    run(|executor| async move {
        let limits =
            Deadlines { header: Some(ms(1000)), idle: Some(ms(1000)), write_stall: Some(ms(10)) };
        let site = Site::by_hand(&executor, limits)?;
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
