//! `deadline_in` finds the deadline in the errors of libraries: in those of real ones, over a stream whose deadline has passed,
//! and in errors of the same structure as those of others.

use std::error::Error;
use std::fmt;
use std::io::{self, ErrorKind};
use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, FromRequest, Request};
use axum::routing::post;
use axum::{Extension, Router};
use bytes::Bytes;
use futures::StreamExt;
use futures::channel::mpsc::{UnboundedSender, unbounded};
use futures::executor::block_on;
use futures::future::join;
use futures_rustls::rustls::OtherError;
use http_body_util::Empty;
use hyper::client::conn::{http1, http2};
use netpoll::{Closed, DeadlineExceeded, OpError, deadline_in, is_closed, is_deadline_exceeded};
use netpoll_futures::{TcpListener, TcpStream};
use netpoll_hyper::{Executor, Io};
use netpoll_tests::watched;
use netpoll_tokio::ConnectionInfo;
use tokio_postgres::NoTls;
use tokio_util::io::ReaderStream;

use crate::fixtures::{connected, late};

type BoxError = Box<dyn Error + Send + Sync>;

/// An error with another inside, of the structure that the errors of most libraries have.
#[derive(Debug)]
struct Outer(BoxError);

impl Outer {
    fn around(inner: impl Into<BoxError>) -> BoxError {
        Self(inner.into()).into()
    }
}

impl fmt::Display for Outer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the library failed: {}", self.0)
    }
}

impl Error for Outer {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.0)
    }
}

fn request() -> hyper::Request<Empty<Bytes>> {
    hyper::Request::new(Empty::new())
}

fn under_tokio(test: impl Future<Output = Result<(), BoxError>> + Send + 'static) {
    watched(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(test).expect("no error but those");
    });
}

#[test]
fn in_the_error_of_an_http1_request() {
    watched(|| {
        block_on(async {
            let (client, _silent) = connected().await?;
            let deadlines = client.deadlines();
            let (mut sender, connection) = http1::handshake(Io::new(client)).await?;
            let both = join(sender.send_request(request()), connection);
            let (response, _) = late(deadlines, both).await;
            let error = response.expect_err("the server is silent");
            assert!(deadline_in(&error), "{error:?}");
            Ok::<_, BoxError>(())
        })
        .expect("no error but that");
    });
}

/// Of the error of a stream, h2 keeps the kind and the text.
#[test]
fn in_the_errors_of_an_http2_request_and_its_connection() {
    watched(|| {
        block_on(async {
            let (client, _silent) = connected().await?;
            let deadlines = client.deadlines();
            let executor = Executor::new(|task| smol::spawn(task).detach());
            let (mut sender, connection) = http2::handshake(executor, Io::new(client)).await?;
            let both = join(sender.send_request(request()), connection);
            let (response, ended) = late(deadlines, both).await;
            let (request, connection) = (response.expect_err("late"), ended.expect_err("late"));
            assert!(deadline_in(&request), "{request:?}");
            assert!(deadline_in(&connection), "{connection:?}");
            Ok::<_, BoxError>(())
        })
        .expect("no error but those");
    });
}

#[test]
fn in_the_errors_of_h2() {
    under_tokio(async {
        let (client, _silent) = connected().await?;
        let deadlines = client.deadlines();
        let stream = netpoll_tokio::net::TcpStream::from(client);
        let (mut sender, connection) = h2::client::handshake(stream).await?;
        let (response, _) = sender.send_request(hyper::Request::new(()), true)?;
        let (response, ended) = late(deadlines, join(response, connection)).await;
        let (request, connection) = (response.expect_err("late"), ended.expect_err("late"));
        assert!(deadline_in(&request), "{request:?}");
        assert!(deadline_in(&connection), "{connection:?}");
        Ok(())
    });
}

#[test]
fn in_the_errors_of_tungstenite_and_rustls() {
    watched(|| {
        block_on(async {
            let (client, _silent) = connected().await?;
            let deadlines = client.deadlines();
            let connecting = async_tungstenite::client_async("ws://localhost/", client);
            let error = late(deadlines, connecting).await.expect_err("the server is silent");
            assert!(deadline_in(&error), "{error:?}");
            io::Result::Ok(())
        })
        .expect("no error but that");
        // rustls has it inside where a verifier of the user's has failed so.
        assert!(deadline_in(&OtherError(Arc::new(DeadlineExceeded::error()))));
    });
}

/// reqwest connects its own sockets: no option takes a connector of another crate. So the late stream is the one from which a
/// request has its body, as in a proxy.
#[test]
fn in_the_error_of_a_request_of_reqwest() {
    under_tokio(async {
        let server = TcpListener::bind("127.0.0.1:0").await?;
        let (source, _silent) = connected().await?;
        let deadlines = source.deadlines();
        let body = ReaderStream::new(netpoll_tokio::net::TcpStream::from(source));
        let client = reqwest::Client::builder().no_proxy().build()?;
        let request = client.post(format!("http://{}/", server.local_addr()?));
        let sent = request.body(reqwest::Body::wrap_stream(body)).send();
        let error = late(deadlines, sent).await.expect_err("the source is silent");
        assert!(error.is_request() && deadline_in(&error), "{error:?}");
        Ok(())
    });
}

/// The rejection of an extractor, and the error of a body, in the handler of an upload that has stopped.
#[test]
fn in_the_errors_of_axum() {
    type Late = Result<&'static str, BoxError>;

    async fn extracted(
        Extension(errors): Extension<UnboundedSender<Late>>,
        ConnectInfo(connection): ConnectInfo<ConnectionInfo>,
        request: Request,
    ) {
        let extracted = Bytes::from_request(request, &());
        let extracted = late(connection.deadlines().clone(), extracted).await;
        let error = extracted.map(|_| "the whole body").map_err(Into::into);
        errors.unbounded_send(error).expect("the test waits");
    }

    async fn read(
        Extension(errors): Extension<UnboundedSender<Late>>,
        ConnectInfo(connection): ConnectInfo<ConnectionInfo>,
        body: Body,
    ) {
        let bytes = to_bytes(body, 1000);
        let bytes = late(connection.deadlines().clone(), bytes).await;
        let error = bytes.map(|_| "the whole body").map_err(Into::into);
        errors.unbounded_send(error).expect("the test waits");
    }

    under_tokio(async {
        let (send, mut errors) = unbounded::<Late>();
        let app = Router::new().route("/extracted", post(extracted)).route("/read", post(read));
        let app = app.layer(Extension(send));
        let listener = netpoll_tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let app = app.into_make_service_with_connect_info::<ConnectionInfo>();
        tokio::spawn(async { axum::serve(listener, app).await });
        for path in ["/extracted", "/read"] {
            let client = TcpStream::connect(address).await?;
            let head = format!("POST {path} HTTP/1.1\r\nhost: here\r\ncontent-length: 9\r\n\r\n");
            client.write_all(head.as_bytes()).await?;
            let error = errors.next().await.expect("an error").expect_err("the body is late");
            assert!(deadline_in(&*error), "{error:?}");
        }
        Ok(())
    });
}

/// A server of PostgreSQL that says nothing, and one that lets the client in and then does not answer its query.
#[test]
fn in_the_errors_of_tokio_postgres() {
    under_tokio(async {
        let config = || tokio_postgres::Config::new().user("postgres").to_owned();
        let (client, _silent) = connected().await?;
        let deadlines = client.deadlines();
        let stream = netpoll_tokio::net::TcpStream::from(client);
        let error = late(deadlines, config().connect_raw(stream, NoTls)).await.err();
        let error = error.expect("the server is silent");
        assert!(deadline_in(&error), "{error:?}");

        let (client, server) = connected().await?;
        // AuthenticationOk, and ReadyForQuery.
        server.write_all(b"R\x00\x00\x00\x08\x00\x00\x00\x00Z\x00\x00\x00\x05I").await?;
        let deadlines = client.deadlines();
        let stream = netpoll_tokio::net::TcpStream::from(client);
        let (client, connection) = config().connect_raw(stream, NoTls).await?;
        let both = join(client.simple_query("select 1"), connection);
        let (query, connection) = late(deadlines, both).await;
        let error = connection.expect_err("the server does not answer");
        assert!(deadline_in(&error), "{error:?}");
        // The client learns no more than that its connection has ended.
        let error = query.expect_err("the connection has ended");
        assert!(error.is_closed() && !deadline_in(&error), "{error:?}");
        Ok(())
    });
}

/// Errors of the structure of those of libraries that are not built here.
#[test]
fn at_every_depth() {
    watched(|| {
        let mut error: BoxError = DeadlineExceeded::error().into();
        for depth in 0..20 {
            assert!(deadline_in(&*error), "at depth {depth}");
            assert!(is_deadline_exceeded(&io::Error::other(error)));
            error = DeadlineExceeded::error().into();
            for _ in 0..=depth {
                error = match depth % 3 {
                    0 => Outer::around(error),
                    1 => io::Error::other(error).into(),
                    _ => OpError::wrap("connect", "here", io::Error::other(error)).into(),
                };
            }
        }
    });
}

/// The `source` of these is not the error inside, but the source of it.
#[test]
fn in_wrappers_that_pass_their_source_on() {
    watched(|| {
        assert!(deadline_in(&Arc::new(DeadlineExceeded::error())));
        assert!(deadline_in(&Box::new(DeadlineExceeded::error())));
        assert!(deadline_in(&*Outer::around(Arc::new(DeadlineExceeded::error()))));
        // redis::RedisError holds such an Arc, and its clones share it.
        let shared: Arc<dyn Error + Send + Sync> = Arc::new(DeadlineExceeded::error());
        assert!(deadline_in(&shared.clone()));
        assert!(deadline_in(&*Outer::around(shared)));
        let boxed: BoxError =
            Outer::around(Arc::new(io::Error::other(Arc::new(DeadlineExceeded::error()))));
        assert!(deadline_in(&*boxed));
    });
}

#[test]
fn not_in_other_errors() {
    watched(|| {
        let others: [BoxError; 6] = [
            io::Error::from_raw_os_error(libc::ETIMEDOUT).into(),
            io::Error::from(ErrorKind::TimedOut).into(),
            Closed::error().into(),
            io::Error::new(ErrorKind::TimedOut, "context deadline exceeded").into(),
            io::Error::new(ErrorKind::TimedOut, "deadline").into(),
            io::Error::other("").into(),
        ];
        for error in others {
            assert!(!deadline_in(&*error), "{error:?}");
            assert!(!deadline_in(&*Outer::around(error)));
        }
        assert!(is_closed(&io::Error::other(Outer::around(Closed::error()))));
        assert!(!is_closed(&DeadlineExceeded::error()));
    });
}

/// A chain without an end, and an error that cannot be printed.
#[test]
fn not_in_errors_that_go_wrong() {
    /// It is its own source.
    #[derive(Debug)]
    struct Cycle;

    impl fmt::Display for Cycle {
        fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
            Err(fmt::Error)
        }
    }

    impl Error for Cycle {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(self)
        }
    }

    watched(|| {
        assert!(!deadline_in(&Cycle));
        assert!(!is_deadline_exceeded(&io::Error::other(Cycle)));
    });
}
