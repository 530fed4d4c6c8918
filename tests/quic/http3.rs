//! HTTP/3 by h3 over quinn.

use std::future::poll_fn;

use bytes::{Buf, Bytes};
use futures::future::{Either, select};
use hyper::{Request, Response, StatusCode, Version};
use netpoll_tests::watched;
use quinn::TransportConfig;

use crate::fixtures::{AnyRuntime, Side, connected, on_driver, on_smol};

type Error = Box<dyn std::error::Error>;

#[test]
fn a_request_and_its_answer_under_smol() {
    watched(|| on_smol(one_request));
}

#[test]
fn a_request_and_its_answer_on_the_thread_that_runs_the_reactor() {
    watched(|| on_driver(one_request));
}

async fn one_request(runtime: AnyRuntime) {
    let [client, server] = connected(&runtime, TransportConfig::default()).await;
    let ended = select(Box::pin(serve(server)), Box::pin(ask(client))).await;
    match ended {
        Either::Left((served, asking)) => served.and(asking.await),
        Either::Right((answered, serving)) => answered.and(serving.await),
    }
    .expect("no error");
}

/// Answers each request with its path and its body, until the client closes the connection.
async fn serve(server: Side) -> Result<(), Error> {
    let transport = h3_quinn::Connection::new(server.connection.clone());
    let mut connection = h3::server::Connection::<_, Bytes>::new(transport).await?;
    // The client's close is an error without an error.
    while let Ok(Some(resolver)) = connection.accept().await {
        let (request, mut stream) = resolver.resolve_request().await?;
        stream.send_response(Response::new(())).await?;
        let path = request.uri().path().to_owned();
        stream.send_data(path.into()).await?;
        while let Some(mut body) = stream.recv_data().await? {
            let len = body.remaining();
            stream.send_data(body.copy_to_bytes(len)).await?;
        }
        stream.finish().await?;
    }
    Ok(())
}

async fn ask(client: Side) -> Result<(), Error> {
    let transport = h3_quinn::Connection::new(client.connection.clone());
    let (mut driver, mut sender) = h3::client::new(transport).await?;
    let ask = async {
        let request = Request::post("https://localhost/echo").version(Version::HTTP_3).body(())?;
        let mut stream = sender.send_request(request).await?;
        stream.send_data(Bytes::from(vec![b'!'; 100_000])).await?;
        stream.finish().await?;
        let answer = stream.recv_response().await?;
        assert_eq!(answer.status(), StatusCode::OK);
        let mut body = Vec::new();
        while let Some(mut part) = stream.recv_data().await? {
            body.extend_from_slice(&part.copy_to_bytes(part.remaining()));
        }
        assert!(body.starts_with(b"/echo!!!"));
        assert_eq!(body.len(), 5 + 100_000);
        Ok(())
    };
    let drive = poll_fn(|cx| driver.poll_close(cx));
    let answered = match select(Box::pin(ask), drive).await {
        Either::Left((answered, _)) => answered,
        Either::Right((error, _)) => Err(error.into()),
    };
    client.connection.close(0x100_u32.into(), b"done");
    answered
}
