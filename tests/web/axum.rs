//! `axum::serve` with our listeners.

use std::future::{IntoFuture, pending};
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use async_tungstenite::tungstenite::{self, Message};
use axum::Router;
use axum::body::Bytes;
use axum::extract::connect_info::{ConnectInfo, Connected};
use axum::extract::{Request, WebSocketUpgrade};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use axum::serve::{IncomingStream, ListenerExt};
use futures::channel::oneshot;
use netpoll_tests::alone::alone;
use netpoll_tests::fixtures::{Folder, LOOPBACK, assert_kind, os};
use netpoll_tokio::net::{TcpListener, TcpSocket, TcpStream, UnixListener, UnixStream, unix};
use netpoll_tokio::{ConnectionInfo, Deadlines, Limit, deadline_in};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::fixtures::{
    Outcome, SHORT, assert_not_early, converse, curl, get as get_text, on_tokio, read_to_end,
    upload as upload_text,
};

/// Serves in a task. An error of the task is one of the test's.
fn spawn(
    server: impl IntoFuture<Output = io::Result<()>, IntoFuture: Send + 'static>,
) -> tokio::task::JoinHandle<io::Result<()>> {
    tokio::spawn(server.into_future())
}

#[test]
fn handlers_learn_of_their_peer() {
    on_tokio(|| async {
        // As with tokio's listener.
        async fn address(ConnectInfo(peer): ConnectInfo<SocketAddr>) -> String {
            peer.to_string()
        }
        let listener = TcpListener::bind(LOOPBACK).await?;
        let server = listener.local_addr()?;
        let app = Router::new().route("/", get(address));
        let app = app.into_make_service_with_connect_info::<SocketAddr>();
        spawn(axum::serve(listener.tap_io(|_| {}), app));
        let mut client = TcpStream::connect(server).await?;
        let expected = client.local_addr()?.to_string();
        let answer = converse(&mut client, &get_text("/")).await?;
        assert!(answer.ends_with(&format!("\r\n\r\n{expected}")), "{answer}");

        // With the deadlines, without a `TapIo`.
        async fn tcp(ConnectInfo(connection): ConnectInfo<ConnectionInfo>) -> String {
            assert!(connection.deadlines().set_deadline(None).is_ok(), "it is open");
            connection.peer_addr().to_string()
        }
        let listener = TcpListener::bind(LOOPBACK).await?;
        let server = listener.local_addr()?;
        let app = Router::new().route("/", get(tcp));
        spawn(axum::serve(listener, app.into_make_service_with_connect_info::<ConnectionInfo>()));
        let mut client = TcpStream::connect(server).await?;
        let expected = client.local_addr()?.to_string();
        let answer = converse(&mut client, &get_text("/")).await?;
        assert!(answer.ends_with(&format!("\r\n\r\n{expected}")), "{answer}");

        async fn unix(
            ConnectInfo(connection): ConnectInfo<ConnectionInfo<unix::SocketAddr>>,
        ) -> String {
            format!("unnamed: {}", connection.peer_addr().is_unnamed())
        }
        let folder = Folder::new()?;
        let path = folder.join("socket");
        let app = Router::new().route("/", get(unix));
        spawn(axum::serve(
            UnixListener::bind(&path)?,
            app.into_make_service_with_connect_info::<ConnectionInfo<unix::SocketAddr>>(),
        ));
        let answer = converse(&mut UnixStream::connect(&path).await?, &get_text("/")).await?;
        assert!(answer.ends_with("\r\n\r\nunnamed: true"), "{answer}");
        Ok(())
    });
}

#[test]
fn curl_is_answered() {
    on_tokio(|| async {
        let listener = TcpListener::bind(LOOPBACK).await?;
        let url = format!("http://{}/", listener.local_addr()?);
        let app =
            Router::new().route("/", post(|body: Bytes| async move { body.len().to_string() }));
        spawn(axum::serve(listener, app));
        let fetched = tokio::task::spawn_blocking(move || {
            curl(&["--data-binary", &"x".repeat(100_000), &url])
        });
        if let Some(answer) = fetched.await?? {
            assert_eq!(answer, "100000");
        }
        Ok(())
    });
}

#[test]
fn the_limit_of_the_listener_holds() {
    on_tokio(|| async {
        let listener = TcpListener::bind(LOOPBACK).await?;
        let server = listener.local_addr()?;
        let limit = Limit::new(1);
        listener.set_limit(Some(&limit))?;
        spawn(axum::serve(listener, Router::new().route("/", get(|| async { "hello" }))));
        let mut first = TcpStream::connect(server).await?;
        first.write_all(b"GET / HTTP/1.1\r\nhost: here\r\n\r\n").await?;
        first.read_u8().await?;
        assert_eq!(limit.in_use(), 1);
        // It is answered when the first has ended.
        let mut second = TcpStream::connect(server).await?;
        second.write_all(get_text("/").as_bytes()).await?;
        assert_kind(second.try_read(&mut [0]), ErrorKind::WouldBlock);
        drop(first);
        assert!(read_to_end(&mut second).await?.ends_with("hello"));
        Ok(())
    });
}

/// A request in flight is answered, and then the server ends, also if its listener was closed before.
#[test]
fn a_graceful_shutdown_answers_and_ends() {
    on_tokio(|| async {
        for closes in [false, true] {
            let listener = TcpListener::bind(LOOPBACK).await?;
            let server = listener.local_addr()?;
            let handle = listener.get_ref().clone();
            let (arrived, arrival) = oneshot::channel();
            let (answer, answers) = oneshot::channel::<()>();
            let both = std::sync::Mutex::new(Some((arrived, answers)));
            let both = std::sync::Arc::new(both);
            let handler = async move || {
                let (arrived, answers) = both.lock().unwrap().take().expect("one request");
                arrived.send(()).expect("the test waits");
                answers.await.expect("the test lets it answer");
                "hello"
            };
            let app = Router::new().route("/", get(handler));
            let (shut_down, signal) = oneshot::channel::<()>();
            let serving = axum::serve(listener, app).with_graceful_shutdown(async {
                let _ = signal.await;
            });
            let serving = spawn(serving);
            let mut client = TcpStream::connect(server).await?;
            client.write_all(get_text("/").as_bytes()).await?;
            arrival.await?;
            if closes {
                handle.close().await?;
            }
            drop(handle);
            shut_down.send(()).expect("it serves");
            answer.send(()).expect("it handles");
            assert!(read_to_end(&mut client).await?.ends_with("hello"));
            serving.await??;
            assert!(TcpStream::connect(server).await.is_err(), "it is closed");
        }
        Ok(())
    });
}

/// Without descriptors it waits, and goes on when there are some.
#[test]
fn it_waits_until_there_are_descriptors() {
    alone("axum::it_waits_until_there_are_descriptors", || {
        on_tokio(|| async {
            let listener = TcpListener::bind(LOOPBACK).await?;
            let server = listener.local_addr()?;
            spawn(axum::serve(listener, Router::new().route("/", get(|| async { "hello" }))));
            let client = TcpSocket::new_v4()?;
            let mut taken = os::take_all_descriptors();
            let mut client = client.connect(server).await?;
            client.write_all(get_text("/").as_bytes()).await?;
            // The server has had many turns by then.
            tokio::time::sleep(SHORT).await;
            assert_kind(client.try_read(&mut [0]), ErrorKind::WouldBlock);
            taken.clear();
            assert!(read_to_end(&mut client).await?.ends_with("hello"));
            Ok(())
        });
    });
}

/// A connection whose client has so many milliseconds for the first head, as the documentation of the listener has it.
#[derive(Clone)]
struct LimitedHead<const MILLISECONDS: u64>(Deadlines);

impl<const MILLISECONDS: u64> Connected<IncomingStream<'_, TcpListener>>
    for LimitedHead<MILLISECONDS>
{
    fn connect_info(stream: IncomingStream<'_, TcpListener>) -> Self {
        let _ = stream.io().set_read_deadline(Duration::from_millis(MILLISECONDS));
        Self(stream.io().deadlines())
    }
}

/// A later head has a short time.
async fn limit_head<const MILLISECONDS: u64>(
    ConnectInfo(LimitedHead(deadlines)): ConnectInfo<LimitedHead<MILLISECONDS>>,
    request: Request,
    next: Next,
) -> Response {
    let _ = deadlines.set_read_deadline(None);
    let response = next.run(request).await;
    let _ = deadlines.set_read_deadline(SHORT);
    response
}

/// Serves an app whose handler is slow, and returns its address.
async fn serve_with_limited_head<const MILLISECONDS: u64>() -> io::Result<SocketAddr> {
    let listener = TcpListener::bind(LOOPBACK).await?;
    let server = listener.local_addr()?;
    let slow = || async {
        tokio::time::sleep(2 * SHORT).await;
        "hello"
    };
    let app = Router::new().route("/", get(slow)).layer(from_fn(limit_head::<MILLISECONDS>));
    let app = app.into_make_service_with_connect_info::<LimitedHead<MILLISECONDS>>();
    spawn(axum::serve(listener, app));
    Ok(server)
}

#[test]
fn a_slow_head_ends_the_connection() {
    on_tokio(|| async {
        let server = serve_with_limited_head::<50>().await?;
        for head in ["", "GET / HT", "GET / HTTP/1.1\r\nhost: here\r\nx: "] {
            let began = Instant::now();
            let mut slow = TcpStream::connect(server).await?;
            assert_eq!(converse(&mut slow, head).await?, "");
            assert_not_early(began);
        }
        // A byte now and then does not help.
        let began = Instant::now();
        let (mut reader, mut writer) = TcpStream::connect(server).await?.into_split();
        let trickles = async {
            while writer.write_all(b"x").await.is_ok() {
                tokio::time::sleep(SHORT / 10).await;
            }
        };
        let (_, end) = futures::join!(trickles, read_to_end(&mut reader));
        assert_eq!(end?, "");
        assert_not_early(began);
        Ok(())
    });
}

/// The handler may take its time, but not the head after it.
#[test]
fn a_slow_later_head_ends_the_connection() {
    on_tokio(|| async {
        let server = serve_with_limited_head::<60_000>().await?;
        let mut client = TcpStream::connect(server).await?;
        let began = Instant::now();
        let request = "GET / HTTP/1.1\r\nhost: here\r\n\r\n";
        let answers = converse(&mut client, &format!("{request}{request}GET / HT")).await?;
        assert_eq!(answers.matches("\r\n\r\nhello").count(), 2, "{answers}");
        assert!(began.elapsed() >= 5 * SHORT, "early: {:?}", began.elapsed());
        Ok(())
    });
}

async fn limit_request(limit: Duration, request: Request, next: Next) -> Response {
    match tokio::time::timeout(limit, next.run(request)).await {
        Ok(response) => response,
        Err(_) => StatusCode::REQUEST_TIMEOUT.into_response(),
    }
}

#[test]
fn a_slow_upload_and_a_slow_handler_are_answered_by_408() {
    on_tokio(|| async {
        let listener = TcpListener::bind(LOOPBACK).await?;
        let server = listener.local_addr()?;
        let upload = post(|body: Bytes| async move { body.len().to_string() });
        let short = Router::new()
            .route("/upload", upload.clone())
            .route("/never", get(pending::<()>))
            .layer(from_fn(|request, next| limit_request(SHORT, request, next)));
        let long = Router::new()
            .route("/long/upload", upload)
            .layer(from_fn(|request, next| limit_request(1000 * SHORT, request, next)));
        spawn(axum::serve(listener, short.merge(long)));

        for late in [upload_text("/upload", "123"), get_text("/never")] {
            let began = Instant::now();
            let answer = converse(&mut TcpStream::connect(server).await?, &late).await?;
            assert!(answer.starts_with("HTTP/1.1 408 Request Timeout\r\n"), "{answer}");
            assert_not_early(began);
        }
        let in_time = upload_text("/long/upload", "12345");
        let answer = converse(&mut TcpStream::connect(server).await?, &in_time).await?;
        assert!(answer.ends_with("\r\n\r\n5"), "{answer}");
        Ok(())
    });
}

/// The handler learns by its deadline that the client says nothing, and the client sees the end.
#[test]
fn a_silent_websocket_is_ended() {
    on_tokio(|| async {
        let listener = TcpListener::bind(LOOPBACK).await?;
        let server = listener.local_addr()?;
        let (ended, end) = oneshot::channel();
        let ended = std::sync::Arc::new(std::sync::Mutex::new(Some(ended)));
        let echo = async move |upgrade: WebSocketUpgrade,
                               ConnectInfo(connection): ConnectInfo<ConnectionInfo>|
                    -> Response {
            upgrade.on_upgrade(async move |mut socket| {
                for limit in [1000 * SHORT, 1000 * SHORT, SHORT] {
                    connection.deadlines().set_read_deadline(limit).expect("it is open");
                    match socket.recv().await.expect("the client does not end it") {
                        Ok(message) => socket.send(message).await.expect("it takes it"),
                        Err(error) => {
                            let ended = ended.lock().unwrap().take().expect("one client");
                            return ended.send(deadline_in(&error)).expect("the test waits");
                        }
                    }
                }
            })
        };
        let app = Router::new().route("/", any(echo));
        let app = app.into_make_service_with_connect_info::<ConnectionInfo>();
        spawn(axum::serve(listener, app));
        let client = tokio::task::spawn_blocking(move || {
            let stream = std::net::TcpStream::connect(server)?;
            let (mut socket, _) = tungstenite::client(format!("ws://{server}/"), stream)
                .map_err(|error| error.to_string())?;
            let began = Instant::now();
            for _ in 0..2 {
                socket.send(Message::text("hello"))?;
                assert_eq!(socket.read()?, Message::text("hello"));
            }
            assert!(socket.read().is_err(), "the server ends the connection");
            Outcome::Ok(began)
        });
        assert!(end.await?, "by the deadline");
        assert_not_early(client.await??);
        Ok(())
    });
}

/// The request body that a deadline ends is an error of the extractor, which answers; the connection ends.
#[test]
fn a_deadline_of_the_socket_ends_an_upload() {
    on_tokio(|| async {
        let listener = TcpListener::bind(LOOPBACK).await?;
        let server = listener.local_addr()?;
        async fn limit_upload(
            ConnectInfo(connection): ConnectInfo<ConnectionInfo>,
            request: Request,
            next: Next,
        ) -> Response {
            let _ = connection.deadlines().set_read_deadline(SHORT);
            next.run(request).await
        }
        let app = Router::new()
            .route("/", post(|body: Bytes| async move { body.len().to_string() }))
            .layer(from_fn(limit_upload));
        spawn(axum::serve(listener, app.into_make_service_with_connect_info::<ConnectionInfo>()));
        let began = Instant::now();
        let upload = upload_text("/", "123");
        let answer = converse(&mut TcpStream::connect(server).await?, &upload).await?;
        assert!(!answer.contains("200 OK"), "{answer}");
        assert_not_early(began);
        Ok(())
    });
}
