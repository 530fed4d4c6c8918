//! The main promises of the server and the client's I/O, in seconds. The suites that show all of them are in `tests/`
//! of the repository.
#![cfg(all(feature = "server", feature = "http1"))]

use std::convert::Infallible;
use std::time::{Duration, Instant};

use hyper::service::service_fn;
use hyper::{Request, Response};
use netpoll_futures::{TcpListener, TcpStream};
use netpoll_hyper::{BoxError, Deadlines, Executor, Io, Server};

/// A server that says hello within these deadlines, and its address.
async fn serve(deadlines: Deadlines) -> Result<(Server, std::net::SocketAddr), BoxError> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let server = Server::new(executor()).deadlines(deadlines);
    let serving = server.clone();
    let task = async move {
        let answer = || async { Ok::<_, Infallible>(Response::new("hello".to_owned())) };
        serving.serve(&listener, |_| service_fn(move |_| answer())).await
    };
    smol::spawn(task).detach();
    Ok((server, address))
}

fn executor() -> Executor {
    Executor::new(|task| smol::spawn(task).detach())
}

#[test]
fn a_request_is_answered_and_a_shutdown_finishes() -> Result<(), BoxError> {
    smol::block_on(async {
        let (server, address) = serve(Deadlines::default()).await?;
        let stream = TcpStream::connect(address).await?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(Io::new(stream)).await?;
        smol::spawn(connection).detach();
        let request = Request::get("/").header("host", "localhost").body(String::new())?;
        assert_eq!(sender.send_request(request).await?.status(), 200);
        server.shutdown();
        server.finished().await;
        assert_eq!(server.connections(), 0);
        Ok(())
    })
}

#[test]
fn a_client_that_sends_no_request_is_cut_off() -> Result<(), BoxError> {
    smol::block_on(async {
        let limit = Duration::from_millis(20);
        let deadlines = Deadlines::none().header(Some(limit));
        let (_server, address) = serve(deadlines).await?;
        let began = Instant::now();
        let stream = TcpStream::connect(address).await?;
        stream.write_all(b"GET / HT").await?;
        let mut buffer = [0; 256];
        while stream.read(&mut buffer).await.is_ok_and(|len| len > 0) {}
        assert!(began.elapsed() >= limit, "never early");
        Ok(())
    })
}
