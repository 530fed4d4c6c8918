//! `TimeoutStream` under hyper, as its documentation allows it: without an idle limit.

use std::convert::Infallible;
use std::os::unix::net::UnixStream;
use std::pin::pin;
use std::time::Duration;

use futures::channel::oneshot;
use futures::future::{Either, select};
use http_body_util::StreamBody;
use hyper::Response;
use hyper::body::{Bytes, Frame};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use netpoll::{Interest, Reactor, Registration, Timer};
use netpoll_futures::{Stream, TimeoutStream, Timeouts, is_deadline_exceeded};
use smol_hyper::rt::FuturesIo;

use crate::fixtures::{Outcome, has_ended, ms, run};

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n";

/// Both ends of a connection: one with timeouts by a clock that is moved by hand.
fn pair(reactor: &Reactor) -> Outcome<(TimeoutStream<UnixStream>, Stream<UnixStream>)> {
    let (near, far) = UnixStream::pair()?;
    near.set_nonblocking(true)?;
    far.set_nonblocking(true)?;
    let near: Stream<_> = Registration::with(reactor, near, Interest::WriteOnDemand)?.into();
    let far: Stream<_> = Registration::new(far)?.into();
    let timeouts = Timeouts { idle: None, write_stall: Some(ms(1000)) };
    Ok((TimeoutStream::new(near, timeouts), far))
}

async fn pass(reactor: &Reactor, time: Duration) -> Outcome {
    let passed = Timer::at(reactor, reactor.now() + time)?;
    reactor.advance(time + ms(1));
    Ok(passed.await?)
}

#[test]
fn a_request_in_flight_has_its_time() {
    run(|_| async {
        let reactor = Reactor::builder().manual_clock().build()?;
        let (near, far) = pair(&reactor)?;
        let (answer, answered) = oneshot::channel::<()>();
        let answered = futures::FutureExt::shared(answered);
        let page = service_fn(move |_| {
            let answered = answered.clone();
            async move {
                let _ = answered.await;
                Ok::<_, Infallible>(Response::new("at last".to_owned()))
            }
        });
        let mut serving = pin!(http1::Builder::new().serve_connection(FuturesIo::new(near), page));
        far.write_all(REQUEST).await?;
        for _ in 0..10 {
            assert!(!has_ended(serving.as_mut()).await, "the handler is at work");
            pass(&reactor, ms(500)).await?;
        }
        drop(answer);
        let read = pin!(async {
            let mut buffer = [0; 1024];
            let count = far.read(&mut buffer).await?;
            std::io::Result::Ok(buffer[..count].to_vec())
        });
        let Either::Right((read, _)) = select(serving, read).await else {
            return Err("the connection was cut off".into());
        };
        assert!(read?.ends_with(b"at last"));
        Ok(())
    });
}

#[test]
fn a_peer_that_takes_nothing_is_cut_off() {
    run(|_| async {
        let reactor = Reactor::builder().manual_clock().build()?;
        let (near, far) = pair(&reactor)?;
        let page = service_fn(|_| async {
            let piece = Bytes::from(vec![0x5a; 64 * 1024]);
            let frames = futures::stream::repeat_with(move || {
                Ok::<_, Infallible>(Frame::data(piece.clone()))
            });
            Ok::<_, Infallible>(Response::new(StreamBody::new(frames)))
        });
        far.write_all(REQUEST).await?;
        let mut serving = pin!(http1::Builder::new().serve_connection(FuturesIo::new(near), page));
        for _ in 0..100 {
            if let Some(ended) = crate::fixtures::now(serving.as_mut()).await {
                let error = ended.expect_err("it was cut off");
                let cause = std::error::Error::source(&error).expect("an error of the stream");
                let cause = cause.downcast_ref().expect("an error of the stream");
                assert!(is_deadline_exceeded(cause), "{error:?}");
                return Ok(());
            }
            pass(&reactor, ms(500)).await?;
        }
        Err("it is never cut off".into())
    });
}
