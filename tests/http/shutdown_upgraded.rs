//! Connections that a service has taken over, against a shutdown of their server: the server counts them, tells their
//! tasks, and closes them in the end.

use std::convert::Infallible;
use std::io;
use std::pin::pin;

use futures::channel::{mpsc, oneshot};
use futures::future::{Either, select};
use futures::{SinkExt, StreamExt};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::upgrade::Upgraded;
use hyper::{Method, Request, Response, StatusCode};
use netpoll::{Interest, Reactor, Registration, Timer, is_closed};
use netpoll_futures::{TcpListener, TcpStream};
use netpoll_hyper::{Executor, ServedIo, ServedStream, Server, Version};

use crate::client::{Client, get, read_to_the_end, read_up_to};
use crate::fixtures::{Outcome, has_ended, ms, run, until};
use crate::shutdown::is_in_flight;
use crate::site::{Body, Site, whole};
use crate::upgrade::{read, write};

/// How the task of an upgraded connection ends.
type End = io::Result<&'static str>;

/// A server whose connections become tunnels that send everything back, and say goodbye when the server shuts down; or,
/// at the path `/deaf`, when their peer ends.
struct Tunnels {
    server: Server,
    stream: TcpStream,
    served: oneshot::Receiver<io::Result<()>>,
    ends: mpsc::Receiver<End>,
}

async fn tunnel(server: Server, mut upgraded: Upgraded, is_deaf: bool) -> End {
    loop {
        let shutting_down = pin!(server.shutting_down());
        let bytes = {
            let reading = pin!(read(&mut upgraded));
            match is_deaf {
                true => reading.await?,
                false => match select(reading, shutting_down).await {
                    Either::Left((bytes, _)) => bytes?,
                    Either::Right(_) => Vec::new(),
                },
            }
        };
        if bytes.is_empty() {
            write(&mut upgraded, b"goodbye").await?;
            return Ok("told");
        }
        write(&mut upgraded, &bytes).await?;
    }
}

fn answer(request: &Request<Incoming>) -> Response<Body> {
    let mut answer = Response::new(whole(Bytes::new()));
    if request.method() != Method::CONNECT {
        *answer.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        answer.headers_mut().insert("connection", "upgrade".parse().expect("a value"));
        answer.headers_mut().insert("upgrade", "echo".parse().expect("a value"));
    }
    answer
}

impl Tunnels {
    async fn open(executor: &Executor) -> Outcome<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        Self::listening(executor, listener, TcpStream::connect(address).await?)
    }

    fn listening(executor: &Executor, listener: TcpListener, stream: TcpStream) -> Outcome<Self> {
        let server = Server::new(executor.clone());
        let (ended, ends) = mpsc::channel(10);
        let (send, served) = oneshot::channel();
        let (serving, spawner) = (server.clone(), executor.clone());
        executor.spawn(async move {
            let of_all = serving.clone();
            let service = |_: &_| {
                let (server, ended, spawner) = (of_all.clone(), ended.clone(), spawner.clone());
                service_fn(move |request: Request<Incoming>| {
                    let answer = answer(&request);
                    let (server, mut ended) = (server.clone(), ended.clone());
                    spawner.spawn(async move {
                        let is_deaf = request.uri().path() == "/deaf";
                        let upgraded = hyper::upgrade::on(request).await.expect("a tunnel");
                        let _ = ended.send(tunnel(server, upgraded, is_deaf).await).await;
                    });
                    async { Ok::<_, Infallible>(answer) }
                })
            };
            let _ = send.send(serving.serve(&listener, service).await);
        });
        Ok(Self { server, stream, served, ends })
    }

    /// Makes a tunnel of the connection, and sends some bytes through it.
    async fn upgrade(&self, path: &str) -> Outcome {
        let head = "host: localhost\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n";
        self.stream.write_all(format!("GET {path} HTTP/1.1\r\n{head}").as_bytes()).await?;
        assert!(read_up_to(&self.stream, b"\r\n\r\n").await?.starts_with(b"HTTP/1.1 101 "));
        self.stream.write_all(b"hello").await?;
        assert_eq!(read_up_to(&self.stream, b"hello").await?, b"hello");
        Ok(())
    }
}

#[test]
fn an_upgraded_connection_is_counted_and_told() {
    run(|executor| async move {
        let mut tunnels = Tunnels::open(&executor).await?;
        tunnels.upgrade("/").await?;
        assert_eq!(tunnels.server.connections(), 1);
        tunnels.server.shutdown();
        assert_eq!(read_to_the_end(&tunnels.stream).await, b"goodbye");
        (&mut tunnels.served).await??;
        assert_eq!(tunnels.server.connections(), 0);
        assert_eq!(tunnels.ends.next().await.expect("an end")?, "told");
        Ok(())
    });
}

#[test]
fn a_tunnel_in_a_stream_of_http2_is_counted_and_told() {
    run(|executor| async move {
        let mut tunnels = Tunnels::open(&executor).await?;
        let address = tunnels.stream.peer_addr()?;
        tunnels.stream.close().await?;
        let mut client = Client::connect(&executor, Version::Http2, address).await?;
        let request = Request::connect("elsewhere:80").body(whole(Bytes::new()))?;
        let mut upgraded = hyper::upgrade::on(client.send(request).await?).await?;
        write(&mut upgraded, b"hello").await?;
        assert_eq!(read(&mut upgraded).await?, b"hello");
        until(|| tunnels.server.connections() == 1).await;
        tunnels.server.shutdown();
        assert_eq!(read(&mut upgraded).await?, b"goodbye");
        drop((upgraded, client));
        (&mut tunnels.served).await??;
        assert_eq!(tunnels.ends.next().await.expect("an end")?, "told");
        Ok(())
    });
}

#[test]
fn a_server_that_is_closed_closes_an_upgraded_connection() {
    run(|executor| async move {
        for closes_before in [false, true] {
            let mut tunnels = Tunnels::open(&executor).await?;
            tunnels.upgrade("/deaf").await?;
            tunnels.server.shutdown();
            {
                let mut finished = pin!(tunnels.server.finished());
                assert!(!has_ended(finished.as_mut()).await, "the tunnel is open");
            }
            if closes_before {
                tunnels.stream.close().await?;
            }
            tunnels.server.close();
            tunnels.server.finished().await;
            let end = tunnels.ends.next().await.expect("an end");
            if !closes_before {
                let error = end.expect_err("the server closed it");
                assert!(is_closed(&error), "{error:?}");
                assert_eq!(read_to_the_end(&tunnels.stream).await, b"");
            }
            (&mut tunnels.served).await??;
        }
        Ok(())
    });
}

/// The new owner has the stream, and the server does not know when it ends.
#[test]
fn a_stream_that_was_taken_out_of_the_server_is_not_counted() {
    run(|executor| async move {
        let (send, received) = oneshot::channel();
        let send = std::sync::Mutex::new(Some(send));
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let client = TcpStream::connect(listener.local_addr()?).await?;
        let (stream, _) = listener.accept().await?;
        let server = Server::new(executor.clone());
        let service = service_fn(move |request: Request<Incoming>| {
            let answer = answer(&request);
            let send = send.lock().expect("no panic").take().expect("one request");
            let _ = send.send(request);
            async { Ok::<_, Infallible>(answer) }
        });
        let serving = server.clone();
        executor.spawn(async move { drop(serving.serve_connection(stream, service).await) });
        client.write_all(b"GET / HTTP/1.1\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n").await?;
        let upgraded = hyper::upgrade::on(received.await?).await?;
        assert_eq!(server.connections(), 1);
        let parts =
            upgraded.downcast::<ServedIo<ServedStream<std::net::TcpStream>>>().expect("it is ours");
        let stream = parts.io.into_inner().into_inner();
        until(|| server.connections() == 0).await;
        server.close();
        server.finished().await;
        stream.write_all(b"hello").await?;
        assert!(read_up_to(&client, b"hello").await?.starts_with(b"HTTP/1.1 101 "));
        Ok(())
    });
}

/// Time is moved by hand: the limit follows the clock of the listener.
#[test]
fn after_the_limit_of_a_shutdown_the_connections_left_are_closed() {
    run(|executor| async move {
        let reactor = Reactor::builder().manual_clock().build()?;
        let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let listener = Registration::with(&reactor, listener, Interest::Readable)?;
        let stream = TcpStream::connect(address).await?;
        let mut tunnels = Tunnels::listening(&executor, listener.into(), stream)?;
        tunnels.upgrade("/deaf").await?;
        let idle = TcpStream::connect(address).await?;
        until(|| tunnels.server.connections() == 2).await;

        let mut closing = pin!(tunnels.server.shutdown_within(ms(10_000)));
        assert!(!has_ended(closing.as_mut()).await);
        assert_eq!(read_to_the_end(&idle).await, b"", "it has no request");
        reactor.advance(ms(9_999));
        // A timer of that time has fired, so the reactor has seen it.
        Timer::at(&reactor, reactor.now())?.await?;
        assert!(!has_ended(closing.as_mut()).await);
        reactor.advance(ms(2));
        assert_eq!(closing.await, 1);
        assert_eq!(read_to_the_end(&tunnels.stream).await, b"");
        (&mut tunnels.served).await??;
        assert!(tunnels.ends.next().await.expect("an end").is_err());
        Ok(())
    });
}

#[test]
fn a_shutdown_with_a_limit_ends_with_the_last_connection() {
    run(|executor| async move {
        for version in [Version::Http1, Version::Http2] {
            let mut site = Site::with(&executor, |server| server).await?;
            let mut closing = pin!(site.server.shutdown_within(ms(3_600_000)));
            {
                let mut busy = Client::connect(&executor, version, site.address).await?;
                let mut waiting = pin!(busy.send(get("/wait")));
                is_in_flight(&site, waiting.as_mut()).await;
                assert!(!has_ended(closing.as_mut()).await);
                site.open_the_gate();
                assert_eq!(waiting.await?.status(), 200);
            }
            assert_eq!(closing.await, 0);
            (&mut site.served).await??;
        }
        // A server that has had no connection has none to wait for.
        assert_eq!(Server::new(executor).shutdown_within(ms(3_600_000)).await, 0);
        Ok(())
    });
}

#[test]
fn requests_in_flight_are_cut_off_after_the_limit() {
    run(|executor| async move {
        for version in [Version::Http1, Version::Http2] {
            let mut site = Site::with(&executor, |server| server).await?;
            let mut busy = Client::connect(&executor, version, site.address).await?;
            let mut waiting = pin!(busy.send(get("/wait")));
            is_in_flight(&site, waiting.as_mut()).await;
            assert_eq!(site.server.shutdown_within(ms(10)).await, 1);
            assert!(waiting.await.is_err(), "it was cut off");
            (&mut site.served).await??;
        }
        Ok(())
    });
}
