//! `deadline_in` finds the deadline in the errors of libraries: in those of real ones, over a stream whose deadline has passed,
//! and in errors of the same structure as those of others.

use std::error::Error;
use std::fmt;
use std::io::{self, ErrorKind};
use std::sync::Arc;

use bytes::Bytes;
use futures::executor::block_on;
use futures::future::join;
use futures_rustls::rustls::OtherError;
use http_body_util::Empty;
use hyper::Request;
use hyper::client::conn::{http1, http2};
use netpoll::{Closed, DeadlineExceeded, OpError, deadline_in, is_closed, is_deadline_exceeded};
use netpoll_hyper::{Executor, Io};
use netpoll_tests::watched;

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

fn request() -> Request<Empty<Bytes>> {
    Request::new(Empty::new())
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
            // reqwest::Error has one of hyper-util's client inside, and that has hyper's.
            assert!(deadline_in(&*Outer::around(Outer::around(error))));
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
    watched(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let ended: Result<(), BoxError> = runtime.expect("a runtime").block_on(async {
            let (client, _silent) = connected().await?;
            let deadlines = client.deadlines();
            let stream = netpoll_tokio::net::TcpStream::from(client);
            let (mut sender, connection) = h2::client::handshake(stream).await?;
            let (response, _) = sender.send_request(Request::new(()), true)?;
            let (response, ended) = late(deadlines, join(response, connection)).await;
            let (request, connection) = (response.expect_err("late"), ended.expect_err("late"));
            assert!(deadline_in(&request), "{request:?}");
            assert!(deadline_in(&connection), "{connection:?}");
            // As `axum::Error` has it in the error of a body: axum's, axum-core's, hyper's, h2's.
            assert!(deadline_in(&*Outer::around(Outer::around(Outer::around(request)))));
            Ok(())
        });
        ended.expect("no error but those");
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

/// Errors of the structure of those of libraries that are not built here.
#[test]
fn at_every_depth() {
    watched(|| {
        // tokio_postgres::Error: a kind, and the cause in a box.
        assert!(deadline_in(&*Outer::around(DeadlineExceeded::error())));
        // axum's rejection of a body: UnknownBodyError, axum_core::Error, hyper::Error, io::Error.
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
