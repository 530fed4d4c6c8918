//! A connection ends, and its end is reported, also where its future does not come to its own end.

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::{Arc, Mutex, mpsc};

use futures::FutureExt;
use futures::future::{Either, select};
use hyper::Response;
use hyper::service::service_fn;
use netpoll_futures::{TcpListener, TcpStream};
use netpoll_hyper::{Deadlines, End, Executor, Server, Version};

use crate::client::read_to_the_end;
use crate::fixtures::{Outcome, run, under, until};
use crate::raw::{Raw, get, hello};

const REQUEST: &[u8] = b"GET /hello HTTP/1.1\r\nhost: localhost\r\n\r\n";

/// A server without a listener, and the ends that it reports.
fn server(executor: &Executor) -> Outcome<(Server, Arc<Mutex<Vec<String>>>)> {
    let ends = Arc::<Mutex<Vec<String>>>::default();
    let reported = ends.clone();
    let server = Server::new(executor.clone())
        .deadlines(Deadlines::none())
        .on_end(move |end| reported.lock().expect("no panic").push(end.to_string()));
    Ok((server, ends))
}

async fn pair() -> Outcome<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let client = TcpStream::connect(listener.local_addr()?).await?;
    Ok((client, listener.accept().await?.0))
}

#[test]
fn a_service_that_panics_is_reported() {
    run(|executor| async move {
        let (server, ends) = server(&executor)?;
        let (client, accepted) = pair().await?;
        client.write_all(REQUEST).await?;
        let page = service_fn(|request| async move {
            drop(request);
            panic!("a service that panics");
            #[expect(unreachable_code, reason = "it tells the types")]
            Ok::<Response<String>, Infallible>(Response::new(String::new()))
        });
        let serving = AssertUnwindSafe(server.serve_connection(accepted, page));
        assert!(serving.catch_unwind().await.is_err(), "the panic goes on");
        assert_eq!(*ends.lock().expect("no panic"), ["failed: the service panicked"]);
        assert_eq!(server.connections(), 0);
        assert_eq!(read_to_the_end(&client).await, b"");
        Ok(())
    });
}

/// With HTTP/2 the service has a task of its own, and its panic ends its stream. The connection ends with its peer.
#[test]
fn a_service_of_http2_that_panics_ends_its_stream_alone() {
    netpoll_tests::watched(|| {
        under("smol_4_threads", |executor| async move {
            let site = crate::site::Site::open(&executor, Deadlines::none()).await?;
            let mut raw = Raw::new(TcpStream::connect(site.address).await?);
            raw.stream.write_all(&[hello(), get(1, "/panic")].concat()).await?;
            let reset = raw.next_of(3).await?;
            assert_eq!(reset.stream, 1);
            assert_eq!(raw.fetch(3, "/hello").await?, b"hello");
            drop(raw);
            until(|| site.ended(|_| true) == 1).await;
            Ok(())
        });
    });
}

/// The service blocks its thread, and so its future cannot be dropped. The connection closes all the same.
#[test]
fn a_connection_that_is_dropped_closes_while_its_service_blocks() {
    netpoll_tests::watched(|| {
        under("smol_4_threads", |executor| async move {
            for version in [Version::Http1, Version::Http2] {
                let (server, ends) = server(&executor)?;
                let server = server.only(version);
                let (client, accepted) = pair().await?;
                let (called, mut calls) = futures::channel::mpsc::unbounded();
                let (unblock, blocked) = mpsc::channel::<()>();
                let blocked = Arc::new(Mutex::new(blocked));
                let page = service_fn(move |_| {
                    let (called, blocked) = (called.clone(), blocked.clone());
                    let is_http2 = version == Version::Http2;
                    async move {
                        called.unbounded_send(()).expect("the test listens");
                        if is_http2 {
                            let _ = blocked.lock().expect("no panic").recv();
                        } else {
                            // On the connection's own task, it could not be dropped.
                            futures::future::pending::<()>().await;
                        }
                        Ok::<_, Infallible>(Response::new(String::new()))
                    }
                });
                let request = match version {
                    Version::Http1 => REQUEST.to_vec(),
                    _ => [hello(), get(1, "/")].concat(),
                };
                client.write_all(&request).await?;
                {
                    let serving = pin!(server.serve_connection(accepted, page));
                    let call = pin!(futures::StreamExt::next(&mut calls));
                    let is_called = matches!(select(serving, call).await, Either::Right(_));
                    assert!(is_called, "it serves");
                }
                read_to_the_end(&client).await;
                assert_eq!(server.connections(), 0);
                assert_eq!(*ends.lock().expect("no panic"), ["the server was closed"]);
                drop(unblock);
            }
            Ok(())
        });
    });
}

/// The end that is reported is the end that is returned.
#[test]
fn an_end_is_reported_once() {
    run(|executor| async move {
        let (server, ends) = server(&executor)?;
        let (client, accepted) = pair().await?;
        client.close().await?;
        let page = service_fn(|_| async { Ok::<_, Infallible>(Response::new(String::new())) });
        let end = server.serve_connection(accepted, page).await;
        assert!(matches!(end, End::Finished), "{end}");
        assert_eq!(*ends.lock().expect("no panic"), ["finished"]);
        Ok(())
    });
}
