//! An axum `Router` on the server of netpoll-hyper, under executors with and without tokio.

use std::future::pending;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_tungstenite::tungstenite;
use axum::body::Bytes;
use axum::extract::{ConnectInfo, Request, WebSocketUpgrade};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use axum::{Extension, Router};
use futures::channel::oneshot;
use futures::task::SpawnExt;
use hyper_util::service::TowerToHyperService;
use netpoll_futures::{Deadlines as Handle, TcpListener, TcpStream, deadline_in, timeout};
use netpoll_hyper::{Deadline, Deadlines, End, Executor, Server};
use netpoll_tests::fixtures::LOOPBACK;
use netpoll_tests::fixtures::tcp::read_to_end;
use netpoll_tests::watched;

use crate::fixtures::{
    Outcome, SHORT, assert_not_early, curl, get as get_text, on_tokio, upload as upload_text,
};

/// Runs a test under smol, under a thread pool of futures, and in a runtime of tokio's.
fn run<F>(test: impl Fn(Executor, TcpListener) -> F + Copy + Send + 'static)
where
    F: Future<Output = Outcome>,
{
    watched(move || {
        let bind = || futures::executor::block_on(TcpListener::bind(LOOPBACK)).expect("a port");
        let smol = Executor::new(|task| smol::spawn(task).detach());
        smol::block_on(test(smol, bind())).expect("no error under smol");

        let pool = futures::executor::ThreadPool::new().expect("threads");
        let pool = Executor::new(move |task| pool.spawn(task).expect("the pool runs"));
        futures::executor::block_on(test(pool, bind())).expect("no error in a pool of futures");

        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(async {
            let tokio = Executor::new(|task| drop(tokio::spawn(task)));
            let reactor = netpoll_tokio::reactor().expect("a reactor");
            let listener = TcpListener::bind_on(&reactor, LOOPBACK).await.expect("a port");
            test(tokio, listener).await.expect("no error under tokio");
        });
    });
}

async fn limit_request(limit: Duration, request: Request, next: Next) -> Response {
    match timeout(limit, next.run(request)).await {
        Ok(response) => response,
        Err(_) => StatusCode::REQUEST_TIMEOUT.into_response(),
    }
}

fn app() -> Router {
    let upload = post(|body: Bytes| async move { body.len().to_string() });
    let short = Router::new()
        .route("/upload", upload.clone())
        .route("/never", get(pending::<()>))
        .layer(from_fn(|request, next| limit_request(SHORT, request, next)));
    let long = Router::new()
        .route("/long/upload", upload)
        .layer(from_fn(|request, next| limit_request(1000 * SHORT, request, next)));
    let peer = |ConnectInfo(peer): ConnectInfo<SocketAddr>| async move { peer.to_string() };
    Router::new().route("/peer", get(peer)).merge(short).merge(long)
}

/// Serves the app while `client` runs, and then shuts the server down.
async fn served<F: Future<Output = Outcome>>(
    server: Server,
    listener: TcpListener,
    client: impl FnOnce(SocketAddr) -> F,
) -> Outcome {
    let (app, address) = (app(), listener.local_addr()?);
    let serving = server.serve(&listener, |peer| {
        TowerToHyperService::new(app.clone().layer(Extension(ConnectInfo(*peer))))
    });
    let client = async {
        let outcome = client(address).await;
        server.shutdown();
        outcome
    };
    let (served, outcome) = futures::join!(serving, client);
    served?;
    outcome
}

async fn converse(server: SocketAddr, text: &str) -> Outcome<(SocketAddr, String)> {
    let client = TcpStream::connect(server).await?;
    client.write_all(text.as_bytes()).await?;
    let answer = read_to_end(&client).await?;
    Ok((client.local_addr()?, String::from_utf8(answer)?))
}

#[test]
fn a_router_answers() {
    run(|executor, listener| {
        served(Server::new(executor), listener, async |server| {
            let (client, answer) = converse(server, &get_text("/peer")).await?;
            assert!(answer.ends_with(&format!("\r\n\r\n{client}")), "{answer}");
            let (_, answer) = converse(server, &get_text("/nowhere")).await?;
            assert!(answer.starts_with("HTTP/1.1 404 Not Found\r\n"), "{answer}");
            let url = format!("http://{server}/peer");
            let curl = smol::unblock(move || curl(&[&url])).await?;
            assert!(curl.is_none_or(|answer| answer.starts_with("127.0.0.1:")));
            Ok(())
        })
    });
}

/// Serves a client that sends this text and no more. It ends by this deadline, and the client gets this answer.
async fn ends_by(
    server: Server,
    listener: TcpListener,
    text: &'static str,
    by: Deadline,
) -> Outcome<String> {
    let (sender, ends) = std::sync::mpsc::channel();
    let sender = Mutex::new(sender);
    let server = server.on_end(move |end| {
        let is_right = matches!(end, End::TimedOut(deadline) if *deadline == by);
        sender.lock().unwrap().send(is_right).expect("the test waits");
    });
    let mut answer = String::new();
    served(server, listener, async |server| {
        let began = Instant::now();
        (_, answer) = converse(server, text).await?;
        assert_not_early(began);
        assert!(ends.recv()?, "not by {by:?}");
        Ok(())
    })
    .await?;
    Ok(answer)
}

#[test]
fn a_slow_head_ends_a_connection() {
    run(|executor, listener| async {
        let server = Server::new(executor).deadlines(Deadlines::default().header(SHORT));
        let answer = ends_by(server, listener, "GET /peer HT", Deadline::Header).await?;
        assert_eq!(answer, "");
        Ok(())
    });
}

#[test]
fn an_idle_connection_ends() {
    run(|executor, listener| async {
        let server = Server::new(executor).deadlines(Deadlines::default().idle(SHORT));
        let request = "GET /peer HTTP/1.1\r\nhost: here\r\n\r\n";
        let answer = ends_by(server, listener, request, Deadline::Idle).await?;
        assert!(answer.contains("127.0.0.1"), "{answer}");
        Ok(())
    });
}

/// A slow upload and a slow handler, by a layer with a timer of netpoll.
#[test]
fn a_whole_request_has_a_deadline() {
    run(|executor, listener| {
        served(Server::new(executor), listener, async |server| {
            for late in [upload_text("/upload", "123"), get_text("/never")] {
                let began = Instant::now();
                let (_, answer) = converse(server, &late).await?;
                assert!(answer.starts_with("HTTP/1.1 408 Request Timeout\r\n"), "{answer}");
                assert_not_early(began);
            }
            let (_, answer) = converse(server, &upload_text("/long/upload", "12345")).await?;
            assert!(answer.ends_with("\r\n\r\n5"), "{answer}");
            Ok(())
        })
    });
}

/// axum's WebSocket needs tokio's runtime. The handler has the deadlines of the connection, which are its own after the upgrade.
#[test]
fn a_silent_websocket_is_ended() {
    on_tokio(|| async {
        let listener = TcpListener::bind_on(&netpoll_tokio::reactor()?, LOOPBACK).await?;
        let address = listener.local_addr()?;
        let (ended, end) = oneshot::channel();
        let ended = Arc::new(Mutex::new(Some(ended)));
        let silent = async move |Extension(deadlines): Extension<Handle>,
                                 upgrade: WebSocketUpgrade| {
            upgrade.on_upgrade(async move |mut socket| {
                deadlines.set_read_deadline(SHORT).expect("it is open");
                let late = socket.recv().await.expect("an error").unwrap_err();
                let ended = ended.lock().unwrap().take().expect("one client");
                ended.send(deadline_in(&late)).expect("the test waits");
            })
        };
        let app = Router::new().route("/", any(silent));
        let server = Server::new(Executor::new(|task| drop(tokio::spawn(task))));
        tokio::spawn(async move {
            let (stream, _) = listener.accept().await.expect("a client");
            let app = app.layer(Extension(stream.deadlines()));
            server.serve_connection(stream, TowerToHyperService::new(app)).await;
        });
        let client = tokio::task::spawn_blocking(move || {
            let stream = std::net::TcpStream::connect(address)?;
            let began = Instant::now();
            let (mut socket, _) = tungstenite::client(format!("ws://{address}/"), stream)
                .map_err(|error| error.to_string())?;
            assert!(socket.read().is_err(), "the server ends the connection");
            Outcome::Ok(began)
        });
        assert!(end.await?, "by the deadline");
        assert_not_early(client.await??);
        Ok(())
    });
}
